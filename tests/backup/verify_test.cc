#include "backup/verify.h"

#include <catch2/catch.hpp>

#include "backup/pack.h"
#include "tests/support/store_fixture.h"

using namespace regrow;
using namespace regrow::backup;
using test::StoreFixture;

namespace {

std::vector<std::string> names(const StoreFixture& f, const std::string& folder) {
    std::vector<std::string> found;
    for (const auto& [name, object] : *f.objects)
        if (name.starts_with(folder + "/")) found.push_back(name);
    return found;
}

VerifyReport verified(const StoreFixture& f, bool mark_bad = false) {
    const auto store = f.open();
    VerifyOptions options;
    options.mark_bad = mark_bad;
    auto report = verify(*store, options);
    if (!report) FAIL(report.error().message);
    return *report;
}

bool mentions(const SnapshotDamage& damage, const std::string& path) {
    for (const DamagedFile& file : damage.files)
        if (file.path == path) return true;
    for (const LostRange& range : damage.ranges)
        if (!pathLess(path, range.first) &&
            (range.end.empty() || pathLess(path, range.end) || path == range.first))
            return true;
    return !damage.error.empty();
}

}  // namespace

TEST_CASE("a sound repository verifies") {
    const StoreFixture f;
    f.take(StoreFixture::sample());
    const VerifyReport report = verified(f);
    CHECK(report.ok());
    CHECK(report.packs == names(f, "packs").size());
    CHECK(report.snapshots == 1);
    CHECK(report.pieces > 30);
    CHECK(report.notes.empty());
}

TEST_CASE("any flipped byte anywhere is found") {
    const StoreFixture f;
    f.take(StoreFixture::sample());
    const auto sound = *f.objects;
    Random random(7);
    for (const auto& [name, object] : sound) {
        if (name.starts_with("index/")) continue;  // a cache: noted, not damage
        std::vector<size_t> places{0, 9, 15, object.bytes.size() - 1, object.bytes.size() / 2};
        for (int i = 0; i < 4; ++i) places.push_back(random.below(object.bytes.size()));
        for (const size_t place : places) {
            *f.objects = sound;
            (*f.objects)[name].bytes[std::min(place, object.bytes.size() - 1)] ^= 0x40;
            INFO(name << " byte " << place);
            const auto store =
                Store::open(std::make_unique<test::MemoryRepository>(f.objects), f.key);
            if (name.starts_with("proofs/")) {
                CHECK_FALSE(f.open()->snapshots().list("wiki/wiki-1")->snapshots.at(0).proven);
            } else if (name == "config" || name.starts_with("key")) {
                CHECK_FALSE(store);
            } else {
                CHECK_FALSE(verified(f).ok());
            }
        }
    }
}

TEST_CASE("truncated, deleted, swapped and lengthened packs are found") {
    const StoreFixture f;
    f.take(StoreFixture::sample(1));
    f.take(StoreFixture::sample(5));
    const auto sound = *f.objects;
    const auto packs = names(f, "packs");
    REQUIRE(packs.size() >= 2);
    const auto after = [&](const auto& damage) {
        *f.objects = sound;
        damage(*f.objects);
        return verified(f).ok();
    };
    for (const auto& name : packs) {
        INFO(name);
        const auto& other = name == packs[0] ? packs[1] : packs[0];
        CHECK_FALSE(after([&](auto& o) { o[name].bytes.resize(o[name].bytes.size() - 20); }));
        CHECK_FALSE(after([&](auto& o) { o[name].bytes.clear(); }));
        CHECK_FALSE(after([&](auto& o) { o.erase(name); }));
        CHECK_FALSE(after([&](auto& o) { std::swap(o[name], o[other]); }));
        CHECK_FALSE(after([&](auto& o) { o[name].bytes += "x"; }));
    }
}

TEST_CASE("truncated, swapped and doubled snapshots are found") {
    const StoreFixture f;
    f.take(StoreFixture::sample(1));
    f.take(StoreFixture::sample(5));
    const auto snapshots = names(f, "snapshots");
    REQUIRE(snapshots.size() == 2);
    auto& objects = *f.objects;
    SECTION("swapped") {
        std::swap(objects[snapshots[0]], objects[snapshots[1]]);
    }
    SECTION("doubled under the next number") {
        std::string next = snapshots[1];
        next.back() = '3';
        objects[next] = objects[snapshots[0]];
    }
    SECTION("truncated") {
        objects[snapshots[1]].bytes.resize(100);
    }
    CHECK_FALSE(verified(f).damaged_snapshots.empty());
    CHECK_FALSE(f.open()->snapshots().list("wiki/wiki-1")->damaged.empty());
}

