#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/child_process.h"

namespace regrow {
namespace {

constexpr size_t kStderrTail = 4096;
constexpr size_t kPipeHolds = size_t{1} << 20;

}  // namespace

struct ChildRun::Impl {
    ChildProcess child;
    OnLine on_line;
    OnExit on_exit;
    std::string line;
    size_t line_limit = 0;
    std::string stderr_tail;
    bool timed_out = false;
    bool done = false;
    FdWatch exit_watch;
    FdWatch stdout_watch;
    FdWatch stderr_watch;
    Timer deadline;

    void killGroup() const { ::kill(-child.pid, SIGKILL); }

    // False at end of file.
    bool readSome(int fd, std::string_view& chunk, char (&buffer)[65536]) {
        const ssize_t n = ::read(fd, buffer, sizeof buffer);
        chunk = n > 0 ? std::string_view(buffer, static_cast<size_t>(n)) : std::string_view();
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
    }

    void readStdout() {
        char buffer[65536];
        std::string_view chunk;
        if (!readSome(child.stdout_pipe.get(), chunk, buffer)) return stdout_watch.cancel();
        takeLines(chunk);
    }

    void takeLines(std::string_view chunk) {
        while (!chunk.empty()) {
            const auto newline = chunk.find('\n');
            const auto part = chunk.substr(0, newline);
            if (line.size() < line_limit) line.append(part.substr(0, line_limit - line.size()));
            if (newline == std::string_view::npos) return;
            chunk.remove_prefix(newline + 1);
            if (on_line) on_line(line);
            line.clear();
        }
    }

    void readStderr() {
        char buffer[65536];
        std::string_view chunk;
        if (!readSome(child.stderr_pipe.get(), chunk, buffer)) return stderr_watch.cancel();
        stderr_tail.append(chunk);
        if (stderr_tail.size() > kStderrTail)
            stderr_tail.erase(0, stderr_tail.size() - kStderrTail);
    }

    // At most what a pipe holds: one that left the process group may go on writing for ever.
    static void drainPipe(int fd, char (&buffer)[65536],
                          const std::function<void(std::string_view)>& take) {
        size_t left = kPipeHolds;
        while (left > 0) {
            const ssize_t n = ::read(fd, buffer, std::min(left, sizeof buffer));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return;
            take({buffer, static_cast<size_t>(n)});
            left -= static_cast<size_t>(n);
        }
    }

    // What was written before the exit is still in the pipes; a grandchild may hold them open, so
    // read what is there only.
    void drain() {
        char buffer[65536];
        drainPipe(child.stdout_pipe.get(), buffer,
                  [this](std::string_view chunk) { takeLines(chunk); });
        if (!line.empty() && on_line) on_line(line);
        drainPipe(child.stderr_pipe.get(), buffer,
                  [this](std::string_view chunk) { stderr_tail.append(chunk); });
        if (stderr_tail.size() > kStderrTail)
            stderr_tail.erase(0, stderr_tail.size() - kStderrTail);
    }

    void finish() {
        killGroup();  // whatever it started and left behind; before it is reaped, while nobody else
                      // can have its number
        const auto status = reap(child.pid);
        if (!status) return;
        done = true;
        exit_watch.cancel();
        stdout_watch.cancel();
        stderr_watch.cancel();
        deadline.cancel();
        drain();
        Outcome outcome{*status, std::move(stderr_tail)};
        outcome.status.timed_out = timed_out;
        auto callback = std::move(on_exit);
        callback(std::move(outcome));  // may destroy *this
    }
};

ChildRun::ChildRun(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ChildRun::~ChildRun() {
    if (impl_->done) return;
    impl_->killGroup();
    ::kill(impl_->child.pid, SIGKILL);  // in case it had not reached setsid yet
    // SIGKILL ends it within a millisecond unless it hangs in the kernel; then init reaps it after
    // us.
    pollfd ended{impl_->child.pidfd.get(), POLLIN, 0};
    ::poll(&ended, 1, 100);
    reap(impl_->child.pid);
}

Result<std::unique_ptr<ChildRun>> ChildRun::start(EventLoop& loop, SpawnOptions options,
                                                  Duration deadline, OnLine on_line,
                                                  OnExit on_exit) {
    options.new_session = true;
    options.die_with_parent = true;
    options.pipe_stdout = true;
    options.pipe_stderr = true;
    auto impl = std::make_unique<Impl>();
    REGROW_TRY(impl->child, spawn(options));
    auto* raw = impl.get();
    impl->on_line = std::move(on_line);
    impl->line_limit = options.line_limit;
    impl->on_exit = std::move(on_exit);
    impl->exit_watch =
        FdWatch(loop, raw->child.pidfd.get(), EV_READ, [raw](short) { raw->finish(); });
    impl->stdout_watch =
        FdWatch(loop, raw->child.stdout_pipe.get(), EV_READ, [raw](short) { raw->readStdout(); });
    impl->stderr_watch =
        FdWatch(loop, raw->child.stderr_pipe.get(), EV_READ, [raw](short) { raw->readStderr(); });
    impl->deadline = Timer(loop, [raw] {
        raw->timed_out = true;
        raw->killGroup();
    });
    impl->deadline.after(deadline);
    return std::unique_ptr<ChildRun>(new ChildRun(std::move(impl)));
}

void ChildRun::extend(Duration deadline) {
    impl_->deadline.after(deadline);
}
pid_t ChildRun::pid() const {
    return impl_->child.pid;
}

}  // namespace regrow
