#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <filesystem>

#include "backup/keyring.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

// The operator's key file:
//
//   # comment lines
//   regrow-key-1 <64 hex digits> <8 hex digits: the start of the SHA-256 of the key>
//
// The checksum turns a slip in copying into a clear message instead of "wrong key". A passphrase is
// written as
//
//   regrow-passphrase-1 <8 bytes and more, to the end of the line>
//
// Rejected: to take any other line for a passphrase. A web page saved by mistake, or a key behind a
// byte order mark, would be one, and nobody who restores from the true key could read the backups.
namespace regrow::backup {
namespace {

constexpr std::string_view kWord = "regrow-key-";
constexpr std::string_view kVersion = "1";
constexpr std::string_view kPassphraseWord = "regrow-passphrase-1 ";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kPreface =
    "# A Regrow backup key. Whoever has it can read the backups; without it nobody can, ever.\n"
    "# Keep a copy in another place than the backups and the servers.\n";
constexpr size_t kSecretSize = 32;
constexpr size_t kChecksumDigits = 8;
constexpr size_t kShortestPassphrase = 8;

std::string checksum(std::string_view secret) {
    return hexOf(sha256(secret)).substr(0, kChecksumDigits);
}

std::string_view trimmed(std::string_view s) {
    constexpr std::string_view kSpace = " \t\r\n";
    const size_t first = s.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return s.substr(first, s.find_last_not_of(kSpace) - first + 1);
}

// The first line that is neither empty nor, in a file of ours, a comment.
std::string_view firstLine(std::string_view content) {
    while (!content.empty()) {
        const size_t end = content.find('\n');
        const std::string_view line = content.substr(0, end);
        if (!trimmed(line).empty() && line.front() != '#') return line;
        content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    }
    return {};
}

Result<std::string> decodeLine(std::string_view line) {
    const auto broken = [](std::string_view why) {
        return fail(
            Code::invalid, Source::config,
            "the key line is damaged (" + std::string(why) + "); restore the file from its copy");
    };
    line.remove_prefix(kWord.size());
    const size_t space = line.find(' ');
    if (line.substr(0, space) != kVersion)
        return fail(Code::invalid, Source::config,
                    "the key is of a kind this version of regrow does not know");
    std::string_view rest = trimmed(line.substr(std::min(line.size(), kVersion.size())));
    if (rest.size() != kSecretSize * 2 + 1 + kChecksumDigits || rest[kSecretSize * 2] != ' ')
        return broken("wrong length");
    auto secret = fromHex(rest.substr(0, kSecretSize * 2));
    if (!secret) return broken("not hex digits");
    if (checksum(*secret) != rest.substr(kSecretSize * 2 + 1))
        return broken("its checksum does not match");
    return *std::move(secret);
}

// The line may be a secret all the same, so it is not shown.
std::unexpected<Error> noKey(std::string_view content, std::string_view line) {
    std::string why = "its first line is no key";
    if (content.starts_with(kByteOrderMark))
        why = "it begins with a byte order mark; save it as plain text without one";
    else if (trimmed(line).starts_with(kWord))
        why = "the key does not begin its line; remove what stands before it";
    return fail(Code::invalid, Source::config,
                fmt::format("{}. It must read `{}{} …`, as `regrow key new FILE` writes it, or "
                            "`{}WORDS` for a passphrase",
                            why, kWord, kVersion, kPassphraseWord));
}

Result<OperatorKey> keyIn(std::string_view content, std::string_view line) {
    if (line.starts_with(kWord)) {
        REGROW_TRY(const std::string secret, decodeLine(line));
        return OperatorKey::fromSecret(secret);
    }
    if (!line.starts_with(kPassphraseWord)) return noKey(content, line);
    return OperatorKey::fromPassphrase(trimmed(line.substr(kPassphraseWord.size())));
}

void warnIfOpen(const std::string& path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0 && (st.st_mode & 077) != 0)
        log::warn("key", "{} can be read by others than its owner; run: chmod 600 {}", path, path);
}

}  // namespace

OperatorKey OperatorKey::fromSecret(std::string_view thirty_two_bytes) {
    assert(thirty_two_bytes.size() == kSecretSize);
    OperatorKey key;
    key.secret_ = thirty_two_bytes;
    return key;
}

Result<OperatorKey> OperatorKey::fromPassphrase(std::string_view passphrase) {
    if (passphrase.size() < kShortestPassphrase)
        return fail(Code::invalid, Source::config, "a passphrase needs at least 8 bytes");
    OperatorKey key;
    key.secret_ = passphrase;
    key.passphrase_ = true;
    return key;
}

Result<OperatorKey> OperatorKey::load(const std::string& path) {
    auto content = readFile(path, size_t{64} << 10);
    if (!content && content.error().code == Code::not_found)
        return fail(Code::not_found, Source::config,
                    "key file " + path + " does not exist; make one with: regrow key new " + path);
    if (!content) return std::unexpected(std::move(content.error()).in("key file"));
    const std::string_view line = firstLine(*content);
    if (line.empty())
        return fail(Code::invalid, Source::config,
                    "key file " + path + " is empty; make one with: regrow key new FILE");
    warnIfOpen(path);
    auto key = keyIn(*content, line);
    if (!key) return std::unexpected(std::move(key.error()).in("key file " + path));
    key->origin_ = path;
    return key;
}

Result<> writeKeyFile(const std::string& path) {
    const std::string secret = secureRandomBytes(kSecretSize);
    const std::string content = std::string(kPreface) + std::string(kWord) + std::string(kVersion) +
                                " " + toHex(secret) + " " + checksum(secret) + "\n";
    auto fd = openFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!fd && fd.error().code == Code::exists)
        return fail(
            Code::exists, Source::config,
            path +
                " exists and is left as it is: overwriting a key loses every backup made with it");
    if (!fd) return std::unexpected(std::move(fd.error()).in("making a key"));
    const auto written = [&]() -> Result<> {
        REGROW_CHECK(writeAll(fd->get(), content, path));
        if (::fsync(fd->get()) != 0) return failErrno(errno, "fsync " + path);
        const std::string folder = std::filesystem::path(path).parent_path().string();
        return syncDirectory(folder.empty() ? "." : folder);
    }();
    if (!written) ::unlink(path.c_str());
    return written;
}

}  // namespace regrow::backup
