#include "proxy/recovery/journal.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/crc32c.h"
#include "base/file.h"
#include "proxy/recovery/journal_scan.h"
#include "proxy/recovery/machine.h"
#include "tests/support/sim_driver.h"

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;

namespace {

struct Dir {
    std::string path;
    Dir() {
        char name[] = "/tmp/regrow-journal-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Dir() { std::filesystem::remove_all(path); }
    std::string journal() const { return path + "/journal"; }
};

const JournalOptions kSmall{.reserve_bytes = 4096, .compact_bytes = 1 << 20};
const BackendKey kWiki{"wiki", "wiki-1"};

std::unique_ptr<Journal> opened(const std::string& dir, const Clock& clock,
                                JournalOptions options = kSmall) {
    auto journal = Journal::open(dir, clock, options);
    if (!journal) FAIL(journal.error().message);
    return std::move(*journal);
}

// One change of every kind.
void writeEverything(Journal& j, const Clock& clock) {
    REQUIRE(j.assign(kWiki, {"wiki-1", 3, "l1", "hash"}));
    REQUIRE(j.flag(kWiki, {true, false, true, false}));
    test::Driver d;
    d.leadTo(State::restore);
    REQUIRE(j.transition({kWiki,
                          d.s,
                          {{"spare", {ServerState::claimed, "", "r1"}}},
                          Assignment{"", 4, "r1", "", "wiki-1", 3},
                          Budget{{clock.now()}},
                          FlapHistory{}}));
    REQUIRE(j.server({"wiki", "old"}, {ServerState::quarantined, "came \xff back", ""}));
    REQUIRE(j.process({"wiki", "wiki-1"}, {{4711, 99, "boot"}, clock.wallNow(), 3}));
    REQUIRE(j.process({"wiki", "gone"}, {{4712, 99, "boot"}, clock.wallNow(), 3}));
    REQUIRE(j.processGone({"wiki", "gone"}));
    REQUIRE(j.budget("shop", Budget{{clock.now() - 1min, clock.now()}}));
    FlapHistory flap;
    flap.returnedHealthy(clock.now());
    flap.recoveredAt(clock.now());
    flap.died({}, clock.now());
    REQUIRE(j.flap({"shop", "shop-1"}, flap));
    REQUIRE(j.pause(true));
    REQUIRE(j.repository("main", "0123"));
    REQUIRE(j.eventSeq(77));
    d.s.backend = "wiki-2";
    REQUIRE(j.transition({{"wiki", "wiki-2"}, d.s, {}, {}, {}, {}}));
    REQUIRE(j.endRecovery({"wiki", "wiki-2"}, pastRecovery(d.s, d.clock.now()), {{"spare-2", {}}},
                          FlapHistory{}));
    REQUIRE(j.assign({"wiki", "removed"}, {"x", 1, "", ""}));
    REQUIRE(j.forgetBackend({"wiki", "removed"}));
    REQUIRE(j.server({"wiki", "removed"}, {}));
    REQUIRE(j.forgetServer({"wiki", "removed"}));
}

std::string sealed(const std::string& dir) {
    return *readFile(dir + "/journal");
}

}  // namespace

TEST_CASE("CRC-32C gives the published check value") {
    CHECK(crc32c("123456789") == 0xE3069283U);
    CHECK(crc32c("") == 0);
}

TEST_CASE("everything that was acknowledged is there again, also after compaction") {
    const Dir dir;
    const SystemClock clock;
    auto journal = opened(dir.path, clock);
    writeEverything(*journal, clock);
    const Saved before = journal->saved();
    CHECK(before.processes.size() == 1);
    CHECK(before.past.at("wiki").size() == 1);
    CHECK(before.recoveries.at(kWiki).state == State::restore);
    if (GENERATE(false, true)) REQUIRE(journal->compact());
    journal.reset();
    journal = opened(dir.path, clock);
    CHECK(journal->warnings().empty());
    auto after = journal->saved();
    // Bytes that are not UTF-8 come back as U+FFFD; all else as it was.
    CHECK(after.servers.at({"wiki", "old"}).reason == "came \xEF\xBF\xBD back");
    after.servers.at({"wiki", "old"}).reason = before.servers.at({"wiki", "old"}).reason;
    CHECK(after == before);
}

TEST_CASE("two proxies cannot share a state_dir") {
    const Dir dir;
    const SystemClock clock;
    const auto journal = opened(dir.path, clock);
    const auto second = Journal::open(dir.path, clock);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Code::refused);
    CHECK(second.error().message.find("(pid " + std::to_string(::getpid()) + ")") !=
          std::string::npos);
}

