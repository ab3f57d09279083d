#pragma once

#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "backup/digest.h"
#include "backup/metadata.h"
#include "backup/progress.h"
#include "backup/restore_plan.h"
#include "backup/selection.h"
#include "backup/tree_dir.h"

// The tree a restore writes into: brought to the snapshot's names and types before any content is
// written.
//
// An empty target just gets its directories. In one that holds something, names that are not in the
// snapshot or are of another type are removed; a file that shares its inode with names it should
// not share it with is removed too, for writing through it would change those; what then stays is
// overwritten in place, never emptied to be filled again (ext4 does not reuse inodes for minutes:
// wipe and recreate took 3, 9, then 14 s). Names that the selection does not cover stay as they
// are, the directories on the way to chosen ones too.
namespace regrow::backup {

class RestoreTarget {
  public:
    RestoreTarget(const TreeDir& root, std::span<const Entry> entries, const TreePlan& plan,
                  const Selection& selection);

    // Removes what is in the way, makes directories. Control thread.
    Result<> prepare(bool empty);
    // What stood there before as entry `i`, of the right type; nothing for a name still to be made.
    const Entry* found(uint32_t entry) const;

    // Symlinks, fifos, devices, and further names of inodes; then, children before parents, the
    // directories' metadata.
    Result<> makeOthers();
    Result<> makeLinks();
    Result<> finishDirectories();

    std::vector<Problem>& problems() { return problems_; }
    uint64_t removed() const { return removed_; }

  private:
    Result<> scan();
    Result<> standsInTheWay(const Entry& there, const Entry* wanted);
    Result<> finishDirectory(uint32_t entry);
    Result<> removeExtras();
    Result<> removeWrongLinks();
    Result<> removeName(const Entry& existing);
    Result<> makeDirectories();
    Result<> makeOther(uint32_t entry);
    Result<> makeLink(const TreePlan::Link& link);

    TreeDir tree_;
    std::span<const Entry> entries_;
    const TreePlan& plan_;
    const Selection& selection_;
    std::vector<Entry> existing_;
    std::vector<uint64_t> devices_, links_;
    std::vector<const Entry*> found_;  // one an entry
    OwnerNames owners_;
    std::vector<Problem> problems_;
    uint64_t removed_ = 0;
};

// Which pieces of an existing file are there already; the file is cut to size and its holes are
// punched on the way. `mac` is the store's chunk mac. Pieces that differ, or cannot be read, are
// true in the answer.
Result<std::vector<bool>> piecesMissing(int directory, const std::string& name, const Entry& wanted,
                                        const Mac& mac,
                                        const std::function<void(uint64_t)>& on_bytes);
// Cuts or extends to the size, and punches data out of where `wanted` has holes. True when anything
// was changed.
Result<bool> shapeFile(int fd, const Entry& wanted, uint64_t size_now);

}  // namespace regrow::backup
