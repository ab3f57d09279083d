#include "backup/store.h"

#include <catch2/catch.hpp>

#include "backup/index.h"
#include "backup/pack.h"
#include "base/text.h"
#include "tests/support/store_fixture.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::backup;
using test::StoreFixture;

namespace {

size_t countOf(const StoreFixture& f, const std::string& folder) {
    size_t n = 0;
    for (const auto& [name, object] : *f.objects) n += name.starts_with(folder + "/") ? 1 : 0;
    return n;
}

}  // namespace

TEST_CASE("what goes into a snapshot comes out of it") {
    const StoreFixture f;
    const auto files = StoreFixture::sample();
    const Snapshot taken = f.take(files);
    const auto store = f.open();
    const auto found = store->snapshots().find("wiki/wiki-1", "latest");
    REQUIRE(found);
    CHECK(found->id == taken.id);
    CHECK(found->proven);
    CHECK(found->header.files == 6);
    CHECK(found->header.number == 1);
    CHECK(StoreFixture::readBack(*store, *found).value() == files);
}

TEST_CASE("the same content again adds no pack of content") {
    const StoreFixture f;
    const auto files = StoreFixture::sample();
    const Snapshot first = f.take(files);
    const size_t packs = countOf(f, "packs");
    auto draft = StoreFixture::draft();
    draft.type = SnapshotType::incremental;
    draft.parent = first;
    const Snapshot second = f.take(files, draft);
    CHECK(second.header.number == 2);
    CHECK(second.header.new_bytes == 0);
    CHECK(second.header.parent == first.id);
    CHECK(second.header.lineage == first.header.lineage);
    CHECK(second.header.tree_id == first.header.tree_id);
    CHECK(countOf(f, "packs") == packs);
}

TEST_CASE("an unchanged tree is not published when asked so") {
    const StoreFixture f;
    const Snapshot first = f.take(StoreFixture::sample());
    auto draft = StoreFixture::draft();
    draft.type = SnapshotType::incremental;
    draft.parent = first;
    draft.skip_unchanged = true;
    CHECK(f.take(StoreFixture::sample(), draft).id == first.id);
    CHECK(countOf(f, "snapshots") == 1);
    CHECK(countOf(f, "leases") == 0);
}

TEST_CASE("deduplication survives the loss of the index: packs' own tables are read") {
    const StoreFixture f;
    const auto files = StoreFixture::sample();
    f.take(files);
    REQUIRE(countOf(f, "index") == 1);
    std::erase_if(*f.objects, [](const auto& o) { return o.first.starts_with("index/"); });
    CHECK(f.take(files).header.new_bytes == 0);
}

TEST_CASE("a damaged index run is passed over") {
    const StoreFixture f;
    const auto files = StoreFixture::sample();
    f.take(files);
    for (auto& [name, object] : *f.objects)
        if (name.starts_with("index/")) object.bytes[40] ^= 1;
    CHECK(f.take(files).header.new_bytes == 0);
}

TEST_CASE("many small snapshots leave few index runs, and all is found in the merged one") {
    const StoreFixture f;
    StoreFixture::Files files;
    for (int i = 0; i < 40; ++i) {
        files["f" + std::to_string(i)] = StoreFixture::noise(1000, static_cast<uint64_t>(i));
        f.take(files);
    }
    CHECK(countOf(f, "index") < 17);
    CHECK(f.take(files).header.new_bytes == 0);
    const auto store = f.open();
    CHECK(StoreFixture::readBack(*store, store->snapshots().latest("wiki/wiki-1").value().value())
              .value() == files);
}

TEST_CASE("a tree of many directories shares its unchanged parts") {
    const StoreFixture f;
    StoreFixture::Files files;
    for (int i = 0; i < 5000; ++i)
        files["d" + std::to_string(i % 50) + "/f" + std::to_string(i)] = std::to_string(i);
    const Snapshot first = f.take(files);
    files["d7/f7"] = "changed";
    auto draft = StoreFixture::draft();
    draft.type = SnapshotType::incremental;
    draft.parent = first;
    const Snapshot second = f.take(files, draft);
    CHECK(second.header.new_bytes == 7);
    CHECK(second.header.stored_bytes < first.header.stored_bytes / 5);
    const auto store = f.open();
    CHECK(StoreFixture::readBack(*store, second).value() == files);
}

