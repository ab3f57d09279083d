#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backup/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"

// What a restore has finished, so that one killed in the middle goes on where it was. A text file
// beside the target, TARGET.regrow-restore, never in it; JSON lines:
//
//   {"format":1,"snapshot":"<hex>","selection":"<hex>","boot":"<boot id>","device":2049,"inode":77}
//   the last two of the target directory; no selection: all of the snapshot
//   {"pack":"<hex>","from":0,"to":11}      frames 0 to 11 of that pack are in the files, those
//   files finished
//   {"synced":12}                          the first 12 of these were on disk (syncfs) when this
//   was written
//   {"complete":true}                      the whole tree was, and was verified
//
// A killed process loses nothing that was written, so within one boot every line counts; after
// another boot only those before the last "synced" do. A last line cut short is ignored.
namespace regrow::backup {

struct FrameRange {
    uint32_t from = 0;
    uint32_t to = 0;  // included
};

class RestoreJournal {
  public:
    // What is being restored: only the same piece of work can be gone on with.
    struct Work {
        SnapshotId snapshot{};
        std::string selection;  // Selection::identity()
        friend bool operator==(const Work&, const Work&) = default;
    };
    struct State {
        Work work;
        bool same_boot = false;
        uint64_t device = 0;
        uint64_t inode = 0;
        bool complete = false;
        std::map<PackId, std::vector<FrameRange>> done;  // that can be relied on

        bool covers(const PackId& pack, uint32_t frame) const;
    };

    static std::string pathFor(const std::string& target);
    // Nothing when there is none. Code::corrupt when it is none of ours.
    static Result<std::optional<State>> load(const std::string& target);

    // Starts anew, or with what `before` says is done. `target_fd`: the target directory; the
    static Result<RestoreJournal> start(const std::string& target, int target_fd, const Work& work,
                                        const State* before);

    // Any thread.
    Result<> done(const PackId& pack, FrameRange frames);
    uint64_t records() const;           // so far
    Result<> synced(uint64_t records);  // the first so many are on disk
    Result<> complete();
    Result<> remove();

  private:
    RestoreJournal(std::string path, UniqueFd file, uint64_t records)
        : path_(std::move(path)), file_(std::move(file)), records_(records) {}
    Result<> append(const std::string& line);

    std::string path_;
    UniqueFd file_;
    uint64_t records_;
    std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
};

}  // namespace regrow::backup
