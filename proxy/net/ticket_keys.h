#pragma once

#include <array>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace regrow::net {

// The keys that seal session tickets: what a client keeps and brings back instead of a full
// handshake. A new one every six hours; the one before still opens, so a ticket is good for at
// least as long again as its key sealed. Then it is wiped: who steals our memory later cannot read
// what was recorded before.
//
// One for each listener: a ticket of one never opens at another. It outlives reloads, for clients
// should not notice them. Shared by all workers; the lock is taken once in a handshake, which costs
// some thousand times as much.
class TicketKeys {
  public:
    static constexpr Duration kPeriod = std::chrono::hours(6);

    struct Key {
        std::array<unsigned char, 16> name;  // in clear on the ticket
        std::array<unsigned char, 32> cipher;
        std::array<unsigned char, 32> mac;
    };
    struct Opened {
        Key key;
        bool old;  // seal a new ticket
    };

    TicketKeys() = default;
    ~TicketKeys();
    TicketKeys(const TicketKeys&) = delete;
    TicketKeys& operator=(const TicketKeys&) = delete;

    // Nothing when the machine has no randomness to give.
    std::optional<Key> forSealing(Instant now);
    // Nothing for a name that is unknown or too old.
    std::optional<Opened> forOpening(const unsigned char* name, Instant now);

  private:
    struct Aged {
        Key key;
        Instant born;
    };
    void age(Instant now);

    std::mutex mutex_;
    std::optional<Aged> current_;
    std::optional<Aged> previous_;
};

}  // namespace regrow::net
