#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "backup/capture.h"
#include "backup/lineage.h"
#include "backup/restore.h"
#include "backup/store.h"
#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace regrow::test {

// A repository, a live directory to capture under the name "n", and places to restore to.
class TreeFixture {
  public:
    TreeFixture() {
        REQUIRE(backup::writeKeyFile(dir_ / "key"));
        REQUIRE(backup::Store::initialise(repository(), dir_ / "key"));
        reopen();
        options.path = live();
        options.name = "n";
        options.scratch = dir_.path();
    }

    std::string live() const { return dir_ / "live"; }
    std::string out(const std::string& name) const { return dir_ / ("out-" + name); }
    std::string repository() const { return dir_ / "repository"; }
    std::string keyFile() const { return dir_ / "key"; }

    void reopen() {
        auto opened = backup::Store::open(repository(), keyFile());
        if (!opened) FAIL(opened.error().message);
        store = std::move(*opened);
    }

    Result<backup::Captured> capture() { return backup::capture(*store, options); }
    backup::Captured mustCapture() {
        auto captured = capture();
        if (!captured) FAIL(captured.error().message);
        return std::move(*captured);
    }

    Result<backup::Restored> restore(const std::string& to,
                                     const std::function<void(backup::RestoreOptions&)>& how = {}) {
        auto snapshot = store->snapshots().latest("n");
        if (!snapshot || !*snapshot) FAIL("no snapshot");
        backup::RestoreOptions restoring;
        restoring.target = to;
        if (how) how(restoring);
        return backup::restore(*store, **snapshot, restoring);
    }
    backup::Restored mustRestore(const std::string& to,
                                 const std::function<void(backup::RestoreOptions&)>& how = {}) {
        auto restored = restore(to, how);
        if (!restored) FAIL(restored.error().message);
        return std::move(*restored);
    }

    std::set<std::string> repositoryFiles() const {
        std::set<std::string> files;
        for (const auto& item : std::filesystem::recursive_directory_iterator(repository()))
            if (item.is_regular_file()) files.insert(item.path().string());
        return files;
    }

  private:
    TempDir dir_;

  public:
    std::unique_ptr<backup::Store> store;
    backup::CaptureOptions options;
};

}  // namespace regrow::test
