#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace regrow::serve {

class BackendStream;

// One try of an exchange on one backend: how far it got. What the request is, and what was
// forwarded of an answer, is the exchange's.
struct BackendAttempt {
    BackendStream* stream = nullptr;  // nullptr: it ended, or none began
    uint32_t slot = UINT32_MAX;       // of the backend; stays when it has ended
    size_t request_at = 0;            // how much of the stored request has been taken
    Instant began{};                  // when its first byte was
    bool sent = false;                // a byte of it was: the server may have acted on it
    bool send_broken =
        false;           // the backend takes no more of the request; its answer may still come
    bool owed = false;   // all of the request was taken, and no answer came yet
    bool keeps = false;  // what carries it may serve again, says the backend
};

}  // namespace regrow::serve