TEST_CASE("a last record cut at any byte is cut off with a warning, and writing goes on") {
    const Dir dir;
    const SystemClock clock;
    auto journal = opened(dir.path, clock);
    REQUIRE(journal->assign(kWiki, {"wiki-1", 3, "l", "h"}));
    const Saved first = journal->saved();
    const auto whole_first = scanJournal(sealed(dir.path), "j")->end;
    REQUIRE(journal->assign(kWiki, {"spare", 4, "r1", "h"}));
    journal.reset();
    const std::string content = sealed(dir.path);
    const auto whole = scanJournal(content, "j")->end;
    for (uint64_t cut = whole_first; cut < whole; cut++) {
        // Both faces of a torn write: the file ends, or zeros follow.
        std::string torn = content.substr(0, cut);
        if (cut % 2 == 0) torn.resize(content.size(), '\0');
        REQUIRE(writeFileAtomic(dir.journal(), torn));
        journal = opened(dir.path, clock);
        CHECK(journal->saved() == first);
        CHECK(journal->warnings().empty() == (cut == whole_first));
        REQUIRE(journal->assign(kWiki, {"spare-2", 5, "r2", "h"}));
        journal.reset();
        CHECK(opened(dir.path, clock)->saved().assignments.at(kWiki).epoch == 5);
    }
}

TEST_CASE("damage before the end is an error that names the place and the remedy") {
    const Dir dir;
    const SystemClock clock;
    auto journal = opened(dir.path, clock);
    for (uint64_t epoch = 1; epoch < 5; epoch++)
        REQUIRE(journal->assign(kWiki, {"s", epoch, "", ""}));
    journal.reset();
    const std::string content = sealed(dir.path);
    const auto scan = scanJournal(content, "j");
    const auto last = static_cast<size_t>(scan->payloads.back().data() - content.data()) - 8;
    for (size_t at = kJournalMagic.size(); at < last; at++) {
        std::string damaged = content;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        const auto result = scanJournal(damaged, "j");
        INFO("byte " << at);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Code::corrupt);
        CHECK(result.error().message.find("is damaged at byte") != std::string::npos);
    }
    REQUIRE(writeFileAtomic(dir.journal(), "something else"));
    CHECK(Journal::open(dir.path, clock)
              .error()
              .message.find("is not a journal this version reads") != std::string::npos);
}

TEST_CASE("a proxy killed while writing loses nothing it acknowledged, and always opens again") {
    const Dir dir;
    const SystemClock clock;
    uint64_t acknowledged = 0;
    for (int round = 0; round < 25; round++) {
        int out[2];
        REQUIRE(::pipe(out) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            // Compacts again and again, so that it is killed in that as well.
            auto journal =
                Journal::open(dir.path, clock, {.reserve_bytes = 4096, .compact_bytes = 6000});
            if (!journal) ::_exit(2);
            for (uint64_t i = acknowledged + 1;; i++) {
                if (!(*journal)->assign(kWiki, {"s", i, std::string(i % 300, 'x'), ""})) ::_exit(3);
                if (::write(out[1], &i, sizeof i) != sizeof i) ::_exit(4);
            }
        }
        ::close(out[1]);
        const auto enough = acknowledged + 3 + static_cast<uint64_t>(round) * 2;
        for (uint64_t i = 0; acknowledged < enough && ::read(out[0], &i, sizeof i) == sizeof i;)
            acknowledged = i;
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        CHECK(WIFSIGNALED(status));
        for (uint64_t i = 0; ::read(out[0], &i, sizeof i) == sizeof i;) acknowledged = i;
        ::close(out[0]);
        const auto journal = opened(dir.path, clock);
        const auto epoch = journal->saved().assignments.at(kWiki).epoch;
        // The one under way may or may not have made it.
        CHECK((epoch == acknowledged || epoch == acknowledged + 1));
        acknowledged = epoch;
    }
}

