#include "backup/tar_stream.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/unique_fd.h"
#include "tests/backup/tree_fixture.h"
#include "tests/support/awkward_tree.h"
#include "tests/support/tree_compare.h"

using namespace regrow;
using namespace regrow::backup;
using regrow::test::TreeCompare;

namespace {

using Lines = std::vector<std::string>;

Result<Streamed> stream(test::TreeFixture& f, const std::string& to,
                        const Selection& selection = {}) {
    const UniqueFd fd(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const auto snapshot = f.store->snapshots().latest("n");
    return writeTar(*f.store, **snapshot, selection, fd.get(), {});
}

// GNU tar, as a person would.
int extract(const std::string& archive, const std::string& to) {
    ::mkdir(to.c_str(), 0700);
    const std::string command =
        "LC_ALL=C tar -x -p --xattrs --xattrs-include='*' --numeric-owner -f " + archive + " -C " +
        to + " 2>/dev/null";
    return std::system(command.c_str());  // NOLINT(cert-env33-c)
}

}  // namespace

TEST_CASE("a tar stream comes back exact through GNU tar") {
    test::TreeFixture f;
    test::makeAwkwardTree(f.live(), ::geteuid() == 0);
    test::put(f.live() + "/quote'\"\n\tünïcode", "odd");
    f.mustCapture();
    const auto streamed = stream(f, f.out("tar"));
    REQUIRE(streamed);
    REQUIRE(extract(f.out("tar"), f.out("x")) == 0);
    CHECK(TreeCompare::run(f.live(), f.out("x")) == Lines{});
}

TEST_CASE("holes are not streamed") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::makeSparse(f.live() + "/sparse");
    const int empty =
        ::open((f.live() + "/all-hole").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(::ftruncate(empty, off_t{1} << 40) == 0);
    ::close(empty);
    f.mustCapture();
    REQUIRE(stream(f, f.out("tar")));
    CHECK(std::filesystem::file_size(f.out("tar")) < 300'000);
    REQUIRE(extract(f.out("tar"), f.out("x")) == 0);
    CHECK(std::filesystem::file_size(f.out("x") + "/all-hole") == uint64_t{1} << 40);
    std::filesystem::remove(f.live() + "/all-hole");  // too long to be compared byte by byte
    std::filesystem::remove(f.out("x") + "/all-hole");
    std::filesystem::last_write_time(f.out("x"), std::filesystem::last_write_time(f.live()));
    CHECK(TreeCompare::run(f.live(), f.out("x")) == Lines{});
}

TEST_CASE("a selection streams what was chosen and the way there") {
    test::TreeFixture f;
    for (const char* name : {"", "/a", "/b"}) ::mkdir((f.live() + name).c_str(), 0755);
    test::put(f.live() + "/a/x", "x");
    test::put(f.live() + "/b/y", "y");
    f.mustCapture();
    REQUIRE(stream(f, f.out("tar"), Selection({"a/x"})));
    REQUIRE(extract(f.out("tar"), f.out("x")) == 0);
    CHECK(TreeCompare::run(f.live() + "/a", f.out("x") + "/a") == Lines{});
    CHECK_FALSE(exists(f.out("x") + "/b"));
}

TEST_CASE("a reader that goes away ends the stream with an error") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/large", test::noise(3'000'000, 1));
    f.mustCapture();
    const auto snapshot = f.store->snapshots().latest("n");
    const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    const auto streamed = writeTar(*f.store, **snapshot, {}, full.get(), {});
    REQUIRE_FALSE(streamed);
    CHECK(streamed.error().code == Code::no_space);
}

TEST_CASE("a damaged pack ends the stream before its end marker, and says which file") {
    test::TreeFixture f;
    ::mkdir(f.live().c_str(), 0755);
    test::put(f.live() + "/a", test::noise(100'000, 1));
    const auto captured = f.mustCapture();
    const auto tree = f.store->tree(captured.snapshot);
    const auto pack = f.store->packs().pack(tree->back().pieces[0].pack);
    const std::string name =
        f.repository() + "/packs/" + hexOf(pack->id).substr(0, 2) + "/" + hexOf(pack->id);
    REQUIRE(std::filesystem::remove(name));
    f.reopen();
    const auto streamed = stream(f, f.out("tar"));
    REQUIRE_FALSE(streamed);
    CHECK(streamed.error().message.find("\"a\"") != std::string::npos);
    CHECK(extract(f.out("tar"), f.out("x")) != 0);
}
