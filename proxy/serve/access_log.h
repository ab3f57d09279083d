#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "proxy/serve/cause.h"
#include "proxy/serve/log_writer.h"

namespace regrow::serve {

// The part of a line that is known when the request arrives, escaped, kept until it ends (the
// request's own bytes are long overwritten then). Long targets and agents are cut.
class LogDraft {
  public:
    struct Request {
        std::string_view method, target, version, referer, agent;
    };
    void begin(const Request& request, bool json);
    void clear() { first_size_ = size_ = 0; }
    bool empty() const { return size_ == 0; }
    std::string_view request() const { return {text_.data(), first_size_}; }
    std::string_view headers() const { return {text_.data() + first_size_, size_ - first_size_}; }

  private:
    std::array<char, 3072> text_;  // all of it escaped, in JSON
    size_t first_size_ = 0;
    size_t size_ = 0;
};

struct LogLine {
    std::string_view client;
    uint16_t status = 0;
    uint64_t bytes = 0;
    Duration duration{};
    std::string_view pool;     // empty: none chosen
    std::string_view backend;  // the last one tried
    Duration upstream{};       // head sent to response head, of the last attempt
    int retries = 0;
    bool hedged = false;  // a second backend was asked beside the first
    Duration held{};
    Cause why = Cause::none;
    std::string_view detail{};  // what our own answer said; empty: the backend answered
};

// Of a TCP session, written when it ends.
struct TcpLogLine {
    std::string_view client;
    uint64_t bytes = 0;     // to the client
    uint64_t received = 0;  // from it
    Duration duration{};
    std::string_view pool;
    std::string_view backend;
    Duration connect{};
    int retries = 0;
    Duration held{};
    Cause why = Cause::none;
    std::string_view detail{};
};

// One line per request, the combined format with our fields after it, or JSON. Lines gather in a
// fixed buffer and leave in one write per tick or when it is nearly full; whole lines only,
// appended, so that workers can share the file. A disk that does not take them costs lines, counted
// and reported, never requests. Worker's thread.
class AccessLog {
  public:
    // An empty path: off.
    AccessLog(std::string path, bool json);

    bool on() const { return !path_.empty(); }
    bool json() const { return json_; }
    void add(const LogDraft& draft, const LogLine& line);
    void addTcp(const TcpLogLine& line);
    void flush();
    void reopen();  // flushes first

  private:
    LogWriter line();  // room for one, at the end of the buffer
    void end(const LogWriter& line);
    void writeCombined(LogWriter& to, const LogDraft& draft, const LogLine& line) const;
    void writeJson(LogWriter& to, const LogDraft& draft, const LogLine& line) const;
    void stamp();  // formats the time once a second
    std::string_view time() const { return {time_.data(), time_size_}; }

    std::string path_;
    bool json_;
    UniqueFd fd_;
    std::array<char, 64 * 1024> buffer_;
    size_t size_ = 0;
    time_t stamped_ = 0;
    std::array<char, 40> time_{};
    size_t time_size_ = 0;
    uint64_t lost_ = 0;
};

}  // namespace regrow::serve
