#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "backup/entry.h"
#include "base/result.h"

// SHA-256, HMAC and HKDF from OpenSSL, as values. Bytes travel as string_view, as everywhere in
// this library. OpenSSL is asked once per object for its algorithm: a fetch per call costs more
// than hashing a small file.
namespace regrow::backup {

using Digest = std::array<uint8_t, 32>;
using PackId = Digest;  // SHA-256 of a pack's bytes as stored; its name
using SnapshotId =
    Digest;  // SHA-256 of a snapshot's sealed header as stored, which names its tree's hash

inline std::string_view bytesOf(const Digest& d) {
    return {reinterpret_cast<const char*>(d.data()), d.size()};
}
std::string hexOf(const Digest& d);
Result<Digest> digestFromHex(std::string_view hex);
Digest digestFrom(std::string_view thirty_two_bytes);  // asserts the length

Digest sha256(std::string_view bytes);

// SHA-256 of what comes in pieces. Not shared between threads.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    void update(std::string_view bytes);
    Digest finish();  // once

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// HMAC-SHA-256 under a fixed key, many times. Not shared between threads; copying it is cheap
// enough for one a worker.
class Mac {
  public:
    explicit Mac(std::string_view key);
    ~Mac();
    Mac(Mac&&) noexcept;
    Mac& operator=(Mac&&) noexcept;
    Mac(const Mac& other);
    Mac& operator=(const Mac&) = delete;
    Digest of(std::string_view bytes) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// HKDF-SHA-256 (RFC 5869), extract and expand; up to 8160 bytes.
std::string hkdf(std::string_view key, std::string_view salt, std::string_view info, size_t length);

}  // namespace regrow::backup
