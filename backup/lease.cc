#include "backup/lease.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "backup/bytes.h"
#include "backup/sealed_object.h"
#include "base/random.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

std::string hostName() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

Result<Lease> Lease::acquire(Repository& repository, const Keyring& keys) {
    Lease lease(repository, keys);
    lease.stem_ = "leases/" + toHex(secureRandomBytes(16));
    REGROW_CHECK(lease.create());
    return lease;
}

Lease::Lease(Lease&& other) noexcept
    : repository_(other.repository_),
      keys_(other.keys_),
      stem_(std::move(other.stem_)),
      object_(std::exchange(other.object_, {})),
      renewals_(other.renewals_),
      renewed_(other.renewed_) {}

Lease::~Lease() {
    if (object_.empty()) return;
    [[maybe_unused]] const auto removed = repository_->remove(object_);  // if that fails it expires
}

Result<> Lease::create() {
    std::string name = stem_ + "." + std::to_string(renewals_);
    ByteWriter w;
    w.u8(1);
    w.bytes(hostName());
    w.varint(static_cast<uint64_t>(::getpid()));
    REGROW_CHECK(repository_->create(name, sealObject(*keys_, ObjectType::lease, name, w.view())));
    object_ = std::move(name);
    renewed_ = Mono::now();
    return {};
}

Result<> Lease::renewIfDue() {
    if (Mono::now() - renewed_ < kLeaseRenewal) return {};
    REGROW_TRY(const bool still, held());
    if (!still)
        return fail(Code::cancelled, Source::repository,
                    "this backup stood still for so long that its claim on the repository ran out");
    const std::string last = object_;
    ++renewals_;
    REGROW_CHECK(create());
    return repository_->remove(last);
}

Result<bool> Lease::held() {
    REGROW_TRY(const auto info, repository_->stat(object_));
    return info.has_value();
}

}  // namespace regrow::backup
