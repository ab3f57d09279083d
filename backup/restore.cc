#include "backup/restore.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "backup/background_sync.h"
#include "backup/lineage.h"
#include "backup/restore_journal.h"
#include "backup/restore_plan.h"
#include "backup/restore_target.h"
#include "backup/restore_writer.h"
#include "backup/tree_verify.h"
#include "backup/walk.h"
#include "base/file.h"

namespace regrow::backup {
namespace {

// Runs `work(worker)` on that many threads; the first error stops the others at their next look at
// `stop`.
template <class Work>
Result<> onWorkers(unsigned count, std::atomic<bool>& stop, Work&& work) {
    std::vector<Result<>> results(count);
    std::vector<std::jthread> threads;
    threads.reserve(count);
    for (unsigned i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
            results[i] = work(i);
            if (!results[i]) stop = true;
        });
    threads.clear();
    for (Result<>& result : results)
        if (!result) return std::unexpected(std::move(result.error()));
    return {};
}

Result<bool> isEmpty(const std::string& path) {
    std::error_code error;
    for (const auto& item : std::filesystem::directory_iterator(path, error)) {
        (void)item;
        return false;
    }
    if (error) return failErrno(error.value(), path);
    return true;
}

constexpr uint64_t kSyncBytes = uint64_t{256} << 20;

enum class Mode { fresh, resumed, compared };

class Restore {
  public:
    Restore(Store& store, const Snapshot& snapshot, const RestoreOptions& options)
        : store_(store), snapshot_(snapshot), options_(options) {}

    Result<Restored> run() {
        REGROW_TRY(auto tree, store_.tree(snapshot_));
        REGROW_TRY(entries_, options_.selection.of(std::move(tree)));
        REGROW_TRY(tree_plan_, planTree(entries_));
        REGROW_CHECK(openTarget());
        target_.emplace(*root_, entries_, tree_plan_, options_.selection);
        REGROW_CHECK(target_->prepare(mode_ == Mode::fresh));
        missing_.resize(entries_.size());
        if (mode_ != Mode::fresh) REGROW_CHECK(lookAtFiles());
        REGROW_CHECK(fetchAll());
        REGROW_CHECK(target_->makeOthers());
        REGROW_CHECK(target_->makeLinks());
        REGROW_CHECK(target_->finishDirectories());
        takeProblems(target_->problems());
        if (::syncfs(root_->root()) != 0) return failErrno(errno, "syncfs of " + options_.target);
        REGROW_CHECK(verifyAll());
        REGROW_CHECK(endJournal());
        return result();
    }

  private:
    Result<> openTarget() {
        bool made = false;
        if (!exists(options_.target)) {
            REGROW_CHECK(makeDirectories(options_.target));
            made = true;
        }
        // Resolved, so that the journal lies beside the directory itself, also for "." and for
        // symlinks.
        std::error_code unresolved;
        path_ = std::filesystem::canonical(options_.target, unresolved).string();
        if (unresolved) return failErrno(unresolved.value(), options_.target);
        auto root = TreeDir::open(path_);
        if (!root) return std::unexpected(std::move(root.error()).in("the target directory"));
        root_.emplace(std::move(*root));
        if (::flock(root_->root(), LOCK_EX | LOCK_NB) != 0)
            return fail(Code::unavailable, Source::disk,
                        options_.target + " is being restored by another process");
        REGROW_CHECK(chooseMode(made));
        if (options_.staging) REGROW_CHECK(removeMarker(options_.target));
        if (mode_ == Mode::compared && !options_.staging) return {};
        const bool go_on = mode_ == Mode::resumed;
        REGROW_TRY(RestoreJournal journal,
                   RestoreJournal::start(path_, root_->root(),
                                         {snapshot_.id, options_.selection.identity()},
                                         go_on ? &*before_ : nullptr));
        journal_.emplace(std::move(journal));
        return {};
    }

    Result<> chooseMode(bool made) {
        REGROW_TRY(const bool empty, isEmpty(options_.target));
        if (made || empty) return {};
        REGROW_TRY(before_, RestoreJournal::load(path_));
        const bool ours = before_ && isTarget(*before_);
        const RestoreJournal::Work work{snapshot_.id, options_.selection.identity()};
        if (ours && before_->work == work && !options_.onto) {
            mode_ = Mode::resumed;
            return {};
        }
        if (!options_.onto && !(options_.staging && options_.resume && ours))
            return fail(
                Code::refused, Source::disk,
                options_.target +
                    " is not empty: nothing was changed. Choose an empty or new directory, or say "
                    "--onto to bring this one to the snapshot (what is not in it is removed)");
        mode_ = Mode::compared;
        return {};
    }

    bool isTarget(const RestoreJournal::State& state) const {
        struct stat st{};
        return ::fstat(root_->root(), &st) == 0 && st.st_ino == state.inode &&
               st.st_dev == state.device;
    }

