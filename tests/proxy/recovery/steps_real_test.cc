// The steps with the real verbs of the program built beside these tests: what the two sides agreed
// on in words is checked in deeds. REGROW_BINARY comes from tests/CMakeLists.txt.
#include <catch2/catch.hpp>
#include <filesystem>

#include "proxy/recovery/steps.h"
#include "tests/support/control_loop.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

#ifdef REGROW_BINARY

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

struct Fixture {
    test::TempDir dir;
    test::ControlLoop loop;
    LocalSteps steps{loop.loop(), REGROW_BINARY};
    RepositoryRef repository{dir / "repo", dir / "key"};
    std::string data = dir / "data";

    Fixture() {
        run({REGROW_BINARY, "key", "new", repository.key_file});
        run({REGROW_BINARY, "repo", "init", "--repo", repository.path, "--key-file",
             repository.key_file});
        std::filesystem::create_directories(data + "/sub");
        write("a", "hello");
        write("sub/b", std::string(100000, 'b'));
        write("c.tmp", "not this");
    }

    void write(const std::string& name, const std::string& content) const {
        REQUIRE(writeFileAtomic(data + "/" + name, content).has_value());
    }

    void run(const std::vector<std::string>& argv) {
        std::optional<ChildRun::Outcome> outcome;
        SpawnOptions options;
        options.argv = argv;
        const auto child = ChildRun::start(loop.loop(), options, 30s, nullptr,
                                           [&](ChildRun::Outcome o) { outcome = std::move(o); });
        REQUIRE(child.has_value());
        REQUIRE(loop.untilSet(outcome));
        INFO(outcome->stderr_tail);
        REQUIRE(outcome->status.ok());
    }

    template <class T>
    Result<T> wait(const std::function<Handle(OnDone<T>)>& begin) {
        std::optional<Result<T>> result;
        const Handle handle = begin([&](Result<T> r) { result = std::move(r); });
        REQUIRE(loop.until([&] { return result.has_value(); }, 60s));
        if (!result->has_value()) UNSCOPED_INFO(result->error().message);
        return *result;
    }

    Result<void> fresh() {
        return wait<void>([&](OnDone<void> done) {
            return steps.fresh({data, "wiki/a", "l1", 1, repository}, std::move(done));
        });
    }

    Result<CaptureResult> capture(bool rescue = false) {
        CaptureRequest request;
        request.repository = repository;
        request.name = "wiki/a";
        request.data = data;
        request.exclude = {"*.tmp"};
        request.epoch = 1;
        request.lineage = "l1";
        request.rescue = rescue;
        return wait<CaptureResult>([&](OnDone<CaptureResult> done) {
            return steps.capture(request, nullptr, std::move(done));
        });
    }

    Result<SnapshotListing> list() {
        return wait<SnapshotListing>([&](OnDone<SnapshotListing> done) {
            return steps.listSnapshots(repository, "wiki/a", std::move(done));
        });
    }
};

}  // namespace

