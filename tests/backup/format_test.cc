#include <catch2/catch.hpp>

#include "backup/bytes.h"
#include "backup/index.h"
#include "backup/lease.h"
#include "backup/manifest.h"
#include "backup/pack.h"
#include "backup/sealed_object.h"
#include "backup/tree.h"
#include "base/file.h"
#include "tests/support/store_fixture.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::backup;

namespace {

const RepositoryId kRepository{1, 2, 3};

// A random tree of every kind of entry, sorted.
std::vector<Entry> randomTree(Random& random, PackTable& packs) {
    const uint32_t pack = packs.numberOf({sha256("pack"), 1, std::string(16, 's')});
    packs.addFrame(pack, {0, 100, 32, 1 << 20, true});
    packs.addFrame(pack, {1, 200, 132, 1 << 20, false});
    std::vector<Entry> entries(1 + random.below(40));
    for (size_t i = 0; i < entries.size(); ++i) {
        Entry& e = entries[i];
        e.type = i == 0 ? EntryType::directory : static_cast<EntryType>(random.below(7));
        if (i > 0)
            e.path = "n" + std::to_string(1000 + i) +
                     std::string(1, static_cast<char>(0x80 + random.below(100)));
        e.mode = static_cast<uint32_t>(random.below(010000));
        e.uid = static_cast<uint32_t>(random.next());
        e.user = random.below(2) ? "root" : "";
        e.mtime = {static_cast<int64_t>(random.next()) >> random.below(64),
                   static_cast<uint32_t>(random.below(1'000'000'000))};
        e.ctime = {-5, 999'999'999};
        e.inode = random.next();
        e.link_group = random.below(3);
        if (random.below(3) == 0) e.xattrs = {{"user.a", std::string("v\0", 2)}, {"user.b", ""}};
        if (e.type == EntryType::symlink) e.target = "../over there";
        if (e.type == EntryType::block_device || e.type == EntryType::char_device)
            e.device = random.next();
        if (e.type != EntryType::regular) continue;
        e.kind = static_cast<ContentKind>(random.below(3));
        e.changed_while_read = random.below(2) == 0;
        for (uint64_t at = 0; random.below(4) != 0;) {
            at += random.below(5) << 30;
            const auto length = static_cast<uint32_t>(1 + random.below(1000));
            e.pieces.push_back({at, length, sha256(std::to_string(random.next())), pack,
                                static_cast<uint32_t>(random.below(2)),
                                static_cast<uint32_t>(random.below(1000))});
            at += length;
            e.size = at;
        }
    }
    return entries;
}

bool same(const Entry& a, const Entry& b) {
    const auto tied = [](const Entry& e) {
        return std::tie(e.path, e.type, e.mode, e.uid, e.gid, e.user, e.group, e.mtime, e.size,
                        e.device, e.target, e.xattrs, e.link_group, e.kind, e.changed_while_read,
                        e.ctime, e.inode);
    };
    const auto samePiece = [](const Piece& p, const Piece& q) {
        return p.file_offset == q.file_offset && p.length == q.length && p.id == q.id &&
               p.pack == q.pack && p.frame == q.frame && p.frame_offset == q.frame_offset;
    };
    return tied(a) == tied(b) && std::equal(a.pieces.begin(), a.pieces.end(), b.pieces.begin(),
                                            b.pieces.end(), samePiece);
}

std::string encodedTree(const std::vector<Entry>& entries, const PackTable& packs) {
    EntriesNode node;
    for (const Entry& e : entries) node.entries.push_back({e, 0, {}});
    return encodeNode(node, packs).value();
}

}  // namespace

TEST_CASE("numbers of the format survive the trip, and lies are noticed") {
    ByteWriter w;
    for (const uint64_t v : {uint64_t{0}, uint64_t{127}, uint64_t{128}, UINT64_MAX}) w.varint(v);
    for (const int64_t v : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX}) w.signedVarint(v);
    ByteReader r(w.view());
    for (const uint64_t v : {uint64_t{0}, uint64_t{127}, uint64_t{128}, UINT64_MAX})
        CHECK(r.varint() == v);
    for (const int64_t v : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX})
        CHECK(r.signedVarint() == v);
    CHECK(r.atEnd());
    ByteReader overlong(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
    overlong.varint();
    CHECK(overlong.failed());
    ByteReader liar(std::string_view("\xff\x7f", 2));
    CHECK(liar.count(1) == 0);
    CHECK(liar.failed());
}

TEST_CASE("trees survive encoding, and no flipped or missing byte crashes the decoder") {
    Random random(42);
    for (int round = 0; round < 60; ++round) {
        PackTable packs;
        const auto entries = randomTree(random, packs);
        const std::string bytes = encodedTree(entries, packs);
        const auto decoded = decodeNode(bytes, packs);
        REQUIRE(decoded);
        const auto& back = std::get<EntriesNode>(*decoded).entries;
        REQUIRE(back.size() == entries.size());
        for (size_t i = 0; i < back.size(); ++i) CHECK(same(back[i].entry, entries[i]));
        for (int i = 0; i < 200; ++i) {
            std::string damaged = bytes;
            damaged[random.below(damaged.size())] = static_cast<char>(random.next());
            if (i % 3 == 0) damaged.resize(random.below(damaged.size()));
            PackTable others;
            if (const auto d = decodeNode(damaged, others)) CHECK(encodeNode(*d, others));
        }
    }
}

// Found by fuzzing: of two spans for one frame the table kept one, and the pieces lay outside it.
TEST_CASE("a node that names a pack or a frame twice is refused") {
    PackTable packs;
    const uint32_t pack = packs.numberOf({sha256("pack"), 1, std::string(16, 's')});
    packs.addFrame(pack, {0, 100, 32, 5, false});
    Entry file;
    file.type = EntryType::regular;
    file.path = "f";
    file.size = 5;
    file.pieces = {{0, 5, sha256("piece"), pack, 0, 0}};
    const std::string sound = encodedTree({file}, packs);
    constexpr size_t kPack = sizeof(PackId) + 4 + 16;
    constexpr size_t kFrame = 6;  // each of its numbers takes one byte
    constexpr size_t kFrames = 4 + kPack;
    REQUIRE(sound.substr(3, 1) == "\1");
    REQUIRE(sound.substr(kFrames, 1) == "\1");
    std::string twice_the_pack = sound;
    twice_the_pack[3] = 2;
    twice_the_pack.insert(4, sound.substr(4, kPack));
    std::string twice_the_frame = sound;
    twice_the_frame[kFrames] = 2;
    twice_the_frame.insert(kFrames + 1, sound.substr(kFrames + 1, kFrame));
    PackTable others;
    CHECK(decodeNode(sound, others));
    CHECK_FALSE(decodeNode(twice_the_pack, others));
    CHECK_FALSE(decodeNode(twice_the_frame, others));
}

TEST_CASE("paths that could leave the target are refused") {
    for (const char* good : {"", "a", "a/b", "..a", "a../b", " ", "\xff"})
        CHECK(validTreePath(good));
    for (const char* bad : {"/", "/a", "a/", "a//b", ".", "..", "a/..", "a/./b", "../a"})
        CHECK_FALSE(validTreePath(bad));
    CHECK_FALSE(validTreePath(std::string_view("a\0b", 3)));
    CHECK_FALSE(validTreePath(std::string(256, 'x')));
}

TEST_CASE("in tree order a directory is followed by what is in it") {
    CHECK(pathLess("", "a"));
    CHECK(pathLess("a", "a/b"));
    CHECK(pathLess("a/b", "a-b"));  // '-' is below '/' in ASCII
    CHECK(pathLess("a/z", "a\x01"));
    CHECK_FALSE(pathLess("a", "a"));
    CHECK_FALSE(pathLess("a-b", "a/b"));
}

TEST_CASE("a header survives encoding") {
    SnapshotHeader h;
    h.name = "wiki/wiki-1";
    h.number = 7;
    h.epoch = 3;
    h.lineage = "abc";
    h.captured_at = WallTime(std::chrono::seconds(-5));
    h.flags = kRescue | kIncomplete;
    h.has_parent = true;
    h.parent = sha256("p");
    h.parent_number = 6;
    for (size_t i = 0; i < kMaxProblems + 50; ++i)
        h.problems.push_back("cannot read " + std::to_string(i));
    const auto back = decodeHeader(encodeHeader(h)).value();
    CHECK(back.name == h.name);
    CHECK(back.captured_at == h.captured_at);
    CHECK(back.parent == h.parent);
    CHECK(back.problems.size() == kMaxProblems);
    CHECK(back.problems_total == kMaxProblems + 50);
    const std::string bytes = encodeHeader(h);
    for (size_t n = 0; n < bytes.size(); n += 7) CHECK_FALSE(decodeHeader(bytes.substr(0, n)));
}

TEST_CASE("a pack holds what was added, in few frames") {
    const Keyring keys = Keyring::create(kRepository, {});
    const Mac mac = keys.chunkMac();
    PackWriter writer(keys, PackKind::content, 64 << 20);
    for (int i = 0; i < 100; ++i) {
        const std::string piece = std::to_string(i) + std::string(30'000, 'x');
        writer.add(mac.of(piece), piece);
    }
    const auto done = writer.finish();
    CHECK(done.contents.frames.size() == 3);
    CHECK(done.bytes.size() < 100'000);  // compressed
    auto opener = FrameOpener::make(keys, done.contents.info).value();
    std::string plain;
    const FrameSpan& span = done.contents.frames[1].span;
    REQUIRE(
        opener.open(span, std::string_view(done.bytes).substr(span.offset, span.stored), plain));
    CHECK(plain.size() == span.plain);
    FrameSpan other = span;  // a frame in the place of another does not open
    other.number = 2;
    CHECK_FALSE(
        opener.open(other, std::string_view(done.bytes).substr(span.offset, span.stored), plain));
    CHECK(plain.empty());
}

TEST_CASE("what does not compress is stored as it is") {
    const Keyring keys = Keyring::create(kRepository, {});
    PackWriter writer(keys, PackKind::content, 64 << 20);
    const std::string noise = test::StoreFixture::noise(1 << 20, 1);
    writer.add(sha256(noise), noise);
    const auto done = writer.finish();
    CHECK_FALSE(done.contents.frames[0].span.compressed);
    CHECK(done.contents.frames[0].span.stored == (1 << 20) + kSealOverhead);
}

TEST_CASE("a run finds every piece, and merged runs do too") {
    const Keyring keys = Keyring::create(kRepository, {});
    std::vector<IndexRun> runs;
    std::vector<ChunkId> ids;
    std::set<PackId> packs;
    for (int p = 0; p < 3; ++p) {
        PackWriter writer(keys, PackKind::content, 64 << 20);
        for (int i = 0; i < 500; ++i) {
            const std::string piece = std::to_string(p * 1000 + i);
            ids.push_back(sha256(piece));
            writer.add(ids.back(), piece);
        }
        const auto contents = writer.finish().contents;
        packs.insert(contents.info.id);
        runs.push_back(IndexRun::parse(IndexRun::encode({contents})).value());
    }
    const auto merged =
        IndexRun::parse(IndexRun::merge({&runs[0], &runs[1], &runs[2]}, packs)).value();
    CHECK(merged.pieceCount() == 1500);
    for (const ChunkId& id : ids) CHECK(merged.find(id).size() == 1);
    CHECK(merged.find(sha256("absent")).empty());
    CHECK_FALSE(IndexRun::parse("short"));
}

TEST_CASE("an object opens under its own name, kind and repository only") {
    const Keyring keys = Keyring::create(kRepository, {});
    const std::string object = sealObject(keys, ObjectType::proof, "proofs/a", "content");
    CHECK(openObject(keys, ObjectType::proof, "proofs/a", object).value() == "content");
    CHECK_FALSE(openObject(keys, ObjectType::proof, "proofs/b", object));
    CHECK_FALSE(openObject(keys, ObjectType::pin, "proofs/a", object));
    CHECK_FALSE(openObject(Keyring::decode({9}, keys.encode()).value(), ObjectType::proof,
                           "proofs/a", object));
    for (size_t i = 0; i < object.size(); ++i) {
        std::string damaged = object;
        damaged[i] ^= 1;
        CHECK_FALSE(openObject(keys, ObjectType::proof, "proofs/a", damaged));
    }
}

TEST_CASE("key files: made once, read back, slips noticed") {
    const test::TempDir dir;
    REQUIRE(writeKeyFile(dir / "key"));
    CHECK(writeKeyFile(dir / "key").error().code == Code::exists);
    const auto key = OperatorKey::load(dir / "key").value();
    CHECK(key.secret().size() == 32);
    CHECK_FALSE(key.isPassphrase());
    std::string text = readFile(dir / "key").value();
    text[text.find("regrow-key-1 ") + 20] ^= 1;
    REQUIRE(writeFileAtomic(dir / "slip", text));
    CHECK(OperatorKey::load(dir / "slip").error().code == Code::invalid);
    REQUIRE(writeFileAtomic(dir / "phrase", "regrow-passphrase-1 correct horse battery\r\n"));
    CHECK(OperatorKey::load(dir / "phrase").value().secret() == "correct horse battery");
    CHECK(OperatorKey::load(dir / "phrase").value().isPassphrase());
    REQUIRE(writeFileAtomic(dir / "short", "regrow-passphrase-1 abc\n"));
    CHECK(OperatorKey::load(dir / "short").error().code == Code::invalid);
    REQUIRE(writeFileAtomic(dir / "empty", "\n"));
    CHECK(OperatorKey::load(dir / "empty").error().code == Code::invalid);
    CHECK(OperatorKey::load(dir / "none").error().code == Code::not_found);
}

TEST_CASE("what is no key is never taken for a passphrase") {
    const test::TempDir dir;
    REQUIRE(writeKeyFile(dir / "key"));
    const std::string text = readFile(dir / "key").value();
    const std::string line = text.substr(text.find("regrow-key-1 "));
    const auto refused = [&](const std::string& content) {
        REQUIRE(writeFileAtomic(dir / "other", content));
        const auto key = OperatorKey::load(dir / "other");
        REQUIRE_FALSE(key);
        CHECK(key.error().code == Code::invalid);
        return key.error().message;
    };
    CHECK_THAT(refused("\xef\xbb\xbf" + line), Catch::Contains("byte order mark"));
    CHECK_THAT(refused("\xef\xbb\xbf" + text), Catch::Contains("byte order mark"));
    CHECK_THAT(refused("  " + line), Catch::Contains("begin its line"));
    CHECK_THAT(refused("<!DOCTYPE html>\n<html>Not Found</html>\n"),
               Catch::Contains("regrow key new"));
    const std::string secret = refused("correct horse battery\n");
    CHECK_THAT(secret, Catch::Contains("regrow-passphrase-1"));
    CHECK_THAT(secret, !Catch::Contains("horse"));
    CHECK_THAT(refused(line.substr(0, 40) + "\n"), Catch::Contains("damaged"));
}

TEST_CASE("a hostile key slot cannot make us allocate without end") {
    const auto key = OperatorKey::fromPassphrase("passphrase").value();
    std::string slot = wrapRingKey(key, kRepository, std::string(32, 'r'), ScryptCost{10, 8, 1});
    CHECK(unwrapRingKey(key, kRepository, slot).value() == std::string(32, 'r'));
    slot[10] = 40;  // log2 N
    CHECK(unwrapRingKey(key, kRepository, slot).error().code == Code::corrupt);
}

TEST_CASE("known answers: SHA-256, HMAC and HKDF are the standard's") {
    CHECK(hexOf(sha256("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 streamed;
    streamed.update("a");
    streamed.update("bc");
    CHECK(streamed.finish() == sha256("abc"));
    // RFC 4231, test case 2.
    const Mac mac("Jefe");
    const std::string expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    CHECK(hexOf(mac.of("what do ya want for nothing?")) == expected);
    CHECK(hexOf(Mac(mac).of("what do ya want for nothing?")) == expected);
}
