#include "proxy/net/tls_server.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstring>

#include "base/file.h"
#include "base/tls/client_context.h"
#include "base/tls/credentials.h"

namespace regrow::net {
namespace {

// AES-128 first: as safe as 256 for what is sent today and a third cheaper. ChaCha20 goes first
// with clients that put it first (SSL_OP_PRIORITIZE_CHACHA): they have no AES in hardware.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr uint64_t kOptions = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                              SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
constexpr uint64_t kModes =
    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

bool configure(SSL_CTX* context, conf::TlsVersion least) {
    SSL_CTX_set_security_level(context, tls::kSecurityLevel);
    SSL_CTX_set_options(context, kOptions);
    SSL_CTX_set_mode(context, kModes);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_timeout(
        context, std::chrono::duration_cast<std::chrono::seconds>(TicketKeys::kPeriod).count());
    SSL_CTX_set_read_ahead(context, 1);
    return SSL_CTX_set_min_proto_version(
               context, least == conf::TlsVersion::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, kCiphers) == 1 &&
           SSL_CTX_set_ciphersuites(context, kSuites) == 1 &&
           SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, const_cast<char*>(kGroups)) == 1;
}

// A ticket speaks for the client certificate that was verified when it was made. One made under
// other rules is not taken: whom we trust is part of what the ticket is for.
std::string sessionScope(const conf::ListenerTls& tls) {
    std::string rules = std::to_string(static_cast<int>(tls.client_certificate)) + ' ';
    if (!tls.client_ca.empty()) rules += readFile(tls.client_ca).value_or("");
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_Digest(rules.data(), rules.size(), digest, &length, EVP_sha256(), nullptr);
    return {reinterpret_cast<const char*>(digest), SSL_MAX_SID_CTX_LENGTH};
}

}  // namespace

Result<std::shared_ptr<const TlsServer>> TlsServer::make(const conf::ListenerTls& tls,
                                                         const std::vector<std::string>& alpn,
                                                         std::shared_ptr<TicketKeys> tickets) {
    std::shared_ptr<TlsServer> made(new TlsServer);
    made->tickets_ = std::move(tickets);
    REGROW_TRY(made->alpn_, tls::alpnWire(alpn));
    REGROW_CHECK(made->load(tls));
    return made;
}

Result<> TlsServer::load(const conf::ListenerTls& tls) {
    asks_clients_ = tls.client_certificate != conf::ClientCertificate::off;
    for (const auto& files : tls.certificates) REGROW_CHECK(add(tls, files));
    return {};
}

Result<> TlsServer::add(const conf::ListenerTls& tls, const conf::TlsCertificate& files) {
    REGROW_TRY(const tls::Credentials ours, tls::loadCredentials(files.certificate, files.key));
    Certificate made;
    if (!files.ocsp.empty()) {
        REGROW_TRY(made.staple, tls::loadOcsp(files.ocsp, ours.chain.certificates[0].get()));
    }
    made.context.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* const context = made.context.get();
    if (!context || !configure(context, tls.min_version))
        return fail(Code::internal, Source::us, "no TLS context: " + tls::takeReason());
    if (auto installed = tls::install(context, ours); !installed)
        return std::unexpected(std::move(installed).error().in(files.certificate));
    REGROW_CHECK(askClients(context, tls));
    for (const auto& name : ours.chain.names)
        by_name_.add(name, static_cast<uint32_t>(certificates_.size()));
    const WallTime now = Wall::now();
    if (const auto wrong = tls::objection(ours.chain, now); !wrong.empty())
        objections_.push_back(files.certificate + " " + wrong);
    if (!files.ocsp.empty() && made.staple.der.empty())
        objections_.push_back(files.ocsp + " speaks of another certificate and is not shown");
    else if (!files.ocsp.empty() && made.staple.next_update < now)
        objections_.push_back(files.ocsp + " is past its time and not shown");
    setCallbacks(certificates_.emplace_back(std::move(made)));
    return {};
}