    // Which pieces of the files that are there are right already.
    Result<> lookAtFiles() {
        for (const uint32_t i : tree_plan_.files)
            if (target_->found(i)) total_bytes_ += entries_[i].size;
        total_files_ = tree_plan_.files.size();
        std::atomic<size_t> next{0};
        std::atomic<bool> stop{false};
        const auto look = [&](unsigned) -> Result<> {
            TreeDir tree(UniqueFd{});
            REGROW_TRY(tree, root_->again());
            const Mac mac = store_.keys().chunkMac();
            for (size_t k = next++; k < tree_plan_.files.size() && !stop; k = next++)
                REGROW_CHECK(lookAt(tree_plan_.files[k], tree, mac));
            return {};
        };
        REGROW_CHECK(onWorkers(options_.workers, stop, look));
        done_bytes_ = total_bytes_ = 0;
        done_files_ = 0;
        return {};
    }

    Result<> lookAt(uint32_t i, TreeDir& tree, const Mac& mac) {
        const Entry& entry = entries_[i];
        if (!target_->found(i)) return {};
        if (mode_ == Mode::resumed) {
            missing_[i].resize(entry.pieces.size(), true);
            for (size_t p = 0; p < entry.pieces.size(); ++p) {
                REGROW_TRY(const PackInfo pack, store_.packs().pack(entry.pieces[p].pack));
                missing_[i][p] = !before_->covers(pack.id, entry.pieces[p].frame);
            }
            return {};
        }
        const SplitPath at = splitPath(entry.path);
        REGROW_TRY(const int directory, tree.at(at.directory));
        REGROW_TRY(missing_[i], piecesMissing(directory, at.name, entry, mac,
                                              [&](uint64_t n) { tell("compare", n, 0); }));
        return {};
    }

    bool needed(const PieceRef& ref) const {
        const auto& missing = missing_[ref.entry];
        return missing.empty() || missing[ref.piece];
    }

    Result<> fetchAll() {
        reads_ = planReads(entries_, tree_plan_, [&](PieceRef ref) { return needed(ref); });
        states_.emplace(reads_.pending);
        total_bytes_ = reads_.bytes;
        total_files_ = tree_plan_.files.size();
        for (const uint32_t i : tree_plan_.files)
            if (reads_.pending[i] == 0) complete_.push_back(i);
        std::atomic<size_t> next_run{0};
        std::atomic<size_t> next_file{0};
        std::atomic<bool> stop{false};
        beginSync();
        const auto fetched = onWorkers(options_.workers, stop, [&](unsigned) -> Result<> {
            REGROW_TRY(TreeDir tree, root_->again());
            FileWriter writer(std::move(tree), entries_, *target_, *states_,
                              mode_ == Mode::compared);
            const auto worked = [&]() -> Result<> {
                for (size_t k = next_file++; k < complete_.size() && !stop; k = next_file++)
                    REGROW_CHECK(writer.finish(complete_[k]));
                for (size_t k = next_run++; k < reads_.runs.size() && !stop; k = next_run++)
                    REGROW_CHECK(doRun(reads_.runs[k], writer));
                return {};
            }();
            const std::scoped_lock lock(mutex_);
            written_ += writer.written();
            takeProblems(writer.problems());
            return worked;
        });
        return fetched ? sync_->end() : fetched;
    }

    void beginSync() {
        const auto begin = [this] { return journal_ ? journal_->records() : 0; };
        const auto synced = [this](uint64_t records) -> Result<> {
            return journal_ ? journal_->synced(records) : Result<>();
        };
        sync_.emplace(root_->root(), kSyncBytes, begin, synced);
    }

    Result<> doRun(const Run& run, FileWriter& writer) {
        const auto frames = std::span(reads_.frames).subspan(run.first_frame, run.frames);
        const uint32_t pack = frames.front().pack;
        std::vector<uint32_t> numbers;
        for (const FrameRead& frame : frames) numbers.push_back(frame.frame);
        size_t delivered = 0;
        uint64_t files_before = writer.finished();
        Result<> writing;
        const auto fetched =
            store_.frames().fetch(pack, numbers, [&](uint32_t, std::string_view plain) -> Result<> {
                writing = writeFrame(frames[delivered], plain, writer);
                if (writing) ++delivered;
                tell("restore", writing ? bytesOf(frames[delivered - 1]) : 0,
                     writer.finished() - files_before);
                files_before = writer.finished();
                return writing;
            });
        if (!writing) return writing;
        if (!fetched)
            REGROW_CHECK(rescueFrames(frames.subspan(delivered), fetched.error(), writer));
        if (journal_) {
            REGROW_TRY(const PackInfo info, store_.packs().pack(pack));
            REGROW_CHECK(journal_->done(info.id, {numbers.front(), numbers.back()}));
        }
        sync_->wrote(run.bytes);
        return {};
    }

