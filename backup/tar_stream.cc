#include "backup/tar_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>
#include <locale.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <unordered_map>

#include "backup/tree_dir.h"
#include "base/file.h"

namespace regrow::backup {
namespace {

using Archive = std::unique_ptr<archive, decltype(&archive_write_free)>;
using Header = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

mode_t typeBits(EntryType type) {
    switch (type) {
        case EntryType::directory: return S_IFDIR;
        case EntryType::symlink: return S_IFLNK;
        case EntryType::fifo: return S_IFIFO;
        case EntryType::socket: return S_IFSOCK;
        case EntryType::block_device: return S_IFBLK;
        case EntryType::char_device: return S_IFCHR;
        case EntryType::regular: break;
    }
    return S_IFREG;
}

// libarchive takes names as text of the locale: UTF-8 here, whatever the process has; bytes that
// are none go out as they are, marked hdrcharset=BINARY. (In the "C" locale it crashes on names
// that were given to it as UTF-8.)
class Utf8Locale {
  public:
    Utf8Locale() : own_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
        if (own_) before_ = ::uselocale(own_);
    }
    ~Utf8Locale() {
        if (!own_) return;
        ::uselocale(before_);
        ::freelocale(own_);
    }
    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;

  private:
    locale_t own_;
    locale_t before_ = nullptr;
};

// Tells libarchive where data is, when there are holes. Neighbouring pieces are one extent.
void describeHoles(archive_entry* header, const Entry& entry) {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t data = 0;
    for (const Piece& piece : entry.pieces) data += piece.length;
    if (data == entry.size) return;
    const auto add = [&] {
        if (end > begin)
            archive_entry_sparse_add_entry(header, static_cast<int64_t>(begin),
                                           static_cast<int64_t>(end - begin));
    };
    for (const Piece& piece : entry.pieces) {
        if (piece.file_offset != end) {
            add();
            begin = piece.file_offset;
        }
        end = piece.file_offset + piece.length;
    }
    add();
    if (entry.pieces.empty())
        archive_entry_sparse_add_entry(header, static_cast<int64_t>(entry.size), 0);
}

// libarchive writes the fraction behind whole seconds of any sign, but pax means a decimal number:
// a second and a half before 1970 is "-1.5", not "-2.5".
std::pair<int64_t, long> paxTime(const TimeStamp& t) {
    const auto nanoseconds = static_cast<long>(t.nanoseconds);
    if (t.seconds >= 0 || nanoseconds == 0) return {t.seconds, nanoseconds};
    if (t.seconds == -1) return {0, 0};  // "-0.5" is beyond it
    return {t.seconds + 1, 1'000'000'000 - nanoseconds};
}

class TarStream {
  public:
    TarStream(Store& store, int fd, const OnProgress& progress)
        : store_(store), fd_(fd), progress_(progress) {}

    Result<Streamed> run(const std::vector<Entry>& entries) {
        auto written = writeEntries(entries);
        if (!written) giveUp();
        return written;
    }

  private:
    Result<Streamed> writeEntries(const std::vector<Entry>& entries) {
        REGROW_CHECK(open());
        for (const Entry& entry : entries)
            if (entry.type == EntryType::regular) total_ += entry.size, ++total_files_;
        for (const Entry& entry : entries) REGROW_CHECK(write(entry));
        if (archive_write_close(archive_.get()) != ARCHIVE_OK) return failed("ending the stream");
        return std::move(done_);
    }

    Result<> open() {
        if (!archive_ || !header_)
            return fail(Code::internal, Source::us, "no memory for a tar stream");
        archive_write_set_format_pax(archive_.get());
        archive_write_set_options(archive_.get(), "pax:xattrheader=SCHILY");
        archive_write_set_bytes_in_last_block(archive_.get(), 1);
        if (archive_write_open(archive_.get(), this, nullptr, onBytes, nullptr) != ARCHIVE_OK)
            return failed("beginning the stream");
        return {};
    }

    // What libarchive still holds back, and the end marker that its closing writes, go nowhere:
    // whoever reads must not take the stream for a whole one. (archive_write_fail() would leave
    // its buffers unfreed, up to libarchive 3.6 at least.)
    void giveUp() {
        given_up_ = true;
        archive_write_close(archive_.get());
    }

    static la_ssize_t onBytes(archive*, void* self, const void* bytes, size_t size) {
        auto& stream = *static_cast<TarStream*>(self);
        if (stream.given_up_) return static_cast<la_ssize_t>(size);
        auto written =
            writeAll(stream.fd_, {static_cast<const char*>(bytes), size}, "the tar stream");
        if (written) return static_cast<la_ssize_t>(size);
        stream.write_error_ = std::move(written.error());
        return -1;
    }

    std::unexpected<Error> failed(const std::string& doing) {
        if (write_error_) return std::unexpected(*write_error_);
        const char* why = archive_error_string(archive_.get());
        return fail(Code::io, Source::disk, fmt::format("{}: {}", doing, why ? why : "tar failed"));
    }

    Result<> write(const Entry& entry) {
        if (entry.type == EntryType::socket) {
            done_.problems.push_back({entry.path, "a socket, which tar has no place for", false});
            return {};
        }
        const std::string* first = firstNameOf(entry);
        REGROW_CHECK(writeHeader(entry, first));
        if (entry.type != EntryType::regular || first) return {};
        REGROW_CHECK(writeContent(entry));
        ++done_.files;
        done_.bytes += entry.size;
        tell();
        return {};
    }

    // The name before this one that the inode already went out under.
    const std::string* firstNameOf(const Entry& entry) {
        if (!entry.link_group) return nullptr;
        const auto [it, fresh] = first_names_.try_emplace(entry.link_group, entry.path);
        return fresh ? nullptr : &it->second;
    }

    Result<> writeHeader(const Entry& entry, const std::string* first_name) {
        archive_entry* h = archive_entry_clear(header_.get());
        const bool directory = entry.type == EntryType::directory;
        const std::string name = entry.path.empty() ? "./"
                                 : directory        ? entry.path + "/"
                                                    : entry.path;
        archive_entry_set_pathname(h, name.c_str());
        archive_entry_set_mode(h, typeBits(entry.type) | entry.mode);
        archive_entry_set_uid(h, entry.uid);
        archive_entry_set_gid(h, entry.gid);
        if (!entry.user.empty()) archive_entry_set_uname(h, entry.user.c_str());
        if (!entry.group.empty()) archive_entry_set_gname(h, entry.group.c_str());
        const auto [seconds, nanoseconds] = paxTime(entry.mtime);
        archive_entry_set_mtime(h, seconds, nanoseconds);
        if (entry.type == EntryType::symlink) archive_entry_set_symlink(h, entry.target.c_str());
        if (entry.type == EntryType::block_device || entry.type == EntryType::char_device)
            archive_entry_set_rdev(h, entry.device);
        for (const auto& [key, value] : entry.xattrs)
            archive_entry_xattr_add_entry(h, key.c_str(), value.data(), value.size());
        archive_entry_set_size(h, 0);
        if (first_name) {
            archive_entry_set_hardlink(h, first_name->c_str());
        } else if (entry.type == EntryType::regular) {
            archive_entry_set_size(h, static_cast<int64_t>(entry.size));
            describeHoles(h, entry);
        }
        const int wrote = archive_write_header(archive_.get(), h);
        if (wrote == ARCHIVE_WARN)
            done_.problems.push_back({entry.path, archive_error_string(archive_.get()), false});
        return wrote >= ARCHIVE_WARN ? Result<>() : failed("\"" + printable(entry.path) + "\"");
    }

    // libarchive wants holes as bytes too, and leaves them out.
    Result<> writeContent(const Entry& entry) {
        uint64_t at = 0;
        for (const Piece& piece : entry.pieces) {
            REGROW_CHECK(writeZeros(piece.file_offset - at));
            REGROW_TRY(const std::string bytes, fetch(piece, entry));
            REGROW_CHECK(writeData(bytes));
            at = piece.file_offset + piece.length;
        }
        return writeZeros(entry.size - at);
    }

    // A pack that is missing or damaged: the piece may be stored in another one as well.
    Result<std::string> fetch(const Piece& piece, const Entry& entry) {
        auto bytes =
            store_.frames().bytesAt(piece.pack, piece.frame, piece.frame_offset, piece.length);
        if (bytes) return bytes;
        if (bytes.error().code != Code::corrupt && bytes.error().code != Code::not_found)
            return bytes;
        if (auto elsewhere = store_.findPiece(piece)) return elsewhere;
        return std::unexpected(
            std::move(bytes.error())
                .in(fmt::format("\"{}\" cannot be restored", printable(entry.path))));
    }

    Result<> writeZeros(uint64_t count) {
        static constexpr char kZeros[size_t{1} << 16] = {};
        for (; count > 0; count -= std::min<uint64_t>(count, sizeof kZeros))
            REGROW_CHECK(writeData({kZeros, std::min<uint64_t>(count, sizeof kZeros)}));
        return {};
    }

    Result<> writeData(std::string_view bytes) {
        while (!bytes.empty()) {
            const la_ssize_t n = archive_write_data(archive_.get(), bytes.data(), bytes.size());
            if (n <= 0) return failed("writing content");
            bytes.remove_prefix(static_cast<size_t>(n));
            written_ += static_cast<uint64_t>(n);
        }
        tell();
        return {};
    }

    void tell() {
        if (progress_) progress_({"restore", written_, total_, done_.files, total_files_});
    }

    Store& store_;
    int fd_;
    const OnProgress& progress_;
    Utf8Locale locale_;
    Archive archive_{archive_write_new(), archive_write_free};
    Header header_{archive_entry_new(), archive_entry_free};
    std::optional<Error> write_error_;
    bool given_up_ = false;
    std::unordered_map<uint64_t, std::string> first_names_;  // by link group
    Streamed done_;
    uint64_t written_ = 0, total_ = 0, total_files_ = 0;
};

}  // namespace

Result<Streamed> writeTar(Store& store, const Snapshot& snapshot, const Selection& selection,
                          int fd, const OnProgress& progress) {
    REGROW_TRY(auto tree, store.tree(snapshot));
    REGROW_TRY(const std::vector<Entry> entries, selection.of(std::move(tree)));
    return TarStream(store, fd, progress).run(entries);
}

}  // namespace regrow::backup
