#include "backup/seal.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <cstdlib>

#include "backup/bytes.h"

namespace regrow::backup {
namespace {

using Iv = std::array<unsigned char, 12>;

Iv ivOf(SealNonce nonce) {
    Iv iv{};
    for (size_t i = 0; i < 8; ++i) iv[11 - i] = static_cast<unsigned char>(nonce >> (8 * i));
    return iv;
}

void must(bool ok) {
    if (ok) return;
    std::fputs("OpenSSL cannot compute AES-256-GCM\n", stderr);
    std::abort();
}

const unsigned char* raw(std::string_view bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(char* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}

}  // namespace

struct Sealer::Impl {
    Impl() : encrypt(EVP_CIPHER_CTX_new()), decrypt(EVP_CIPHER_CTX_new()) {
        must(encrypt && decrypt);
    }
    ~Impl() {
        EVP_CIPHER_CTX_free(encrypt);
        EVP_CIPHER_CTX_free(decrypt);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    EVP_CIPHER_CTX* encrypt;
    EVP_CIPHER_CTX* decrypt;
};

Sealer::Sealer(std::string_view key) : impl_(std::make_unique<Impl>()) {
    assert(key.size() == 32);
    must(EVP_EncryptInit_ex(impl_->encrypt, EVP_aes_256_gcm(), nullptr, raw(key), nullptr) == 1);
    must(EVP_DecryptInit_ex(impl_->decrypt, EVP_aes_256_gcm(), nullptr, raw(key), nullptr) == 1);
}
Sealer::~Sealer() = default;
Sealer::Sealer(Sealer&&) noexcept = default;
Sealer& Sealer::operator=(Sealer&&) noexcept = default;

void Sealer::seal(SealNonce nonce, std::string_view aad, std::string_view plain,
                  std::string& out) const {
    const Iv iv = ivOf(nonce);
    const size_t start = out.size();
    const size_t size = start + plain.size() + kSealOverhead;
    out.resize_and_overwrite(size, [size](char*, size_t) { return size; });
    unsigned char* const to = raw(out.data() + start);
    EVP_CIPHER_CTX* const c = impl_->encrypt;
    int n = 0;
    must(EVP_EncryptInit_ex(c, nullptr, nullptr, nullptr, iv.data()) == 1);
    must(EVP_EncryptUpdate(c, nullptr, &n, raw(aad), static_cast<int>(aad.size())) == 1);
    must(EVP_EncryptUpdate(c, to, &n, raw(plain), static_cast<int>(plain.size())) == 1);
    must(EVP_EncryptFinal_ex(c, to + n, &n) == 1);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, kSealOverhead, to + plain.size()) == 1);
}

Result<> Sealer::open(SealNonce nonce, std::string_view aad, std::string_view sealed,
                      std::string& plain) const {
    const auto broken = [] {
        return fail(Code::corrupt, Source::repository, "the seal is broken");
    };
    if (sealed.size() < kSealOverhead) return broken();
    const Iv iv = ivOf(nonce);
    const size_t length = sealed.size() - kSealOverhead;
    std::array<unsigned char, kSealOverhead> tag{};
    std::copy_n(raw(sealed) + length, kSealOverhead, tag.begin());
    makeRoom(plain, length);
    EVP_CIPHER_CTX* const c = impl_->decrypt;
    int n = 0;
    must(EVP_DecryptInit_ex(c, nullptr, nullptr, nullptr, iv.data()) == 1);
    must(EVP_DecryptUpdate(c, nullptr, &n, raw(aad), static_cast<int>(aad.size())) == 1);
    must(EVP_DecryptUpdate(c, raw(plain.data()), &n, raw(sealed), static_cast<int>(length)) == 1);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, kSealOverhead, tag.data()) == 1);
    if (EVP_DecryptFinal_ex(c, raw(plain.data()) + n, &n) == 1) return {};
    plain.clear();  // unauthenticated bytes leave this function in no case
    return broken();
}

}  // namespace regrow::backup
