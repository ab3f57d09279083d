#pragma once

#include "base/http/flaw.h"
#include "base/http/head.h"

// What the fields of a complete head add up to: framing, persistence, upgrade. Run once, after the
// last line; refuses what two readers could frame differently (RFC 9112 6.3, 11.2).
namespace regrow::http {

Flaw settleRequest(RequestHead& head);
Flaw settleResponse(ResponseHead& head);

}  // namespace regrow::http
