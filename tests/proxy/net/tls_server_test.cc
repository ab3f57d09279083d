#include "proxy/net/tls_server.h"

#include <openssl/ocsp.h>

#include <catch2/catch.hpp>

#include "base/tls/credentials.h"
#include "tests/support/tls_files.h"
#include "tests/support/tls_pair.h"

using namespace regrow;
using namespace regrow::test;
using Shake = tls::Stream::Shake;

namespace {

std::shared_ptr<const net::TlsServer> serverOf(const conf::ListenerTls& tls,
                                               std::vector<std::string> alpn = {"http/1.1"},
                                               std::shared_ptr<net::TicketKeys> tickets = nullptr) {
    if (!tickets) tickets = std::make_shared<net::TicketKeys>();
    auto made = net::TlsServer::make(tls, std::move(alpn), tickets);
    INFO((made ? "" : made.error().message));
    REQUIRE(made.has_value());
    return *made;
}

std::shared_ptr<const tls::ClientContext> clientOf(const tls::ClientOptions& options) {
    auto made = tls::ClientContext::make(options);
    INFO((made ? "" : made.error().message));
    REQUIRE(made.has_value());
    return *made;
}

std::string commonName(SSL* session) {
    const tls::CertificatePtr shown(SSL_get1_peer_certificate(session));
    if (!shown) return "";
    char text[128] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, text, 128);
    return text;
}

struct World {
    TlsFiles files;
    TlsFiles::Pair ca = files.authority("ca");
    TlsFiles::Pair a = files.leaf("a", "DNS:a.test,DNS:*.wild.test,IP:127.0.0.1", ca);
    TlsFiles::Pair b = files.leaf("b", "DNS:b.test,DNS:deep.wild.test", ca);

    conf::ListenerTls both() const {
        conf::ListenerTls tls;
        tls.certificates = {{a.certificate, a.key, ""}, {b.certificate, b.key, ""}};
        return tls;
    }
    tls::ClientOptions asking(const std::string& name) const {
        return {.ca = ca.certificate, .name = name};
    }
};

}  // namespace

TEST_CASE("a certificate is chosen by the name a client asks for") {
    const World world;
    const auto server = serverOf(world.both());
    const auto [name, shown] = GENERATE(table<std::string, std::string>({{"a.test", "a"},
                                                                         {"b.test", "b"},
                                                                         {"B.TEST", "b"},
                                                                         {"x.wild.test", "a"},
                                                                         {"deep.wild.test", "b"},
                                                                         {"127.0.0.1", "a"}}));
    TlsPair pair(server, clientOf(world.asking(name)));
    INFO(name);
    REQUIRE(pair.shake());
    CHECK(commonName(pair.client().tls()->session()) == shown);
    CHECK(pair.server().tls()->protocol().empty());
}

TEST_CASE("names that no certificate has get the first, which a client that verifies refuses") {
    const World world;
    const auto server = serverOf(world.both());
    TlsPair lax(server, clientOf({.name = "x.y.wild.test", .verify = false}));
    REQUIRE(lax.shake());
    CHECK(commonName(lax.client().tls()->session()) == "a");
    TlsPair strict(server, clientOf(world.asking("x.y.wild.test")));
    CHECK_FALSE(strict.shake());
    CHECK(strict.client_shake == Shake::failed);
    CHECK(strict.client().tls()->trouble() == "hostname mismatch");
    const auto stranger = clientOf({.ca = world.b.certificate, .name = "a.test"});
    TlsPair untrusted(server, stranger);
    CHECK_FALSE(untrusted.shake());
    CHECK(untrusted.client().tls()->trouble() == "unable to get local issuer certificate");
}

TEST_CASE("ALPN: our order counts, and who offers only others is refused") {
    const World world;
    const auto server = serverOf(world.both(), {"h2", "http/1.1"});
    const auto asked = [&](std::vector<std::string> alpn) {
        tls::ClientOptions options = world.asking("a.test");
        options.alpn = std::move(alpn);
        TlsPair pair(server, clientOf(options));
        if (!pair.shake()) return "refused: " + pair.client().tls()->trouble();
        CHECK(pair.client().tls()->protocol() == pair.server().tls()->protocol());
        return std::string(pair.server().tls()->protocol());
    };
    CHECK(asked({"http/1.1", "h2"}) == "h2");
    CHECK(asked({"http/1.1"}) == "http/1.1");
    CHECK(asked({}).empty());
    CHECK(asked({"ftp"}) == "refused: tlsv1 alert no application protocol");
}

