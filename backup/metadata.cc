#include "backup/metadata.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <optional>

#include "backup/tree_dir.h"

namespace regrow::backup {
namespace {

constexpr size_t kNameBuffer = 1 << 16;  // entries of large groups list their members

// The *xattr calls have no *at form before Linux 6.13; the last name is still not followed.
std::string procPath(int directory, const std::string& name) {
    std::string path = fmt::format("/proc/self/fd/{}/", directory);
    return path.append(name.empty() ? "." : name);
}

Result<std::string> xattrList(const std::string& path) {
    std::string names(1024, '\0');
    while (true) {
        const ssize_t n = ::llistxattr(path.c_str(), names.data(), names.size());
        if (n >= 0) return names.substr(0, static_cast<size_t>(n));
        if (errno == EOPNOTSUPP) return std::string();
        if (errno != ERANGE || names.size() >= XATTR_LIST_MAX)
            return failErrno(errno, "listing attributes");
        names.resize(XATTR_LIST_MAX);
    }
}

// Nothing when the attribute went away meanwhile.
Result<std::optional<std::string>> xattrValue(const std::string& path, const char* name) {
    std::string value(512, '\0');
    while (true) {
        const ssize_t n = ::lgetxattr(path.c_str(), name, value.data(), value.size());
        if (n >= 0) return value.substr(0, static_cast<size_t>(n));
        if (errno == ENODATA) return std::nullopt;
        if (errno != ERANGE || value.size() >= XATTR_SIZE_MAX)
            return failErrno(errno, fmt::format("reading attribute {}", name));
        value.resize(XATTR_SIZE_MAX);
    }
}

bool mayBeDenied(std::string_view attribute) {
    return attribute.starts_with("security.") || attribute.starts_with("trusted.");
}

Result<> setOwner(int directory, const std::string& name, const Entry& entry, const Entry* found,
                  OwnerNames& owners, std::vector<Problem>& problems) {
    const uint32_t uid = owners.uid(entry.user, entry.uid);
    const uint32_t gid = owners.gid(entry.group, entry.gid);
    if (found && found->uid == uid && found->gid == gid) return {};
    if (::fchownat(directory, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
        return {};
    if (errno != EPERM)
        return failErrno(errno, fmt::format("setting the owner to {}:{}", uid, gid));
    if (::geteuid() != uid)
        problems.push_back(
            {entry.path, fmt::format("owner {}:{} not set: not permitted", uid, gid)});
    else if (::fchownat(directory, name.c_str(), static_cast<uid_t>(-1), gid,
                        AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0)
        problems.push_back({entry.path, fmt::format("group {} not set: not permitted", gid)});
    return {};
}

Result<> setXattrs(const std::string& path, const Entry& entry, const Entry* found,
                   std::vector<Problem>& problems) {
    if (found)
        for (const auto& [attribute, value] : found->xattrs)
            if (std::ranges::find(entry.xattrs, attribute, [](const auto& x) { return x.first; }) ==
                entry.xattrs.end())
                if (::lremovexattr(path.c_str(), attribute.c_str()) != 0 && errno != ENODATA &&
                    !mayBeDenied(attribute))
                    return failErrno(errno, fmt::format("removing attribute {}", attribute));
    for (const auto& [attribute, value] : entry.xattrs) {
        if (::lsetxattr(path.c_str(), attribute.c_str(), value.data(), value.size(), 0) == 0)
            continue;
        const int error = errno;
        if (error == EOPNOTSUPP || (mayBeDenied(attribute) && (error == EPERM || error == EACCES)))
            problems.push_back({entry.path, fmt::format("attribute {} not set: {}", attribute,
                                                        std::generic_category().message(error))});
        else
            return failErrno(error, fmt::format("setting attribute {}", attribute));
    }
    return {};
}

Result<> setMode(int directory, const std::string& name, const Entry& entry) {
    if (entry.type == EntryType::symlink) return {};
    const int done = name.empty() ? ::fchmod(directory, entry.mode)
                                  : ::fchmodat(directory, name.c_str(), entry.mode, 0);
    if (done != 0) return failErrno(errno, fmt::format("setting mode {:04o}", entry.mode));
    return {};
}

template <class Lookup>
int64_t cachedNumber(std::unordered_map<std::string, int64_t>& cache, const std::string& name,
                     Lookup&& lookup) {
    const auto [it, fresh] = cache.try_emplace(name, -1);
    if (fresh) it->second = lookup(name);
    return it->second;
}

Xattrs withoutDeniable(const Xattrs& all) {
    Xattrs kept;
    for (const auto& x : all)
        if (!mayBeDenied(x.first)) kept.push_back(x);
    return kept;
}

}  // namespace

const std::string& OwnerNames::user(uint32_t uid) {
    const auto [it, fresh] = users_.try_emplace(uid);
    if (fresh) {
        std::string buffer(kNameBuffer, '\0');
        passwd entry{};
        passwd* result = nullptr;
        if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &result) == 0 && result)
            it->second = result->pw_name;
    }
    return it->second;
}

const std::string& OwnerNames::group(uint32_t gid) {
    const auto [it, fresh] = groups_.try_emplace(gid);
    if (fresh) {
        std::string buffer(kNameBuffer, '\0');
        ::group entry{};
        ::group* result = nullptr;
        if (::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &result) == 0 && result)
            it->second = result->gr_name;
    }
    return it->second;
}

uint32_t OwnerNames::uid(const std::string& name, uint32_t fallback) {
    if (name.empty()) return fallback;
    const int64_t number = cachedNumber(uids_, name, [](const std::string& wanted) -> int64_t {
        std::string buffer(kNameBuffer, '\0');
        passwd entry{};
        passwd* result = nullptr;
        return ::getpwnam_r(wanted.c_str(), &entry, buffer.data(), buffer.size(), &result) == 0 &&
                       result
                   ? int64_t{result->pw_uid}
                   : -1;
    });
    return number < 0 ? fallback : static_cast<uint32_t>(number);
}

uint32_t OwnerNames::gid(const std::string& name, uint32_t fallback) {
    if (name.empty()) return fallback;
    const int64_t number = cachedNumber(gids_, name, [](const std::string& wanted) -> int64_t {
        std::string buffer(kNameBuffer, '\0');
        ::group entry{};
        ::group* result = nullptr;
        return ::getgrnam_r(wanted.c_str(), &entry, buffer.data(), buffer.size(), &result) == 0 &&
                       result
                   ? int64_t{result->gr_gid}
                   : -1;
    });
    return number < 0 ? fallback : static_cast<uint32_t>(number);
}

TimeStamp timeStamp(const timespec& t) {
    return {t.tv_sec, static_cast<uint32_t>(t.tv_nsec)};
}
timespec timeSpec(const TimeStamp& t) {
    return {.tv_sec = t.seconds, .tv_nsec = static_cast<long>(t.nanoseconds)};
}

EntryType entryType(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFDIR: return EntryType::directory;
        case S_IFLNK: return EntryType::symlink;
        case S_IFIFO: return EntryType::fifo;
        case S_IFSOCK: return EntryType::socket;
        case S_IFBLK: return EntryType::block_device;
        case S_IFCHR: return EntryType::char_device;
        default: return EntryType::regular;
    }
}

