#pragma once

#include <string>

#include "backup/keyring.h"
#include "backup/repository.h"
#include "base/clock.h"

// A writer's claim on all packs: while it is there, a prune deletes none that was not condemned
// before the lease began.
//
// It ages by the repository's clock (ObjectInfo::stored_at); a prune removes those older than
// kLeaseLife before it deletes anything. So a writer that was stopped for an hour finds its lease
// gone and gives up its snapshot: nobody's data is lost, no lock stays behind. Objects never
// change, so renewing is creating the next and removing the last.
namespace regrow::backup {

constexpr auto kLeaseLife = std::chrono::hours(1);
constexpr auto kLeaseRenewal = std::chrono::minutes(10);

class Lease {
  public:
    static Result<Lease> acquire(Repository& repository, const Keyring& keys);
    ~Lease();  // gives it back
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;

    Result<> renewIfDue();
    Result<bool> held();  // false: a prune took it for dead

  private:
    Lease(Repository& repository, const Keyring& keys) : repository_(&repository), keys_(&keys) {}
    Result<> create();

    Repository* repository_;
    const Keyring* keys_;
    std::string stem_;    // leases/HEX
    std::string object_;  // the stem and a counter; empty after a move
    unsigned renewals_ = 0;
    Instant renewed_ = Mono::now();
};

}  // namespace regrow::backup