TEST_CASE("damage names the files that are lost, and spares older snapshots") {
    const StoreFixture f;
    const StoreFixture::Files before{{"keep", StoreFixture::noise(200'000, 1)}, {"small", "same"}};
    const Snapshot first = f.take(before);
    const auto old_packs = names(f, "packs");
    StoreFixture::Files after = before;
    after["new"] = StoreFixture::noise(300'000, 9);
    const Snapshot second = f.take(after);
    std::string fresh;
    for (const auto& name : names(f, "packs"))
        if (std::find(old_packs.begin(), old_packs.end(), name) == old_packs.end() &&
            (*f.objects)[name].bytes.size() > 200'000)
            fresh = name;
    REQUIRE_FALSE(fresh.empty());
    (*f.objects)[fresh].bytes[1000] ^= 1;

    const VerifyReport report = verified(f, true);
    REQUIRE(report.damaged_packs.size() == 1);
    CHECK(packObjectName(report.damaged_packs[0].id) == fresh);
    REQUIRE(report.losses.size() == 1);
    CHECK(report.losses[0].snapshot.id == second.id);
    REQUIRE(report.losses[0].files.size() == 1);
    CHECK(report.losses[0].files[0].path == "new");
    CHECK(report.losses[0].files[0].bytes_lost == 300'000);

    const auto store = f.open();
    CHECK(StoreFixture::readBack(*store, first).value() == before);
    CHECK_FALSE(StoreFixture::readBack(*store, second));

    SECTION("one snapshot alone can be verified") {
        VerifyOptions only;
        only.only = first;
        CHECK(verify(*store, only)->ok());
        only.only = second;
        CHECK_FALSE(verify(*store, only)->ok());
    }
    SECTION("the next backup of the same data heals both") {
        const Snapshot third = f.take(after);
        CHECK(third.header.new_bytes == 300'000);
        const auto healed = f.open();
        CHECK(StoreFixture::readBack(*healed, third).value() == after);
        CHECK(StoreFixture::readBack(*healed, second).value() ==
              after);  // by the way of the piece's id
        CHECK(verified(f).losses.empty());
    }
}

TEST_CASE("a lost part of a tree is named, and what lies around it is read") {
    const StoreFixture f;
    StoreFixture::Files files;
    for (int i = 0; i < 4000; ++i) files["d/f" + std::to_string(10000 + i)] = "x";
    const Snapshot first = f.take(files);
    const auto old_packs = names(f, "packs");
    files["d/f12000"] = "y";
    auto draft = StoreFixture::draft();
    draft.type = SnapshotType::incremental;
    draft.parent = first;
    f.take(files, draft);
    for (const auto& name : names(f, "packs"))  // the new part of the tree, and the new piece
        if (std::find(old_packs.begin(), old_packs.end(), name) == old_packs.end())
            f.objects->erase(name);
    const VerifyReport report = verified(f);
    REQUIRE(report.losses.size() == 1);
    CHECK(report.losses[0].ranges.size() == 1);
    CHECK(mentions(report.losses[0], "d/f12000"));
    CHECK_FALSE(mentions(report.losses[0], "d/f10000"));
    CHECK_FALSE(mentions(report.losses[0], "d/f13999"));
}

TEST_CASE("what cannot be read back is not proven, and is stored again") {
    const StoreFixture f;
    const auto files = StoreFixture::sample();
    const auto store = f.open();
    const auto writer = store->writer(false).value();  // nothing is read back before it is damaged
    auto entries = StoreFixture::addAll(*store, *writer, files).value();
    const auto published = writer->publish(StoreFixture::draft(), std::move(entries)).value();
    std::string largest;
    for (const auto& name : names(f, "packs"))
        if (largest.empty() || (*f.objects)[name].bytes.size() > (*f.objects)[largest].bytes.size())
            largest = name;
    (*f.objects)[largest].bytes[5000] ^= 1;
    const auto proof = writer->prove();
    REQUIRE_FALSE(proof);
    CHECK(proof.error().code == Code::corrupt);
    CHECK_FALSE(f.open()->snapshots().latest("wiki/wiki-1").value()->proven);
    const Snapshot again = f.take(files);
    CHECK(f.open()->snapshots().latest("wiki/wiki-1").value()->proven);
    CHECK(StoreFixture::readBack(*f.open(), again).value() == files);
}

TEST_CASE("a pack that is damaged on its way into the repository is not proven") {
    struct Flipping : test::MemoryRepository {
        using MemoryRepository::MemoryRepository;
        Result<bool> create(std::string_view name, std::string_view bytes) override {
            std::string damaged(bytes);
            if (name.starts_with("packs/")) damaged[damaged.size() / 2] ^= 1;
            return MemoryRepository::create(name, damaged);
        }
    };
    const StoreFixture f;
    const auto store = Store::open(std::make_unique<Flipping>(f.objects), f.key).value();
    const auto writer = store->writer().value();
    auto entries = StoreFixture::addAll(*store, *writer, StoreFixture::sample()).value();
    REQUIRE(writer->publish(StoreFixture::draft(), std::move(entries)));
    const auto proof = writer->prove();
    REQUIRE_FALSE(proof);
    CHECK(proof.error().code == Code::corrupt);
    CHECK_FALSE(names(f, "bad").empty());
}

TEST_CASE("pieces of a parent may be used again only while their packs are sound") {
    const StoreFixture f;
    const auto files = StoreFixture::sample();
    const Snapshot first = f.take(files);
    const auto open = f.open();
    auto entries = open->tree(first).value();
    CHECK(open->writer().value()->stillStored(entries.back().pieces).value());
    for (const auto& name : names(f, "packs")) (*f.objects)[name].bytes[100] ^= 1;
    (void)verified(f, true);
    const auto writer = open->writer().value();
    bool all = true;
    for (const Entry& e : entries) all = all && writer->stillStored(e.pieces).value();
    CHECK_FALSE(all);
    const auto published = writer->publish(StoreFixture::draft(), std::move(entries));
    REQUIRE_FALSE(published);
    CHECK(published.error().code == Code::corrupt);
}
