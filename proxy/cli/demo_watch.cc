#include "proxy/cli/demo_watch.h"

#include <thread>

#include "base/text.h"

namespace regrow::cli {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 5s;

const rapidjson::Value* pool(const rapidjson::Document& stats) {
    const auto* pools = json::getObject(stats, "pools");
    return pools ? json::getObject(*pools, "calendar") : nullptr;
}

std::unexpected<Error> unexpectedShape() {
    return fail(Code::internal, Source::us, "/stats has no pool calendar");
}

}  // namespace

Result<rapidjson::Document> DemoWatch::get(const std::string& target) {
    REGROW_TRY(const auto answer, http_.call("GET", target, kPatience));
    if (answer.status != 200)
        return fail(Code::io, Source::us,
                    "GET " + target + ": HTTP " + std::to_string(answer.status));
    return json::parse(answer.body);
}

Result<> DemoWatch::waitReady(Duration patience, const std::function<bool()>& cancelled) {
    const Instant until = Mono::now() + patience;
    while (true) {
        if (cancelled()) return fail(Code::cancelled, Source::us, "interrupted");
        const auto answer = http_.call("GET", "/readyz", kPatience);
        if (answer && answer->status == 200) return {};
        if (Mono::now() > until)
            return fail(Code::timeout, Source::us,
                        answer ? "its backend is not up: " + answer->body : answer.error().message);
        std::this_thread::sleep_for(50ms);
    }
}

Result<std::vector<DemoEvent>> DemoWatch::news() {
    REGROW_TRY(const auto document, get("/api/events?since=" + std::to_string(seen_)));
    std::vector<DemoEvent> fresh;
    const auto* list = document.IsArray() ? static_cast<const rapidjson::Value*>(&document)
                                          : json::getArray(document, "events");
    if (!list) return fresh;
    for (const auto& item : list->GetArray()) {
        const auto seq = json::getUint(item, "seq");
        const auto time = parseTime(json::getString(item, "time").value_or(""));
        if (!seq || !time) continue;
        seen_ = std::max(seen_, *seq);
        fresh.push_back({*seq, *time, json::getString(item, "kind").value_or(""),
                         json::getString(item, "text").value_or("")});
    }
    return fresh;
}

Result<long> DemoWatch::pid() {
    REGROW_TRY(const auto document, stats());
    const auto* calendar = pool(document);
    const auto* backends = calendar ? json::getArray(*calendar, "backends") : nullptr;
    if (!backends || backends->Empty()) return unexpectedShape();
    return json::getInt((*backends)[0], "pid").value_or(0);
}

Result<uint64_t> DemoWatch::held() {
    REGROW_TRY(const auto document, stats());
    const auto* calendar = pool(document);
    if (!calendar) return unexpectedShape();
    return json::getUint(*calendar, "held_total").value_or(0);
}

Result<std::optional<std::string>> DemoWatch::provenSnapshot() {
    REGROW_TRY(const auto document, stats());
    const auto* calendar = pool(document);
    const auto* backup = calendar ? json::getObject(*calendar, "backup") : nullptr;
    const auto* latest = backup ? json::getObject(*backup, "latest") : nullptr;
    if (!latest || !json::getBool(*latest, "verified").value_or(false)) return std::nullopt;
    return json::getString(*latest, "id");
}

Result<std::optional<WallTime>> DemoWatch::captured(const std::string& snapshot) {
    REGROW_TRY(const auto listing, get("/api/snapshots"));
    const auto* snapshots = listing.IsArray() ? static_cast<const rapidjson::Value*>(&listing)
                                              : json::getArray(listing, "snapshots");
    if (!snapshots) return unexpectedShape();
    for (const auto& item : snapshots->GetArray()) {
        if (json::getString(item, "id") != snapshot) continue;
        const auto time = parseTime(json::getString(item, "time").value_or(""));
        return time ? std::optional(*time) : std::nullopt;
    }
    return std::nullopt;
}

Result<std::vector<DemoRecovery>> DemoWatch::recoveries() {
    REGROW_TRY(const auto document, stats());
    const auto* calendar = pool(document);
    const auto* past = calendar ? json::getArray(*calendar, "recoveries") : nullptr;
    if (!past) return unexpectedShape();
    std::vector<DemoRecovery> all;
    for (const auto& item : past->GetArray()) {
        DemoRecovery recovery;
        recovery.id = json::getString(item, "id").value_or("");
        recovery.to = json::getString(item, "to").value_or("");
        recovery.result = json::getString(item, "result").value_or("");
        recovery.snapshot = json::getString(item, "snapshot").value_or("");
        recovery.down_s = json::getDouble(item, "down_s").value_or(0);
        recovery.restore_ms = json::getDouble(item, "restore_ms").value_or(0);
        recovery.restored_bytes = json::getUint(item, "restored_bytes").value_or(0);
        REGROW_TRY(const auto time, captured(recovery.snapshot));
        recovery.snapshot_time = time.value_or(WallTime{});
        all.push_back(std::move(recovery));
    }
    return all;
}

Result<std::string> DemoWatch::underWay() {
    REGROW_TRY(const auto document, stats());
    const auto* calendar = pool(document);
    const auto* recovery = calendar ? json::getObject(*calendar, "recovery") : nullptr;
    return recovery ? json::getString(*recovery, "state").value_or("") : "";
}

Result<> DemoWatch::approve() {
    REGROW_TRY(const auto document, stats());
    const auto* calendar = pool(document);
    const auto* recovery = calendar ? json::getObject(*calendar, "recovery") : nullptr;
    if (!recovery) return {};
    REGROW_TRY(
        const auto answer,
        http_.call("POST",
                   "/api/recoveries/" + json::getString(*recovery, "id").value_or("") + "/approve",
                   kPatience, {"X-Regrow: demo"}));
    if (answer.status >= 300) return fail(Code::refused, Source::us, "approving: " + answer.body);
    return {};
}

}  // namespace regrow::cli
