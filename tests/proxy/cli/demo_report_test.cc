#include "proxy/cli/demo_report.h"

#include <catch2/catch.hpp>

#include "base/json.h"

using namespace regrow;
using namespace regrow::cli;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const DemoFault kFault{{Instant(1000s)}, WallTime(1'700'000'000s)};

// Answered `after` the fault; negative: before.
Visit visit(int item, bool write, Duration after, int status) {
    Visit v;
    v.item = item;
    v.write = write;
    v.sent = kFault.at.front() + after - 1ms;
    v.answered = kFault.at.front() + after;
    v.answered_wall = kFault.wall + std::chrono::duration_cast<Wall::duration>(after);
    v.status = status;
    return v;
}

}  // namespace

TEST_CASE("failures are what a visitor would call so", "[demo]") {
    DemoReport report;
    countVisits(report,
                {visit(1, true, -1s, 201), visit(1, false, 1s, 404), visit(2, true, 2s, 404),
                 visit(3, true, 3s, 503), visit(4, false, 4s, 0)},
                kFault);
    CHECK(report.requests == 5);
    CHECK(report.failed == 3);
}

TEST_CASE("the recovery time ends with the longest silence after the fault", "[demo]") {
    DemoReport report;
    countVisits(report,
                {visit(1, true, -2s, 200), visit(1, false, -1s, 200), visit(2, false, 10ms, 200),
                 visit(3, true, 500ms, 503), visit(4, true, 3s, 200), visit(5, true, 3200ms, 200)},
                kFault);
    CHECK(report.rto_ms == 3000);
    DemoReport none;
    countVisits(none, {visit(1, true, -1s, 200)}, kFault);
    CHECK(none.rto_ms == 0);
    countVisits(none, {}, kFault);
    CHECK(none.requests == 0);
}

TEST_CASE("of several faults the one counts that began the longest silence", "[demo]") {
    DemoFault often = kFault;
    for (const Duration later : {1000ms, 2000ms, 3000ms})
        often.at.push_back(kFault.at.front() + later);
    DemoReport report;
    countVisits(
        report,
        {visit(1, true, -1s, 200), visit(1, false, 100ms, 200), visit(2, false, 1100ms, 200),
         visit(3, true, 7s, 200), visit(4, true, 7100ms, 200)},
        often);
    CHECK(report.rto_ms == 5000);  // struck at 2 s, and at 3 s while it was down; back at 7 s
}

TEST_CASE("an item is its own whole lines", "[demo]") {
    const std::string body = "BEGIN:VEVENT\r\nUID:item-10\r\nSUMMARY:appointment number 10\r\n";
    CHECK(isItem(body, 10));
    CHECK_FALSE(isItem(body, 1));
    CHECK_FALSE(isItem("UID:item-1\nSUMMARY:appointment number 10\n", 1));
    CHECK_FALSE(isItem("", 1));
    CHECK(isItem("UID:item-1\nSUMMARY:appointment number 1", 1));
}

TEST_CASE("addresses that cannot be served are known before anything starts", "[demo]") {
    const auto check = [](const char* listen, const char* admin) {
        DemoOptions options;
        options.listen = listen, options.admin = admin;
        return checkDemoAddresses(options).has_value();
    };
    CHECK(check("127.0.0.1:8080", "127.0.0.1:9901"));
    CHECK(check("127.0.0.1:8080", "127.0.0.2:8080"));
    CHECK_FALSE(check("127.0.0.1:0", "127.0.0.1:9901"));
    CHECK_FALSE(check("0", "127.0.0.1:9901"));
    CHECK_FALSE(check("127.0.0.1:8080", "127.0.0.1:0"));
    CHECK_FALSE(check("127.0.0.1:8080", "127.0.0.1:8080"));
    CHECK_FALSE(check("0.0.0.0:8080", "127.0.0.1:8080"));
    CHECK_FALSE(check("127.0.0.1:8080", "[::]:8080"));
}

TEST_CASE("nothing restored: nothing may be lost", "[demo]") {
    DemoReport report;
    report.recovered = true;
    countLoss(report, {visit(1, true, -1s, 200), visit(2, true, 1s, 200), visit(3, true, 2s, 503)},
              {2}, {}, kFault);
    CHECK(report.acknowledged == 2);
    CHECK(report.lost == 1);
    CHECK(report.lost_wrongly == 1);
    CHECK(report.lost_allowed == 0);
    CHECK(report.rpo_ms == 1000);
    CHECK_FALSE(report.ok());
    CHECK_THAT(reportText(report), Contains("OLDER") && Contains("FAILED") && Contains(" 1\n"));
}

TEST_CASE("what lies between snapshot and fault may be lost, nothing else", "[demo]") {
    const std::vector<Visit> visits{visit(1, true, -10s, 200), visit(2, true, -4s, 200),
                                    visit(3, true, -1s, 200), visit(4, true, 1s, 200),
                                    visit(5, false, -1s, 200)};
    const auto restored = kFault.wall - 5s;
    DemoReport report;
    report.recovered = true;
    SECTION("within") {
        countLoss(report, visits, {1, 4}, restored, kFault);
        CHECK(report.acknowledged == 4);
        CHECK(report.lost_items == std::vector<int>{2, 3});
        CHECK(report.lost_allowed == 2);
        CHECK(report.lost_wrongly == 0);
        CHECK(report.rpo_ms == 4000);
        CHECK(report.ok());
        CHECK_THAT(reportText(report), Contains("2 of 4 acknowledged items; 2 lost"));
    }
    SECTION("older than the snapshot") {
        countLoss(report, visits, {2, 3, 4}, restored, kFault);
        CHECK(report.lost_wrongly == 1);
        CHECK_FALSE(report.ok());
    }
    SECTION("after the fault") {
        countLoss(report, visits, {1, 2, 3}, restored, kFault);
        CHECK(report.lost_wrongly == 1);
        CHECK(report.rpo_ms == 0);
    }
}

TEST_CASE("a scenario that did not take its course is no success", "[demo]") {
    DemoReport report;
    CHECK_FALSE(report.ok());
    report.scenario = "x";
    const auto document = json::parse(reportJson(report));
    REQUIRE(document);
    CHECK(json::getBool(*document, "ok") == false);
    CHECK(json::getString(*document, "scenario") == "x");
}