TEST_CASE("no room is an error before the effect; what was reserved is used first") {
    const Dir dir;
    const pid_t child = ::fork();
    if (child == 0) {
        const SystemClock clock;
        std::signal(SIGXFSZ, SIG_IGN);
        auto journal =
            Journal::open(dir.path, clock, {.reserve_bytes = 65536, .compact_bytes = 1 << 20});
        if (!journal) ::_exit(2);
        // From here on the file cannot grow, as on a full disk.
        const struct rlimit limit{65536 + 8, 65536 + 8};
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(3);
        uint64_t epoch = 0;
        while ((*journal)->assign(kWiki, {"s", epoch + 1, "", ""})) epoch++;
        if (epoch < 100) ::_exit(4);
        if ((*journal)->saved().assignments.at(kWiki).epoch != epoch) ::_exit(5);
        journal->reset();
        auto again = Journal::open(dir.path, clock, {.reserve_bytes = 0, .compact_bytes = 1 << 20});
        ::_exit(again && (*again)->saved().assignments.at(kWiki).epoch == epoch ? 0 : 6);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("the file stays small, and only the last recoveries are remembered") {
    const Dir dir;
    const SystemClock clock;
    auto journal = opened(dir.path, clock, {.reserve_bytes = 4096, .compact_bytes = 20'000});
    for (int i = 0; i < 200; i++) {
        PastRecovery past;
        past.id = std::to_string(i);
        REQUIRE(journal->endRecovery(kWiki, past, {}, {}));
    }
    CHECK(std::filesystem::file_size(dir.journal()) < 60'000);
    journal.reset();
    journal = opened(dir.path, clock);
    const auto& past = journal->saved().past.at("wiki");
    CHECK(past.size() == kPastRecoveriesPerPool);
    CHECK(past.back().id == "199");
}

TEST_CASE("time passes while the proxy is down") {
    const Dir dir;
    const SystemClock clock;
    auto journal = opened(dir.path, clock);
    const Instant spent = clock.now();
    REQUIRE(journal->budget("wiki", Budget{{spent}}));
    journal.reset();
    CHECK(opened(dir.path, clock)->saved().budgets.at("wiki").spent.front() == spent);
    // Another boot: monotonic time begins anew, so the wall clock has to do, and it never runs
    // backwards.
    auto text = sealed(dir.path);
    auto scan = scanJournal(text, "j");
    std::string payload(scan->payloads.back());
    const auto at = payload.find("\"boot\":\"") + 8;
    payload[at] = payload[at] == '0' ? '1' : '0';
    REQUIRE(writeFileAtomic(dir.journal(), std::string(kJournalMagic) + journalRecord(payload)));
    ManualClock later;
    later.setWall(clock.wallNow() + 30min);
    CHECK(std::chrono::abs(opened(dir.path, later)->saved().budgets.at("wiki").spent.front() -
                           (later.now() - 30min)) < 1min);
    later.setWall(clock.wallNow() - 24h);
    const auto age =
        later.now() - opened(dir.path, later)->saved().budgets.at("wiki").spent.front();
    CHECK((age >= 0s && age < 1min));
}
