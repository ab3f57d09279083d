#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backup/tree_dir.h"

// Asks the kernel for files before they are read: a thread runs ahead of the reader, in path order,
// so that a disk works while the reader computes. The kernel reads ahead within a large file by
// itself; many small ones each cost a wait without this (a cold first backup of 40,000 files on one
// thread of reading: 40 % of it).
namespace regrow::backup {

class ReadAhead {
  public:
    struct File {
        std::string path;
        uint64_t size = 0;
    };
    // `files` in tree order.
    ReadAhead(TreeDir root, std::vector<File> files);
    ~ReadAhead();
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    // The reader has come to this path: it will not be opened here any more, and is not open now.
    // (Closing it later would give up locks that the reader has taken on it.)
    void reached(std::string_view path);

  private:
    void work();
    bool waitForTurn();
    void ask(const File& file);

    TreeDir root_;
    std::vector<File> files_;
    std::mutex mutex_;
    std::condition_variable moved_;
    size_t asked_ = 0;  // files
    size_t read_ = 0;
    bool asking_ = false;  // for the last of those asked
    uint64_t ahead_bytes_ = 0;
    bool ending_ = false;
    std::jthread thread_;
};

}  // namespace regrow::backup
