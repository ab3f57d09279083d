#include "proxy/serve/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/log.h"
#include "base/result.h"

namespace regrow::serve {
namespace {

constexpr size_t kLineRoom = 4096;  // more than any line

std::string_view orDash(std::string_view text) {
    return text.empty() ? "-" : text;
}

uint64_t toWholeMs(Duration time) {
    return static_cast<uint64_t>(std::chrono::round<std::chrono::milliseconds>(time).count());
}

}  // namespace

void LogDraft::begin(const Request& r, bool json) {
    constexpr size_t kTargetMost = 256, kHeaderMost = 96;
    LogWriter to(text_.data(), text_.data() + text_.size(), json);
    (to << (json ? R"("method":")" : "\"")).escaped(r.method, 32);
    (to << (json ? R"(","target":")" : " ")).escaped(r.target, kTargetMost);
    (to << (json ? R"(","version":")" : " ")).escaped(r.version, 16) << "\"";
    first_size_ = static_cast<size_t>(to.at() - text_.data());
    (to << (json ? R"("referer":")" : "\"")).escaped(orDash(r.referer), kHeaderMost);
    (to << (json ? R"(","agent":")" : "\" \"")).escaped(orDash(r.agent), kHeaderMost) << "\"";
    size_ = static_cast<size_t>(to.at() - text_.data());
}

AccessLog::AccessLog(std::string path, bool json) : path_(std::move(path)), json_(json) {
    if (on()) reopen();
}

void AccessLog::stamp() {
    const time_t now = std::time(nullptr);
    if (now == stamped_) return;
    stamped_ = now;
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    const char* form = json_ ? "%Y-%m-%dT%H:%M:%SZ" : "%d/%b/%Y:%H:%M:%S +0000";
    time_size_ = std::strftime(time_.data(), time_.size(), form, &utc);
}

LogWriter AccessLog::line() {
    if (buffer_.size() - size_ < kLineRoom) flush();
    stamp();
    char* const at = buffer_.data() + size_;
    return {at, at + kLineRoom, json_};
}

void AccessLog::end(const LogWriter& line) {
    size_ = static_cast<size_t>(line.at() - buffer_.data());
}

void AccessLog::add(const LogDraft& draft, const LogLine& l) {
    LogWriter to = line();
    if (json_)
        writeJson(to, draft, l);
    else
        writeCombined(to, draft, l);
    end(to);
}

void AccessLog::writeCombined(LogWriter& to, const LogDraft& draft, const LogLine& l) const {
    to << l.client << " - - [" << time() << "] " << (draft.empty() ? "\"-\"" : draft.request())
       << " " << uint64_t{l.status} << " " << l.bytes << " "
       << (draft.empty() ? R"("-" "-")" : draft.headers()) << " " << l.duration << "ms "
       << orDash(l.pool) << "/" << orDash(l.backend) << " upstream=" << l.upstream
       << "ms retries=" << static_cast<uint64_t>(l.retries) << (l.hedged ? " hedged" : "")
       << " held=" << toWholeMs(l.held) << "ms why=" << name(l.why) << " detail=\""
       << orDash(l.detail) << "\"\n";
}

void AccessLog::writeJson(LogWriter& to, const LogDraft& draft, const LogLine& l) const {
    to << R"({"time":")" << time() << R"(","client":")" << l.client << R"(",)"
       << (draft.empty() ? R"("method":"-")" : draft.request()) << R"(,"status":)"
       << uint64_t{l.status} << R"(,"bytes":)" << l.bytes << ","
       << (draft.empty() ? R"("agent":"-")" : draft.headers()) << R"(,"duration_ms":)" << l.duration
       << R"(,"pool":")" << orDash(l.pool) << R"(","backend":")" << orDash(l.backend)
       << R"(","upstream_ms":)" << l.upstream << R"(,"retries":)"
       << static_cast<uint64_t>(l.retries) << R"(,"hedged":)" << (l.hedged ? "true" : "false")
       << R"(,"held_ms":)" << toWholeMs(l.held) << R"(,"why":")" << name(l.why) << R"(","detail":")"
       << orDash(l.detail) << "\"}\n";
}

void AccessLog::addTcp(const TcpLogLine& l) {
    LogWriter to = line();
    if (json_)
        to << R"({"time":")" << time() << R"(","client":")" << l.client
           << R"(","method":"TCP","bytes":)" << l.bytes << R"(,"received":)" << l.received
           << R"(,"duration_ms":)" << l.duration << R"(,"pool":")" << orDash(l.pool)
           << R"(","backend":")" << orDash(l.backend) << R"(","connect_ms":)" << l.connect
           << R"(,"retries":)" << static_cast<uint64_t>(l.retries) << R"(,"held_ms":)"
           << toWholeMs(l.held) << R"(,"why":")" << name(l.why) << R"(","detail":")"
           << orDash(l.detail) << "\"}\n";
    else
        to << l.client << " - - [" << time() << "] \"TCP\" - " << l.bytes
           << " received=" << l.received << " " << l.duration << "ms " << orDash(l.pool) << "/"
           << orDash(l.backend) << " connect=" << l.connect
           << "ms retries=" << static_cast<uint64_t>(l.retries) << " held=" << toWholeMs(l.held)
           << "ms why=" << name(l.why) << " detail=\"" << orDash(l.detail) << "\"\n";
    end(to);
}

void AccessLog::flush() {
    if (size_ == 0) return;
    const ssize_t n = fd_ ? ::write(fd_.get(), buffer_.data(), size_) : -1;
    if (n != static_cast<ssize_t>(size_)) {
        if (lost_++ == 0)
            log::warn("access log", "{}: lines are lost until there is room",
                      failErrno(n < 0 ? errno : ENOSPC, "cannot write " + path_).error().message);
    } else if (lost_ > 0) {
        log::info("access log", "{} takes lines again; {} writes were lost", path_, lost_);
        lost_ = 0;
    }
    size_ = 0;
}

void AccessLog::reopen() {
    flush();
    fd_.reset(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (!fd_)
        log::warn("access log", "{}", failErrno(errno, "cannot open " + path_).error().message);
}

}  // namespace regrow::serve
