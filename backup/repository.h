#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

// Where snapshots live: named immutable objects. Implementations: a directory (also on NFS); an
// object store later. Blocking; every method may be called from any thread at the same time.
//
// There is one way to write, create(): all or nothing, durable when it returns, never over an
// existing object. It is both put-if-absent for packs and the conditional publish of snapshots, and
// it is all that S3 (If-None-Match) and NFS (link) can promise alike; so no object ever changes,
// and renewing something means creating its successor. Names: lower-case letters, digits, '.', '-',
// '_' in segments parted by '/'; no segment starts with '.'.
namespace regrow::backup {

struct ObjectInfo {
    std::string name;
    uint64_t size = 0;
    WallTime stored_at;  // by the repository's clock; retention and leases go by it
};

struct Space {
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
};

class Repository {
  public:
    virtual ~Repository() = default;

    // True: created. False: an object of that name was there, and is untouched.
    // Code::no_space leaves nothing behind that list() would show.
    virtual Result<bool> create(std::string_view name, std::string_view bytes) = 0;
    // Exactly `length` bytes from `offset`: an object that ends before that is Code::corrupt;
    // absent is Code::not_found.
    virtual Result<std::string> get(std::string_view name, uint64_t offset, uint64_t length) = 0;
    // The whole object; Code::corrupt when larger than `limit`.
    virtual Result<std::string> getAll(std::string_view name, uint64_t limit) = 0;
    // Nothing when absent.
    virtual Result<std::optional<ObjectInfo>> stat(std::string_view name) = 0;
    // All objects under a folder ("packs", "snapshots/ab"), ascending by name; an absent folder is
    // empty.
    virtual Result<std::vector<ObjectInfo>> list(std::string_view folder) = 0;
    // Absent is success: somebody else was quicker.
    virtual Result<> remove(std::string_view name) = 0;
    // Nothing where the question makes no sense (object stores).
    virtual Result<std::optional<Space>> space() = 0;
    virtual std::string where() const = 0;  // for messages: the path or URL
};

bool validObjectName(std::string_view name);

}  // namespace regrow::backup
