#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "proxy/net/gcra.h"

// What the clients of one listener use now, by address: connections and requests under way, and how
// far ahead of its rate each is. All workers share it, because a client's connections are spread
// over them; entries are atomics, nobody waits. It outlives views and reloads.
//
// Memory is fixed: 65,536 entries in buckets of 8 (1.5 MiB, touched as they are used), placed by a
// hash with a secret seed. An entry whose client has nothing open and is not ahead of its rate says
// no more than none would, so it is the first to be overwritten; else, of those with nothing open,
// the one that is least ahead. A client at its limit is the last to go, and one with something open
// never goes: a flood from other addresses cannot wipe its slate. Where all 8 have something open,
// a newcomer is not counted (the process's own limit holds for it too).
//
// Two workers that see a client for the first time in the same instant may make an entry each; the
// later one is found no more and ends when what it counts does.
namespace regrow::net {

class ClientTable {
  public:
    static constexpr uint32_t kNone = UINT32_MAX;
    enum class What : uint8_t { connections, requests };

    explicit ClientTable(uint64_t seed, size_t buckets = 8192);  // a power of two
    ClientTable(const ClientTable&) = delete;
    ClientTable& operator=(const ClientTable&) = delete;

    struct Entered {
        bool allowed = true;
        uint32_t entry = kNone;  // for leave()
    };
    // One more of them, unless there are `most` already.
    Entered enter(What what, uint64_t client, uint32_t most, int64_t now);
    void leave(What what, uint32_t entry);
    // One request now: 0 when the rate allows it, else how long to wait, in nanoseconds.
    int64_t ask(uint64_t client, const Gcra& rate, int64_t now);

  private:
    struct Entry {
        std::atomic<uint64_t> key{0};     // 0: free
        std::atomic<int64_t> due{0};      // Gcra's
        std::atomic<uint64_t> counts{0};  // connections, and requests from bit 32; or kTaken
    };
    static constexpr size_t kWays = 8;
    static constexpr uint64_t kTaken = UINT64_MAX;  // while it changes hands

    uint32_t find(uint64_t key) const;
    uint32_t claim(uint64_t key, int64_t now);
    uint32_t victim(uint64_t key) const;
    bool count(Entry& entry, uint64_t one, uint32_t shift, uint32_t most, bool& full);

    uint64_t seed_;
    uint64_t mask_;
    std::unique_ptr<Entry[]> entries_;
};

}  // namespace regrow::net
