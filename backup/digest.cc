#include "backup/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace regrow::backup {
namespace {

// A hash that cannot be computed means a broken OpenSSL: nothing this process does afterwards would
// be sound.
void must(bool ok, const char* what) {
    if (ok) return;
    std::fprintf(stderr, "OpenSSL cannot compute %s\n", what);
    std::abort();
}

const unsigned char* raw(std::string_view bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

OSSL_PARAM octets(const char* name, std::string_view bytes) {
    // OpenSSL's constructor wants a mutable pointer, never null, and only reads from it.
    static const char empty = 0;
    return OSSL_PARAM_construct_octet_string(
        name, const_cast<char*>(bytes.empty() ? &empty : bytes.data()), bytes.size());
}

struct MdContext {
    MdContext() : context(EVP_MD_CTX_new()) { must(context != nullptr, "SHA-256"); }
    ~MdContext() { EVP_MD_CTX_free(context); }
    MdContext(const MdContext&) = delete;
    MdContext& operator=(const MdContext&) = delete;
    EVP_MD_CTX* context;
};

}  // namespace

std::string hexOf(const Digest& d) {
    return toHex(bytesOf(d));
}

Result<Digest> digestFromHex(std::string_view hex) {
    REGROW_TRY(const std::string bytes, fromHex(hex));
    if (bytes.size() != sizeof(Digest))
        return fail(Code::invalid, Source::us, "not a hash of 64 hex digits: " + std::string(hex));
    return digestFrom(bytes);
}

Digest digestFrom(std::string_view thirty_two_bytes) {
    assert(thirty_two_bytes.size() == sizeof(Digest));
    Digest d{};
    std::memcpy(d.data(), thirty_two_bytes.data(), std::min(d.size(), thirty_two_bytes.size()));
    return d;
}

Digest sha256(std::string_view bytes) {
    Digest d{};
    unsigned length = 0;
    must(EVP_Digest(bytes.data(), bytes.size(), d.data(), &length, EVP_sha256(), nullptr) == 1,
         "SHA-256");
    return d;
}

struct Sha256::Impl : MdContext {};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
    must(EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1, "SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
    must(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1, "SHA-256");
}

Digest Sha256::finish() {
    Digest d{};
    unsigned length = 0;
    must(EVP_DigestFinal_ex(impl_->context, d.data(), &length) == 1, "SHA-256");
    return d;
}

struct Mac::Impl {
    explicit Impl(EVP_MAC_CTX* c) : context(c) { must(context != nullptr, "HMAC"); }
    ~Impl() { EVP_MAC_CTX_free(context); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    EVP_MAC_CTX* context;
};

Mac::Mac(std::string_view key) {
    EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
    must(algorithm != nullptr, "HMAC");
    impl_ = std::make_unique<Impl>(EVP_MAC_CTX_new(algorithm));
    EVP_MAC_free(algorithm);
    char digest_name[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
        OSSL_PARAM_construct_end()};
    must(EVP_MAC_init(impl_->context, raw(key), key.size(), params) == 1, "HMAC");
}
Mac::~Mac() = default;
Mac::Mac(Mac&&) noexcept = default;
Mac& Mac::operator=(Mac&&) noexcept = default;
Mac::Mac(const Mac& other) : impl_(std::make_unique<Impl>(EVP_MAC_CTX_dup(other.impl_->context))) {}

Digest Mac::of(std::string_view bytes) const {
    Digest d{};
    size_t length = 0;
    // Without a key: starts again under the one it has, without deriving its pads anew.
    must(EVP_MAC_init(impl_->context, nullptr, 0, nullptr) == 1 &&
             EVP_MAC_update(impl_->context, raw(bytes), bytes.size()) == 1 &&
             EVP_MAC_final(impl_->context, d.data(), &length, d.size()) == 1,
         "HMAC");
    return d;
}

std::string hkdf(std::string_view key, std::string_view salt, std::string_view info,
                 size_t length) {
    EVP_KDF* const algorithm = EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_HKDF, nullptr);
    must(algorithm != nullptr, "HKDF");
    EVP_KDF_CTX* const context = EVP_KDF_CTX_new(algorithm);
    EVP_KDF_free(algorithm);
    char digest_name[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name, 0),
        octets(OSSL_KDF_PARAM_KEY, key), octets(OSSL_KDF_PARAM_SALT, salt),
        octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
    std::string out(length, '\0');
    const int ok =
        EVP_KDF_derive(context, reinterpret_cast<unsigned char*>(out.data()), length, params);
    EVP_KDF_CTX_free(context);
    must(ok == 1, "HKDF");
    return out;
}

}  // namespace regrow::backup
