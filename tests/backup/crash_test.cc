#include <poll.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>

#include "backup/local_repository.h"
#include "backup/verify.h"
#include "base/child_process.h"
#include "base/file.h"
#include "tests/support/store_fixture.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::backup;
using test::StoreFixture;

// This executable runs itself as the process that dies: alone, a fork of a test would share its
// heap and descriptors.
namespace {

StoreFixture::Files filesOf(int round) {
    auto files = StoreFixture::sample();
    files["round"] = std::to_string(round);
    files["fresh"] = StoreFixture::noise(150'000, static_cast<uint64_t>(round) + 1000);
    return files;
}

// The child's exit, waited for with a deadline.
std::optional<ExitStatus> runChild(std::vector<std::string> prefix, const std::string& repository,
                                   const std::string& key, int round, int kill_at) {
    prefix.insert(prefix.end(), {"/proc/self/exe", "[crash-child]"});
    // Under strace /proc/self/exe would be strace's own.
    std::array<char, 4096> self{};
    const ssize_t n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
    *(prefix.end() - 2) = std::string(self.data(), static_cast<size_t>(n));
    SpawnOptions options;
    options.argv = std::move(prefix);
    options.environment = {"REGROW_TEST_REPO=" + repository, "REGROW_TEST_KEY=" + key,
                           "REGROW_TEST_ROUND=" + std::to_string(round),
                           "REGROW_TEST_KILL_AT=" + std::to_string(kill_at),
                           "ASAN_OPTIONS=detect_leaks=0"};
    options.die_with_parent = true;
    auto child = spawn(options);
    if (!child) FAIL(child.error().message);
    pollfd waiting{child->pidfd.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 60'000) != 1) ::kill(child->pid, SIGKILL);
    return reap(child->pid);
}

// Every snapshot that is listed reads completely and is what its round wrote; nothing is damaged; a
// next backup works.
void checkAfterCrash(const std::string& repository, const std::string& key) {
    const auto store = Store::open(repository, key).value();
    const auto list = store->snapshots().list("wiki/wiki-1").value();
    CHECK(list.damaged.empty());
    REQUIRE_FALSE(list.snapshots.empty());
    for (const Snapshot& s : list.snapshots) {
        const auto files = StoreFixture::readBack(*store, s);
        REQUIRE(files);
        CHECK(*files == filesOf(std::stoi(files->at("round"))));
    }
    VerifyOptions options;
    options.mark_bad = false;
    CHECK(verify(*store, options)->ok());
}

struct Place {
    Place() {
        REQUIRE(writeKeyFile(key));
        REQUIRE(Store::initialise(repository, key));
        REQUIRE(StoreFixture::take(*Store::open(repository, key).value(), filesOf(0)));
    }
    test::TempDir dir;
    std::string key = dir / "key";
    std::string repository = dir / "repo";
};

}  // namespace

TEST_CASE("the process that dies", "[.][crash-child]") {
    const char* const repository = std::getenv("REGROW_TEST_REPO");
    if (!repository) return;  // somebody ran the hidden tests by hand
    const int round = std::atoi(std::getenv("REGROW_TEST_ROUND"));
    const int kill_at = std::atoi(std::getenv("REGROW_TEST_KILL_AT"));
    const auto fault = [&](test::FaultyRepository::Call, std::string_view,
                           int calls) -> std::optional<Error> {
        if (calls == kill_at) ::raise(SIGKILL);
        return std::nullopt;
    };
    auto faulty =
        std::make_unique<test::FaultyRepository>(LocalRepository::open(repository).value(), fault);
    const auto store =
        Store::open(std::move(faulty), OperatorKey::load(std::getenv("REGROW_TEST_KEY")).value())
            .value();
    REQUIRE(StoreFixture::take(*store, filesOf(round)));
}

TEST_CASE("killed between any two repository calls, a backup leaves whole snapshots only") {
    const Place place;
    int killed = 0;
    for (int at = 1; at < 200; ++at) {
        const auto status = runChild({}, place.repository, place.key, at, at);
        REQUIRE(status);
        if (status->exited) {
            CHECK(status->code == 0);
            break;
        }
        ++killed;
    }
    CHECK(killed > 10);
    checkAfterCrash(place.repository, place.key);
}

TEST_CASE("killed within any step of writing an object, a backup leaves whole snapshots only") {
    if (!exists("/usr/bin/strace")) {
        WARN("no strace here: not checked");
        return;
    }
    const Place place;
    int killed = 0;
    for (const std::string call : {"link", "fdatasync", "fsync", "unlink"}) {
        for (int at = 1; at <= 6; ++at) {
            const auto status =
                runChild({"/usr/bin/strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call,
                          "-e", "inject=" + call + ":signal=KILL:when=" + std::to_string(at)},
                         place.repository, place.key, at, 0);
            REQUIRE(status);
            killed += status->exited ? 0 : 1;
        }
    }
    CHECK(killed > 10);
    checkAfterCrash(place.repository, place.key);
}