std::string_view typeName(EntryType type) {
    switch (type) {
        case EntryType::regular: return "file";
        case EntryType::directory: return "directory";
        case EntryType::symlink: return "symlink";
        case EntryType::fifo: return "fifo";
        case EntryType::socket: return "socket";
        case EntryType::block_device: return "block device";
        case EntryType::char_device: return "character device";
    }
    return "unknown";
}

Entry entryFromStat(std::string path, const struct stat& st, OwnerNames& owners) {
    Entry entry;
    entry.path = std::move(path);
    entry.type = entryType(st.st_mode);
    entry.mode = st.st_mode & 07777;
    entry.uid = st.st_uid;
    entry.gid = st.st_gid;
    entry.user = owners.user(st.st_uid);
    entry.group = owners.group(st.st_gid);
    entry.mtime = timeStamp(st.st_mtim);
    entry.ctime = timeStamp(st.st_ctim);
    entry.inode = st.st_ino;
    if (entry.type == EntryType::regular) entry.size = static_cast<uint64_t>(st.st_size);
    if (entry.type == EntryType::block_device || entry.type == EntryType::char_device)
        entry.device = st.st_rdev;
    return entry;
}

Result<std::string> readTarget(int directory, const std::string& name) {
    std::string target(PATH_MAX, '\0');
    const ssize_t n = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (n < 0) return failErrno(errno, "reading the link");
    target.resize(static_cast<size_t>(n));
    return target;
}

