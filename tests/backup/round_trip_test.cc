#include <catch2/catch.hpp>

#include "backup/capture.h"
#include "backup/restore.h"
#include "backup/tree_verify.h"
#include "backup/walk.h"
#include "tests/backup/tree_fixture.h"
#include "tests/support/awkward_tree.h"
#include "tests/support/tree_compare.h"

using namespace regrow;
using namespace regrow::backup;
using regrow::test::TreeCompare;

namespace {

const bool kRoot = ::geteuid() == 0;

}  // namespace

TEST_CASE("an awkward tree comes back exactly") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), kRoot);
    const Captured captured = f.mustCapture();
    CHECK_FALSE(captured.unchanged);
    CHECK(captured.snapshot.proven);
    CHECK((captured.snapshot.header.flags & kIncomplete) == 0);
    const Restored restored = f.mustRestore(f.out("a"));
    CHECK(TreeCompare::run(f.live(), f.out("a")) == std::vector<std::string>{});
    CHECK(restored.problems.empty());
    CHECK_FALSE(exists(f.out("a") + ".regrow-restore"));
}

TEST_CASE("the independent comparison sees what it must see") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), kRoot);
    f.mustCapture();
    f.mustRestore(f.out("a"));
    const auto differs = [&] { return !TreeCompare::run(f.live(), f.out("a")).empty(); };
    REQUIRE_FALSE(differs());
    SECTION("content") {
        test::put(f.out("a") + "/sub/linked", test::noise(90'000, 3));
    }
    SECTION("mode") {
        ::chmod((f.out("a") + "/plain").c_str(), 0600);
    }
    SECTION("time") {
        test::setTime(f.out("a") + "/old", -31'000'000, 123'456'788);
    }
    SECTION("extra") {
        test::put(f.out("a") + "/more", "");
    }
    SECTION("missing") {
        ::unlink((f.out("a") + "/empty").c_str());
    }
    SECTION("attribute") {
        ::setxattr((f.out("a") + "/plain").c_str(), "user.note", "x", 1, 0);
    }
    SECTION("links") {
        ::unlink((f.out("a") + "/linked-too").c_str());
        test::put(f.out("a") + "/linked-too", test::noise(90'000, 2));
    }
    CHECK(differs());
}

TEST_CASE("nothing changed writes nothing, and an unforced full always does") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), kRoot);
    const Captured first = f.mustCapture();
    const auto before = f.repositoryFiles();
    const Captured again = f.mustCapture();
    CHECK(again.unchanged);
    CHECK(again.snapshot.id == first.snapshot.id);
    CHECK(f.repositoryFiles() == before);
    f.options.full = true;
    const Captured full = f.mustCapture();
    CHECK_FALSE(full.unchanged);
    CHECK(full.snapshot.header.type == SnapshotType::full);
    CHECK(full.snapshot.header.new_bytes == 0);
}

TEST_CASE("an incremental takes what changed, and restores alone") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), kRoot);
    f.mustCapture();
    test::put(f.live() + "/plain", "hello again");
    ::unlink((f.live() + "/empty").c_str());
    ::rename((f.live() + "/large").c_str(), (f.live() + "/sub/large").c_str());
    ::chmod((f.live() + "/old").c_str(), 0604);
    test::put(f.live() + "/sub/new", "new");
    const Captured second = f.mustCapture();
    CHECK_FALSE(second.unchanged);
    CHECK(second.snapshot.header.type == SnapshotType::incremental);
    CHECK(second.snapshot.header.new_bytes == 14);
    f.mustRestore(f.out("b"));
    CHECK(TreeCompare::run(f.live(), f.out("b")) == std::vector<std::string>{});
}

TEST_CASE("unchanged files are not opened again") {
    if (!kRoot) return;
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/kept", test::noise(200'000, 9));
    test::put(f.live() + "/touched", "1");
    f.mustCapture();
    test::put(f.live() + "/touched", "22");
    uint64_t read = 0;
    f.options.progress = [&](const Progress& p) { read = std::max(read, p.done_bytes); };
    f.mustCapture();
    CHECK(read == 2);
}

