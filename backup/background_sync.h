#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "base/result.h"

// Keeps a filesystem's disk busy while somebody writes to it: after every so many bytes a thread
// calls syncfs. Left alone, the kernel begins when a tenth of the memory is dirty, and most of the
// waiting comes at the end. What is on disk after each call is told, for whoever keeps a journal.
namespace regrow::backup {

class BackgroundSync {
  public:
    // `fd`: anything open on the filesystem, for as long as this lives. Before each syncfs `begin`
    // is asked; what it answered is given to `synced` afterwards. Both are called on the thread.
    using Begin = std::function<uint64_t()>;
    using Synced = std::function<Result<>(uint64_t)>;
    BackgroundSync(int fd, uint64_t every_bytes, Begin begin, Synced synced);
    ~BackgroundSync();
    BackgroundSync(const BackgroundSync&) = delete;
    BackgroundSync& operator=(const BackgroundSync&) = delete;

    void wrote(uint64_t bytes);  // any thread
    // Waits for what is under way. The first error of any call: a filesystem tells one only once.
    Result<> end();

  private:
    void work();

    int fd_;
    uint64_t every_bytes_;
    Begin begin_;
    Synced synced_;
    std::mutex mutex_;
    std::condition_variable enough_;
    uint64_t unsynced_ = 0;
    bool ending_ = false;
    Result<> result_;
    std::jthread thread_;
};

}  // namespace regrow::backup