TEST_CASE("the piece list of a huge file is stored in parts, of which a change rewrites few") {
    const StoreFixture f;
    const std::string db = StoreFixture::noise(48 << 20, 3);
    const Snapshot first = f.take({{"x.db", db}});
    std::string changed = db;
    changed[20 << 20] ^= 1;
    auto draft = StoreFixture::draft();
    draft.type = SnapshotType::incremental;
    draft.parent = first;
    const Snapshot second = f.take({{"x.db", changed}}, draft);
    CHECK(second.header.new_bytes == 16 << 10);
    CHECK(second.header.stored_bytes < 100'000);  // a page, one list of 1024 pages, the tree
    const auto store = f.open();
    CHECK(StoreFixture::readBack(*store, second).value().at("x.db") == changed);
}

TEST_CASE("a lower epoch than the newest snapshot's is refused") {
    const StoreFixture f;
    f.take({{"a", "1"}}, StoreFixture::draft(5));
    const auto store = f.open();
    const auto late = StoreFixture::take(*store, {{"a", "2"}}, StoreFixture::draft(4));
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Code::refused);
    CHECK(f.take({{"a", "3"}}, StoreFixture::draft(5)).header.number == 2);
    CHECK(f.take({{"a", "3"}}, StoreFixture::draft(6)).header.number == 3);
}

TEST_CASE("snapshots are found by id, by time and by latest") {
    const StoreFixture f;
    auto draft = StoreFixture::draft();
    std::vector<Snapshot> taken;
    for (int i = 0; i < 3; ++i) {
        draft.captured_at = parseTime("2026-01-0" + std::to_string(i + 1) + "T00:00:00Z").value();
        taken.push_back(f.take({{"a", std::to_string(i)}}, draft));
    }
    const auto store = f.open();
    SnapshotStore& s = store->snapshots();
    const std::string name = "wiki/wiki-1";
    CHECK(s.find(name, "latest")->id == taken[2].id);
    CHECK(s.find(name, taken[1].shortId())->id == taken[1].id);
    CHECK(s.find(name, "2026-01-02T12:00:00Z")->id == taken[1].id);
    CHECK(s.find(name, "2025-12-31T00:00:00Z").error().code == Code::not_found);
    CHECK(s.find(name, "nonsense").error().code == Code::invalid);
    CHECK(s.find("other", "latest").error().code == Code::not_found);
    CHECK(s.listAll()->snapshots.size() == 3);
}

TEST_CASE("a store that was set back is noticed by who saw more") {
    const StoreFixture f;
    f.take({{"a", "1"}});
    const auto old = *f.objects;
    const Snapshot second = f.take({{"a", "2"}});
    const SeenSnapshot seen{second.header.number, second.id};
    CHECK(f.open()->snapshots().checkNotRolledBack("wiki/wiki-1", seen));
    *f.objects = old;
    CHECK(f.open()->snapshots().checkNotRolledBack("wiki/wiki-1", seen).error().code ==
          Code::refused);
    f.take({{"a", "other"}});  // the number is reached again, with another snapshot
    CHECK(f.open()->snapshots().checkNotRolledBack("wiki/wiki-1", seen).error().code ==
          Code::refused);
}

TEST_CASE("pins are kept in the repository until taken back") {
    const StoreFixture f;
    const Snapshot snapshot = f.take({{"a", "1"}});
    const auto expires = parseTime("2030-01-01T00:00:00Z").value();
    const Pin pin = f.open()->snapshots().pin(snapshot, "recovery 7", expires).value();
    const auto store = f.open();
    const auto pins = store->snapshots().pins().value();
    REQUIRE(pins.size() == 1);
    CHECK(pins[0].snapshot == snapshot.id);
    CHECK(pins[0].owner == "recovery 7");
    CHECK(pins[0].expires == expires);
    REQUIRE(store->snapshots().unpin(pin));
    CHECK(store->snapshots().pins()->empty());
}

TEST_CASE("a wrong key opens nothing and says so") {
    const StoreFixture f;
    const auto wrong = Store::open(std::make_unique<test::MemoryRepository>(f.objects),
                                   OperatorKey::fromSecret(std::string(32, 'x')));
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == Code::permission);
    const auto phrase = Store::open(std::make_unique<test::MemoryRepository>(f.objects),
                                    OperatorKey::fromPassphrase("passphrase").value());
    CHECK(phrase.error().code == Code::permission);
}

TEST_CASE("a passphrase opens what it made") {
    const auto objects = std::make_shared<test::MemoryRepository::Objects>();
    test::MemoryRepository repository(objects);
    const auto key = OperatorKey::fromPassphrase("correct horse").value();
    REQUIRE(Store::initialise(repository, key, ScryptCost{10, 8, 1}));
    CHECK(Store::open(std::make_unique<test::MemoryRepository>(objects), key));
    CHECK_FALSE(Store::open(std::make_unique<test::MemoryRepository>(objects),
                            OperatorKey::fromPassphrase("correct house").value()));
    CHECK(Store::initialise(repository, key).error().code == Code::exists);
}

TEST_CASE("a repository on disk: init, refusal of a second init, open with a key file") {
    const test::TempDir dir;
    REQUIRE(writeKeyFile(dir / "key"));
    REQUIRE(Store::initialise(dir / "repo", dir / "key"));
    CHECK(Store::initialise(dir / "repo", dir / "key").error().code == Code::exists);
    const auto store = Store::open(dir / "repo", dir / "key").value();
    const auto files = StoreFixture::sample();
    const Snapshot taken = StoreFixture::take(*store, files).value();
    CHECK(StoreFixture::readBack(*Store::open(dir / "repo", dir / "key").value(), taken).value() ==
          files);
    CHECK(Store::open(dir / "repo", dir / "nokey").error().message.find("regrow key new") !=
          std::string::npos);
}

