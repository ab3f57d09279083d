#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace regrow::serve {

// Memory for bytes on their way. Large enough that a big body moves in few calls and that a head of
// kMaxHeadBytes plus all that we add fits; pages that are never touched cost nothing, so a small
// request in a large block is still small.
inline constexpr size_t kBlockBytes = 96 * 1024;
inline constexpr size_t kMaxHeadBytes = 48 * 1024;
// Kept free around received bytes so that chunk framing can be written in place (body_relay.h).
inline constexpr size_t kHeadroom = 32;
inline constexpr size_t kTailroom = 16;

struct Block {
    char bytes[kBlockBytes];
};

// Lends blocks, most recently used first, to whoever holds bytes; an idle connection holds none.
// One per worker.
class BufferPool {
  public:
    BufferPool() { free_.reserve(kKeep); }
    std::unique_ptr<Block> lend() {
        ++lent_;
        if (free_.empty())
            return std::unique_ptr<Block>(new Block);  // not make_unique: it would zero 96 KiB
        auto block = std::move(free_.back());
        free_.pop_back();
        return block;
    }
    void takeBack(std::unique_ptr<Block> block) {
        --lent_;
        if (free_.size() < kKeep) free_.push_back(std::move(block));
    }
    size_t lent() const { return lent_; }

  private:
    static constexpr size_t kKeep = 1024;  // beyond this a burst's memory goes back to the system
    std::vector<std::unique_ptr<Block>> free_;
    size_t lent_ = 0;
};

// A lent block, or none, and the bytes in it: [begin, end) are held, what follows is room. Moves no
// bytes by itself.
class Buffer {
  public:
    bool lent() const { return static_cast<bool>(block_); }
    bool empty() const { return begin_ == end_; }
    size_t size() const { return end_ - begin_; }
    char* data() { return block_->bytes + begin_; }
    std::string_view view() const {
        return block_ ? std::string_view(block_->bytes + begin_, size()) : std::string_view();
    }

    void ensure(BufferPool& pool) {
        if (!block_) block_ = pool.lend(), rewind();
    }
    void release(BufferPool& pool) {
        if (block_) pool.takeBack(std::move(block_));
        begin_ = end_ = 0;
    }
    void rewind() { begin_ = end_ = kHeadroom; }  // empty, with all room there is
    // Moves the bytes to the front of the block, where a full one gets room again.
    void compact() {
        std::memmove(block_->bytes + kHeadroom, data(), size());
        end_ = static_cast<uint32_t>(kHeadroom + size());
        begin_ = kHeadroom;
    }
    bool compacted() const { return begin_ <= kHeadroom; }

    size_t room() const { return kBlockBytes - kTailroom - end_; }
    char* roomBegin() { return block_->bytes + end_; }
    void filled(size_t bytes) { end_ += static_cast<uint32_t>(bytes); }
    void consume(size_t bytes) { begin_ += static_cast<uint32_t>(bytes); }
    void append(std::string_view bytes) {
        assert(bytes.size() <= room());
        std::memcpy(roomBegin(), bytes.data(), bytes.size());
        filled(bytes.size());
    }

  private:
    std::unique_ptr<Block> block_;
    uint32_t begin_ = 0;
    uint32_t end_ = 0;
};

}  // namespace regrow::serve
