#include "backup/activate.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "backup/untouched.h"
#include "tests/backup/tree_fixture.h"
#include "tests/support/awkward_tree.h"

using namespace regrow;
using namespace regrow::backup;

namespace {

struct Place {
    test::TempDir dir;
    ActivateRequest request{.staging = dir / "data.staging",
                            .data = dir / "data",
                            .backend = "p/b",
                            .lineage = "L",
                            .recovery = "r-1",
                            .epoch = 4,
                            .snapshot = "abcd"};
    std::string old = dir / "data.regrow-old-r-1";

    Place() {
        for (const std::string& d : {request.staging, request.data}) ::mkdir(d.c_str(), 0755);
        test::put(request.staging + "/new", "restored");
        test::put(request.data + "/old", "the only copy");
    }
    bool dieAt(int step) const {
        const pid_t child = ::fork();
        if (child == 0) {
            const auto done = activate(request, [step](int at) {
                if (at == step) ::kill(::getpid(), SIGKILL);
            });
            ::_exit(done ? 0 : 1);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFSIGNALED(status);
    }
};

void checkActivated(const Place& p) {
    CHECK(*readFile(p.request.data + "/new") == "restored");
    CHECK(*readFile(p.old + "/old") == "the only copy");
    CHECK_FALSE(exists(p.request.staging));
    const auto marker = readMarker(p.request.data);
    REQUIRE(marker);
    REQUIRE(*marker);
    REQUIRE((*marker)->ready);
    CHECK((*marker)->ready->recovery == "r-1");
    CHECK((*marker)->staged_for.empty());
}

}  // namespace

TEST_CASE("activation swaps the trees, keeps the old one, and writes READY last") {
    const Place p;
    const auto activated = activate(p.request, [&](int step) {
        const auto marker = readMarker(p.request.data);
        if (step <= 5 && marker) CHECK((!*marker || !(*marker)->ready));
    });
    REQUIRE(activated);
    CHECK(activated->old == p.old);
    CHECK(activated->digest == *treeDigest(p.request.data));
    checkActivated(p);
    const auto again = activate(p.request);
    REQUIRE(again);
    CHECK(again->digest == activated->digest);
    CHECK(again->old == p.old);
}

TEST_CASE("killed at any step, activation is finished by running it again") {
    for (int step = 1; step <= 6; ++step) {
        CAPTURE(step);
        const Place p;
        REQUIRE(p.dieAt(step));
        const auto marker = readMarker(p.request.data);
        if (step < 6 && marker) CHECK((!*marker || !(*marker)->ready));
        REQUIRE(activate(p.request));
        checkActivated(p);
    }
}

TEST_CASE("activation keeps whatever appeared in the data's place meanwhile") {
    const Place p;
    REQUIRE(p.dieAt(3));
    ::mkdir(p.request.data.c_str(), 0755);
    test::put(p.request.data + "/surprise", "made by a service manager");
    REQUIRE(activate(p.request));
    checkActivated(p);
    CHECK(exists(p.old + ".2/surprise"));
}

TEST_CASE("activation refuses what is not the tree of its recovery") {
    Place p;
    SECTION("no staging") {
        std::filesystem::remove_all(p.request.staging);
        const auto failed = activate(p.request);
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == Code::not_found);
    }
    SECTION("somebody's live data as staging") {
        REQUIRE(writeMarker(
            p.request.staging,
            {.backend = "p/c", .lineage = "M", .epoch = 1, .staged_for = {}, .ready = {}}));
        const auto failed = activate(p.request);
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == Code::refused);
    }
    SECTION("a mount point") {
        if (::geteuid() != 0 ||
            ::mount("none", p.request.data.c_str(), "tmpfs", 0, "size=64k") != 0)
            return;
        const auto failed = activate(p.request);
        ::umount(p.request.data.c_str());
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == Code::refused);
        CHECK(failed.error().message.find("mount point") != std::string::npos);
    }
    CHECK(exists(p.request.data + "/old"));
}

TEST_CASE("the marker is read back as written, and nonsense is told apart from absence") {
    const test::TempDir dir;
    CHECK(readMarker(dir.path())->has_value() == false);
    Marker m{.backend = "p/b",
             .lineage = "L",
             .epoch = 7,
             .staged_for = {},
             .ready = Ready{"r", 7, "s", "d"}};
    REQUIRE(writeMarker(dir.path(), m));
    CHECK(**readMarker(dir.path()) == m);
    CHECK(requireMarker(dir.path(), "p/b", "L", 7));
    CHECK(requireMarker(dir.path(), "p/b", "L", 8).error().code == Code::refused);
    CHECK(requireMarker(dir.path(), "p/x", "L", 7).error().code == Code::refused);
    for (const char* text :
         {"", "{", "{}", "{\"format\":2}", "{\"format\":1,\"backend\":3}",
          "{\"format\":1,\"backend\":\"b\",\"lineage\":\"l\",\"epoch\":1,\"ready\":{}}"}) {
        CAPTURE(text);
        test::put(dir / ".regrow", text);
        CHECK(readMarker(dir.path()).error().code == Code::corrupt);
    }
    CHECK_FALSE(readMarker(dir / "absent"));
    CHECK_FALSE(writeFirstMarker(dir.path(), m));
}

TEST_CASE("a disk is trusted only if nothing was changed on it after the exit") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), ::geteuid() == 0);
    const Marker marker{.backend = "n", .lineage = "L", .epoch = 1, .staged_for = {}, .ready = {}};
    REQUIRE(writeMarker(f.live(), marker));
    const auto tree = f.store->tree(f.mustCapture().snapshot);
    REQUIRE(tree);
    UntouchedQuestion q;
    q.data = f.live();
    q.manifest = *tree;
    q.marker = marker;
    q.slack = {};
    q.exited_at = Wall::now() + std::chrono::milliseconds(5);
    while (Wall::now() <= q.exited_at + std::chrono::milliseconds(15)) {
    }
    const auto reasons = [&] { return reasonsAgainst(q); };
    REQUIRE(reasons() == std::vector<std::string>{});
    SECTION("a file was deleted") {
        ::unlink((f.live() + "/sub/linked").c_str());
    }
    SECTION("a file was written") {
        test::put(f.live() + "/plain", "hello");
    }
    SECTION("a time was set back after a change") {
        test::put(f.live() + "/sub-x", "other");
        test::setTime(f.live() + "/sub-x", 1, 0);
    }
    SECTION("something new") {
        test::put(f.live() + "/sub/new", "");
    }
    SECTION("no marker") {
        ::unlink((f.live() + "/.regrow").c_str());
    }
    SECTION("another epoch") {
        q.marker->epoch = 2;
    }
    SECTION("wiped") {
        std::filesystem::remove_all(f.live());
        ::mkdir(f.live().c_str(), 0755);
    }
    SECTION("gone") {
        std::filesystem::remove_all(f.live());
    }
    CHECK_FALSE(reasons().empty());
}
