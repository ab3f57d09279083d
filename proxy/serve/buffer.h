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
// For what streams past faster than a block at a time takes it (endpoint.h): each send wakes the
// receiver and costs packets of its own, which is more than the copying. A gigabyte in one body:
// 0.40 s of CPU in blocks, 0.33 s in five at a time, 0.29 s in 11, 0.26 s in 21; nginx 0.30 s.
inline constexpr size_t kWideBlocks = 21;
inline constexpr size_t kWideBytes = kWideBlocks * kBlockBytes;
// Kept free around received bytes so that chunk framing can be written in place (body_relay.h).
inline constexpr size_t kHeadroom = 32;
inline constexpr size_t kTailroom = 16;

struct Block {
    explicit Block(size_t n) : bytes(new char[n]), size(n) {}  // not make_unique: it would zero it
    std::unique_ptr<char[]> bytes;
    size_t size;
};

// Lends blocks, most recently used first, to whoever holds bytes; an idle connection holds none.
// One per worker. Wide ones are few: slow readers can tie them up, and then bodies move in small
// ones.
class BufferPool {
  public:
    static constexpr size_t kMostWide = 8;

    BufferPool() {
        free_.reserve(kKeep);
        free_wide_.reserve(kMostWide);
    }
    std::unique_ptr<Block> lend() {
        ++lent_;
        return take(free_, kBlockBytes);
    }
    std::unique_ptr<Block> lendWide() {  // or nothing
        if (wide_lent_ >= most_wide_) return nullptr;
        ++wide_lent_;
        lent_ += kWideBlocks;
        return take(free_wide_, kWideBytes);
    }
    void takeBack(std::unique_ptr<Block> block) {
        if (block->size == kBlockBytes) {
            --lent_;
            if (free_.size() < kKeep) free_.push_back(std::move(block));
            return;
        }
        --wide_lent_;
        lent_ -= kWideBlocks;
        if (free_wide_.size() < kKeepWide) free_wide_.push_back(std::move(block));
    }
    void limitWide(size_t most) { most_wide_ = most; }
    size_t lent() const { return lent_; }  // in blocks; a wide one counts as many as it is large

  private:
    using Free = std::vector<std::unique_ptr<Block>>;
    static constexpr size_t kKeep = 1024;  // beyond this a burst's memory goes back to the system
    static constexpr size_t kKeepWide = 2;

    static std::unique_ptr<Block> take(Free& free, size_t size) {
        if (free.empty()) return std::make_unique<Block>(size);
        auto block = std::move(free.back());
        free.pop_back();
        return block;
    }

    Free free_;
    Free free_wide_;
    size_t lent_ = 0;
    size_t wide_lent_ = 0;
    size_t most_wide_ = kMostWide;
};

// A lent block, or none, and the bytes in it: [begin, end) are held, what follows is room. Moves no
// bytes by itself.
class Buffer {
  public:
    bool lent() const { return static_cast<bool>(block_); }
    bool empty() const { return begin_ == end_; }
    size_t size() const { return end_ - begin_; }
    char* data() { return block_->bytes.get() + begin_; }
    std::string_view view() const {
        return block_ ? std::string_view(block_->bytes.get() + begin_, size()) : std::string_view();
    }

    void ensure(BufferPool& pool) {
        if (!block_) block_ = pool.lend(), rewind();
    }
    bool wide() const { return block_ && block_->size == kWideBytes; }
    // Empty, and nobody points into it: exchanges its block for a wide one, if there is one.
    void widen(BufferPool& pool) {
        if (wide()) return;
        auto wide = pool.lendWide();
        if (!wide) return ensure(pool);
        if (block_) pool.takeBack(std::move(block_));
        block_ = std::move(wide);
        rewind();
    }
    void release(BufferPool& pool) {
        if (block_) pool.takeBack(std::move(block_));
        begin_ = end_ = 0;
    }
    void rewind() { begin_ = end_ = kHeadroom; }  // empty, with all room there is
    // Moves the bytes to the front of the block, where a full one gets room again.
    void compact() {
        std::memmove(block_->bytes.get() + kHeadroom, data(), size());
        end_ = static_cast<uint32_t>(kHeadroom + size());
        begin_ = kHeadroom;
    }
    bool compacted() const { return begin_ <= kHeadroom; }

    size_t room() const { return block_->size - kTailroom - end_; }
    char* roomBegin() { return block_->bytes.get() + end_; }
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
