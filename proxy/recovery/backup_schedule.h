#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

// When which backend is captured. Pure: it knows neither processes nor repositories; the caller
// asks what is due, runs it and reports back. Control loop only.
//
// `every` counts from start to start, and a capture that takes longer is followed by the next at
// once; never are two of one backend under way. The first is due as soon as the backend came up.
// Failures back off, doubling from `every` to one minute (or stay at `every`, when that is longer).
// While a backend's state changes (down, recovering, maintenance) it is paused, and a capture that
// overlapped such a change is discarded: it may have seen a half-dead disk.
namespace regrow::recovery {

class BackupSchedule {
  public:
    struct Options {
        Duration every = std::chrono::seconds(5);
        Duration full = std::chrono::hours(24 * 7);
        friend bool operator==(const Options&, const Options&) = default;
    };
    struct Due {
        std::string backend;
        bool full = false;
        bool requested = false;  // somebody asked for it
        uint64_t ticket = 0;     // give it back to finished()
    };
    struct Status {
        bool running = false;
        bool paused = true;
        std::string pause_reason;
        int failures = 0;                  // in a row
        std::string last_error;            // empty after a good one
        std::optional<Instant> next;       // when the next is due; absent: paused or running
        std::optional<Instant> last_good;  // start of the newest good capture
    };
    static constexpr Duration kLongestBackOff = std::chrono::minutes(1);

    // New backends are paused ("not up yet") until cameUp(). Known ones keep their state; a shorter
    // `every` counts at once.
    void configure(const std::string& backend, Options options);
    void remove(const std::string& backend);
    // When the newest full capture was taken, as the repository tells after a restart; never told:
    // the first one is full.
    void knownFull(const std::string& backend, Instant when);

    // It serves, in a state that may be captured: schedules begin or go on, the first capture now.
    void cameUp(const std::string& backend, Instant now);
    // Its state changes. True: a capture is under way that will be discarded; the caller may cancel
    // it, and must still report finished().
    bool pause(const std::string& backend, std::string reason);
    // As soon as possible, before the schedule and whatever the back-off; refused, with the reason,
    // for a paused backend. While one is under way, the next follows it.
    Result<> request(const std::string& backend, bool full);

    // The longest overdue one that may start now, marked as running; nothing when none is due. Ask
    // again until nothing.
    std::optional<Due> next(Instant now);
    // When to ask again; nothing: not before the next call that changes something.
    std::optional<Instant> wakeAt() const;
    // False: discard what it made: the ticket is not the running one's or the backend's state
    // changed meanwhile.
    bool finished(const Due& due, const Result<>& outcome, Instant now);

    std::optional<Status> status(const std::string& backend) const;

  private:
    struct Backend {
        Options options;
        bool paused = true;
        std::string pause_reason = "not up yet";
        bool requested = false;
        bool requested_full = false;
        uint64_t running = 0;  // its ticket; 0: none
        bool disturbed = false;
        Instant due{};
        Instant started{};
        std::optional<Instant> last_full;
        std::optional<Instant> last_good;
        int failures = 0;
        std::string last_error;
    };
    Due begin(const std::string& name, Backend& backend, Instant now);
    static Duration backOff(const Backend& backend);

    std::map<std::string, Backend> backends_;
    uint64_t last_ticket_ = 0;
};

}  // namespace regrow::recovery
