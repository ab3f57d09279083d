#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/http_client.h"
#include "base/json.h"
#include "base/result.h"

namespace regrow::cli {

struct DemoEvent {
    uint64_t seq = 0;
    WallTime time;
    std::string kind;
    std::string text;
};

// The recovery the demo caused, as the proxy reports it.
struct DemoRecovery {
    std::string id, to, result, snapshot;
    WallTime snapshot_time{};
    double down_s = 0;
    double restore_ms = 0;
    uint64_t restored_bytes = 0;
};

// Sees the proxy as any operator does: through the admin endpoint. One thread.
class DemoWatch {
  public:
    explicit DemoWatch(const std::string& admin) : http_(admin) {}

    // Until /readyz is good, at most `patience`, or until `cancelled` says so (Code::cancelled).
    Result<> waitReady(Duration patience, const std::function<bool()>& cancelled);
    // Events since the last call.
    Result<std::vector<DemoEvent>> news();
    Result<rapidjson::Document> stats() { return get("/stats"); }
    // Of the server that fills the place now; 0: none.
    Result<long> pid();
    Result<uint64_t> held();
    // The newest snapshot's id, when it is proven.
    Result<std::optional<std::string>> provenSnapshot();
    // When the snapshot with this id was captured; nothing when it is not listed.
    Result<std::optional<WallTime>> captured(const std::string& snapshot);
    // Recoveries that ended since the demo began, oldest first.
    Result<std::vector<DemoRecovery>> recoveries();
    // State of the one under way: "held(flapping)", "restore", …; empty: none.
    Result<std::string> underWay();
    Result<> approve();

  private:
    Result<rapidjson::Document> get(const std::string& target);
    HttpClient http_;
    uint64_t seen_ = 0;
};

}  // namespace regrow::cli
