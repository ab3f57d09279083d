#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/http_client.h"
#include "base/result.h"

namespace regrow::cli {

// One request as the demo's visitor saw it.
struct Visit {
    int item = 0;
    bool write = false;
    Instant sent{};
    Instant answered{};
    WallTime answered_wall{};
    int status = 0;  // 0: no answer at all
    std::string error;
    bool good() const { return status >= 200 && status < 300; }
    // An item that is newer than the snapshot is gone after a restore and reads as 404: that is
    // loss, counted at the end, not a failed request.
    bool failed() const { return !good() && !(status == 404 && !write); }
};

// Whether a calendar's text is the item of this number: its own UID and SUMMARY lines, whole (item
// 1 is not item 10).
bool isItem(std::string_view body, int item);

// Visitors of the calendar: two write one new item after the other, two read back items that were
// acknowledged before. Each is a thread with a connection of its own, as a person's client is.
class DemoClient {
  public:
    explicit DemoClient(std::string address);
    ~DemoClient();  // stops
    DemoClient(const DemoClient&) = delete;
    DemoClient& operator=(const DemoClient&) = delete;

    // Makes the calendar; waits until the service answers, at most `patience`, or until
    // `cancelled` says so (Code::cancelled).
    Result<> open(Duration patience, const std::function<bool()>& cancelled);
    void begin();
    void stop();  // each visitor ends its request first; at most a minute

    std::vector<Visit> visits() const;  // in the order they were answered
    size_t count() const;
    // Reads one item; true: it is there with the content that was written.
    Result<bool> check(int item);

  private:
    void write(int first);
    void read(int index);
    Visit visit(int item, bool write, HttpClient& session);
    void note(Visit visit);

    std::string address_;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    std::vector<Visit> visits_;
    std::vector<int> acknowledged_;
    std::vector<std::thread> threads_;
};

}  // namespace regrow::cli
