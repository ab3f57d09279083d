#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "backup/chunker.h"
#include "backup/digest.h"
#include "backup/seal.h"
#include "base/result.h"

// Keys, from the operator's file down to the key of one pack:
//
//   operator key (file, or passphrase through scrypt)
//     wraps the ring key      object keys/ID, one for each operator key ("slot"): another
//     passphrase is another slot
//       seals the keyring     object keyring/N, the highest N counts: adding a key ("rotate")
//       touches no slot and no pack
//         data keys, numbered the number is in every pack's and object's header
//           one key per pack  HKDF(data key, the pack's random salt)
//         identity key        never rotates, never encrypts: chunk ids, gear table, names of
//         snapshot folders
//
// Rejected: keys in the slot itself (rotating would need every operator's key) and ids under the
// data key (rotating would end deduplication).
namespace regrow::backup {

using RepositoryId = std::array<uint8_t, 16>;

// What the operator holds: 32 random bytes, or a passphrase.
class OperatorKey {
  public:
    // A file made by writeKeyFile(), or one that says `regrow-passphrase-1 WORDS`, 8 bytes and
    // more. Anything else is refused (Code::invalid), never taken for a passphrase.
    static Result<OperatorKey> load(const std::string& path);
    static OperatorKey fromSecret(std::string_view thirty_two_bytes);
    static Result<OperatorKey> fromPassphrase(std::string_view passphrase);

    bool isPassphrase() const { return passphrase_; }
    const std::string& secret() const { return secret_; }
    const std::string& origin() const { return origin_; }  // the file, for messages

  private:
    std::string secret_;
    std::string origin_ = "the key";
    bool passphrase_ = false;
};

// `regrow key new FILE`: refuses to overwrite; 0600; durable before it returns.
Result<> writeKeyFile(const std::string& path);

// scrypt's cost: about 64 MiB and 0.1 s at the default. Read from the slot within bounds, so that a
// hostile slot cannot make us allocate without end.
struct ScryptCost {
    uint8_t log2_n = 16;
    uint8_t r = 8;
    uint8_t p = 1;
};

// One repository's keys. A value, immutable after opening; shared by all threads.
class Keyring {
  public:
    static Keyring create(const RepositoryId& repository, ChunkerLimits limits);

    const RepositoryId& repository() const { return repository_; }
    uint32_t currentKey() const { return data_keys_.rbegin()->first; }
    bool has(uint32_t key_id) const { return data_keys_.contains(key_id); }

    // Code::corrupt when the ring has no such key: it was rolled back, or the pack is another
    // repository's.
    Result<Sealer> packSealer(uint32_t key_id, std::string_view salt) const;
    Result<Sealer> objectSealer(uint32_t key_id, std::string_view salt) const;

    Mac chunkMac() const;  // ids of file content
    Mac nodeMac() const;   // ids of manifest nodes; another subkey, so that no file can pose as one
    std::string folderOf(std::string_view snapshot_name)
        const;  // 32 hex digits; hides names from the store's holder
    Chunker chunker() const;
    uint64_t splitSeed() const;  // for cutting trees into parts

    // Codecs of the two objects. Pure.
    std::string encode() const;
    static Result<Keyring> decode(const RepositoryId& repository, std::string_view bytes);

  private:
    Keyring() = default;
    RepositoryId repository_{};
    std::string identity_key_;
    std::map<uint32_t, std::string> data_keys_;
    ChunkerLimits limits_;
};

// Slot: the ring key wrapped under an operator key. Sealed object: the keyring under the ring key.
std::string wrapRingKey(const OperatorKey& key, const RepositoryId& repository,
                        std::string_view ring_key, ScryptCost cost = {});
// Code::permission when the slot is well formed but this key does not open it.
Result<std::string> unwrapRingKey(const OperatorKey& key, const RepositoryId& repository,
                                  std::string_view slot);
std::string sealKeyring(const Keyring& ring, std::string_view ring_key, uint64_t generation);
Result<Keyring> openKeyring(const RepositoryId& repository, std::string_view ring_key,
                            uint64_t generation, std::string_view object);

}  // namespace regrow::backup
