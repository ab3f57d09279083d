#include "base/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/file.h"
#include "base/process_limits.h"

namespace regrow {
namespace {

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

Result<Pipe> makePipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return failErrno(errno, "pipe", Source::us);
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

struct Credentials {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};

Result<std::optional<Credentials>> lookUp(const std::string& user) {
    if (user.empty()) return std::nullopt;
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(16384);
    ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (!found)
        return fail(Code::not_found, Source::config,
                    "user '" + user + "' does not exist on this machine");
    Credentials credentials{entry.pw_uid, entry.pw_gid, {}};
    int count = 64;
    credentials.groups.resize(static_cast<size_t>(count));
    if (::getgrouplist(user.c_str(), entry.pw_gid, credentials.groups.data(), &count) < 0)
        count = 1;
    credentials.groups.resize(static_cast<size_t>(count));
    return credentials;
}

std::string resolveProgram(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* path = ::getenv("PATH");
    std::string_view rest = path ? path : "/usr/bin:/bin";
    while (!rest.empty()) {
        const auto colon = rest.find(':');
        const std::string candidate = std::string(rest.substr(0, colon)) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    }
    return name;
}

std::vector<std::string> mergedEnvironment(const std::vector<std::string>& added) {
    std::vector<std::string> merged;
    for (char** e = environ; *e; ++e) {
        const std::string_view entry(*e);
        const auto key = entry.substr(0, entry.find('=') + 1);
        bool replaced = false;
        for (const auto& a : added) replaced = replaced || a.starts_with(key);
        if (!replaced) merged.emplace_back(entry);
    }
    merged.insert(merged.end(), added.begin(), added.end());
    return merged;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> out;
    out.reserve(strings.size() + 1);
    for (auto& s : strings) out.push_back(s.data());
    out.push_back(nullptr);
    return out;
}

// What the child needs, prepared before fork so that nothing allocates after it.
struct Plan {
    const SpawnOptions& options;
    std::string program;
    std::vector<char*> argv;
    std::vector<char*> envp;
    std::optional<Credentials> credentials;
    pid_t parent = 0;
    int out_fd = -1;
    int err_fd = -1;
    int gate_fd = -1;
    int error_fd = -1;
};

// A gated child has nobody left to tell: it says why in its own output.
void say(const char* text) {
    [[maybe_unused]] const ssize_t n = ::write(2, text, std::strlen(text));
}

[[noreturn]] void giveUp(const Plan& plan) {
    const int error = errno;
    if (plan.gate_fd >= 0) {
        const char* why = ::strerrordesc_np(error);
        say("regrow: cannot start ");
        say(plan.program.c_str());
        say(": ");
        say(why ? why : "unknown error");
        say("\n");
    }
    [[maybe_unused]] const ssize_t n = ::write(plan.error_fd, &error, sizeof error);
    ::_exit(127);
}

// A released gate delivers one byte; end of file means the parent died first.
bool passGate(int fd) {
    char byte = 0;
    ssize_t n = 0;
    do n = ::read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

void resetSignals() {
    for (int s = 1; s < NSIG; ++s) ::signal(s, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void runChild(const Plan& plan) {
    const auto& options = plan.options;
    resetSignals();
    if (options.new_session) ::setsid();
    // Ours are closed on exec by themselves; this is for what whoever started us left open.
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (!options.inherit_output && (::dup2(plan.out_fd, 1) < 0 || ::dup2(plan.err_fd, 2) < 0))
        giveUp(plan);
    const int null_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0) giveUp(plan);
    // We may have been started without a standard input; then it is 0 already, and must stay open.
    if (null_fd == 0 ? ::fcntl(0, F_SETFD, 0) < 0 : ::dup2(null_fd, 0) < 0) giveUp(plan);
    if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) giveUp(plan);
    if (plan.credentials) {
        const auto& c = *plan.credentials;
        if (::setgroups(c.groups.size(), c.groups.data()) != 0 || ::setgid(c.gid) != 0 ||
            ::setuid(c.uid) != 0)
            giveUp(plan);
    }
    if (options.die_with_parent) {  // after setuid, which clears it
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != plan.parent) ::_exit(127);
    }
    if (plan.gate_fd >= 0 && !passGate(plan.gate_fd)) ::_exit(127);
    // Only now: while all of ours are open, the child can open nothing below the old limit.
    restoreDescriptorLimit();
    ::execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
    giveUp(plan);
}

Result<UniqueFd> openPidfd(pid_t pid) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!fd) return failErrno(errno, "pidfd_open " + std::to_string(pid), Source::us);
    return fd;
}

void setNonBlocking(int fd) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

}  // namespace

