#pragma once

#include <string>

#include "base/address.h"
#include "conf/config.h"
#include "health/health_state.h"

namespace regrow::health {

// What an HTTP check asks for and what it makes of the answer, in whatever version they are spoken.
struct HttpVerdict {
    Outcome outcome = Outcome::pass;
    std::string text;  // "HTTP 200", "HTTP 500, expected 200-399"
};
HttpVerdict judgeStatus(int status, const conf::Check& check);
std::string hostOf(const Address& address, const conf::Check& check);

}  // namespace regrow::health
