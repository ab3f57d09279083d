#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/support/temp_dir.h"

using namespace regrow;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

unsigned modeOf(const std::string& path) {
    struct stat st{};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    return st.st_mode & 07777;
}

size_t entries(const std::string& path) {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(path), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a file is replaced whole and leaves nothing beside it", "[file]") {
    const test::TempDir dir;
    const std::string path = dir / "state";
    REQUIRE(writeFileAtomic(path, "first"));
    REQUIRE(writeFileAtomic(path, std::string(200'000, 'x')));
    CHECK(readFile(path).value() == std::string(200'000, 'x'));
    CHECK(modeOf(path) == 0600);
    REQUIRE(writeFileAtomic(path, "", 0640));
    CHECK(readFile(path).value().empty());
    CHECK(modeOf(path) == 0640);
    CHECK(entries(dir.path()) == 1);
}

TEST_CASE("who holds the old file open keeps the old content", "[file]") {
    const test::TempDir dir;
    REQUIRE(writeFileAtomic(dir / "f", "old"));
    const auto fd = openFile(dir / "f", O_RDONLY);
    REQUIRE(writeFileAtomic(dir / "f", "new"));
    char buffer[8] = {};
    REQUIRE(::read(fd->get(), buffer, sizeof buffer) == 3);
    CHECK(std::string(buffer) == "old");
}

TEST_CASE("a link at the path is replaced, what it points to stays", "[file]") {
    const test::TempDir dir;
    REQUIRE(writeFileAtomic(dir / "target", "precious"));
    fs::create_symlink(dir / "target", dir / "link");
    REQUIRE(writeFileAtomic(dir / "link", "new"));
    CHECK(readFile(dir / "target").value() == "precious");
    CHECK_FALSE(fs::is_symlink(dir / "link"));
}

TEST_CASE("failing to write names the path and leaves no temporary", "[file]") {
    const test::TempDir dir;
    const auto nowhere = writeFileAtomic(dir / "no/such/state", "x");
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code == Code::not_found);
    CHECK_THAT(nowhere.error().message, Contains(dir / "no/such/state"));
    fs::create_directory(dir / "d");
    const auto onto_directory = writeFileAtomic(dir / "d", "x");
    REQUIRE_FALSE(onto_directory);
    CHECK_THAT(onto_directory.error().message, Contains(dir / "d"));
    CHECK(entries(dir.path()) == 1);
}

TEST_CASE("a full disk is told as such", "[file]") {
    const auto full = openFile("/dev/full", O_WRONLY);
    REQUIRE(full);
    const auto written = writeAll(full->get(), "x", "/dev/full");
    REQUIRE_FALSE(written);
    CHECK(written.error().code == Code::no_space);
    CHECK_THAT(written.error().message, Contains("/dev/full"));
}

TEST_CASE("reading has a limit, exact to the byte, also for files without a size", "[file]") {
    const test::TempDir dir;
    REQUIRE(writeFileAtomic(dir / "f", std::string(100, 'x')));
    CHECK(readFile(dir / "f", 100).value().size() == 100);
    const auto over = readFile(dir / "f", 99);
    REQUIRE_FALSE(over);
    CHECK(over.error().code == Code::invalid);
    CHECK_THAT(over.error().message, Contains(dir / "f") && Contains("99 bytes"));
    CHECK_FALSE(readFile("/dev/zero", 1 << 20));
}

TEST_CASE("reading what cannot be read names it", "[file]") {
    const test::TempDir dir;
    CHECK(readFile(dir / "none").error().code == Code::not_found);
    CHECK_THAT(readFile(dir / "none").error().message, Contains(dir / "none"));
    CHECK_THAT(readFile(dir.path()).error().message, Contains(dir.path()));
}

TEST_CASE("directories are made with all above them, existing ones keep their mode", "[file]") {
    const test::TempDir dir;
    fs::create_directory(dir / "a");
    fs::permissions(dir / "a", fs::perms(0755));
    REQUIRE(makeDirectories(dir / "a/b/c"));
    REQUIRE(makeDirectories(dir / "a/b/c/"));
    CHECK(modeOf(dir / "a") == 0755);
    CHECK(modeOf(dir / "a/b") == 0700);
    REQUIRE(writeFileAtomic(dir / "file", ""));
    const auto through = makeDirectories(dir / "file/x");
    REQUIRE_FALSE(through);
    CHECK_THAT(through.error().message, Contains(dir / "file"));
    const auto at_file = makeDirectories(dir / "file");
    REQUIRE_FALSE(at_file);
    CHECK(at_file.error().code == Code::exists);
}

TEST_CASE("a dangling link exists", "[file]") {
    const test::TempDir dir;
    CHECK_FALSE(exists(dir / "l"));
    fs::create_symlink("/nowhere", dir / "l");
    CHECK(exists(dir / "l"));
}
