#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>

#include "backup/store.h"
#include "base/random.h"
#include "tests/support/faulty_repository.h"
#include "tests/support/memory_repository.h"

namespace regrow::test {

// A repository in memory and what a person would do with it: take snapshots of a map of files, read
// them back.
class StoreFixture {
  public:
    using Files = std::map<std::string, std::string>;

    StoreFixture() {
        MemoryRepository repository(objects);
        REQUIRE(backup::Store::initialise(repository, key));
    }

    std::unique_ptr<backup::Store> open(FaultyRepository::Fault fault = {}) const {
        std::unique_ptr<backup::Repository> r = std::make_unique<MemoryRepository>(objects);
        if (fault) r = std::make_unique<FaultyRepository>(std::move(r), std::move(fault));
        auto store = backup::Store::open(std::move(r), key);
        if (!store) FAIL(store.error().message);
        return std::move(*store);
    }

    static backup::Entry directory(std::string path) {
        backup::Entry e;
        e.path = std::move(path);
        e.type = backup::EntryType::directory;
        e.mode = 0755;
        return e;
    }

    // All of it given to the writer, as a full capture does.
    static Result<std::vector<backup::Entry>> addAll(backup::Store& store, backup::Writer& writer,
                                                     const Files& files) {
        std::vector<backup::Entry> entries{directory("")};
        std::set<std::string> directories;
        for (const auto& [path, content] : files) {
            for (size_t slash = path.find('/'); slash != std::string::npos;
                 slash = path.find('/', slash + 1))
                if (directories.insert(path.substr(0, slash)).second)
                    entries.push_back(directory(path.substr(0, slash)));
            backup::Entry e;
            e.path = path;
            e.mode = 0644;
            e.size = content.size();
            e.kind =
                path.ends_with(".db") ? backup::ContentKind::pages : backup::ContentKind::plain;
            for (size_t at = 0; at < content.size();) {
                const size_t n =
                    store.chunker().next(e.kind, at, std::string_view(content).substr(at));
                REGROW_TRY(const backup::Piece p,
                           writer.add(at, std::string_view(content).substr(at, n)));
                e.pieces.push_back(p);
                at += n;
            }
            entries.push_back(std::move(e));
        }
        return entries;
    }

    static backup::SnapshotDraft draft(uint64_t epoch = 1) {
        backup::SnapshotDraft d;
        d.name = "wiki/wiki-1";
        d.epoch = epoch;
        d.captured_at = Wall::now();
        d.host = "host";
        d.source = "/srv/wiki";
        d.capture = "directory";
        return d;
    }

    static Result<backup::Snapshot> take(backup::Store& store, const Files& files,
                                         backup::SnapshotDraft d = draft(), bool prove = true) {
        REGROW_TRY(const auto writer, store.writer());
        REGROW_TRY(auto entries, addAll(store, *writer, files));
        REGROW_TRY(const auto published, writer->publish(std::move(d), std::move(entries)));
        if (prove && !published.unchanged) REGROW_CHECK(writer->prove());
        return published.snapshot;
    }
    backup::Snapshot take(const Files& files, backup::SnapshotDraft d = draft()) const {
        const auto store = open();
        auto snapshot = take(*store, files, std::move(d));
        if (!snapshot) FAIL(snapshot.error().message);
        return *snapshot;
    }

    static Result<Files> readBack(backup::Store& store, const backup::Snapshot& snapshot) {
        Files files;
        REGROW_TRY(const auto entries, store.tree(snapshot));
        for (const backup::Entry& e : entries) {
            if (e.type != backup::EntryType::regular) continue;
            std::string content(e.size, '\0');
            for (const backup::Piece& p : e.pieces) {
                REGROW_TRY(const std::string bytes, store.findPiece(p));
                content.replace(p.file_offset, p.length, bytes);
            }
            files[e.path] = std::move(content);
        }
        return files;
    }

    static std::string noise(size_t size, uint64_t seed) {
        Random random(seed);
        std::string s(size, '\0');
        for (char& c : s) c = static_cast<char>(random.next());
        return s;
    }
    static Files sample(uint64_t seed = 1) {
        return {{"a/small", "hello"},
                {"a/b/text", std::string(100'000, 't')},
                {"big", noise(3'000'000, seed)},
                {"data.db", noise(512 << 10, seed + 1)},
                {"empty", ""},
                {"odd \xff\n name", "odd"}};
    }

    std::shared_ptr<MemoryRepository::Objects> objects =
        std::make_shared<MemoryRepository::Objects>();
    backup::OperatorKey key = backup::OperatorKey::fromSecret(std::string(32, 'k'));
};

}  // namespace regrow::test
