#include "base/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <vector>

namespace regrow {
namespace {

struct Account {
    uid_t uid;
    gid_t gid;
};

Result<Account> find(const std::string& user) {
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(16 * 1024);
    const int error = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error != 0)
        return failErrno(error, "user '" + user + "' cannot be looked up", Source::config);
    if (!found)
        return fail(Code::not_found, Source::config,
                    "user: this machine has no user '" + user + "'; create it or name another");
    return Account{found->pw_uid, found->pw_gid};
}

Result<> keepOnlyBinding() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    data[0].permitted = data[0].effective = 1U << CAP_NET_BIND_SERVICE;
    if (::syscall(SYS_capset, &header, data) != 0)
        return failErrno(errno, "cannot give up root's powers", Source::us);
    return {};
}

}  // namespace

Result<> becomeUser(const std::string& user) {
    REGROW_TRY(const Account account, find(user));
    if (::geteuid() == account.uid) return {};
    if (::geteuid() != 0)
        return fail(Code::permission, Source::config,
                    "user: only root can become '" + user +
                        "'; start regrow as root or as that user, or remove `user`");
    // After setuid(2) every power is gone unless it was asked to stay.
    if (::prctl(PR_SET_KEEPCAPS, 1) != 0 || ::initgroups(user.c_str(), account.gid) != 0 ||
        ::setgid(account.gid) != 0 || ::setuid(account.uid) != 0)
        return failErrno(errno, "user: cannot become '" + user + "'", Source::us);
    if (account.uid != 0) REGROW_CHECK(keepOnlyBinding());
    if (account.uid != 0 && ::setuid(0) == 0)
        return fail(Code::internal, Source::us, "user: root's powers did not go away");
    // The kernel now thinks that we hold secrets of another user, and closes our own /proc to us.
    ::prctl(PR_SET_DUMPABLE, 1);
    return {};
}

Result<> requireWritable(const std::string& directory, const std::string& what) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    fs::path at = directory;
    while (!at.empty() && at != at.root_path() && !fs::exists(at, ignored)) at = at.parent_path();
    if (::access(at.c_str(), W_OK | X_OK) == 0) return {};
    const int error = errno;
    const passwd* const me = ::getpwuid(::geteuid());
    const std::string name = me ? me->pw_name : std::to_string(::geteuid());
    return failErrno(error,
                     what + " " + directory + ": the user '" + name + "' cannot write to " +
                         at.string() + " (chown " + name + " it, or choose another place)",
                     Source::config);
}

}  // namespace regrow
