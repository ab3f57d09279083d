#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

// AES-256-GCM (OpenSSL EVP): bytes that are secret and cannot be changed unnoticed.
// A key seals at most 2^32 messages, each number once; here a key lives for one pack or one small
// object.
namespace regrow::backup {

constexpr size_t kSealOverhead = 16;           // the tag, at the end
constexpr uint64_t kFooterNonce = UINT64_MAX;  // never a frame's number
using SealNonce = uint64_t;  // the low 8 bytes of the 12, big endian; the others are zero

// One key, ready to work. Not shared between threads.
class Sealer {
  public:
    explicit Sealer(std::string_view key);  // 32 bytes
    ~Sealer();
    Sealer(Sealer&&) noexcept;
    Sealer& operator=(Sealer&&) noexcept;

    // Appends ciphertext and tag to `out`.
    void seal(SealNonce nonce, std::string_view aad, std::string_view plain,
              std::string& out) const;
    // Replaces `plain`. Code::corrupt when the bytes, the associated data, the nonce or the key are
    // not those of seal().
    Result<> open(SealNonce nonce, std::string_view aad, std::string_view sealed,
                  std::string& plain) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace regrow::backup
