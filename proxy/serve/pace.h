#pragma once

#include <cstdint>

namespace regrow::serve {

// Whether a client gets on. A deadline on its silence that any byte sets anew lets it hold a server
// for hours with a byte now and then (slow body, slow reader): it must move some before. With the
// default timeouts.body that is 136 bytes a second.
class Pace {
  public:
    static constexpr uint64_t kLeast = 4096;

    // It is waited for. `moved`: a count that grows by what it moves. True: its deadline begins.
    bool waits(uint64_t moved) {
        if (!fair(moved)) return false;
        waiting_ = true;
        from_ = moved;
        return true;
    }
    // It moved enough since, or was not waited for.
    bool fair(uint64_t moved) const { return !waiting_ || moved - from_ >= kLeast; }
    void rest() { waiting_ = false; }  // it is not its turn

    // The same of what its socket held then and holds now (Transport::queued): a kernel that has
    // taken megabytes takes no more until a third of them is gone. At 40 KB/s that is half a
    // minute, in which a client that does read looks like one that does not.
    static bool drained(uint32_t before, uint32_t now) { return before >= now + kLeast; }

  private:
    uint64_t from_ = 0;
    bool waiting_ = false;
};

}  // namespace regrow::serve
