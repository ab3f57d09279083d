#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

namespace regrow {

// Names and hashed passwords, one NAME:HASH a line, '#' begins a comment: what `htpasswd -B` and
// `mkpasswd` write. The hashes are crypt(3)'s slow ones: yescrypt ($y$), gost-yescrypt ($gy$),
// scrypt ($7$), bcrypt ($2b$, $2y$), SHA-512 ($6$) and SHA-256 ($5$). What can be tried a billion
// times a second (DES, MD5, SHA-1, plain text) is refused. Immutable; shared by threads.
class PasswordFile {
  public:
    // Errors name the file, the line and the remedy.
    static Result<std::shared_ptr<const PasswordFile>> load(const std::string& path);
    static Result<std::shared_ptr<const PasswordFile>> parse(std::string_view text,
                                                             const std::string& name);

    // Slow by design, tens to hundreds of milliseconds, and as slow for a name that is not there:
    // never on a loop.
    bool verify(const std::string& user, const std::string& password) const;
    // Equal for equal content.
    const std::string& fingerprint() const { return fingerprint_; }
    size_t size() const { return hashes_.size(); }

  private:
    PasswordFile() = default;
    std::unordered_map<std::string, std::string> hashes_;
    std::string any_;  // one of them, for names that are not there
    std::string fingerprint_;
};

}  // namespace regrow
