#pragma once

#include <map>
#include <mutex>
#include <string>

#include "backup/repository.h"

namespace regrow::test {

// A repository in memory; its objects can be looked at and damaged. Any thread.
class MemoryRepository : public backup::Repository {
  public:
    struct Object {
        std::string bytes;
        WallTime stored_at;
        friend bool operator==(const Object&, const Object&) = default;
    };
    using Objects = std::map<std::string, Object, std::less<>>;

    // Shares `objects`, so that a store can be opened again on the same ones.
    explicit MemoryRepository(std::shared_ptr<Objects> objects) : objects_(std::move(objects)) {}

    Result<bool> create(std::string_view name, std::string_view bytes) override {
        const std::scoped_lock lock(mutex_);
        return objects_->try_emplace(std::string(name), Object{std::string(bytes), Wall::now()})
            .second;
    }
    Result<std::string> get(std::string_view name, uint64_t offset, uint64_t length) override {
        const std::scoped_lock lock(mutex_);
        const auto it = objects_->find(name);
        if (it == objects_->end()) return absent(name);
        const std::string& bytes = it->second.bytes;
        if (offset > bytes.size() || length > bytes.size() - offset)
            return fail(Code::corrupt, Source::repository, std::string(name) + " ends before that");
        return bytes.substr(offset, length);
    }
    Result<std::string> getAll(std::string_view name, uint64_t limit) override {
        const std::scoped_lock lock(mutex_);
        const auto it = objects_->find(name);
        if (it == objects_->end()) return absent(name);
        if (it->second.bytes.size() > limit)
            return fail(Code::corrupt, Source::repository, std::string(name) + " is too large");
        return it->second.bytes;
    }
    Result<std::optional<backup::ObjectInfo>> stat(std::string_view name) override {
        const std::scoped_lock lock(mutex_);
        const auto it = objects_->find(name);
        if (it == objects_->end()) return std::optional<backup::ObjectInfo>();
        return info(it->first, it->second);
    }
    Result<std::vector<backup::ObjectInfo>> list(std::string_view folder) override {
        const std::scoped_lock lock(mutex_);
        const std::string prefix = std::string(folder) + "/";
        std::vector<backup::ObjectInfo> found;
        for (auto it = objects_->lower_bound(prefix);
             it != objects_->end() && it->first.starts_with(prefix); ++it)
            found.push_back(info(it->first, it->second));
        return found;
    }
    Result<> remove(std::string_view name) override {
        const std::scoped_lock lock(mutex_);
        const auto it = objects_->find(name);
        if (it != objects_->end()) objects_->erase(it);
        return {};
    }
    Result<std::optional<backup::Space>> space() override { return std::optional<backup::Space>(); }
    std::string where() const override { return "memory"; }

  private:
    static backup::ObjectInfo info(const std::string& name, const Object& o) {
        return {name, o.bytes.size(), o.stored_at};
    }
    static std::unexpected<Error> absent(std::string_view name) {
        return fail(Code::not_found, Source::repository,
                    "object " + std::string(name) + " does not exist");
    }
    std::mutex mutex_;
    std::shared_ptr<Objects> objects_;
};

}  // namespace regrow::test
