#include "base/tls/client_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/tls/credentials.h"

namespace regrow::tls {
namespace {

bool isIp(const std::string& name) {
    unsigned char bytes[16];
    return ::inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
           ::inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

void addPart(std::string& text, std::string_view part) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
}

// What cannot be read has failed to load before.
std::string fingerprintOf(const ClientOptions& o) {
    std::string text;
    for (const auto& file : {o.ca, o.certificate, o.key}) {
        addPart(text, file);
        addPart(text, file.empty() ? "" : readFile(file).value_or(""));
    }
    addPart(text, o.name);
    addPart(text, o.verify ? "verify" : "");
    for (const auto& protocol : o.alpn) addPart(text, protocol);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha256(), nullptr);
    OPENSSL_cleanse(text.data(), text.size());
    return {reinterpret_cast<const char*>(digest), length};
}

}  // namespace

Result<std::string> alpnWire(const std::vector<std::string>& names) {
    std::string wire;
    for (const auto& name : names) {
        if (name.empty() || name.size() > 255)
            return fail(Code::invalid, Source::us, "ALPN: '" + name + "' is no protocol's name");
        wire += static_cast<char>(name.size());
        wire += name;
    }
    return wire;
}

Result<std::shared_ptr<const ClientContext>> ClientContext::make(const ClientOptions& options) {
    std::shared_ptr<ClientContext> made(new ClientContext);
    REGROW_CHECK(made->load(options));
    return made;
}

Result<> ClientContext::load(const ClientOptions& options) {
    name_ = options.name;
    verify_ = options.verify;
    fingerprint_ = fingerprintOf(options);
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!context_) return fail(Code::internal, Source::us, "no TLS context: " + takeReason());
    SSL_CTX* const context = context_.get();
    SSL_CTX_set_security_level(context, kSecurityLevel);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    if (!options.certificate.empty()) {
        REGROW_TRY(const Credentials ours, loadCredentials(options.certificate, options.key));
        REGROW_CHECK(install(context, ours));
    }
    if (!options.ca.empty()) {
        REGROW_TRY(const auto authorities, loadAuthorities(options.ca));
        REGROW_CHECK(trust(context, authorities));
    } else if (verify_ && SSL_CTX_set_default_verify_paths(context) != 1) {
        return fail(Code::not_found, Source::config,
                    "the system's certificates cannot be read: " + takeReason());
    }
    SSL_CTX_set_verify(context, verify_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    return offer(options.alpn);
}

Result<> ClientContext::offer(const std::vector<std::string>& alpn) {
    REGROW_TRY(const std::string wire, alpnWire(alpn));
    if (!wire.empty())
        SSL_CTX_set_alpn_protos(context_.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                                static_cast<unsigned>(wire.size()));
    return {};
}

SessionPtr ClientContext::session(const Address& server) const {
    SessionPtr session(SSL_new(context_.get()));
    if (!session) return session;
    SSL_set_connect_state(session.get());
    const bool by_address = name_.empty();
    const std::string name = !by_address ? name_ : server.isUnix() ? "" : server.host();
    const bool ip = isIp(name);
    if (!ip && !name.empty())
        SSL_ctrl(session.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(name.c_str()));  // it makes a copy
    if (!verify_) return session;
    X509_VERIFY_PARAM* const expected = SSL_get0_param(session.get());
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool set = ip ? X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1
                        : !name.empty() && SSL_set1_host(session.get(), name.c_str()) == 1;
    if (!set) session.reset();  // nothing to hold the certificate against: not to be trusted
    return session;
}

}  // namespace regrow::tls