void ChildProcess::release() {
    const char byte = 1;
    [[maybe_unused]] const ssize_t n = ::write(gate.get(), &byte, 1);
    gate.reset();
}

Result<ChildProcess> spawn(const SpawnOptions& options) {
    if (options.argv.empty()) return fail(Code::invalid, Source::config, "no command given");
    REGROW_TRY(auto credentials, lookUp(options.user));
    REGROW_TRY(Pipe error, makePipe());
    REGROW_TRY(Pipe out, makePipe());
    REGROW_TRY(Pipe err, makePipe());
    REGROW_TRY(Pipe gate, makePipe());
    REGROW_TRY(UniqueFd sink,
               options.output.empty()
                   ? openFile("/dev/null", O_WRONLY)
                   : openFile(options.output, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600));
    auto argv = options.argv;
    auto environment = mergedEnvironment(options.environment);
    const Plan plan{options,
                    resolveProgram(argv[0]),
                    pointers(argv),
                    pointers(environment),
                    std::move(credentials),
                    ::getpid(),
                    options.pipe_stdout ? out.write.get() : sink.get(),
                    options.pipe_stderr ? err.write.get() : sink.get(),
                    options.gated ? gate.read.get() : -1,
                    error.write.get()};
    // The gate's write end must not leak into the child, or it would never see end of file:
    // close-on-exec is not enough while it waits, so the child closes it itself.
    const int gate_write = gate.write.get();
    const pid_t pid = ::fork();
    if (pid < 0) return failErrno(errno, "fork", Source::us);
    if (pid == 0) {
        ::close(gate_write);
        runChild(plan);
    }
    ChildProcess child;
    child.pid = pid;
    REGROW_TRY(child.pidfd, openPidfd(pid));
    error.write.reset();
    if (!options.gated) {
        int exec_error = 0;
        ssize_t n = 0;
        do n = ::read(error.read.get(), &exec_error, sizeof exec_error);
        while (n < 0 && errno == EINTR);
        if (n == sizeof exec_error) {
            ::waitpid(pid, nullptr, 0);
            return failErrno(exec_error, "starting " + options.argv[0], Source::config);
        }
    } else {
        child.gate = std::move(gate.write);
        setNonBlocking(error.read.get());
        child.exec_status = std::move(error.read);
    }
    if (options.pipe_stdout)
        setNonBlocking(out.read.get()), child.stdout_pipe = std::move(out.read);
    if (options.pipe_stderr)
        setNonBlocking(err.read.get()), child.stderr_pipe = std::move(err.read);
    return child;
}

std::optional<ProcessId> identify(pid_t pid) {
    const auto stat = readFile("/proc/" + std::to_string(pid) + "/stat", 4096);
    if (!stat) return std::nullopt;
    // The name in parentheses may hold anything; fields are counted from the last ')'. State is
    // field 3.
    std::string_view rest(*stat);
    const auto paren = rest.rfind(')');
    if (paren == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(paren + 2);
    if (rest.starts_with('Z') || rest.starts_with('X'))
        return std::nullopt;  // exited, not reaped yet
    for (int field = 3; field < 22; ++field) rest.remove_prefix(rest.find(' ') + 1);
    ProcessId id{pid, 0, bootId()};
    std::from_chars(rest.data(), rest.data() + rest.size(), id.start_ticks);
    return id;
}

std::optional<UniqueFd> adopt(const ProcessId& id) {
    if (id.boot_id != bootId()) return std::nullopt;
    auto fd = openPidfd(id.pid);
    if (!fd) return std::nullopt;
    // Looked at after the pidfd is held: from here on the pid cannot be reused unseen.
    const auto now = identify(id.pid);
    if (!now || *now != id) return std::nullopt;
    return std::move(*fd);
}

std::string bootId() {
    auto id = readFile("/proc/sys/kernel/random/boot_id", 128);
    if (!id) return "unknown";
    while (id->ends_with('\n')) id->pop_back();
    return *id;
}

std::string ExitStatus::text() const {
    if (timed_out) return "no answer within its deadline";
    if (exited) return "exit " + std::to_string(code);
    const char* abbreviation = ::sigabbrev_np(signal);
    return "killed by " +
           (abbreviation ? "SIG" + std::string(abbreviation) : std::to_string(signal));
}

std::optional<ExitStatus> reap(pid_t pid) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) != pid) return std::nullopt;
    ExitStatus exit;
    exit.exited = WIFEXITED(status);
    if (exit.exited)
        exit.code = WEXITSTATUS(status);
    else
        exit.signal = WTERMSIG(status);
    return exit;
}

}  // namespace regrow
