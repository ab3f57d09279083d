#include "base/password_file.h"

#include <crypt.h>
#include <fmt/core.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "base/file.h"

namespace regrow {
namespace {

constexpr size_t kFileLimit = size_t{1} << 20;
constexpr size_t kLongestName = 255;
constexpr size_t kLongestHash = 384;
constexpr std::array<std::string_view, 8> kMethods = {"$y$",  "$gy$", "$7$", "$2a$",
                                                      "$2b$", "$2y$", "$6$", "$5$"};

std::unexpected<Error> wrong(const std::string& name, int line, std::string_view why) {
    return fail(Code::invalid, Source::config, fmt::format("{}:{}: {}", name, line, why));
}

bool isSlow(const std::string& hash) {
    for (const auto method : kMethods)
        if (hash.starts_with(method))
            return hash.size() <= kLongestHash &&
                   ::crypt_checksalt(hash.c_str()) != CRYPT_SALT_INVALID;
    return false;
}

std::string_view withoutBlanks(std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
        line.remove_suffix(1);
    return line;
}

bool isName(std::string_view name) {
    if (name.empty() || name.size() > kLongestName) return false;
    for (const char c : name)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
    return true;
}

// Equal, in a time that does not tell where they differ.
bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Result<std::shared_ptr<const PasswordFile>> PasswordFile::load(const std::string& path) {
    REGROW_TRY(const auto text, readFile(path, kFileLimit));
    return parse(text, path);
}

Result<std::shared_ptr<const PasswordFile>> PasswordFile::parse(std::string_view text,
                                                                const std::string& name) {
    std::shared_ptr<PasswordFile> file(new PasswordFile());
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    file->fingerprint_.assign(reinterpret_cast<const char*>(digest.data()), digest.size());
    for (int number = 1; !text.empty(); ++number) {
        const auto line = withoutBlanks(text.substr(0, text.find('\n')));
        text.remove_prefix(std::min(text.size(), text.find('\n')));
        if (!text.empty()) text.remove_prefix(1);
        if (line.empty() || line[0] == '#') continue;
        const auto colon = line.find(':');
        const std::string user(line.substr(0, colon));
        if (colon == std::string_view::npos || !isName(user))
            return wrong(name, number, "a line is NAME:HASH, as `htpasswd -nB NAME` prints it");
        std::string hash(line.substr(colon + 1));
        if (!isSlow(hash))
            return wrong(name, number,
                         fmt::format("the hash of '{}' is not one that is safe to keep; make a new "
                                     "one with `htpasswd -nB {}` or `mkpasswd -m yescrypt`",
                                     user, user));
        file->any_ = hash;
        if (!file->hashes_.emplace(user, std::move(hash)).second)
            return wrong(name, number, fmt::format("'{}' stands here a second time", user));
    }
    if (file->hashes_.empty())
        return fail(
            Code::invalid, Source::config,
            fmt::format("{}: names nobody, so nobody could log in; add a line NAME:HASH", name));
    return std::shared_ptr<const PasswordFile>(std::move(file));
}

bool PasswordFile::verify(const std::string& user, const std::string& password) const {
    const auto found = hashes_.find(user);
    const std::string& hash = found == hashes_.end() ? any_ : found->second;
    const auto memory = std::make_unique<crypt_data>();
    const char* const computed = ::crypt_r(password.c_str(), hash.c_str(), memory.get());
    const bool match = computed != nullptr && computed[0] != '*' && same(computed, hash);
    OPENSSL_cleanse(memory.get(), sizeof(crypt_data));
    return match && found != hashes_.end() && password.find('\0') == std::string::npos;
}

}  // namespace regrow
