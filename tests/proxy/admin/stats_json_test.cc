#include "proxy/admin/stats_json.h"

#include <catch2/catch.hpp>
#include <functional>

#include "base/json.h"
#include "tests/proxy/admin/fake_control.h"

using namespace regrow;
using rapidjson::Value;

namespace {

const WallTime kNow{std::chrono::seconds(1'795'000'000)};

bool isTime(const Value& v) {
    return v.IsString() && v.GetStringLength() == 24 && v.GetString()[23] == 'Z';
}
bool isText(const Value& v) {
    return v.IsString();
}
bool isCount(const Value& v) {
    return v.IsUint64();
}
bool isNumber(const Value& v) {
    return v.IsNumber();
}
bool isBool(const Value& v) {
    return v.IsBool();
}

using Shape = std::vector<std::pair<const char*, bool (*)(const Value&)>>;
void requireShape(const Value& object, const Shape& shape) {
    REQUIRE(object.IsObject());
    for (const auto& [field, good] : shape) {
        INFO(field);
        REQUIRE(object.HasMember(field));
        CHECK(good(object[field]));
    }
}

}  // namespace

TEST_CASE("stats has every field of the contract, with its type") {
    const auto stats = json::parse(admin::statsJson(admin::testing::richStatus(kNow), kNow));
    REQUIRE(stats);
    requireShape(*stats, {{"version", isText},
                          {"generation", isCount},
                          {"uptime_s", isNumber},
                          {"workers", isCount}});
    requireShape(
        (*stats)["listeners"][0],
        {{"listen", isText}, {"connections", isCount}, {"requests", isCount}, {"tls", isBool}});
    const auto& pool = (*stats)["pools"]["wiki"];
    requireShape(pool, {{"state", isText},
                        {"held", isCount},
                        {"requests", isCount},
                        {"errors", isCount},
                        {"retries", isCount}});
    const auto& backend = pool["backends"][0];
    requireShape(backend, {{"name", isText},
                           {"state", isText},
                           {"server", isText},
                           {"address", isText},
                           {"epoch", isCount},
                           {"since", isTime},
                           {"reason", isText},
                           {"in_flight", isCount},
                           {"requests", isCount},
                           {"errors", isCount},
                           {"stalls", isCount}});
    CHECK(backend["stalls"].GetUint64() == 3);
    requireShape(backend["latency_ms"], {{"p50", isNumber}, {"p90", isNumber}, {"p99", isNumber}});
    requireShape(backend["check"], {{"last", isTime},
                                    {"result", isText},
                                    {"took_ms", isNumber},
                                    {"rise", isCount},
                                    {"fall", isCount}});
    requireShape(pool["spares"][0], {{"name", isText}, {"address", isText}, {"state", isText}});
    requireShape(pool["backup"],
                 {{"snapshots", isCount}, {"rpo_s", isNumber}, {"rto_estimate_s", isNumber}});
    CHECK(pool["backup"]["last_drill"].IsNull());
    requireShape(pool["backup"]["latest"], {{"id", isText},
                                            {"time", isTime},
                                            {"type", isText},
                                            {"bytes", isCount},
                                            {"verified", isBool}});
    requireShape(pool["recovery"], {{"id", isText},
                                    {"backend", isText},
                                    {"spare", isText},
                                    {"state", isText},
                                    {"since", isTime},
                                    {"progress", isNumber},
                                    {"snapshot", isText}});
    const auto& past = pool["recoveries"][0];
    requireShape(past, {{"id", isText},
                        {"backend", isText},
                        {"from", isText},
                        {"to", isText},
                        {"result", isText},
                        {"lost_s", isNumber},
                        {"down_s", isNumber}});
    requireShape(past["steps"][0], {{"step", isText}, {"took_ms", isNumber}});
    requireShape((*stats)["repositories"]["main"], {{"reachable", isBool},
                                                    {"snapshots", isCount},
                                                    {"bytes", isCount},
                                                    {"free_bytes", isCount}});
}

TEST_CASE("what is not known is null, not zero") {
    auto status = admin::testing::richStatus(kNow);
    auto& wiki = status.pools["wiki"];
    wiki.backup->rpo_s.reset(), wiki.backup->rto_estimate_s.reset(), wiki.backup->latest.reset();
    wiki.active.clear(), wiki.recoveries[0].lost_s.reset();
    const auto stats = json::parse(admin::statsJson(status, kNow));
    const auto& pool = (*stats)["pools"]["wiki"];
    CHECK(pool["backup"]["rpo_s"].IsNull());
    CHECK(pool["backup"]["rto_estimate_s"].IsNull());
    CHECK(pool["backup"]["latest"].IsNull());
    CHECK(pool["recovery"].IsNull());
    CHECK(pool["recoveries"][0]["lost_s"].IsNull());
    const auto& api = (*stats)["pools"]["api"];
    CHECK(api["backup"].IsNull());
    CHECK(api["backends"][0]["check"]["last"].IsNull());
}

TEST_CASE("names that are not UTF-8 still make valid JSON") {
    auto status = admin::testing::richStatus(kNow);
    status.pools["wiki"].backends[0].reason = "exit \xff\xfe \"quoted\"\n";
    REQUIRE(json::parse(admin::statsJson(status, kNow)));
    control::Event event;
    event.text = "\xc3";
    event.details = {{"file", "a\xff"}};
    const auto parsed = json::parse(admin::eventJson(event));
    REQUIRE(parsed);
    CHECK(json::getString((*parsed)["details"], "file") == "a\xef\xbf\xbd");
}

TEST_CASE("recoveries and snapshots are listed with their pool and name") {
    const auto recoveries = json::parse(admin::recoveriesJson(admin::testing::richStatus(kNow)));
    CHECK(json::getString((*recoveries)["active"][0], "pool") == "wiki");
    CHECK(json::getString((*recoveries)["recoveries"][0], "id") == "r-0003");
    const std::vector<control::SnapshotStatus> list{{"a", "wiki/wiki-1", kNow, "full", 1, true},
                                                    {"b", "api/api-1", kNow, "full", 2, false}};
    CHECK((*json::parse(admin::snapshotsJson(list, "")))["snapshots"].Size() == 2);
    const auto one = json::parse(admin::snapshotsJson(list, "api/api-1"));
    REQUIRE((*one)["snapshots"].Size() == 1);
    CHECK(json::getString((*one)["snapshots"][0], "id") == "b");
}