Result<Xattrs> readXattrs(int directory, const std::string& name) {
    const std::string path = procPath(directory, name);
    REGROW_TRY(const std::string names, xattrList(path));
    Xattrs found;
    for (size_t i = 0; i < names.size();) {
        const std::string attribute(names.c_str() + i);
        i += attribute.size() + 1;
        REGROW_TRY(auto value, xattrValue(path, attribute.c_str()));
        if (value) found.emplace_back(attribute, std::move(*value));
    }
    std::ranges::sort(found);
    return found;
}

Result<> applyMetadata(int directory, const std::string& name, const Entry& entry,
                       const Entry* found, OwnerNames& owners, std::vector<Problem>& problems) {
    const auto applied = [&]() -> Result<> {
        REGROW_CHECK(setOwner(directory, name, entry, found, owners, problems));
        // chown drops capabilities, so what was found right may be wrong by now.
        const bool keeps = found && found->uid == owners.uid(entry.user, entry.uid) &&
                           found->gid == owners.gid(entry.group, entry.gid) &&
                           found->xattrs == entry.xattrs;
        if (!keeps && (found || !entry.xattrs.empty()))
            REGROW_CHECK(setXattrs(procPath(directory, name), entry, found, problems));
        REGROW_CHECK(setMode(directory, name, entry));
        return applyTimes(directory, name, entry);
    }();
    if (!applied) return std::unexpected(Error(applied.error()).in(printable(entry.path)));
    return {};
}

Result<> applyTimes(int directory, const std::string& name, const Entry& entry) {
    const timespec mtime = timeSpec(entry.mtime);
    const timespec times[2] = {mtime, mtime};
    const int done = name.empty()
                         ? ::futimens(directory, times)
                         : ::utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
    if (done != 0) return failErrno(errno, "setting the time");
    return {};
}

std::vector<std::string> differences(const Entry& wanted, const Entry& found, OwnerNames& owners,
                                     bool privileged) {
    if (wanted.type != found.type)
        return {fmt::format("{} instead of {}", typeName(found.type), typeName(wanted.type))};
    std::vector<std::string> out;
    if (wanted.type != EntryType::symlink && wanted.mode != found.mode)
        out.push_back(fmt::format("mode {:04o} instead of {:04o}", found.mode, wanted.mode));
    const uint32_t uid = owners.uid(wanted.user, wanted.uid);
    const uint32_t gid = owners.gid(wanted.group, wanted.gid);
    if (privileged && (uid != found.uid || gid != found.gid))
        out.push_back(fmt::format("owner {}:{} instead of {}:{}", found.uid, found.gid, uid, gid));
    if (wanted.mtime != found.mtime)
        out.push_back(fmt::format("time {}.{:09} instead of {}.{:09}", found.mtime.seconds,
                                  found.mtime.nanoseconds, wanted.mtime.seconds,
                                  wanted.mtime.nanoseconds));
    if (wanted.size != found.size)
        out.push_back(fmt::format("size {} instead of {}", found.size, wanted.size));
    if (wanted.device != found.device) out.push_back("another device number");
    if (wanted.target != found.target) out.push_back("another link target");
    const bool same = privileged ? wanted.xattrs == found.xattrs
                                 : withoutDeniable(wanted.xattrs) == withoutDeniable(found.xattrs);
    if (!same) out.push_back("other extended attributes");
    return out;
}

}  // namespace regrow::backup
