#pragma once

#include <string>
#include <vector>

#include "proxy/control/status.h"

// What the endpoint answers in JSON: Status and its parts as text, in the shape outside tools rely
// on. Pure; any thread.
//
// Times are RFC 3339 in UTC, durations end in _s or _ms, sizes in _bytes. Fields are added, never
// renamed. What is not known is null, never zero: a missing RPO must not look like a perfect one.
namespace regrow::admin {

// GET /stats.
std::string statsJson(const control::Status& status, WallTime now);
// GET /api/recoveries: {"active":[…],"recoveries":[…]}, each with its "pool".
std::string recoveriesJson(const control::Status& status);
// GET /api/snapshots: {"snapshots":[…]}; `name` (POOL/BACKEND) selects, empty = all.
std::string snapshotsJson(const std::vector<control::SnapshotStatus>& snapshots,
                          std::string_view name);
// One event, as /events sends it and /api/events lists it.
std::string eventJson(const control::Event& event);
// GET /api/events: {"events":[…]}.
std::string eventsJson(const std::vector<control::Event>& events);

}  // namespace regrow::admin
