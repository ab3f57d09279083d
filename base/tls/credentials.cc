#include "base/tls/credentials.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "base/file.h"

namespace regrow::tls {
namespace {

constexpr size_t kFileLimit = size_t{4} << 20;
constexpr size_t kMostCertificates = 10'000;  // a system's whole store has some 150

std::unexpected<Error> wrong(const std::string& file, std::string_view what) {
    return fail(Code::invalid, Source::config, fmt::format("{} {}", file, what));
}

Result<std::string> read(const std::string& file) {
    auto text = readFile(file, kFileLimit);
    if (!text) return std::unexpected(std::move(text).error().in("cannot be read"));
    return text;
}

BioPtr reading(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// OpenSSL would ask for a passphrase on the terminal.
int neverAsk(char*, int, int, void*) {
    return -1;
}

std::string lowerCase(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

std::string textOf(const ASN1_STRING* string) {
    return lowerCase({reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                      static_cast<size_t>(ASN1_STRING_length(string))});
}

std::vector<std::string> namesOf(X509* leaf) {
    std::vector<std::string> names;
    const std::unique_ptr<GENERAL_NAMES, Freeing<GENERAL_NAMES_free>> alternatives(
        static_cast<GENERAL_NAMES*>(
            X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; alternatives && i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
        if (name->type == GEN_DNS) names.push_back(textOf(name->d.dNSName));
    }
    const X509_NAME* subject = X509_get_subject_name(leaf);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (names.empty() && at >= 0)
        names.push_back(textOf(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
    return names;
}

WallTime wallTime(const ASN1_TIME* time) {
    std::tm broken{};
    if (ASN1_TIME_to_tm(time, &broken) != 1) return {};
    return Wall::from_time_t(::timegm(&broken));
}

std::string day(WallTime time) {
    const time_t seconds = Wall::to_time_t(time);
    std::tm broken{};
    ::gmtime_r(&seconds, &broken);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &broken)};
}

Result<std::vector<CertificatePtr>> readCertificates(const std::string& file) {
    REGROW_TRY(const std::string text, read(file));
    const BioPtr in = reading(text);
    std::vector<CertificatePtr> found;
    ERR_clear_error();
    while (X509* one = PEM_read_bio_X509(in.get(), nullptr, neverAsk, nullptr)) {
        found.emplace_back(one);
        if (found.size() > kMostCertificates) return wrong(file, "holds too many certificates");
    }
    const bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const std::string reason = takeReason();
    if (found.empty() && end)
        return wrong(file, "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    if (!end) return wrong(file, "has a damaged certificate: " + reason);
    return found;
}

}  // namespace

Result<Chain> loadChain(const std::string& file) {
    Chain chain;
    REGROW_TRY(chain.certificates, readCertificates(file));
    X509* leaf = chain.certificates.front().get();
    chain.names = namesOf(leaf);
    chain.not_before = wallTime(X509_get0_notBefore(leaf));
    chain.not_after = wallTime(X509_get0_notAfter(leaf));
    return chain;
}

Result<KeyPtr> loadKey(const std::string& file) {
    REGROW_TRY(std::string text, read(file));
    const BioPtr in = reading(text);
    ERR_clear_error();
    KeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, neverAsk, nullptr));
    const bool locked = text.find("ENCRYPTED") != std::string::npos;
    OPENSSL_cleanse(text.data(), text.size());
    if (key) return key;
    const std::string reason = takeReason();
    if (locked)
        return wrong(file,
                     "is locked with a passphrase, which nobody is there to type; unlock it: "
                     "openssl pkey -in LOCKED -out KEY, mode 0600");
    return wrong(file, "holds no private key in PEM form (" + reason + ")");
}

Result<> checkPair(const Chain& chain, EVP_PKEY* key, const std::string& certificate_file,
                   const std::string& key_file) {
    X509* leaf = chain.certificates.front().get();
    ERR_clear_error();
    if (X509_check_private_key(leaf, key) != 1) {
        ERR_clear_error();
        return wrong(key_file,
                     fmt::format("does not belong to the certificate in {}; the first certificate "
                                 "of that file must be the server's own",
                                 certificate_file));
    }
    const ContextPtr trial(SSL_CTX_new(TLS_method()));
    SSL_CTX_set_security_level(trial.get(), kSecurityLevel);
    if (SSL_CTX_use_certificate(trial.get(), leaf) == 1) return {};
    return wrong(certificate_file,
                 fmt::format("is not to be served: {}; RSA needs at least 2048 bits and a "
                             "signature better than SHA-1",
                             takeReason()));
}

Result<Credentials> loadCredentials(const std::string& certificate_file,
                                    const std::string& key_file) {
    Credentials both;
    REGROW_TRY(both.chain, loadChain(certificate_file));
    REGROW_TRY(both.key, loadKey(key_file));
    REGROW_CHECK(checkPair(both.chain, both.key.get(), certificate_file, key_file));
    return both;
}

Result<std::vector<CertificatePtr>> loadAuthorities(const std::string& file) {
    return readCertificates(file);
}

std::string objection(const Chain& chain, WallTime now) {
    if (now > chain.not_after) return "expired on " + day(chain.not_after);
    if (now < chain.not_before) return "is not valid before " + day(chain.not_before);
    return {};
}

Result<> install(SSL_CTX* context, const Credentials& credentials) {
    const auto& chain = credentials.chain.certificates;
    ERR_clear_error();
    bool good = SSL_CTX_use_certificate(context, chain.front().get()) == 1 &&
                SSL_CTX_use_PrivateKey(context, credentials.key.get()) == 1;
    for (size_t i = 1; good && i < chain.size(); ++i)
        good = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
    if (good) return {};
    return fail(Code::invalid, Source::config, "cannot be used: " + takeReason());
}

Result<> trust(SSL_CTX* context, const std::vector<CertificatePtr>& authorities) {
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    ERR_clear_error();
    for (const auto& authority : authorities)
        if (X509_STORE_add_cert(store, authority.get()) != 1)
            return fail(Code::invalid, Source::config, "cannot be trusted: " + takeReason());
    return {};
}

}  // namespace regrow::tls
