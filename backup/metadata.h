#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backup/entry.h"
#include "base/result.h"

// From inodes to entries and back: modes, owners, times, extended attributes. Everything is
// addressed by (descriptor of the directory, name) and never follows a symlink. ACLs and file
// capabilities are extended attributes here, kept as the kernel's raw bytes.
namespace regrow::backup {

// Something about one path that a person should know. `breaks_promise`: the snapshot lacks what it
// should hold.
struct Problem {
    std::string path;
    std::string message;
    bool breaks_promise = false;
};

// Numbers to names and back, asked of the system once each. One thread.
class OwnerNames {
  public:
    const std::string& user(uint32_t uid);  // empty when nobody has that number
    const std::string& group(uint32_t gid);
    // The number `name` has here; `fallback` when the name is empty or unknown here.
    uint32_t uid(const std::string& name, uint32_t fallback);
    uint32_t gid(const std::string& name, uint32_t fallback);

  private:
    std::unordered_map<uint32_t, std::string> users_, groups_;
    std::unordered_map<std::string, int64_t> uids_, gids_;
};

using Xattrs = std::vector<std::pair<std::string, std::string>>;

TimeStamp timeStamp(const timespec& t);
timespec timeSpec(const TimeStamp& t);
EntryType entryType(mode_t mode);
std::string_view typeName(EntryType type);

// All that stat(2) knows, and the names of the owners. Target, xattrs and pieces are left empty.
Entry entryFromStat(std::string path, const struct stat& st, OwnerNames& owners);
Result<std::string> readTarget(int directory, const std::string& name);
// Sorted by name. An empty `name` means `directory` itself. Attributes that vanish meanwhile are
// left out; a filesystem without attributes has none.
Result<Xattrs> readXattrs(int directory, const std::string& name);

// Sets owner, attributes, mode and times, in the order in which one does not undo another: chown
// clears setuid and capabilities, an ACL changes the mode, all of them touch ctime only. An empty
// `name` means `directory` itself. Who is not root cannot give files away: refusals of owners and
// of security attributes, and attributes that the filesystem cannot hold, become problems (not
// errors), and the rest is still done. `found` (of an existing file) spares what is right already;
// attributes not in `entry` are removed then.
Result<> applyMetadata(int directory, const std::string& name, const Entry& entry,
                       const Entry* found, OwnerNames& owners, std::vector<Problem>& problems);
Result<> applyTimes(int directory, const std::string& name, const Entry& entry);

// What differs between the entry wanted and the one found, for people: "mode 0644 instead of 0600".
// Content is not compared. `privileged` false: owners and security attributes are not held against
// it.
std::vector<std::string> differences(const Entry& wanted, const Entry& found, OwnerNames& owners,
                                     bool privileged);

}  // namespace regrow::backup
