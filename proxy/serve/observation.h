#pragma once

#include <cstdint>
#include <string>

namespace regrow::serve {

// What live traffic says of a backend, gathered per worker and loop turn. Health decides what it
// means.
struct Observation {
    enum class Kind {
        success,          // reported only as the first after a failure
        connect_failure,  // refused, unreachable, or no connection in time
        reset,  // closed or reset with a response owed (a stale keep-alive connection is not one)
        no_first_byte,  // the first-byte deadline passed
        bad_answer,     // not HTTP as we accept it
        status_5xx,
    };
    uint32_t backend_slot = 0;
    uint64_t epoch = 0;
    Kind kind = Kind::success;
    uint32_t count = 1;
    std::string detail;  // "connection refused"; of the last one
};

}  // namespace regrow::serve