TEST_CASE("versions: nothing below 1.2, or below what the listener says") {
    const World world;
    conf::ListenerTls tls = world.both();
    const auto with = [&](int version, conf::TlsVersion least) {
        tls.min_version = least;
        TlsPair pair(serverOf(tls), clientOf(world.asking("a.test")));
        SSL* const session = pair.client().tls()->session();
        SSL_set_security_level(session, 0);
        SSL_set_min_proto_version(session, version);
        SSL_set_max_proto_version(session, version);
        return pair.shake() ? std::string(SSL_get_version(session)) : "refused";
    };
    CHECK(with(TLS1_3_VERSION, conf::TlsVersion::tls12) == "TLSv1.3");
    CHECK(with(TLS1_2_VERSION, conf::TlsVersion::tls12) == "TLSv1.2");
    CHECK(with(TLS1_1_VERSION, conf::TlsVersion::tls12) == "refused");
    CHECK(with(TLS1_2_VERSION, conf::TlsVersion::tls13) == "refused");
}

TEST_CASE("client certificates: required, optional, and never a wrong one") {
    World world;
    const auto strange_ca = world.files.authority("strange");
    const auto alice = world.files.leaf("alice", "DNS:alice", world.ca);
    const auto mallory = world.files.leaf("mallory", "DNS:mallory", strange_ca);
    conf::ListenerTls tls = world.both();
    tls.client_ca = world.ca.certificate;
    const auto shaken = [&](conf::ClientCertificate mode, const TlsFiles::Pair* who) {
        tls.client_certificate = mode;
        tls::ClientOptions options = world.asking("a.test");
        if (who) options.certificate = who->certificate, options.key = who->key;
        TlsPair pair(serverOf(tls), clientOf(options));
        const bool done = pair.shake();
        const tls::PeerCertificate* const client = pair.server().tls()->client();
        return done ? "in as '" + (client ? client->subject : "nobody asked") + "'"
                    : pair.server().tls()->trouble();
    };
    using enum conf::ClientCertificate;
    CHECK(shaken(required, &alice) == "in as 'CN=alice'");
    CHECK(shaken(required, nullptr) == "peer did not return a certificate");
    CHECK(shaken(optional, &alice) == "in as 'CN=alice'");
    CHECK(shaken(optional, nullptr) == "in as ''");
    CHECK(shaken(optional, &mallory) == "unable to get local issuer certificate");
    CHECK(shaken(off, &mallory) == "in as 'nobody asked'");
}

namespace {

// The second visit of a client that kept its ticket.
bool resumes(const std::shared_ptr<const net::TlsServer>& first,
             const std::shared_ptr<const net::TlsServer>& second,
             const std::shared_ptr<const tls::ClientContext>& client, int version) {
    TlsPair visit(first, client);
    SSL_set_max_proto_version(visit.client().tls()->session(), version);
    REQUIRE(visit.shake());
    char byte = 0;
    visit.wake();
    visit.client().receive(&byte, 1);  // 1.3 sends its ticket after the handshake
    SSL_SESSION* const kept = SSL_get1_session(visit.client().tls()->session());
    REQUIRE(SSL_SESSION_is_resumable(kept) == 1);
    TlsPair again(second, client);
    SSL_set_max_proto_version(again.client().tls()->session(), version);
    SSL_set_session(again.client().tls()->session(), kept);
    SSL_SESSION_free(kept);
    REQUIRE(again.shake());
    return SSL_session_reused(again.server().tls()->session()) == 1;
}

}  // namespace

TEST_CASE("a ticket opens after a reload, not at another listener or under other rules") {
    const World world;
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    const auto tickets = std::make_shared<net::TicketKeys>();
    const auto client = clientOf(world.asking("a.test"));
    conf::ListenerTls tls = world.both();
    const auto server = serverOf(tls, {}, tickets);
    CHECK(resumes(server, server, client, version));
    CHECK(resumes(server, serverOf(tls, {}, tickets), client, version));
    CHECK_FALSE(resumes(server, serverOf(tls), client, version));
    tls.client_ca = world.ca.certificate;
    tls.client_certificate = conf::ClientCertificate::optional;
    CHECK_FALSE(resumes(server, serverOf(tls, {}, tickets), client, version));
}

