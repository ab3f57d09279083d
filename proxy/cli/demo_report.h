#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/cli/demo_client.h"
#include "proxy/cli/demo_watch.h"
#include "proxy/cli/demo_world.h"

namespace regrow::cli {

// What the demo found out, by its own eyes where it could: the visitors' requests and everything
// read back.
struct DemoReport {
    std::string scenario;
    size_t requests = 0;
    size_t failed = 0;
    uint64_t held = 0;
    double detected_ms = 0;  // fault to the first word of it
    uint64_t restored_bytes = 0;
    double restore_ms = 0;
    double rto_ms = 0;  // its fault to the first request answered well by the new server
    double rpo_ms = 0;  // fault back to the oldest write that is lost; 0: none is
    size_t acknowledged = 0;
    size_t lost = 0;
    size_t lost_allowed = 0;  // acknowledged after the instant of the restored snapshot
    size_t lost_wrongly = 0;  // lost, and older than that: must be none
    bool recovered = false;   // the scenario took its course
    std::string snapshot;
    std::string configuration;  // what the demo left: a file for `regrow run -c`
    std::vector<int> lost_items;

    bool ok() const { return recovered && lost_wrongly == 0; }
};

struct DemoFault {
    std::vector<Instant> at;  // each time the server was struck, oldest first
    WallTime wall{};          // of the first
};

// From the visits alone: requests, failures, the recovery time. That is the longest time without a
// good answer, from the blow that began it.
void countVisits(DemoReport& report, const std::vector<Visit>& visits, const DemoFault& fault);
// `present`: items that were read back. `restored_from`: the instant of the oldest snapshot that a
// recovery restored, or nothing when the data was never replaced by older data.
void countLoss(DemoReport& report, const std::vector<Visit>& visits,
               const std::vector<int>& present, std::optional<WallTime> restored_from,
               const DemoFault& fault);

std::string reportJson(const DemoReport& report);
std::string reportText(const DemoReport& report);

}  // namespace regrow::cli
