#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

// zstd at level 1: the only step that bounds a backup (0.4-0.5 GB/s a core), so it is skipped where
// it gains under 2 %. A context is kept because making one costs more than packing a small frame.
// Not shared between threads.
namespace regrow::backup {

class Compressor {
  public:
    Compressor();
    ~Compressor();
    Compressor(Compressor&&) noexcept;
    Compressor& operator=(Compressor&&) noexcept;
    // Replaces `packed` and is true when that saves at least 2 %; else `packed` is of no use.
    bool pack(std::string_view plain, std::string& packed);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Exactly `plain_size` bytes or Code::corrupt. The caller has bounded plain_size.
Result<> unpack(std::string_view packed, size_t plain_size, std::string& plain);

}  // namespace regrow::backup
