#pragma once

#include "base/clock.h"
#include "proxy/admin/message.h"
#include "proxy/control/status.h"

namespace regrow::admin {

// The answer to a request that access.h let through; everything but / and /events, which need the
// connection. Knows no sockets. Control loop only, because Control is.
Reply answer(const Request& request, control::Control& control, WallTime now);

// The error as HTTP says it: 400 invalid, 404 not found, 409 refused, 503 unavailable, …
Reply errorReply(const Error& error);

}  // namespace regrow::admin