TEST_CASE("a repository that is full says so before it writes") {
    const StoreFixture f;
    auto faulty = std::make_unique<test::FaultyRepository>(
        std::make_unique<test::MemoryRepository>(f.objects), nullptr);
    faulty->setSpace({1000, 2000});
    const auto store = Store::open(std::move(faulty), f.key).value();
    const auto taken = StoreFixture::take(*store, StoreFixture::sample());
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Code::no_space);
    CHECK(countOf(f, "packs") == 0);
    CHECK(countOf(f, "snapshots") == 0);
}

TEST_CASE("whatever call fails, no half snapshot is listed, and the next backup works") {
    using Call = test::FaultyRepository::Call;
    const auto files = StoreFixture::sample();
    for (int broken = 1; broken < 60; ++broken) {
        const StoreFixture f;
        f.take({{"before", "1"}});
        bool hit = false;
        const auto fault = [&](Call, std::string_view, int calls) -> std::optional<Error> {
            if (calls != broken) return std::nullopt;
            hit = true;
            return test::FaultyRepository::error(Code::io);
        };
        std::unique_ptr<Repository> r = std::make_unique<test::FaultyRepository>(
            std::make_unique<test::MemoryRepository>(f.objects), fault);
        auto store = Store::open(std::move(r), f.key);
        if (store) {
            [[maybe_unused]] const auto may_fail = StoreFixture::take(**store, files);
        }
        const auto after = f.open();
        const auto list = after->snapshots().list("wiki/wiki-1").value();
        CHECK(list.damaged.empty());
        for (const Snapshot& s : list.snapshots) CHECK(StoreFixture::readBack(*after, s));
        CHECK(StoreFixture::readBack(*after, f.take(files)).value() == files);
        if (!hit) break;
    }
}

TEST_CASE("a prune that took the writer for dead costs the writer its snapshot") {
    const StoreFixture f;
    const auto store = f.open();
    const auto writer = store->writer().value();
    auto entries = StoreFixture::addAll(*store, *writer, StoreFixture::sample()).value();
    std::erase_if(*f.objects, [](const auto& o) { return o.first.starts_with("leases/"); });
    const auto published = writer->publish(StoreFixture::draft(), std::move(entries));
    REQUIRE_FALSE(published);
    CHECK(published.error().retryable);
    CHECK(countOf(f, "snapshots") == 0);
}

TEST_CASE("condemned packs are not counted on") {
    const StoreFixture f;
    const auto files = StoreFixture::sample();
    f.take(files);
    std::vector<std::string> marks;
    for (const auto& [name, object] : *f.objects)
        if (name.starts_with("packs/")) marks.push_back(condemnedPackName(packIdOf(name).value()));
    for (const auto& m : marks) (*f.objects)[m] = {"", Wall::now()};
    CHECK(f.take(files).header.new_bytes > 3'000'000);
}

TEST_CASE("a writer whose pack is condemned before it publishes gives up") {
    const StoreFixture f;
    const auto files = StoreFixture::sample();
    f.take(files);
    const auto store = f.open();
    const auto writer = store->writer().value();
    auto entries = StoreFixture::addAll(*store, *writer, files).value();
    std::vector<std::string> marks;
    for (const auto& [name, object] : *f.objects)
        if (name.starts_with("packs/")) marks.push_back(condemnedPackName(packIdOf(name).value()));
    for (const auto& m : marks) (*f.objects)[m] = {"", Wall::now()};
    const auto published = writer->publish(StoreFixture::draft(), std::move(entries));
    CHECK_FALSE(published);
    CHECK(countOf(f, "snapshots") == 1);
}

TEST_CASE("trees that make no sense are refused with the path") {
    const StoreFixture f;
    const auto store = f.open();
    const auto publish = [&](std::vector<Entry> entries) {
        const auto writer = store->writer().value();
        return writer->publish(StoreFixture::draft(), std::move(entries));
    };
    const auto root = StoreFixture::directory("");
    CHECK(publish({}).error().code == Code::invalid);
    CHECK(publish({root, StoreFixture::directory("a"), StoreFixture::directory("a")})
              .error()
              .message.find("'a'") != std::string::npos);
    CHECK(publish({root, StoreFixture::directory("a/b")}).error().message.find("parent") !=
          std::string::npos);
    CHECK(publish({root, StoreFixture::directory("../x")}).error().code == Code::invalid);
    CHECK(publish({root, StoreFixture::directory("/x")}).error().code == Code::invalid);
    CHECK(countOf(f, "snapshots") == 0);
}
