#include "backup/pack_storer.h"

#include <fmt/core.h>

#include "backup/read_back.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

constexpr uint64_t kSpaceMargin =
    uint64_t{16} << 20;  // left for snapshots, proofs, and whoever else lives there

Result<> checkSpace(Repository& repository, uint64_t size) {
    REGROW_TRY(const auto space, repository.space());
    if (!space || space->free_bytes >= size + kSpaceMargin) return {};
    return fail(
        Code::no_space, Source::repository,
        fmt::format("{} has {} free, and the next pack takes {}; free some space there, or prune "
                    "old snapshots",
                    repository.where(), humanSize(space->free_bytes), humanSize(size)));
}

}  // namespace

PackStorer::PackStorer(Repository& repository, const Keyring& keys, bool read_back)
    : repository_(repository), keys_(keys), read_back_(read_back), thread_([this] { work(); }) {}

PackStorer::~PackStorer() {
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
        next_.reset();
    }
    changed_.notify_all();
}

void PackStorer::store(uint32_t number, PackWriter pack) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !busy_ && !next_; });
    next_.emplace(number, std::move(pack));
    lock.unlock();
    changed_.notify_all();
}

std::vector<StoredPack> PackStorer::ended(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) changed_.wait(lock, [&] { return !busy_ && !next_; });
    return std::exchange(ended_, {});
}

void PackStorer::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return ending_ || next_; });
        if (!next_) return;
        Job job = std::move(*next_);
        next_.reset();
        busy_ = true;
        lock.unlock();
        StoredPack stored = carryOut(std::move(job));
        lock.lock();
        ended_.push_back(std::move(stored));
        busy_ = false;
        changed_.notify_all();
    }
}

StoredPack PackStorer::carryOut(Job job) {
    StoredPack result;
    result.number = job.number;
    {
        PackWriter::Finished pack = job.pack.finish();
        result.stored = put(pack);
        result.contents = std::move(pack.contents);
    }
    if (!result.stored || !read_back_) return result;
    Proof proof;
    // What cannot be read back now is asked again when the snapshot is proven, and told there.
    if (readBack(repository_, keys_, result.contents, proof)) result.proof = proof;
    return result;
}

Result<> PackStorer::put(const PackWriter::Finished& pack) {
    REGROW_CHECK(checkSpace(repository_, pack.bytes.size()));
    REGROW_TRY([[maybe_unused]] const bool created,
               repository_.create(packObjectName(pack.contents.info.id), pack.bytes));
    return {};
}

}  // namespace regrow::backup
