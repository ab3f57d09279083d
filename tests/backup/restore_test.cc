#include "backup/restore.h"

#include <sys/wait.h>

#include <atomic>
#include <catch2/catch.hpp>

#include "backup/restore_plan.h"
#include "backup/tree_dir.h"
#include "tests/backup/tree_fixture.h"
#include "tests/support/awkward_tree.h"
#include "tests/support/tree_compare.h"

using namespace regrow;
using namespace regrow::backup;
using regrow::test::TreeCompare;

namespace {

using Lines = std::vector<std::string>;

// Restores in a process of its own that kills itself once `bytes` were restored. True when it came
// to that.
bool restoreAndDie(test::TreeFixture& f, const std::string& to, uint64_t bytes,
                   const std::function<void(RestoreOptions&)>& how = {}) {
    const pid_t child = ::fork();
    if (child == 0) {
        const auto done = f.restore(to, [&](RestoreOptions& o) {
            if (how) how(o);
            o.progress = [bytes](const Progress& p) {
                if (p.phase == "restore" && p.done_bytes >= bytes) ::kill(::getpid(), SIGKILL);
            };
        });
        ::_exit(done ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

void makeManyFiles(const std::string& root) {
    ::mkdir(root.c_str(), 0755);
    for (int d = 0; d < 4; ++d) {
        const std::string directory = root + "/d" + std::to_string(d);
        ::mkdir(directory.c_str(), 0750);
        for (int i = 0; i < 40; ++i)
            test::put(directory + "/f" + std::to_string(i),
                      test::noise(50'000, static_cast<uint64_t>(d * 100 + i)));
        test::put(directory + "/large", test::noise(9'000'000, static_cast<uint64_t>(d + 1000)));
    }
}

std::string pathOfLength(const std::string& directory, size_t levels) {
    std::string path = directory;
    for (size_t i = 0; i < levels; ++i) path += "/" + std::string(200, 'd');
    return path.substr(1);
}

}  // namespace

TEST_CASE("a restore wants an empty or absent directory") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/a", "a");
    f.mustCapture();
    ::mkdir(f.out("x").c_str(), 0700);
    f.mustRestore(f.out("x"));
    CHECK(TreeCompare::run(f.live(), f.out("x")) == Lines{});
    test::put(f.out("x") + "/mine", "precious");
    const auto refused = f.restore(f.out("x"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::refused);
    CHECK(refused.error().message.find("--onto") != std::string::npos);
    CHECK(exists(f.out("x") + "/mine"));
    ::mkdir(f.out("here").c_str(), 0755);
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(f.out("here"));
    f.mustRestore(".");
    std::filesystem::current_path(before);
    CHECK(TreeCompare::run(f.live(), f.out("here")) == Lines{});
    f.mustRestore(f.out("new/parents/too"));
    CHECK(exists(f.out("new/parents/too") + "/a"));
}

TEST_CASE("a restore killed in the middle goes on where it was") {
    test::TreeFixture f;
    makeManyFiles(f.live());
    f.mustCapture();
    REQUIRE(restoreAndDie(f, f.out("k"), 30'000'000));
    const Restored restored = f.mustRestore(f.out("k"));
    CHECK(restored.resumed);
    CHECK(restored.fetched <
          33'000'000);  // of 44 MB; 30 were done, of which two runs of 8 may have been under way
    CHECK(TreeCompare::run(f.live(), f.out("k")) == Lines{});
}

TEST_CASE("a restore killed again and again ends exact") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), ::geteuid() == 0);
    makeManyFiles(f.live() + "/many");
    f.mustCapture();
    int deaths = 0;
    for (const uint64_t after : {1u, 100'000u, 5'000'000u, 9'000'000u, 1'000'000u})
        deaths += restoreAndDie(f, f.out("k"), after);
    CHECK(deaths >= 4);
    CHECK(f.mustRestore(f.out("k")).resumed);
    CHECK(TreeCompare::run(f.live(), f.out("k")) == Lines{});
}

TEST_CASE("what an unsynced journal says counts within one boot only") {
    test::TreeFixture f;
    makeManyFiles(f.live());
    f.mustCapture();
    REQUIRE(restoreAndDie(f, f.out("k"), 30'000'000));
    const std::string journal = f.out("k") + ".regrow-restore";
    std::string text = *readFile(journal);
    const size_t boot = text.find("\"boot\":\"") + 8;
    text.replace(boot, 8, "00000000");
    REQUIRE(writeFileAtomic(journal, text));
    const Restored restored = f.mustRestore(f.out("k"));
    CHECK(restored.resumed);
    CHECK(restored.fetched > 40'000'000);
    CHECK(TreeCompare::run(f.live(), f.out("k")) == Lines{});
}

TEST_CASE("a staging directory keeps its journal, and loses its marker, until it is activated") {
    test::TreeFixture f;
    makeManyFiles(f.live());
    f.mustCapture();
    const auto staging = [](RestoreOptions& o) { o.staging = o.resume = true; };
    f.mustRestore(f.out("s"), staging);
    CHECK(exists(f.out("s") + ".regrow-restore"));
    CHECK(f.mustRestore(f.out("s"), staging).fetched == 0);
    REQUIRE(writeMarker(
        f.out("s"), {.backend = "n", .lineage = "L", .epoch = 1, .staged_for = {}, .ready = {}}));
    test::put(f.live() + "/d0/f1", "other");
    f.mustCapture();
    const Restored patched =
        f.mustRestore(f.out("s"), staging);  // another snapshot into our own leftovers
    CHECK(patched.fetched == 5);
    CHECK_FALSE(exists(f.out("s") + "/.regrow"));
    CHECK(TreeCompare::run(f.live(), f.out("s")) == Lines{});
}

TEST_CASE("--onto makes any tree the snapshot's, writing only what differs") {
    test::TreeFixture f;
    const bool root = ::geteuid() == 0;
    test::makeAwkwardTree(f.live(), root);
    f.mustCapture();
    const std::string to = f.out("o");
    const auto onto = [](RestoreOptions& o) { o.onto = true; };
    f.mustRestore(to);
    SECTION("nothing differs") {
        const Restored same = f.mustRestore(to, onto);
        CHECK(same.written == 0);
        CHECK(same.fetched == 0);
        CHECK(same.removed == 0);
    }
    SECTION("content, metadata, names, types, links, holes") {
        std::string large = *readFile(to + "/large");
        large[1'500'000] = static_cast<char>(large[1'500'000] + 1);
        test::put(to + "/large", large);
        test::put(to + "/plain", "a longer text than before");
        ::chmod((to + "/empty").c_str(), 0777);
        ::removexattr((to + "/plain").c_str(), "user.note");
        ::setxattr((to + "/old").c_str(), "user.extra", "1", 1, 0);
        test::put(to + "/extra", "x");
        ::mkdir((to + "/extra-directory").c_str(), 0);
        test::put(to + "/extra-directory/in", "x");
        test::makeSocket(to + "/sub/socket");
        ::unlink((to + "/fifo").c_str());
        ::mkdir((to + "/fifo").c_str(), 0755);
        test::put(to + "/fifo/inside", "x");
        ::unlink((to + "/to-directory").c_str());
        ::symlink("/etc", (to + "/to-directory").c_str());
        ::unlink((to + "/linked-too").c_str());
        ::link((to + "/old").c_str(), (to + "/linked-too").c_str());
        test::put(to + "/far", std::string(5'000'000, 'z'));
        const std::string filled(16 << 20, 'q');
        test::put(to + "/all-hole", filled.substr(0, 1 << 20));
        test::put(to + "/sparse", filled);
        const Restored restored = f.mustRestore(to, onto);
        CHECK(restored.written < 3'000'000);  // one piece of the large file, not all of it
    }
    SECTION("onto something else altogether") {
        std::filesystem::remove_all(to);
        ::mkdir(to.c_str(), 0700);
        for (const char* name : {"plain", "sparse", "fifo", "broken", "closed"})
            ::mkdir((to + "/" + name).c_str(), 0755);
        test::put(to + "/sub", "a file where a directory belongs");
        f.mustRestore(to, onto);
    }
    CHECK(TreeCompare::run(f.live(), to) == Lines{});
}

TEST_CASE("nothing is written through a link that leads out of the target") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    ::mkdir((f.live() + "/dir").c_str(), 0755);
    test::put(f.live() + "/dir/file", "from the snapshot");
    test::put(f.live() + "/hard", "from the snapshot");
    f.mustCapture();
    ::mkdir(f.out("outside").c_str(), 0755);
    test::put(f.out("outside") + "/file", "not yours");
    ::mkdir(f.out("t").c_str(), 0755);
    ::symlink(f.out("outside").c_str(), (f.out("t") + "/dir").c_str());
    ::link((f.out("outside") + "/file").c_str(), (f.out("t") + "/hard").c_str());
    f.mustRestore(f.out("t"), [](RestoreOptions& o) { o.onto = true; });
    CHECK(*readFile(f.out("outside") + "/file") == "not yours");
    CHECK(TreeCompare::run(f.live(), f.out("t")) == Lines{});
}

TEST_CASE("paths longer than PATH_MAX come back") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::makeDeep(f.live(), 30);
    f.mustCapture();
    f.mustRestore(f.out("deep"));
    const auto tree = TreeDir::open(f.out("deep"));
    REQUIRE(tree);
    const auto bottom = tree->openDirectory(pathOfLength("", 30));
    REQUIRE(bottom);
    struct stat st{};
    CHECK(::fstatat(bottom->get(), "bottom", &st, 0) == 0);
    CHECK(st.st_size == 4);
}

TEST_CASE("a damaged pack is an error that names the file, and never a wrong file") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/a", test::noise(200'000, 1));
    f.mustCapture();
    for (const auto& item :
         std::filesystem::recursive_directory_iterator(f.repository() + "/packs")) {
        if (!item.is_regular_file() || item.file_size() < 200'000) continue;
        const int fd = ::open(item.path().c_str(), O_WRONLY | O_CLOEXEC);
        if (fd < 0) ::chmod(item.path().c_str(), 0600);
        const int again = fd >= 0 ? fd : ::open(item.path().c_str(), O_WRONLY | O_CLOEXEC);
        (void)!::pwrite(again, "damage", 6, 100'000);
        ::close(again);
    }
    f.reopen();
    const auto restored = f.restore(f.out("d"));
    REQUIRE_FALSE(restored);
    CHECK(restored.error().code == Code::corrupt);
    CHECK(restored.error().message.find("\"a\"") != std::string::npos);
}

TEST_CASE("a tree that cannot be one is refused before anything is written") {
    const auto entry = [](std::string path, EntryType type) {
        Entry e;
        e.path = std::move(path);
        e.type = type;
        return e;
    };
    const Entry root = entry("", EntryType::directory);
    const auto bad = [&](std::vector<Entry> more) {
        more.insert(more.begin(), root);
        const auto plan = planTree(more);
        return !plan && plan.error().code == Code::corrupt;
    };
    CHECK_FALSE(bad({entry("a", EntryType::directory), entry("a/b", EntryType::regular)}));
    CHECK(bad({entry("..", EntryType::regular)}));
    CHECK(bad({entry("a", EntryType::directory), entry("a/../../etc", EntryType::regular)}));
    CHECK(bad({entry("/etc", EntryType::regular)}));
    CHECK(bad({entry("a", EntryType::symlink), entry("a/b", EntryType::regular)}));
    CHECK(bad({entry("b", EntryType::regular), entry("a", EntryType::regular)}));
    CHECK(bad({entry("a", EntryType::regular), entry("a", EntryType::regular)}));
    Entry file = entry("f", EntryType::regular);
    file.size = 10;
    file.pieces.push_back({.file_offset = 5, .length = 6});
    CHECK(bad({file}));
    file.pieces = {{.file_offset = 0, .length = 6}, {.file_offset = 5, .length = 5}};
    CHECK(bad({file}));
    CHECK_FALSE(planTree({}));
}
