#include "backup/tree_diff.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "backup/tree_dir.h"
#include "tests/backup/tree_fixture.h"
#include "tests/support/awkward_tree.h"

using namespace regrow;
using namespace regrow::backup;

namespace {

using Lines = std::vector<std::string>;

Lines lines(const std::vector<Entry>& before, const std::vector<Entry>& after, TreeDiff& sum) {
    Lines out;
    sum = diffTrees(before, after, [&](Change change, const Entry* old, const Entry* now) {
        out.push_back(letterOf(change) + std::string(" ") + printable((now ? now : old)->path));
    });
    return out;
}

}  // namespace

TEST_CASE("a diff tells each change by its kind") {
    test::TreeFixture f;
    const std::string live = f.live();
    for (const char* name : {"", "/kept", "/gone"}) ::mkdir((live + name).c_str(), 0755);
    test::put(live + "/kept/same", "same");
    test::put(live + "/kept/content", "before");
    test::put(live + "/kept/mode", "x");
    test::put(live + "/kept/type", "x");
    test::put(live + "/gone/file", "12345");
    const auto first = f.store->tree(f.mustCapture().snapshot);
    test::put(live + "/kept/content", "after!");
    ::chmod((live + "/kept/mode").c_str(), 0600);
    std::filesystem::remove(live + "/kept/type");
    REQUIRE(::symlink("same", (live + "/kept/type").c_str()) == 0);
    std::filesystem::remove_all(live + "/gone");
    test::put(live + "/kept-too", "new one");
    const auto second = f.store->tree(f.mustCapture().snapshot);
    TreeDiff sum;
    CHECK(lines(*first, *second, sum) == Lines{"- gone", "- gone/file", "M kept/content",
                                               "U kept/mode", "T kept/type", "+ kept-too"});
    CHECK(sum.added == 1);
    CHECK(sum.removed == 2);
    CHECK(sum.modified == 2);
    CHECK(sum.touched == 1);
    CHECK(sum.added_bytes == 7 + 6);
    CHECK(sum.removed_bytes == 5 + 6 + 1);
}

TEST_CASE("equal trees differ in nothing, also when one was read anew") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), ::geteuid() == 0);
    const auto first = f.store->tree(f.mustCapture().snapshot);
    f.options.full = true;
    const auto second = f.store->tree(f.mustCapture().snapshot);
    TreeDiff sum;
    CHECK(lines(*first, *second, sum) == Lines{});
}
