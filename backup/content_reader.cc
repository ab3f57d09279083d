#include "backup/content_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace regrow::backup {

ContentReader::ContentReader(const Chunker& chunker, OnPiece on_piece, OnBytes on_bytes)
    : chunker_(chunker), on_piece_(std::move(on_piece)), on_bytes_(std::move(on_bytes)) {
    // Twice the window: what is left of one is moved to the front at most once a window.
    buffer_.resize(size_t{chunker.window()} * 2);
}

Result<std::vector<Piece>> ContentReader::read(int fd, ContentKind kind, uint64_t size) {
    std::vector<Piece> pieces;
    const auto take = [&](uint64_t begin, uint64_t end) {
        return readExtent(fd, kind, begin, end, pieces);
    };
    REGROW_CHECK(forEachExtent(fd, 0, size, take));
    return pieces;
}

Result<> ContentReader::readExtent(int fd, ContentKind kind, uint64_t begin, uint64_t end,
                                   std::vector<Piece>& pieces) {
    begin_ = end_ = 0;
    offset_ = begin;
    while (true) {
        REGROW_TRY(const bool more, fill(fd, end));
        if (begin_ == end_) return {};
        do {
            const std::string_view rest(buffer_.data() + begin_, end_ - begin_);
            if (more && rest.size() < chunker_.window() && offset_ < end) break;
            const uint64_t at = offset_ - rest.size();
            const size_t length = chunker_.next(kind, at, rest);
            REGROW_TRY(const Piece piece, on_piece_(at, rest.substr(0, length)));
            pieces.push_back(piece);
            begin_ += length;
        } while (begin_ < end_);
    }
}

Result<bool> ContentReader::fill(int fd, uint64_t end) {
    if (begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    while (end_ < buffer_.size() && offset_ < end) {
        const size_t wanted = std::min<uint64_t>(buffer_.size() - end_, end - offset_);
        const ssize_t n = ::pread(fd, buffer_.data() + end_, wanted, static_cast<off_t>(offset_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failErrno(errno, "reading");
        if (n == 0) return false;
        end_ += static_cast<size_t>(n);
        offset_ += static_cast<uint64_t>(n);
        on_bytes_(static_cast<uint64_t>(n));
    }
    return true;
}

Result<> forEachExtent(int fd, uint64_t begin, uint64_t end,
                       const std::function<Result<>(uint64_t, uint64_t)>& on_extent) {
    while (begin < end) {
        const off_t data = ::lseek(fd, static_cast<off_t>(begin), SEEK_DATA);
        if (data < 0 && errno == ENXIO) return {};  // a hole up to the end
        if (data < 0 && errno == EINVAL) return on_extent(begin, end);
        if (data < 0) return failErrno(errno, "looking for data");
        if (static_cast<uint64_t>(data) >= end) return {};
        off_t hole = ::lseek(fd, data, SEEK_HOLE);
        if (hole <= data) hole = static_cast<off_t>(end);
        const uint64_t to = std::min(end, static_cast<uint64_t>(hole));
        REGROW_CHECK(on_extent(static_cast<uint64_t>(data), to));
        begin = to;
    }
    return {};
}

}  // namespace regrow::backup
