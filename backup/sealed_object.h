#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "backup/keyring.h"
#include "base/result.h"

// The form of every small object (snapshot, index run, proof, pin, lease, bad or condemned pack):
//
//   "RGRWOBJ1" | type u8 | codec u8 (0 plain, 1 zstd) | zero u16 | key id u32 | salt 16 | plain
//   size u32 | sealed bytes, tag
//
// The 36 bytes of header, the repository's id and the object's name are associated data: an object
// of another kind, name or repository put in its place does not open. A key serves one object
// (random salt), so its only nonce is 0.
namespace regrow::backup {

enum class ObjectType : uint8_t {
    snapshot = 1,
    index_run = 2,
    proof = 3,
    pin = 4,
    lease = 5,
    bad_pack = 6,
    condemned_pack = 7,
    snapshot_tree = 8,
};

constexpr size_t kObjectHeaderSize = 36;

std::string sealObject(const Keyring& keys, ObjectType type, std::string_view name,
                       std::string_view plain);
// `limit` bounds what decompression may allocate.
Result<std::string> openObject(const Keyring& keys, ObjectType type, std::string_view name,
                               std::string_view object, size_t limit = size_t{16} << 20);

}  // namespace regrow::backup
