#include "backup/activate.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "backup/digest.h"
#include "backup/restore_journal.h"
#include "backup/tree_dir.h"
#include "backup/walk.h"
#include "base/file.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

std::unexpected<Error> refuse(std::string message) {
    return fail(Code::refused, Source::disk, std::move(message));
}

std::string withoutSlash(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
}

std::string parentOf(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash ? path.substr(0, slash) : "/";
}

// A symlink as `data` stays one: what it leads to is what is swapped.
std::string resolved(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    return real ? std::string(real.get()) : path;
}

bool isMountPoint(const std::string& path) {
    struct statx info{};
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &info) == 0 &&
        (info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
        return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    struct stat here{};
    struct stat above{};
    return ::lstat(path.c_str(), &here) == 0 && ::stat(parentOf(path).c_str(), &above) == 0 &&
           here.st_dev != above.st_dev;
}

class Activation {
  public:
    Activation(const ActivateRequest& request, const std::function<void(int)>& at_step)
        : request_(request),
          at_step_(at_step),
          staging_(withoutSlash(request.staging)),
          data_(resolved(withoutSlash(request.data))),
          old_(data_ + ".regrow-old-" + request.recovery) {}

    Result<Activated> run() {
        REGROW_CHECK(checkRequest());
        const bool data_there = exists(data_);
        if (data_there) {
            auto marker = readMarker(data_);
            if (marker && *marker && isDone(**marker)) return finished((*marker)->ready->digest);
            if (marker && *marker && isStaged(**marker)) return makeReady();
        }
        REGROW_CHECK(claimStaging());
        if (data_there) REGROW_CHECK(moveAside());
        REGROW_CHECK(moveIn());
        return makeReady();
    }

  private:
    Result<> checkRequest() const {
        if (request_.recovery.empty() || request_.recovery.find('/') != std::string::npos)
            return fail(Code::invalid, Source::us, "a recovery id is needed, without '/'");
        if (isMountPoint(data_))
            return refuse(fmt::format(
                "{} is a mount point and cannot be renamed: set `data:` to a directory below it, "
                "for instance {}/current",
                data_, data_));
        return {};
    }

    bool isOurs(const Marker& m) const {
        return m.backend == request_.backend && m.lineage == request_.lineage &&
               m.epoch == request_.epoch;
    }
    bool isDone(const Marker& m) const {
        return isOurs(m) && m.ready && m.ready->recovery == request_.recovery &&
               m.ready->snapshot == request_.snapshot;
    }
    bool isStaged(const Marker& m) const {
        return isOurs(m) && !m.ready && m.staged_for == request_.recovery;
    }

    Marker stagedMarker() const {
        return {.backend = request_.backend,
                .lineage = request_.lineage,
                .epoch = request_.epoch,
                .staged_for = request_.recovery,
                .ready = {}};
    }

    Result<> claimStaging() {
        if (!exists(staging_))
            return fail(Code::not_found, Source::disk,
                        fmt::format("{}: no restored tree is there, and {} is not it either",
                                    staging_, data_));
        REGROW_TRY(const auto marker, readMarker(staging_));
        if (marker && !isStaged(*marker))
            return refuse(fmt::format(
                "{} carries the lineage marker of {} (lineage {}, epoch {}): not a tree restored "
                "for recovery {}",
                staging_, marker->backend, marker->lineage, marker->epoch, request_.recovery));
        step(1);
        return marker ? Result<>() : writeMarker(staging_, stagedMarker());
    }

    // What is in the way is kept, whatever it is; a second one (somebody made the directory anew
    // between two of our steps) gets a number.
    Result<> moveAside() {
        std::string aside = old_;
        for (int n = 2; exists(aside); ++n) aside = fmt::format("{}.{}", old_, n);
        step(2);
        if (::rename(data_.c_str(), aside.c_str()) != 0)
            return failErrno(errno, fmt::format("renaming {} to {}", data_, aside));
        return syncDirectory(parentOf(data_));
    }

    Result<> moveIn() {
        step(3);
        if (::rename(staging_.c_str(), data_.c_str()) != 0) {
            const int error = errno;
            if (error == EXDEV)
                return refuse(
                    fmt::format("{} and {} are on different filesystems: the staging directory "
                                "must lie beside the data",
                                staging_, data_));
            return failErrno(error, fmt::format("renaming {} to {}", staging_, data_));
        }
        step(4);
        REGROW_CHECK(syncDirectory(parentOf(data_)));
        if (parentOf(staging_) != parentOf(data_)) REGROW_CHECK(syncDirectory(parentOf(staging_)));
        return {};
    }

    Result<Activated> makeReady() {
        REGROW_CHECK(syncDirectory(parentOf(data_)));
        REGROW_TRY(const std::string digest, treeDigest(data_));
        step(5);
        Marker marker = stagedMarker();
        marker.staged_for.clear();
        marker.ready = Ready{request_.recovery, request_.epoch, request_.snapshot, digest};
        REGROW_CHECK(writeMarker(data_, marker));
        step(6);
        return finished(digest);
    }

    Activated finished(std::string digest) const {
        ::unlink(RestoreJournal::pathFor(staging_)
                     .c_str());  // it speaks of a directory that is no longer there
        return {.digest = std::move(digest),
                .old = exists(old_) ? std::optional(old_) : std::nullopt};
    }

    void step(int number) const {
        if (at_step_) at_step_(number);
    }

    const ActivateRequest& request_;
    const std::function<void(int)>& at_step_;
    std::string staging_;
    std::string data_;
    std::string old_;
};

}  // namespace

Result<Activated> activate(const ActivateRequest& request,
                           const std::function<void(int)>& at_step) {
    return Activation(request, at_step).run();
}

Result<std::string> treeDigest(const std::string& path) {
    REGROW_TRY(const TreeDir root, TreeDir::open(path));
    const WalkOptions how{
        .exclude = nullptr, .with_xattrs = false, .with_sockets = false, .known = {}};
    REGROW_TRY(const WalkResult walked, walk(root, how));
    Sha256 hash;
    for (const Entry& e : walked.entries) {
        if (e.path.empty()) continue;
        hash.update(fmt::format("{} {:o} {} {} {}.{:09} {} ", static_cast<int>(e.type), e.mode,
                                e.uid, e.gid, e.mtime.seconds, e.mtime.nanoseconds, e.size));
        hash.update(e.path);
        hash.update(std::string_view("\0", 1));
        hash.update(e.target);
        hash.update(std::string_view("\0", 1));
    }
    return hexOf(hash.finish());
}

Result<> writeFirstMarker(const std::string& data, const Marker& marker) {
    REGROW_TRY(const auto there, readMarker(data));
    if (!there) return writeMarker(data, marker);
    if (*there == marker) return {};
    return refuse(fmt::format(
        "{} already carries the lineage marker of {} (lineage {}, epoch {}){}", data,
        there->backend, there->lineage, there->epoch, there->ready ? ", restored and READY" : ""));
}

}  // namespace regrow::backup
