#pragma once

#include <memory>

#include "backup/repository.h"

// A repository in a directory, also on NFS.
//
// An object is written to tmp/, fdatasync'ed, and then published by link(), not rename(): link()
// fails when the name exists, on NFS as well, which makes it the conditional create. Then the
// folder is fsync'ed. A crash leaves files in tmp/ only; those older than a day are removed when
// the next writer comes. The layout is that of docs/backup-format.md.
namespace regrow::backup {

class LocalRepository final : public Repository {
  public:
    // Creates the directory when absent. Code::exists when something is in it already.
    static Result<std::unique_ptr<LocalRepository>> initialise(const std::string& path);
    // Code::not_found, with the remedy, when there is no directory, or no repository in it: never
    // taken as an empty one.
    static Result<std::unique_ptr<LocalRepository>> open(const std::string& path);

    Result<bool> create(std::string_view name, std::string_view bytes) override;
    Result<std::string> get(std::string_view name, uint64_t offset, uint64_t length) override;
    Result<std::string> getAll(std::string_view name, uint64_t limit) override;
    Result<std::optional<ObjectInfo>> stat(std::string_view name) override;
    Result<std::vector<ObjectInfo>> list(std::string_view folder) override;
    Result<> remove(std::string_view name) override;
    Result<std::optional<Space>> space() override;
    std::string where() const override { return root_; }

    void sweepTemporaries();  // what writers that died a day ago left; errors do not matter

  private:
    explicit LocalRepository(std::string root) : root_(std::move(root)) {}
    std::string pathOf(std::string_view name) const;
    Result<std::string> writeTemporary(std::string_view bytes);
    Result<bool> publish(const std::string& temporary, std::string_view name);
    Result<> makeFolders(std::string_view name);

    std::string root_;
};

}  // namespace regrow::backup
