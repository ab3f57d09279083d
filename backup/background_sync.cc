#include "backup/background_sync.h"

#include <unistd.h>

#include <cerrno>

namespace regrow::backup {

BackgroundSync::BackgroundSync(int fd, uint64_t every_bytes, Begin begin, Synced synced)
    : fd_(fd),
      every_bytes_(every_bytes),
      begin_(std::move(begin)),
      synced_(std::move(synced)),
      thread_([this] { work(); }) {}

BackgroundSync::~BackgroundSync() {
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
    }
    enough_.notify_all();
}

void BackgroundSync::wrote(uint64_t bytes) {
    {
        const std::scoped_lock lock(mutex_);
        unsynced_ += bytes;
        if (unsynced_ < every_bytes_) return;
    }
    enough_.notify_one();
}

Result<> BackgroundSync::end() {
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
    }
    enough_.notify_all();
    if (thread_.joinable()) thread_.join();
    return std::move(result_);
}

void BackgroundSync::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        enough_.wait(lock, [&] { return ending_ || unsynced_ >= every_bytes_; });
        if (ending_) return;
        unsynced_ = 0;
        lock.unlock();
        const uint64_t mark = begin_();
        Result<> done =
            ::syncfs(fd_) == 0 ? synced_(mark) : failErrno(errno, "syncfs of the target");
        lock.lock();
        if (result_ && !done) result_ = std::move(done);
    }
}

}  // namespace regrow::backup
