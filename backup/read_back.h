#pragma once

#include "backup/keyring.h"
#include "backup/pack.h"
#include "backup/repository.h"
#include "backup/snapshot_store.h"

// Whether a pack in the repository is the one that was written: its table is read again and must be
// the one expected, and every frame is opened and unpacked. Every byte of a pack lies under a seal
// or is compared, so hashing it once more would show nothing new (that alone took 8 % of a first
// backup). Memory: 8 MiB.
namespace regrow::backup {

// Adds what was read to `proof`. Code::corrupt or Code::not_found when the pack is not as it should
// be, naming it; any other code when it could not be read now.
Result<> readBack(Repository& repository, const Keyring& keys, const PackContents& expected,
                  Proof& proof);

}  // namespace regrow::backup