namespace {

// What the authority answered about the leaf, good for `seconds` from now on, in a file.
std::string ocspResponse(TlsFiles& files, const TlsFiles::Pair& leaf, const TlsFiles::Pair& ca,
                         long seconds) {
    const auto subject = tls::loadChain(leaf.certificate);
    const auto issuer = tls::loadCredentials(ca.certificate, ca.key);
    REQUIRE(subject.has_value());
    REQUIRE(issuer.has_value());
    X509* const signer = issuer->chain.certificates[0].get();
    const std::unique_ptr<OCSP_BASICRESP, tls::Freeing<OCSP_BASICRESP_free>> basic(
        OCSP_BASICRESP_new());
    const std::unique_ptr<ASN1_TIME, tls::Freeing<ASN1_STRING_free>> now(
        X509_gmtime_adj(nullptr, -1000));
    const std::unique_ptr<ASN1_TIME, tls::Freeing<ASN1_STRING_free>> next(
        X509_gmtime_adj(nullptr, seconds));
    const std::unique_ptr<OCSP_CERTID, tls::Freeing<OCSP_CERTID_free>> id(
        OCSP_cert_to_id(EVP_sha1(), subject->certificates[0].get(), signer));
    OCSP_basic_add1_status(basic.get(), id.get(), V_OCSP_CERTSTATUS_GOOD, 0, nullptr, now.get(),
                           next.get());
    REQUIRE(OCSP_basic_sign(basic.get(), signer, issuer->key.get(), EVP_sha256(), nullptr, 0) == 1);
    const std::unique_ptr<OCSP_RESPONSE, tls::Freeing<OCSP_RESPONSE_free>> response(
        OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
    unsigned char* der = nullptr;
    const int size = i2d_OCSP_RESPONSE(response.get(), &der);
    const std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return files.write("ocsp" + std::to_string(seconds), bytes);
}

}  // namespace

TEST_CASE("an OCSP response is stapled for who asks, and not past its time") {
    World world;
    const auto staple = [&](long seconds) {
        return ocspResponse(world.files, world.a, world.ca, seconds);
    };
    const auto stapled = [&](const std::string& file) {
        conf::ListenerTls tls;
        tls.certificates = {{world.a.certificate, world.a.key, file}};
        TlsPair pair(serverOf(tls), clientOf(world.asking("a.test")));
        SSL* const session = pair.client().tls()->session();
        SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_STATUS_REQ_TYPE, TLSEXT_STATUSTYPE_ocsp, nullptr);
        REQUIRE(pair.shake());
        const unsigned char* response = nullptr;
        return SSL_ctrl(session, SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, &response) > 0;
    };
    CHECK(stapled(staple(1000)));
    CHECK_FALSE(stapled(""));
    const std::string old = staple(-10);
    CHECK_FALSE(stapled(old));
    conf::ListenerTls tls;
    tls.certificates = {{world.a.certificate, world.a.key, old}};
    CHECK(serverOf(tls)->objections() ==
          std::vector<std::string>{old + " is past its time and not shown"});
    const std::string others = ocspResponse(world.files, world.b, world.ca, 2000);
    CHECK_FALSE(stapled(others));
    tls.certificates = {{world.a.certificate, world.a.key, others}};
    CHECK(serverOf(tls)->objections() ==
          std::vector<std::string>{others + " speaks of another certificate and is not shown"});
}

TEST_CASE("an expired certificate is served, and objected to") {
    World world;
    const auto old = world.files.leaf("old", "DNS:a.test", world.ca, -1);
    conf::ListenerTls tls;
    tls.certificates = {{old.certificate, old.key, ""}};
    const auto server = serverOf(tls);
    REQUIRE(server->objections().size() == 1);
    CHECK(server->objections()[0].starts_with(old.certificate + " expired on 20"));
}

TEST_CASE("who does not speak TLS is told apart from whose handshake fails") {
    const World world;
    const auto server = serverOf(world.both());
    const auto said = [&](std::string_view bytes) {
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
        const UniqueFd client(pair[1]);
        net::Transport transport;
        transport.adopt(UniqueFd(pair[0]));
        transport.secure(server->session(), server);
        CHECK(::send(client.get(), bytes.data(), bytes.size(), 0) ==
              static_cast<ssize_t>(bytes.size()));
        return transport.tls()->handshake();
    };
    CHECK(said("GET / HTTP/1.1\r\n\r\n") == Shake::not_tls);
    CHECK(said("\n") == Shake::not_tls);
    CHECK(said(std::string_view("\x16\x03\x01\x02\x00garbage, much of it", 24)) == Shake::waiting);
    CHECK(said(std::string_view("\x16\x09\x09\x00\x04"
                                "abcd",
                                9)) == Shake::failed);
    CHECK(said("\x16") == Shake::waiting);
}
