#include "proxy/serve/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/log.h"
#include "base/result.h"

namespace regrow::serve {
namespace {

constexpr size_t kLineRoom = 4096;  // more than any line

// A client chooses these bytes: nothing it sends may end a line, close a quote or move a terminal's
// cursor.
class Escaper {
  public:
    Escaper(char* begin, char* end, bool json) : at_(begin), end_(end), json_(json) {}
    char* at() const { return at_; }

    void raw(std::string_view text) {
        if (text.size() > room()) return;
        at_ = std::copy(text.begin(), text.end(), at_);
    }
    void field(std::string_view text, size_t most) {
        for (const char c : text.substr(0, most)) add(c);
        if (text.size() > most) raw("...");
    }

  private:
    size_t room() const { return static_cast<size_t>(end_ - at_); }
    void add(char c) {
        constexpr std::string_view kHex = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            const char quoted[] = {'\\', c};
            raw({quoted, 2});
        } else if (byte < 0x20 || byte >= 0x7f) {
            const char hex[] = {kHex[byte >> 4], kHex[byte & 15]};
            raw(json_ ? "\\u00" : "\\x");
            raw({hex, 2});
        } else {
            raw({&c, 1});
        }
    }

    char* at_;
    char* end_;
    bool json_;
};

}  // namespace

void LogDraft::begin(const Request& r, bool json) {
    constexpr size_t kTargetMost = 256, kHeaderMost = 96;
    Escaper to(text_.data(), text_.data() + text_.size(), json);
    const auto put = [&](std::string_view before, std::string_view text, size_t most) {
        to.raw(before);
        to.field(text, most);
    };
    put(json ? R"("method":")" : "\"", r.method, 32);
    put(json ? R"(","target":")" : " ", r.target, kTargetMost);
    put(json ? R"(","version":")" : " ", r.version, 16);
    to.raw("\"");
    first_size_ = static_cast<size_t>(to.at() - text_.data());
    put(json ? R"("referer":")" : "\"", r.referer.empty() ? "-" : r.referer, kHeaderMost);
    put(json ? R"(","agent":")" : "\" \"", r.agent.empty() ? "-" : r.agent, kHeaderMost);
    to.raw("\"");
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

void AccessLog::add(const LogDraft& draft, const LogLine& l) {
    if (buffer_.size() - size_ < kLineRoom) flush();
    stamp();
    const std::string_view time(time_.data(), time_size_);
    const std::string_view request = draft.request().empty()
                                         ? std::string_view(json_ ? R"("method":"-")" : "\"-\"")
                                         : draft.request();
    const std::string_view headers =
        draft.headers().empty() ? std::string_view(json_ ? R"("agent":"-")" : "\"-\" \"-\"")
                                : draft.headers();
    char* at = buffer_.data() + size_;
    const auto* const form =
        json_
            ? R"({{"time":"{}","client":"{}",{},"status":{},"bytes":{},{},"duration_ms":{:.3f},"pool":"{}","backend":"{}","upstream_ms":{:.3f},"retries":{},"hedged":{},"held_ms":{:.0f},"why":"{}","detail":"{}"}})"
              "\n"
            : "{1} - - [{0}] {2} {3} {4} {5} {6:.3f}ms {7}/{8} upstream={9:.3f}ms retries={10}{11} "
              "held={12:.0f}ms why={13} detail=\"{14}\"\n";
    const auto written =
        fmt::format_to_n(at, kLineRoom, fmt::runtime(form), time, l.client, request, l.status,
                         l.bytes, headers, toMs(l.duration), l.pool.empty() ? "-" : l.pool,
                         l.backend.empty() ? "-" : l.backend, toMs(l.upstream), l.retries,
                         json_ ? (l.hedged ? "true" : "false") : (l.hedged ? " hedged" : ""),
                         toMs(l.held), name(l.why), l.detail.empty() ? "-" : l.detail);
    size_ += std::min(written.size, kLineRoom);
}

void AccessLog::addTcp(const TcpLogLine& l) {
    if (buffer_.size() - size_ < kLineRoom) flush();
    stamp();
    const auto* const form =
        json_
            ? R"({{"time":"{}","client":"{}","method":"TCP","bytes":{},"received":{},"duration_ms":{:.3f},"pool":"{}","backend":"{}","connect_ms":{:.3f},"retries":{},"held_ms":{:.0f},"why":"{}","detail":"{}"}})"
              "\n"
            : "{1} - - [{0}] \"TCP\" - {2} received={3} {4:.3f}ms {5}/{6} connect={7:.3f}ms "
              "retries={8} held={9:.0f}ms why={10} detail=\"{11}\"\n";
    const auto written = fmt::format_to_n(
        buffer_.data() + size_, kLineRoom, fmt::runtime(form),
        std::string_view(time_.data(), time_size_), l.client, l.bytes, l.received, toMs(l.duration),
        l.pool.empty() ? "-" : l.pool, l.backend.empty() ? "-" : l.backend, toMs(l.connect),
        l.retries, toMs(l.held), name(l.why), l.detail.empty() ? "-" : l.detail);
    size_ += std::min(written.size, kLineRoom);
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
