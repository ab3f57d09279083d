#pragma once

#include <string>
#include <vector>

#include "base/event_loop.h"
#include "conf/config.h"
#include "proxy/recovery/operation.h"

// Services under somebody else's supervisor (systemd, docker, a script), through the operator's
// actions. Only `status` is believed, in the words of LSB init scripts: exit 0 = running, 1 to 3 =
// not running (systemctl says 3), anything else (4: unknown, 126 and 127: no such program, 255: ssh
// did not get there, a signal, no answer) = nobody knows. Control loop only.
namespace regrow::recovery {

struct ForeignService {
    std::string server;  // POOL/NAME
    conf::Service service;
    std::vector<std::string> environment;
    std::string
        log;  // what `start` and all it leaves behind write to: a pipe of ours would end with us
    Duration action_deadline = std::chrono::seconds(30);  // of one action
    Duration settle = std::chrono::seconds(30);           // until `status` agrees
    Duration every = std::chrono::milliseconds(200);      // between two questions
};

// All results are sentences for people.

// Runs `start`, then asks `status` until it says running. Without `status` the action's exit 0 is
// all there is. What the action leaves running stays.
Handle startForeign(EventLoop& loop, ForeignService service, OnDone<std::string> on_done);
// Runs `stop`, then asks `status` until it says not running, whatever `stop` returned. Without
// `status` always an error (Code::unavailable): a stop that returns 0 proves nothing.
Handle stopForeign(EventLoop& loop, ForeignService service, OnDone<std::string> on_done);

}  // namespace regrow::recovery
