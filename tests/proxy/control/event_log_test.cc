#include "proxy/control/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::control;
using Catch::Matchers::Contains;

namespace {

struct Log {
    test::TempDir dir;
    ManualClock clock;
    std::string path = dir / "audit.log";
    std::unique_ptr<EventLog> log;

    void open() {
        log = std::make_unique<EventLog>(clock);
        const auto opened = log->openAuditLog(path);
        if (!opened) FAIL(opened.error().message);
    }
    void write(int count) {
        for (int i = 0; i < count; ++i)
            log->add("wiki", "wiki-1", "health", "event " + std::to_string(i));
    }
    std::string text() const { return readFile(path, 100 << 20).value(); }
    void rewrite(const std::string& text) const { REQUIRE(writeFileAtomic(path, text)); }
    // What the chain has to say once it is read back.
    bool complains() {
        open();
        return !log->select("", "", 0).empty() && log->select("", "", 0).back().kind == "audit";
    }
};

}  // namespace

TEST_CASE("events get their number and time, and go to file and listeners", "[event_log]") {
    Log l;
    l.open();
    std::vector<uint64_t> told;
    auto token = l.log->subscribe([&](const Event& event) { told.push_back(event.seq); });
    l.log->add("wiki", "wiki-1", "drain", "drained by \"me\"\n", {{"actor", "me"}});
    l.clock.advance(std::chrono::seconds(1));
    l.write(1);
    token.reset();
    l.write(1);
    CHECK(told == std::vector<uint64_t>{1, 2});
    const auto events = l.log->select("", "", 0);
    REQUIRE(events.size() == 3);
    CHECK(events[1].time - events[0].time == std::chrono::seconds(1));
    const std::string text = l.text();
    CHECK(std::ranges::count(text, '\n') == 3);
    const auto first = parseEvent(std::string_view(text).substr(0, text.find('\n')));
    REQUIRE(first);
    CHECK(first->seq == 1);
    CHECK(first->text == "drained by \"me\"\n");
    CHECK(first->details == events[0].details);
    CHECK(first->time == events[0].time);
}

TEST_CASE("a listener may leave, or add another, while it is told", "[event_log]") {
    Log l;
    l.open();
    std::shared_ptr<void> first;
    std::shared_ptr<void> second;
    int told = 0;
    first = l.log->subscribe([&](const Event&) {
        ++told;
        second = l.log->subscribe([&](const Event&) { ++told; });
        first.reset();
    });
    l.write(1);
    CHECK(told == 1);
    l.write(1);
    CHECK(told == 2);
    l.log.reset();
    second.reset();  // a token may outlive the log
}

TEST_CASE("select narrows by pool, backend and number", "[event_log]") {
    Log l;
    l.open();
    l.log->add("wiki", "wiki-1", "k", "1");
    l.log->add("wiki", "wiki-2", "k", "2");
    l.log->add("shop", "wiki-1", "k", "3");
    l.log->add("", "", "k", "4");
    CHECK(l.log->select("", "", 0).size() == 4);
    CHECK(l.log->select("wiki", "", 0).size() == 2);
    CHECK(l.log->select("", "wiki-1", 0).size() == 2);
    CHECK(l.log->select("wiki", "wiki-1", 0).size() == 1);
    CHECK(l.log->select("wiki", "", 1).at(0).text == "2");
    CHECK(l.log->select("", "", 4).empty());
}

TEST_CASE("only the newest are kept in memory", "[event_log]") {
    Log l;
    l.log = std::make_unique<EventLog>(l.clock);  // no file
    l.write(static_cast<int>(EventLog::kKept) + 10);
    CHECK(l.log->select("", "", 0).size() == EventLog::kKept);
    CHECK(l.log->select("", "", 0).front().seq == 11);
}

TEST_CASE("a restart goes on: numbers, events and chain", "[event_log]") {
    Log l;
    l.open();
    l.write(3);
    CHECK_FALSE(l.complains());
    CHECK(l.log->lastSeq() == 3);
    CHECK(l.log->select("", "", 0).size() == 3);
    l.write(2);
    CHECK_FALSE(l.complains());
    CHECK(l.log->lastSeq() == 5);
    CHECK((std::filesystem::status(l.path).permissions() & std::filesystem::perms::all) ==
          std::filesystem::perms(0600));
}

TEST_CASE("a changed line, one taken out, and ones put in another order are noticed",
          "[event_log]") {
    Log l;
    l.open();
    l.write(4);
    const std::string good = l.text();
    std::vector<std::string> lines;
    for (std::string_view rest = good; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
        lines.emplace_back(rest.substr(0, rest.find('\n') + 1));
    REQUIRE(lines.size() == 4);
    auto changed = good;
    changed.replace(changed.find("event 1"), 7, "event X");
    for (const auto& bad :
         {changed, lines[0] + lines[2] + lines[3], lines[0] + lines[2] + lines[1] + lines[3],
          lines[0] + lines[1] + "{}\n" + lines[2] + lines[3],
          lines[0] + "not json\n" + lines[1] + lines[2] + lines[3]}) {
        INFO(bad);
        l.rewrite(bad);
        CHECK(l.complains());
        CHECK_THAT(l.log->select("", "", 0).back().text, Contains(l.path));
        l.write(1);  // and it goes on all the same
    }
    l.rewrite(good);
    CHECK_FALSE(l.complains());
}

TEST_CASE("a line cut off by a crash is noticed, the next one begins anew", "[event_log]") {
    Log l;
    l.open();
    l.write(3);
    const auto good = l.text();
    l.rewrite(good.substr(0, good.size() - 20));
    CHECK(l.complains());
    CHECK(l.log->lastSeq() == 3);  // the lost one's number is given again, to the complaint
    CHECK(l.log->select("wiki", "", 0).size() == 2);
    l.write(1);
    l.open();
    CHECK(l.log->select("wiki", "", 0).size() == 3);
}

TEST_CASE("a large log is put aside and the chain goes on", "[event_log]") {
    Log l;
    l.open();
    l.write(1);
    const auto line = l.text();
    {
        const auto file = openFile(l.path, O_RDWR);
        REQUIRE(::ftruncate(file->get(), static_cast<off_t>(EventLog::kRotateAt)) == 0);  // a hole
        REQUIRE(::lseek(file->get(), 0, SEEK_END) > 0);
        REQUIRE(writeAll(file->get(), "\n" + line, l.path));
    }
    CHECK_FALSE(l.complains());  // only the tail is looked at
    CHECK(l.log->lastSeq() == 1);
    l.write(2);
    CHECK(exists(l.path + ".1"));
    CHECK(std::filesystem::file_size(l.path + ".1") > EventLog::kRotateAt);
    CHECK(std::ranges::count(l.text(), '\n') == 2);
    CHECK_FALSE(l.complains());
    CHECK(l.log->lastSeq() == 3);
}

TEST_CASE("a full disk costs the file, not the events", "[event_log]") {
    Log l;
    l.log = std::make_unique<EventLog>(l.clock);
    CHECK_FALSE(l.log->openAuditLog(l.dir / "none/audit.log"));
    l.write(1);
    CHECK(l.log->select("", "", 0).size() == 1);
}

TEST_CASE("what is no event is refused", "[event_log]") {
    for (const auto* line : {"", "[]", "{}", R"({"seq":1})", R"({"seq":1,"time":"never"})",
                             R"({"seq":-1,"time":"2026-11-22T20:03:33Z"})"})
        CHECK_FALSE(parseEvent(line));
}