    uint64_t bytesOf(const FrameRead& frame) const {
        uint64_t sum = 0;
        for (const PieceRef& ref : piecesOf(frame))
            sum += entries_[ref.entry].pieces[ref.piece].length;
        return sum;
    }

    std::span<const PieceRef> piecesOf(const FrameRead& frame) const {
        return std::span(reads_.pieces).subspan(frame.first_piece, frame.pieces);
    }

    Result<> writeFrame(const FrameRead& frame, std::string_view plain, FileWriter& writer) {
        for (const PieceRef& ref : piecesOf(frame)) {
            const Piece& piece = entries_[ref.entry].pieces[ref.piece];
            if (piece.frame_offset > plain.size() ||
                piece.length > plain.size() - piece.frame_offset)
                return fail(Code::corrupt, Source::repository,
                            fmt::format("\"{}\": a piece lies outside its frame",
                                        printable(entries_[ref.entry].path)));
            REGROW_CHECK(writer.write(ref, plain.substr(piece.frame_offset, piece.length)));
        }
        return {};
    }

    // A pack that is missing or damaged: each piece may be stored in another one as well.
    Result<> rescueFrames(std::span<const FrameRead> frames, const Error& why, FileWriter& writer) {
        if (why.code != Code::corrupt && why.code != Code::not_found) return std::unexpected(why);
        for (const FrameRead& frame : frames) {
            for (const PieceRef& ref : piecesOf(frame)) {
                const auto bytes = store_.findPiece(entries_[ref.entry].pieces[ref.piece]);
                if (!bytes)
                    return std::unexpected(Error(why).in(
                        fmt::format("\"{}\" of snapshot {} cannot be restored",
                                    printable(entries_[ref.entry].path), snapshot_.shortId())));
                REGROW_CHECK(writer.write(ref, *bytes));
            }
            tell("restore", bytesOf(frame), 0);
        }
        return {};
    }

    Result<> verifyAll() {
        TreeVerifyOptions how;
        how.check_databases = options_.check_databases;
        how.selection = &options_.selection;
        for (const Problem& problem : problems_) how.excused.insert(problem.path);
        REGROW_TRY(const auto findings, verifyTree(*root_, entries_, how));
        if (findings.empty()) return {};
        return fail(
            Code::corrupt, Source::disk,
            fmt::format(
                "the restored tree is not the snapshot's: {}{}", findings.front(),
                findings.size() > 1 ? fmt::format(" (and {} more)", findings.size() - 1) : ""));
    }

    Result<> endJournal() {
        if (!journal_) return {};
        return options_.staging ? journal_->complete() : journal_->remove();
    }

    Restored result() {
        Restored out;
        for (const uint32_t i : tree_plan_.files) out.bytes += entries_[i].size;
        out.files = tree_plan_.files.size();
        out.fetched = reads_.bytes;
        out.written = written_;
        out.removed = target_->removed();
        out.resumed = mode_ == Mode::resumed;
        out.problems = std::move(problems_);
        return out;
    }

    void takeProblems(std::vector<Problem>& from) {
        for (Problem& problem : from) problems_.push_back(std::move(problem));
        from.clear();
    }

    void tell(std::string_view phase, uint64_t bytes, uint64_t files) {
        const std::scoped_lock lock(mutex_);
        done_bytes_ += bytes;
        done_files_ += files;
        if (options_.progress)
            options_.progress({phase, done_bytes_, total_bytes_, done_files_, total_files_});
    }

    Store& store_;
    const Snapshot& snapshot_;
    const RestoreOptions& options_;
    std::string path_;  // of the target, resolved
    std::vector<Entry> entries_;
    TreePlan tree_plan_;
    ReadPlan reads_;
    std::optional<TreeDir> root_;
    Mode mode_ = Mode::fresh;
    std::optional<RestoreJournal::State> before_;
    std::optional<RestoreJournal> journal_;
    std::optional<BackgroundSync> sync_;  // uses the journal
    std::optional<RestoreTarget> target_;
    std::vector<std::vector<bool>> missing_;  // one an entry; empty: all
    std::optional<FileStates> states_;
    std::vector<uint32_t> complete_;  // files that wait for no piece
    std::mutex mutex_;                // guards what follows
    std::vector<Problem> problems_;
    uint64_t written_ = 0;
    uint64_t done_bytes_ = 0, total_bytes_ = 0, done_files_ = 0, total_files_ = 0;
};

}  // namespace

Result<Restored> restore(Store& store, const Snapshot& snapshot, const RestoreOptions& options) {
    return Restore(store, snapshot, options).run();
}

}  // namespace regrow::backup
