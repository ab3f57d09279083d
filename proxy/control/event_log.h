#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "proxy/control/status.h"

namespace regrow::control {

// What happened, in order: kept in memory for `why` and /events, appended to the audit log as JSON
// lines.
//
// Each line of the audit log carries "prev", the SHA-256 of the line before it, so that a line
// changed or taken out later is noticed (`openAuditLog` checks what it reads back; a rolled-back
// file is not noticed by this alone). Control loop only. Losing the file loses history, never
// state: that is the journal's.
class EventLog {
  public:
    static constexpr size_t kKept = 5000;  // in memory; older ones are in the file
    static constexpr uint64_t kRotateAt = uint64_t{64} << 20;

    explicit EventLog(const Clock& clock) : clock_(clock) {}

    // Reads the tail of an existing log back and goes on from its last line. A broken chain is
    // reported by a warning and an event, never by refusing to start.
    Result<> openAuditLog(const std::string& path);

    // Appends, tells subscribers, logs at `info`. seq and time are filled in.
    void add(Event event);
    void add(std::string pool, std::string backend, std::string kind, std::string text,
             std::vector<std::pair<std::string, std::string>> details = {});

    std::vector<Event> select(const std::string& pool, const std::string& backend,
                              uint64_t since) const;
    uint64_t lastSeq() const { return last_seq_; }
    std::shared_ptr<void> subscribe(std::function<void(const Event&)> listener);
    // Makes what was appended durable; called every few seconds.
    void sync();

  private:
    void append(const Event& event);
    void rotateIfLarge();

    const Clock& clock_;
    std::deque<Event> events_;
    uint64_t last_seq_ = 0;
    uint64_t next_subscriber_ = 1;
    std::shared_ptr<std::map<uint64_t, std::function<void(const Event&)>>> subscribers_ =
        std::make_shared<std::map<uint64_t, std::function<void(const Event&)>>>();
    std::string path_;
    UniqueFd file_;
    uint64_t file_size_ = 0;
    std::string last_hash_;  // hex, of the last line written
    bool write_failed_ = false;
};

std::string eventJson(const Event& event,
                      const std::string& previous_hash);  // one line, without newline
Result<Event> parseEvent(std::string_view line);

}  // namespace regrow::control
