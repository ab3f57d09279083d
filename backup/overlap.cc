#include "backup/overlap.h"

#include <fmt/core.h>

#include <filesystem>
#include <optional>

#include "backup/glob.h"

namespace regrow::backup {
namespace {

namespace fs = std::filesystem;

fs::path resolved(const std::string& path) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    return error ? fs::absolute(path, error).lexically_normal() : real;
}

// `inner` as seen from `outer`, "." for outer itself; nothing when it is not in it.
std::optional<fs::path> below(const fs::path& inner, const fs::path& outer) {
    fs::path rest;
    for (fs::path at = inner;; at = at.parent_path()) {
        std::error_code error;
        if (at == outer || fs::equivalent(at, outer, error))
            return rest.empty() ? fs::path(".") : rest;
        if (at == at.parent_path()) return std::nullopt;
        rest = rest.empty() ? at.filename() : at.filename() / rest;
    }
}

std::optional<fs::path> within(const std::string& inner, const std::string& outer) {
    return below(resolved(inner), resolved(outer));
}

// A key file may be a symlink: to lose that is to lose the key as far as the proxy can see.
std::optional<fs::path> keyWithin(const std::string& key, const std::string& outer) {
    if (auto found = within(key, outer)) return found;
    std::error_code error;
    const fs::path link = fs::absolute(key, error);
    return below(resolved(link.parent_path().string()) / link.filename(), resolved(outer));
}

// Excluded itself, or by a directory above it.
bool excluded(const PathPatterns& rules, const fs::path& inner, bool is_directory) {
    fs::path at;
    for (auto part = inner.begin(); part != inner.end(); ++part) {
        at /= *part;
        if (rules.match(at.string(), is_directory || std::next(part) != inner.end())) return true;
    }
    return false;
}

std::unexpected<Error> refuse(std::string message) {
    return fail(Code::refused, Source::config, std::move(message));
}

std::unexpected<Error> inRepository(const std::string& path, const std::string& repository,
                                    std::string_view remedy) {
    return refuse(fmt::format("{} is the repository {} or lies within it: nothing was done. {}",
                              path, repository, remedy));
}

}  // namespace

bool liesWithin(const std::string& inner, const std::string& outer) {
    return within(inner, outer).has_value();
}

Result<> mayRestoreInto(const std::string& target, const Precious& precious) {
    if (!precious.repository.empty()) {
        if (within(target, precious.repository))
            return inRepository(target, precious.repository, "Choose another directory");
        if (within(precious.repository, target))
            return refuse(fmt::format(
                "{} holds the repository {} itself, and a restore would remove it: nothing was "
                "done. Choose another directory, or move the repository out of it",
                target, precious.repository));
    }
    if (!precious.key_file.empty() && keyWithin(precious.key_file, target))
        return refuse(fmt::format(
            "{} holds the key file {}, and a restore would remove it: nothing was done. Choose "
            "another directory, or move the key out of it",
            target, precious.key_file));
    return {};
}

Result<> mayCapture(const std::string& path, const Precious& precious,
                    const std::vector<std::string>& exclude) {
    const PathPatterns rules(exclude);
    if (!precious.repository.empty()) {
        if (within(path, precious.repository))
            return inRepository(path, precious.repository,
                                "Name the directory that is to be saved");
        const auto inner = within(precious.repository, path);
        if (inner && !excluded(rules, *inner, true))
            return refuse(fmt::format(
                "{} holds the repository {}, which would be saved into itself: nothing was done. "
                "Move the repository out of it, or leave it out: --exclude '/{}/'",
                path, precious.repository, inner->string()));
    }
    if (precious.key_file.empty()) return {};
    const auto inner = keyWithin(precious.key_file, path);
    if (inner && !excluded(rules, *inner, false))
        return refuse(fmt::format(
            "{} holds the key file {}: whoever can read the data could read the backups, and a "
            "restore onto it would remove the key. Nothing was done. Move the key out of it, or "
            "leave it out: --exclude '/{}'",
            path, precious.key_file, inner->string()));
    return {};
}

}  // namespace regrow::backup