TEST_CASE("the whole way with the real verbs: mark, capture, list, pin, restore, activate",
          "[steps][real]") {
    Fixture f;
    CHECK_FALSE(f.capture().has_value());  // data without a marker is nobody's
    REQUIRE(f.fresh().has_value());

    const auto first = f.capture();
    REQUIRE(first.has_value());
    CHECK_FALSE(first->unchanged);
    CHECK(first->snapshot.name == "wiki/a");
    CHECK(first->snapshot.number == 1);
    CHECK(first->snapshot.epoch == 1);
    CHECK(first->snapshot.lineage == "l1");
    CHECK(first->snapshot.type == "full");
    CHECK(first->snapshot.bytes == 100005);
    CHECK(first->snapshot.files == 2);
    CHECK(first->snapshot.proven);
    CHECK_FALSE(first->snapshot.incomplete);
    CHECK_FALSE(first->snapshot.rescue);
    const auto again = f.capture();
    REQUIRE(again.has_value());
    CHECK(again->unchanged);
    CHECK(again->snapshot.id == first->snapshot.id);
    f.write("a", "hello again");
    const auto second = f.capture(true);
    REQUIRE(second.has_value());
    CHECK(second->snapshot.type == "incremental");
    CHECK(second->snapshot.rescue);

    const auto listing = f.list();
    REQUIRE(listing.has_value());
    REQUIRE(listing->snapshots.size() == 2);
    CHECK(listing->snapshots[0].id == first->snapshot.id);
    CHECK(listing->snapshots[1].id == second->snapshot.id);
    CHECK(listing->snapshots[1].number == 2);
    CHECK(listing->snapshots[1].proven);
    CHECK(listing->snapshots[1].rescue);
    CHECK(listing->space.bytes > 0);
    CHECK(listing->space.free_bytes > 0);

    CHECK(f.wait<void>([&](OnDone<void> done) {
               return f.steps.pin({f.repository, "wiki/a", second->snapshot.id, "r1", 24h},
                                  std::move(done));
           }).has_value());

    const std::string spare = f.dir / "spare";
    const std::string staging = stagingPath(spare, "r1");
    const auto restored = f.wait<RestoreResult>([&](OnDone<RestoreResult> done) {
        return f.steps.restore({f.repository, "wiki/a", second->snapshot.id, staging, "r1"},
                               nullptr, std::move(done));
    });
    REQUIRE(restored.has_value());
    CHECK(restored->snapshot == second->snapshot.id);
    CHECK(restored->restored_bytes == 100011);
    CHECK_FALSE(exists(spare));

    for (int run = 0; run < 2; ++run) {  // a second time changes nothing
        const auto activated = f.wait<ActivateResult>([&](OnDone<ActivateResult> done) {
            return f.steps.activate({staging, spare, "r1", 2, "wiki/a", "l2", second->snapshot.id},
                                    nullptr, std::move(done));
        });
        REQUIRE(activated.has_value());
        CHECK_FALSE(activated->digest.empty());
        CHECK(activated->old.empty());
        CHECK(readFile(spare + "/a").value() == "hello again");
        CHECK_FALSE(exists(spare + "/c.tmp"));
        CHECK_FALSE(exists(staging));
    }
}

TEST_CASE("untouched and fresh with the real verbs", "[steps][real]") {
    Fixture f;
    REQUIRE(f.fresh().has_value());
    REQUIRE(f.capture().has_value());
    const auto refused = f.wait<void>([&](OnDone<void> done) {
        return f.steps.fresh({f.dir / "other", "wiki/a", "l9", 1, f.repository}, std::move(done));
    });
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Code::refused);
    CHECK_THAT(refused.error().message, Contains("wiki/a has snapshots"));

    const WallTime exited_at = Wall::now();
    const auto untouched = [&](const std::string& lineage) {
        return f.wait<UntouchedResult>([&](OnDone<UntouchedResult> done) {
            return f.steps.untouched({f.repository, "wiki/a", f.data, exited_at, lineage, 1},
                                     std::move(done));
        });
    };
    auto answer = untouched("l1");
    REQUIRE(answer.has_value());
    CHECK(answer->untouched);
    CHECK(answer->reasons.empty());
    answer = untouched("l7");
    REQUIRE(answer.has_value());
    CHECK_FALSE(answer->untouched);
    std::filesystem::remove(f.data + "/a");  // its directory changed after the exit
    answer = untouched("");
    REQUIRE(answer.has_value());
    CHECK_FALSE(answer->untouched);
    CHECK_FALSE(answer->reasons.empty());
}

TEST_CASE("errors of the real verbs keep their kind", "[steps][real]") {
    Fixture f;
    f.repository.path = f.dir / "nowhere";
    const auto listing = f.list();
    REQUIRE_FALSE(listing.has_value());
    CHECK(listing.error().code == Code::not_found);
    CHECK_THAT(listing.error().message, Contains(f.repository.path));
}

#endif
