#include "proxy/control/event_log.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
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

    void open(uint64_t written = 0) {
        log = std::make_unique<EventLog>(clock);
        const auto opened = log->openAuditLog(path, written);
        if (!opened) FAIL(opened.error().message);
    }
    void write(int count) {
        for (int i = 0; i < count; ++i)
            log->add("wiki", "wiki-1", "health", "event " + std::to_string(i));
    }
    std::string text() const { return readFile(path, 100 << 20).value(); }
    void rewrite(const std::string& text) const { REQUIRE(writeFileAtomic(path, text)); }
    // What the chain has to say once it is read back.
    bool complains(uint64_t written = 0) {
        open(written);
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
        CHECK(levelOf(l.log->select("", "", 0).back()) == log::Level::warn);
        l.write(1);                  // and it goes on all the same
        CHECK_FALSE(l.complains());  // said once
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
    CHECK_THAT(l.log->select("", "", 0).back().text, Contains("a crash cut off"));
    l.write(1);
    CHECK_FALSE(l.complains());  // said once
    CHECK(l.log->select("wiki", "", 0).size() == 3);
    auto changed = l.text();
    changed.replace(changed.find("event 0"), 7, "event X");
    l.rewrite(changed);
    CHECK(l.complains());  // which forgives nothing else
    CHECK_THAT(l.log->select("", "", 0).back().text, Contains("does not follow"));
}

TEST_CASE("an emptied log, and one that lost its end, are noticed once", "[event_log]") {
    Log l;
    l.open();
    l.write(5);
    const std::string good = l.text();
    const uint64_t written = l.log->writtenSeq();
    REQUIRE(written == 5);
    CHECK_FALSE(l.complains(written));
    size_t half = 0;
    for (int i = 0; i < 3; ++i) half = good.find('\n', half) + 1;
    for (const auto& left : {std::string(), good.substr(0, half)}) {
        l.rewrite(left);
        REQUIRE(l.complains(written));
        const auto said = l.log->select("", "", 0).back();
        CHECK_THAT(said.text, Contains("although 5 were written"));
        CHECK(said.seq == 6);  // no number is given twice
        CHECK(levelOf(said) == log::Level::warn);
        l.write(1);
        CHECK_FALSE(l.complains(l.log->writtenSeq()));
    }
}

TEST_CASE("a crash right after the log was put aside loses nothing", "[event_log]") {
    Log l;
    l.open();
    l.write(3);
    std::filesystem::rename(l.path, l.path + ".1");
    CHECK_FALSE(l.complains(3));
    CHECK(l.log->lastSeq() == 3);
    CHECK(l.log->select("", "", 0).size() == 3);
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
    l.path = "/dev/full";
    l.open();
    l.write(1);
    CHECK(l.log->select("", "", 0).size() == 1);
    CHECK(l.log->lastSeq() == 1);
    CHECK(l.log->writtenSeq() == 0);
}

TEST_CASE("no half line is left by a disk that fills up, and the chain goes on when there is room",
          "[event_log]") {
    Log l;
    l.open();
    l.write(2);
    l.rewrite(l.text().substr(0, l.text().size() - 20));  // and it began with a cut line
    l.open();
    const auto before = l.text();
    rlimit room{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &room) == 0);
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit tight = room;
    tight.rlim_cur = before.size() + 10;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
    l.write(2);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &room) == 0);
    std::signal(SIGXFSZ, handler);
    CHECK(l.text() == before);
    l.write(1);
    CHECK(l.log->writtenSeq() == l.log->lastSeq());
    CHECK_FALSE(l.complains(l.log->writtenSeq()));
}

TEST_CASE("what a person must see is louder than what goes well", "[event_log]") {
    using log::Level;
    const auto level = [](std::string kind,
                          std::vector<std::pair<std::string, std::string>> details = {}) {
        Event event;
        event.kind = std::move(kind);
        event.details = std::move(details);
        return levelOf(event);
    };
    CHECK(level("alarm") == Level::error);
    CHECK(level("health", {{"from", "up"}, {"to", "suspect"}}) == Level::warn);
    CHECK(level("health", {{"from", "suspect"}, {"to", "down"}}) == Level::warn);
    CHECK(level("health", {{"from", "suspect"}, {"to", "up"}}) == Level::info);
    CHECK(level("recovery", {{"state", "held"}}) == Level::warn);
    CHECK(level("recovery", {{"state", "failed"}}) == Level::warn);
    CHECK(level("recovery", {{"state", "restore"}}) == Level::info);
    CHECK(level("backup", {{"code", "no_space"}}) == Level::warn);
    CHECK(level("backup", {{"snapshot", "abc"}}) == Level::info);
    CHECK(level("audit") == Level::warn);
    CHECK(level("service") == Level::info);
    CHECK(level("admin", {{"by", "me"}}) == Level::info);
}

TEST_CASE("what is no event is refused", "[event_log]") {
    for (const auto* line : {"", "[]", "{}", R"({"seq":1})", R"({"seq":1,"time":"never"})",
                             R"({"seq":-1,"time":"2026-11-22T20:03:33Z"})"})
        CHECK_FALSE(parseEvent(line));
}
