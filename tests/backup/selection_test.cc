#include "backup/selection.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "backup/tree_dir.h"
#include "tests/backup/tree_fixture.h"
#include "tests/support/awkward_tree.h"
#include "tests/support/tree_compare.h"

using namespace regrow;
using namespace regrow::backup;
using regrow::test::TreeCompare;

namespace {

using Lines = std::vector<std::string>;

Entry directory(std::string path) {
    Entry entry;
    entry.path = std::move(path);
    entry.type = EntryType::directory;
    return entry;
}

Entry file(std::string path) {
    Entry entry;
    entry.path = std::move(path);
    return entry;
}

Lines chosen(const Lines& patterns) {
    std::vector<Entry> tree{directory(""),        directory("a"),    directory("a/b"),
                            file("a/b/x"),        file("a/b/y.txt"), directory("ab"),
                            file("ab/x"),         directory("c"),    directory("c/deep"),
                            file("c/deep/z.txt"), file("x")};
    const auto entries = Selection(patterns).of(std::move(tree));
    if (!entries) return {"error: " + entries.error().message};
    Lines paths;
    for (const Entry& entry : *entries) paths.push_back(entry.path);
    return paths;
}

std::string content(const std::string& path) {
    return readFile(path).value_or("(none)");
}

// A tree of three folders, captured; then changed everywhere.
struct Changed {
    Changed() {
        for (const char* name : {"", "/a", "/a/b", "/c"}) ::mkdir((f.live() + name).c_str(), 0755);
        test::put(f.live() + "/a/b/x", "then");
        test::put(f.live() + "/a/y", "then");
        test::put(f.live() + "/c/z", "then");
        f.mustCapture();
        test::put(f.live() + "/a/b/x", "now");
        test::put(f.live() + "/a/b/new", "now");
        test::put(f.live() + "/a/y", "now");
        test::put(f.live() + "/c/z", "now");
        test::setTime(f.live() + "/a", 1000, 5);
        ::chmod((f.live() + "/a").c_str(), 0711);
    }
    Restored restore(const Lines& patterns) {
        return f.mustRestore(f.live(), [&](RestoreOptions& o) {
            o.onto = true;
            o.selection = Selection(patterns);
        });
    }
    test::TreeFixture f;
};

}  // namespace

TEST_CASE("a selection takes what matches, all below it, and the way there") {
    CHECK(chosen({"/a/b/x"}) == Lines{"", "a", "a/b", "a/b/x"});
    CHECK(chosen({"a/b"}) == Lines{"", "a", "a/b", "a/b/x", "a/b/y.txt"});
    CHECK(chosen({"*.txt"}) == Lines{"", "a", "a/b", "a/b/y.txt", "c", "c/deep", "c/deep/z.txt"});
    CHECK(chosen({"/x"}) == Lines{"", "x"});
    CHECK(chosen({"ab", "deep/"}) == Lines{"", "ab", "ab/x", "c", "c/deep", "c/deep/z.txt"});
    CHECK(chosen({"x"}) == Lines{"", "a", "a/b", "a/b/x", "ab", "ab/x", "x"});
    CHECK(chosen({}).size() == 11);
}

TEST_CASE("a pattern that chooses nothing is an error that names it") {
    const Lines told = chosen({"x", "typo"});
    REQUIRE(told.size() == 1);
    CHECK(told[0].find("\"typo\"") != std::string::npos);
}

TEST_CASE("selections are told apart") {
    CHECK(Selection().identity().empty());
    CHECK(Selection({"a", "b"}).identity() != Selection({"ab"}).identity());
    CHECK(Selection({"a"}).identity() == Selection({"a"}).identity());
}

TEST_CASE("single paths are restored into an empty directory, with the way to them") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), ::geteuid() == 0);
    ::mkdir((f.live() + "/way").c_str(), 0700);
    ::mkdir((f.live() + "/way/to").c_str(), 0710);
    test::put(f.live() + "/way/to/it", "it");
    f.mustCapture();
    f.mustRestore(f.out("one"), [](RestoreOptions& o) { o.selection = Selection({"way/to/it"}); });
    CHECK(TreeCompare::run(f.live() + "/way", f.out("one") + "/way") == Lines{});
    CHECK(std::ranges::distance(std::filesystem::directory_iterator(f.out("one"))) == 1);
}

TEST_CASE("with --onto and a selection, nothing beside what was chosen is touched") {
    Changed c;
    const Restored restored = c.restore({"a/b"});
    CHECK(restored.removed == 1);
    CHECK(content(c.f.live() + "/a/b/x") == "then");
    CHECK_FALSE(exists(c.f.live() + "/a/b/new"));
    CHECK(content(c.f.live() + "/a/y") == "now");
    CHECK(content(c.f.live() + "/c/z") == "now");
    struct stat way{};
    ::stat((c.f.live() + "/a").c_str(), &way);
    CHECK((way.st_mode & 07777) == 0711);
    CHECK(way.st_mtim.tv_sec == 1000);
}

TEST_CASE("a file that stands in the way to what was chosen is not removed") {
    Changed c;
    std::filesystem::remove_all(c.f.live() + "/a");
    test::put(c.f.live() + "/a", "precious");
    const auto refused = c.f.restore(c.f.live(), [](RestoreOptions& o) {
        o.onto = true;
        o.selection = Selection({"a/b/x"});
    });
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::refused);
    CHECK(content(c.f.live() + "/a") == "precious");
}

TEST_CASE("a chosen file that was linked to one not chosen is given an inode of its own") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/a", "then");
    f.mustCapture();
    test::put(f.live() + "/b", "now");
    std::filesystem::remove(f.live() + "/a");
    REQUIRE(::link((f.live() + "/b").c_str(), (f.live() + "/a").c_str()) == 0);
    f.mustRestore(f.live(), [](RestoreOptions& o) {
        o.onto = true;
        o.selection = Selection({"a"});
    });
    CHECK(content(f.live() + "/a") == "then");
    CHECK(content(f.live() + "/b") == "now");
}

TEST_CASE("what another selection left unfinished is not gone on with") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/a", "a");
    test::put(f.live() + "/b", "b");
    f.mustCapture();
    const auto one = [](RestoreOptions& o) {
        o.selection = Selection({"a"});
        o.staging = true;
    };
    f.mustRestore(f.out("s"), one);  // staging keeps its journal
    CHECK(f.mustRestore(f.out("s"), one).resumed);
    CHECK_FALSE(f.restore(f.out("s"), [](RestoreOptions& o) { o.selection = Selection({"b"}); }));
    CHECK_FALSE(f.restore(f.out("s")));
}
