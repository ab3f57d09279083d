#pragma once

#include <cstdint>
#include <string_view>

namespace regrow::serve {

// Why a request did not end well, for its log line: whose turn it is to look.
enum class Cause : uint8_t {
    none,
    client,              // sent something wrong, too slow, or left
    backend_refused,     // no connection
    backend_reset,       // closed or reset with an answer owed
    backend_timeout,     // no first byte, or silence in the body
    backend_bad_answer,  // not HTTP as we accept it
    limit,               // one of ours: held requests, head size, drain
    held_expired,        // waited its full time for a backend
};

constexpr std::string_view name(Cause cause) {
    switch (cause) {
        case Cause::none: break;
        case Cause::client: return "client";
        case Cause::backend_refused: return "backend-refused";
        case Cause::backend_reset: return "backend-reset";
        case Cause::backend_timeout: return "backend-timeout";
        case Cause::backend_bad_answer: return "backend-bad-answer";
        case Cause::limit: return "limit";
        case Cause::held_expired: return "held-expired";
    }
    return "-";
}

}  // namespace regrow::serve
