#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "backup/repository.h"

namespace regrow::test {

// Passes everything on to another repository, but for what `fault` says, which is asked by one
// thread at a time.
class FaultyRepository : public backup::Repository {
  public:
    enum class Call { create, get, stat, list, remove };
    // An error instead of the call, or nothing to let it through. `calls` counts from 1.
    using Fault = std::function<std::optional<Error>(Call call, std::string_view name, int calls)>;

    FaultyRepository(std::unique_ptr<backup::Repository> inner, Fault fault)
        : inner_(std::move(inner)), fault_(std::move(fault)) {}

    static Error error(Code code) { return {code, Source::repository, false, "injected"}; }

    Result<bool> create(std::string_view name, std::string_view bytes) override {
        if (auto e = next(Call::create, name)) return std::unexpected(*std::move(e));
        return inner_->create(name, bytes);
    }
    Result<std::string> get(std::string_view name, uint64_t offset, uint64_t length) override {
        if (auto e = next(Call::get, name)) return std::unexpected(*std::move(e));
        return inner_->get(name, offset, length);
    }
    Result<std::string> getAll(std::string_view name, uint64_t limit) override {
        if (auto e = next(Call::get, name)) return std::unexpected(*std::move(e));
        return inner_->getAll(name, limit);
    }
    Result<std::optional<backup::ObjectInfo>> stat(std::string_view name) override {
        if (auto e = next(Call::stat, name)) return std::unexpected(*std::move(e));
        return inner_->stat(name);
    }
    Result<std::vector<backup::ObjectInfo>> list(std::string_view folder) override {
        if (auto e = next(Call::list, folder)) return std::unexpected(*std::move(e));
        return inner_->list(folder);
    }
    Result<> remove(std::string_view name) override {
        if (auto e = next(Call::remove, name)) return std::unexpected(*std::move(e));
        return inner_->remove(name);
    }
    Result<std::optional<backup::Space>> space() override {
        return space_ ? space_ : inner_->space().value_or(std::nullopt);
    }
    std::string where() const override { return inner_->where(); }

    void setSpace(backup::Space space) { space_ = space; }

  private:
    std::optional<Error> next(Call call, std::string_view name) {
        const std::scoped_lock lock(mutex_);
        return fault_ ? fault_(call, name, ++calls_) : std::nullopt;
    }

    std::mutex mutex_;
    std::unique_ptr<backup::Repository> inner_;
    Fault fault_;
    int calls_ = 0;
    std::optional<backup::Space> space_;
};

}  // namespace regrow::test