TEST_CASE("exclusions, the marker and sockets are left out") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    ::mkdir((f.live() + "/cache").c_str(), 0755);
    for (const char* name : {"a.tmp", "b", "cache/c", "cache/d.db", ".regrow"})
        test::put(f.live() + "/" + name, name);
    test::put(f.live() + "/cache/.regrow", "only the root's is a marker");
    test::makeSocket(f.live() + "/socket");
    f.options.exclude = {"*.tmp", "cache/*.db"};
    const Captured captured = f.mustCapture();
    std::vector<std::string> paths;
    const auto tree = f.store->tree(captured.snapshot);
    for (const Entry& e : *tree) paths.push_back(e.path);
    CHECK(paths == std::vector<std::string>{"", "b", "cache", "cache/.regrow", "cache/c"});
    REQUIRE(captured.problems.size() == 1);
    CHECK(captured.problems[0].path == "socket");
    CHECK_FALSE(captured.problems[0].breaks_promise);
}

TEST_CASE("an empty or missing directory never becomes a snapshot over good ones") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/a", "a");
    f.mustCapture();
    ::unlink((f.live() + "/a").c_str());
    auto refused = f.capture();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::refused);
    CHECK(refused.error().message.find("--accept-empty") != std::string::npos);
    ::rmdir(f.live().c_str());
    refused = f.capture();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::refused);
    CHECK(f.store->snapshots().list("n")->snapshots.size() == 1);
}

TEST_CASE("a snapshot in which most files vanished is held back, and so are its successors") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    for (int i = 0; i < 30; ++i) test::put(f.live() + "/f" + std::to_string(i), "x");
    f.mustCapture();
    for (int i = 0; i < 20; ++i) ::unlink((f.live() + "/f" + std::to_string(i)).c_str());
    CHECK((f.mustCapture().snapshot.header.flags & kSuspicious) != 0);
    test::put(f.live() + "/one-more", "x");
    CHECK((f.mustCapture().snapshot.header.flags & kSuspicious) != 0);
    f.options.accept_vanished = true;
    const Captured meant = f.mustCapture();
    CHECK_FALSE(meant.unchanged);
    CHECK((meant.snapshot.header.flags & kSuspicious) == 0);
}

TEST_CASE("databases that are no plain directories are refused by name") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    SECTION("redis") {
        test::put(f.live() + "/dump.rdb", "REDIS0011");
        CHECK(f.capture().error().message.find("redis: {") != std::string::npos);
    }
    SECTION("postgres, also below the root") {
        for (const char* d : {"/pg", "/pg/global"}) ::mkdir((f.live() + d).c_str(), 0755);
        test::put(f.live() + "/pg/PG_VERSION", "15");
        test::put(f.live() + "/pg/global/pg_control", "");
        CHECK(f.capture().error().message.find("postgres: {") != std::string::npos);
    }
    CHECK(f.capture().error().code == Code::refused);
    CHECK(f.store->snapshots().list("n")->snapshots.empty());
}

TEST_CASE("a capture with a marker expected refuses any other data") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/a", "a");
    f.options.expect_marker = true;
    f.options.lineage = "L";
    f.options.epoch = 3;
    CHECK(f.capture().error().code == Code::refused);
    REQUIRE(writeMarker(
        f.live(), {.backend = "n", .lineage = "L", .epoch = 2, .staged_for = {}, .ready = {}}));
    CHECK(f.capture().error().message.find("epoch 2, not 3") != std::string::npos);
    REQUIRE(writeMarker(
        f.live(), {.backend = "n", .lineage = "L", .epoch = 3, .staged_for = {}, .ready = {}}));
    CHECK(f.mustCapture().snapshot.header.epoch == 3);
}

TEST_CASE("a file that changes all the time is captured and says so") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/log", test::noise(400'000, 1));
    f.options.progress = [&](const Progress& p) {  // called between reads
        if (p.phase == "read") std::ofstream(f.live() + "/log", std::ios::app) << "line\n";
    };
    const Captured captured = f.mustCapture();
    REQUIRE(captured.problems.size() == 1);
    CHECK(captured.problems[0].message.find("changed each time") != std::string::npos);
    CHECK((captured.snapshot.header.flags & kIncomplete) == 0);
    f.options.progress = {};
    CHECK_FALSE(f.mustCapture().unchanged);  // read again although its stat may look the same
}
