#pragma once

#include <algorithm>
#include <cstdint>

namespace regrow::net {

// The Generic Cell Rate Algorithm as virtual scheduling (ITU-T I.371, Annex A): a client's whole
// history is one number, the time at which its next request is due. One that comes earlier than
// that by no more than the tolerance is taken. So a rate holds over any stretch of time, and
// `burst` requests may come at once; no window begins anew. Nanoseconds; pure.
struct Gcra {
    int64_t interval = 0;   // between requests
    int64_t tolerance = 0;  // how much too early one may come

    static Gcra of(int per_second, int burst) {
        const int64_t interval = 1'000'000'000 / std::max(per_second, 1);
        return {interval, interval * (std::max(burst, 1) - 1)};
    }

    struct Answer {
        int64_t wait = 0;  // 0: taken; else how long until one would be
        int64_t due = 0;   // the client's new number
    };
    // A request that is not taken costs nothing.
    Answer ask(int64_t due, int64_t now) const {
        if (now < due - tolerance) return {due - tolerance - now, due};
        return {0, std::max(now, due) + interval};
    }
};

}  // namespace regrow::net