Result<> TlsServer::askClients(SSL_CTX* context, const conf::ListenerTls& tls) {
    const std::string scope = sessionScope(tls);
    SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(scope.data()),
                                   static_cast<unsigned>(scope.size()));
    if (!asks_clients_) return {};
    REGROW_TRY(const auto authorities, tls::loadAuthorities(tls.client_ca));
    if (auto trusted = tls::trust(context, authorities); !trusted)
        return std::unexpected(std::move(trusted).error().in(tls.client_ca));
    for (const auto& authority : authorities) SSL_CTX_add_client_CA(context, authority.get());
    const bool required = tls.client_certificate == conf::ClientCertificate::required;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
    return {};
}

void TlsServer::setCallbacks(Certificate& certificate) {
    using Callback = void (*)();
    SSL_CTX* const context = certificate.context.get();
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                          reinterpret_cast<Callback>(onName));
    SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
                          reinterpret_cast<Callback>(onStaple));
    SSL_CTX_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB_ARG, 0, &certificate.staple);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, onTicket);
    if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(context, onAlpn, nullptr);
}

tls::SessionPtr TlsServer::session() const {
    tls::SessionPtr session(SSL_new(certificates_.front().context.get()));
    if (session) SSL_set_accept_state(session.get());
    return session;
}

const TlsServer& TlsServer::of(const SSL* session) {
    return *static_cast<const TlsServer*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)));
}

// A name nobody here has gets the first certificate, which the client may or may not accept.
int TlsServer::onName(SSL* session, int*, void*) {
    const TlsServer& server = of(session);
    const char* const name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    const uint32_t index = name ? server.by_name_.find(name) : SniTable::kNone;
    if (index == SniTable::kNone) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(session, server.certificates_[index].context.get());
    return SSL_TLSEXT_ERR_OK;
}

int TlsServer::onAlpn(SSL* session, const unsigned char** chosen, unsigned char* size,
                      const unsigned char* offered, unsigned offered_size, void*) {
    const std::string& ours = of(session).alpn_;
    unsigned char* found = nullptr;
    const int result =
        SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int TlsServer::onStaple(SSL* session, void* staple) {
    const auto& [der, next_update] = *static_cast<const tls::OcspResponse*>(staple);
    if (der.empty() || next_update < Wall::now()) return SSL_TLSEXT_ERR_NOACK;
    void* const copy = OPENSSL_memdup(der.data(), der.size());  // the session frees it
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, static_cast<long>(der.size()),
             copy);
    return SSL_TLSEXT_ERR_OK;
}

namespace {

bool setMac(EVP_MAC_CTX* mac, const TicketKeys::Key& key) {
    std::array<unsigned char, 32> secret = key.mac;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret.data(), secret.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    const bool set = EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(secret.data(), secret.size());
    return set;
}

int sealWith(const TicketKeys::Key& key, unsigned char* name, unsigned char* iv,
             EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    std::memcpy(name, key.name.data(), key.name.size());
    const bool ready =
        RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
        EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv) == 1 &&
        setMac(mac, key);
    return ready ? 1 : -1;
}

int openWith(const TicketKeys::Key& key, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
             EVP_MAC_CTX* mac) {
    return EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv) == 1 &&
                   setMac(mac, key)
               ? 1
               : -1;
}

}  // namespace

// 1: done; 2: done, and the client gets a new ticket; 0: unknown key, so a full handshake.
int TlsServer::onTicket(SSL* session, unsigned char* name, unsigned char* iv,
                        EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int sealing) {
    TicketKeys& keys = *of(session).tickets_;
    if (sealing == 1) {
        auto key = keys.forSealing(Mono::now());
        if (!key) return -1;
        const int done = sealWith(*key, name, iv, cipher, mac);
        OPENSSL_cleanse(&*key, sizeof *key);
        return done;
    }
    auto opened = keys.forOpening(name, Mono::now());
    if (!opened) return 0;
    const int done = openWith(opened->key, iv, cipher, mac);
    const bool old = opened->old;
    OPENSSL_cleanse(&*opened, sizeof *opened);
    return done == 1 && old ? 2 : done;
}

}  // namespace regrow::net
