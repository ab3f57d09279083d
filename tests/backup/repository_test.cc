#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include "backup/local_repository.h"
#include "base/file.h"
#include "tests/conformance/repository_suite.h"
#include "tests/support/memory_repository.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::backup;

TEST_CASE("a directory is a repository") {
    const test::TempDir dir;
    test::checkRepository([&] { return LocalRepository::initialise(dir / "repo").value(); });
}

TEST_CASE("memory is a repository") {
    test::checkRepository([] {
        return std::make_unique<test::MemoryRepository>(
            std::make_shared<test::MemoryRepository::Objects>());
    });
}

TEST_CASE("object names cannot leave the repository") {
    for (const char* good : {"a", "packs/ab/cd", "x-1_2.3/y"}) CHECK(validObjectName(good));
    for (const char* bad :
         {"", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a/.b", "A", "a b", "a\n"})
        CHECK_FALSE(validObjectName(bad));
}

TEST_CASE("a directory that is no repository is never taken as an empty one") {
    const test::TempDir dir;
    const auto missing = LocalRepository::open(dir / "nowhere");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Code::not_found);
    CHECK(missing.error().message.find("regrow repo init") != std::string::npos);
    const auto empty = LocalRepository::open(dir.path());
    REQUIRE_FALSE(empty);
    CHECK(empty.error().code == Code::not_found);
    CHECK(empty.error().message.find("mounted") != std::string::npos);
    REQUIRE(writeFileAtomic(dir / "file", "x"));
    CHECK_FALSE(LocalRepository::open(dir / "file"));
}

TEST_CASE("a new repository wants an empty directory") {
    const test::TempDir dir;
    REQUIRE(writeFileAtomic(dir / "something", "x"));
    const auto made = LocalRepository::initialise(dir.path());
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::exists);
    CHECK(readFile(dir / "something").value() == "x");
}

TEST_CASE("a write that does not fit leaves nothing behind") {
    const test::TempDir dir;
    const auto repository = LocalRepository::initialise(dir / "repo").value();
    std::signal(SIGXFSZ,
                SIG_IGN);  // then write() fails with EFBIG, as it does with ENOSPC on a full disk
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{1 << 16, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    const auto created = repository->create("packs/ab/big", std::string(1 << 20, 'x'));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK_FALSE(created);
    CHECK(repository->list("packs").value().empty());
    CHECK(repository->list("tmp").value().empty());
}

TEST_CASE("temporaries of writers that died a day ago are swept, younger ones stay") {
    const test::TempDir dir;
    const auto repository = LocalRepository::initialise(dir / "repo").value();
    REQUIRE(writeFileAtomic(dir / "repo/tmp/old", "x"));
    REQUIRE(writeFileAtomic(dir / "repo/tmp/young", "x"));
    const timespec long_ago[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    REQUIRE(::utimensat(AT_FDCWD, (dir / "repo/tmp/old").c_str(), long_ago, 0) == 0);
    repository->sweepTemporaries();
    CHECK_FALSE(exists(dir / "repo/tmp/old"));
    CHECK(exists(dir / "repo/tmp/young"));
}
