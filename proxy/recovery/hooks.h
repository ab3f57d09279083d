#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "conf/config.h"
#include "proxy/recovery/operation.h"

// The operator's own commands at the points of a recovery: fence, prepare, verify, after, and
// notify.
//
// A hook is an argv array from the configuration, run without a shell, in a session of its own that
// dies with us. It gets our environment plus these variables; those that are not known at that
// point are absent, never empty:
//
// clang-format off
//   REGROW_POOL           wiki
//   REGROW_BACKEND        wiki-1: the place
//   REGROW_SERVER         wiki/wiki-spare: that it gets, or that is fenced
//   REGROW_STEP           fence | prepare | verify | after | notify
//   REGROW_RECOVERY       id of the recovery
//   REGROW_EPOCH          of the new server
//   REGROW_OLD_DATA       data directory of the server that died
//   REGROW_OLD_ADDRESS    its address
//   REGROW_DATA           data directory of the new server
//   REGROW_ADDRESS        its address
//   REGROW_STAGING        what `verify` looks at, before it becomes REGROW_DATA
//   REGROW_SNAPSHOT       id of the snapshot
//   REGROW_SNAPSHOT_TIME  RFC 3339
//   REGROW_LINEAGE        of the data
//   REGROW_REASON         why: "process exited: exit 3", …
//   REGROW_RESULT         done | failed | cancelled | held (after, notify)
// clang-format on
//
// Exit 0 lets the step go on; anything else, and its timeout, stops it. The last 4 KiB of standard
// output are logged when it ends; the end of standard error is in the error. At its timeout, and
// when it is no longer wanted, every process that it started ends with it, also one that made a
// session of its own (REGROW_SERVER_TOKEN in its environment tells whose it is).
namespace regrow::recovery {

struct HookContext {
    std::string pool;
    std::string backend;
    std::string server;
    std::string recovery;
    std::optional<uint64_t> epoch;
    std::string old_data;
    std::string old_address;
    std::string data;
    std::string address;
    std::string staging;
    std::string snapshot;
    std::optional<WallTime> snapshot_time;
    std::string lineage;
    std::string reason;
    std::string result;
};

// "NAME=value" for each that is known. Pure.
std::vector<std::string> hookEnvironment(const std::string& step, const HookContext& context);

// Result: the last line of its standard output (may be empty).
Handle runHook(EventLoop& loop, const std::string& step, const conf::Hook& hook,
               const HookContext& context, OnDone<std::string> on_done);

}  // namespace regrow::recovery
