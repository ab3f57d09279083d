#include "backup/read_ahead.h"

#include <fcntl.h>

#include <algorithm>

#include "backup/tree.h"

namespace regrow::backup {
namespace {

constexpr size_t kMostFiles = 512;
constexpr uint64_t kMostBytes = uint64_t{32} << 20;
constexpr uint64_t kOfOneFile = uint64_t{4} << 20;  // the rest of a large one is the kernel's

uint64_t shareOf(const ReadAhead::File& file) {
    return std::min(file.size, kOfOneFile);
}

}  // namespace

ReadAhead::ReadAhead(TreeDir root, std::vector<File> files)
    : root_(std::move(root)), files_(std::move(files)), thread_([this] { work(); }) {}

ReadAhead::~ReadAhead() {
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
    }
    moved_.notify_all();
}

void ReadAhead::reached(std::string_view path) {
    std::unique_lock lock(mutex_);
    for (; read_ < files_.size() && !pathLess(path, files_[read_].path); ++read_)
        if (read_ < asked_) ahead_bytes_ -= shareOf(files_[read_]);
    moved_.wait(lock, [&] { return !asking_ || asked_ > read_; });
    asked_ = std::max(asked_, read_);
    lock.unlock();
    moved_.notify_all();
}

void ReadAhead::work() {
    while (waitForTurn()) {
        File file;
        {
            const std::scoped_lock lock(mutex_);
            if (asked_ == files_.size()) return;
            file = files_[asked_++];
            ahead_bytes_ += shareOf(file);
            asking_ = true;
        }
        ask(file);
        const std::scoped_lock lock(mutex_);
        asking_ = false;
        moved_.notify_all();
    }
}

bool ReadAhead::waitForTurn() {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] {
        return ending_ || (asked_ - read_ < kMostFiles && ahead_bytes_ < kMostBytes);
    });
    return !ending_ && asked_ < files_.size();
}

// What cannot be opened here is the reader's to find out, and to tell.
void ReadAhead::ask(const File& file) {
    const SplitPath at = splitPath(file.path);
    const auto directory = root_.at(at.directory);
    if (!directory) return;
    const UniqueFd fd(::openat(*directory, at.name.c_str(),
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (fd) ::posix_fadvise(fd.get(), 0, static_cast<off_t>(shareOf(file)), POSIX_FADV_WILLNEED);
}

}  // namespace regrow::backup
