#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Writing and reading of the format's numbers: fixed ones little endian, varints LEB128, byte
// strings with a varint length. The reader never goes past its end and never allocates what a
// length merely claims: after the first impossible read it gives zeros and failed() stays true, so
// that decoders read straight on and ask once.
namespace regrow::backup {

// Makes room for `size` bytes that are about to be written, without filling them with zeros first;
// what the string held is lost. Filling took 4 % of a restore.
inline char* makeRoom(std::string& bytes, size_t size) {
    bytes.clear();
    bytes.resize_and_overwrite(size, [size](char*, size_t) { return size; });
    return bytes.data();
}

class ByteWriter {
  public:
    void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
    void u16(uint16_t v) { fixed(v, 2); }
    void u32(uint32_t v) { fixed(v, 4); }
    void u64(uint64_t v) { fixed(v, 8); }
    void varint(uint64_t v) {
        for (; v >= 0x80; v >>= 7) u8(static_cast<uint8_t>(v | 0x80));
        u8(static_cast<uint8_t>(v));
    }
    // Zigzag: small negative numbers stay short.
    void signedVarint(int64_t v) {
        varint((static_cast<uint64_t>(v) << 1) ^ (v < 0 ? ~uint64_t{0} : 0));
    }
    void raw(std::string_view bytes) { out_.append(bytes); }
    void bytes(std::string_view b) {
        varint(b.size());
        raw(b);
    }
    size_t size() const { return out_.size(); }
    const std::string& view() const { return out_; }
    std::string take() { return std::move(out_); }

  private:
    void fixed(uint64_t v, int count) {
        for (int i = 0; i < count; ++i) u8(static_cast<uint8_t>(v >> (8 * i)));
    }
    std::string out_;
};

class ByteReader {
  public:
    explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

    uint8_t u8() { return static_cast<uint8_t>(fixed(1)); }
    uint16_t u16() { return static_cast<uint16_t>(fixed(2)); }
    uint32_t u32() { return static_cast<uint32_t>(fixed(4)); }
    uint64_t u64() { return fixed(8); }
    uint64_t varint() {
        uint64_t v = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const uint8_t b = u8();
            if (shift == 63 && b > 1) break;  // beyond 64 bits
            v |= static_cast<uint64_t>(b & 0x7f) << shift;
            if (b < 0x80) return failed_ ? 0 : v;
        }
        return giveUp();
    }
    uint32_t varint32() {
        const uint64_t v = varint();
        return v <= UINT32_MAX ? static_cast<uint32_t>(v) : static_cast<uint32_t>(giveUp());
    }
    int64_t signedVarint() {
        const uint64_t v = varint();
        return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1));
    }
    std::string_view raw(uint64_t count) {
        if (count > rest_.size()) return giveUp(), std::string_view();
        const std::string_view b = rest_.substr(0, static_cast<size_t>(count));
        rest_.remove_prefix(b.size());
        return b;
    }
    std::string_view bytes(uint64_t limit) {
        const uint64_t count = varint();
        return count <= limit ? raw(count) : (giveUp(), std::string_view());
    }
    // How many items are to come, each at least `least` bytes: more than fit into the rest is a
    // lie.
    uint64_t count(size_t least) {
        const uint64_t n = varint();
        return n <= rest_.size() / least ? n : giveUp();
    }
    bool failed() const { return failed_; }
    bool atEnd() const { return rest_.empty() && !failed_; }
    size_t left() const { return rest_.size(); }
    uint64_t giveUp() {
        failed_ = true;
        rest_ = {};
        return 0;
    }

  private:
    uint64_t fixed(size_t count) {
        if (rest_.size() < count) return giveUp();
        uint64_t v = 0;
        for (size_t i = 0; i < count; ++i)
            v |= static_cast<uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
        rest_.remove_prefix(count);
        return v;
    }
    std::string_view rest_;
    bool failed_ = false;
};

}  // namespace regrow::backup
