#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "proxy/control/status.h"

namespace regrow::control {

// What happened, in order: kept in memory for `why` and /events, appended to the audit log as JSON
// lines.
//
// Each line of the audit log carries "prev", the SHA-256 of the line before it, so that a line
// changed or taken out later is noticed (`openAuditLog` checks what it reads back), and the journal
// keeps the number of the last event written, so that lines missing at the end are. Either is
// reported once, by an event whose detail "lines" are the SHA-256 of the lines that do not fit: who
// opens the log later finds the report there. Control loop only. Losing the file loses history,
// never state: that is the journal's.
class EventLog {
  public:
    static constexpr size_t kKept = 5000;  // in memory; older ones are in the file
    static constexpr uint64_t kRotateAt = uint64_t{64} << 20;

    explicit EventLog(const Clock& clock) : clock_(clock) {}

    // Reads the tail of an existing log back and goes on from its last line. `written`: the number
    // of the last event known to be in it. Damage is reported by an event, never by refusing to
    // start; neither does a full disk refuse it: the log is opened when there is room.
    Result<> openAuditLog(const std::string& path, uint64_t written = 0);

    // Appends, tells subscribers, logs at levelOf. seq and time are filled in.
    void add(Event event);
    void add(std::string pool, std::string backend, std::string kind, std::string text,
             std::vector<std::pair<std::string, std::string>> details = {});

    std::vector<Event> select(const std::string& pool, const std::string& backend,
                              uint64_t since) const;
    uint64_t lastSeq() const { return last_seq_; }
    // Of the last event in the audit log; those after it could not be written.
    uint64_t writtenSeq() const { return written_seq_; }
    std::shared_ptr<void> subscribe(std::function<void(const Event&)> listener);
    // Makes what was appended durable; called every few seconds.
    void sync();

  private:
    void append(const Event& event);
    Result<> write(const std::string& line);
    void rotateIfLarge();
    std::vector<std::string> readBack(std::string_view tail);
    void readPutAside();
    void reportDamage(const std::vector<std::string>& lines, bool cut);

    const Clock& clock_;
    std::deque<Event> events_;
    uint64_t last_seq_ = 0;
    uint64_t written_seq_ = 0;
    uint64_t next_subscriber_ = 1;
    std::shared_ptr<std::map<uint64_t, std::function<void(const Event&)>>> subscribers_ =
        std::make_shared<std::map<uint64_t, std::function<void(const Event&)>>>();
    std::string path_;
    UniqueFd file_;
    uint64_t file_size_ = 0;
    bool end_line_ = false;  // the file ends in a line that a crash cut off
    std::string last_hash_;  // hex, of the last line written
    uint64_t unwritten_ = 0;
};

// How urgent an event is in the log: `alarm` wants a person, what was lost or failed is a warning.
log::Level levelOf(const Event& event);

std::string eventJson(const Event& event,
                      const std::string& previous_hash);  // one line, without newline
Result<Event> parseEvent(std::string_view line);

}  // namespace regrow::control
