#include "proxy/serve/password_gate.h"

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "proxy/http/basic_credentials.h"
#include "proxy/serve/exchange.h"

namespace regrow::serve {
namespace {

Hash128 randomKey() {
    Hash128 key{};
    const std::string bytes = secureRandomBytes(sizeof key);
    std::memcpy(key.data(), bytes.data(), sizeof key);
    return key;
}

}  // namespace

PasswordGate::PasswordGate(PasswordCheckers* checkers, Post post)
    : checkers_(checkers), post_(std::move(post)), secret_(randomKey()) {}

// The file is part of the key: who is taken out of it, or gets another password, is asked anew
// with the next configuration.
PasswordGate::Known PasswordGate::look(const std::shared_ptr<const PasswordFile>& users,
                                       std::string_view token, Instant now, Claim& claim) const {
    if (token.empty()) return Known::wrong;
    const Hash128 file = sipHash(secret_, users->fingerprint());
    claim.key = sipHash({secret_[0] ^ file[0], secret_[1] ^ file[1]}, token);
    if (const auto known = known_.find(claim.key, now)) return *known ? Known::right : Known::wrong;
    auto credentials = proxy::decodeBasic(token);
    if (!credentials) return Known::wrong;
    claim.users = users;
    claim.user = std::move(credentials->user);
    claim.password = std::move(credentials->password);
    return Known::unknown;
}

bool PasswordGate::check(Exchange& exchange, Claim claim) {
    if (!checkers_ || waiting_.size() >= kMostWaiting) return false;
    const Hash128 key = claim.key;
    const bool asked =
        std::ranges::any_of(waiting_, [&](const Waiting& w) { return w.key == key; }) ||
        checkers_->ask({.users = std::move(claim.users),
                        .user = std::move(claim.user),
                        .password = std::move(claim.password),
                        .answer = [this, key](bool right) {
                            post_([this, key, right] { checked(key, right); });
                        }});
    if (asked) waiting_.push_back({key, &exchange});
    return asked;
}

void PasswordGate::forget(Exchange& exchange) {
    std::erase_if(waiting_, [&](const Waiting& w) { return w.exchange == &exchange; });
}

// Each of those told may begin another that waits, or end one that does: the list is looked
// through anew after every one.
void PasswordGate::checked(const Hash128& key, bool right) {
    known_.add(key, right, Mono::now());
    while (true) {
        const auto next =
            std::ranges::find_if(waiting_, [&](const Waiting& w) { return w.key == key; });
        if (next == waiting_.end()) return;
        Exchange& exchange = *next->exchange;
        waiting_.erase(next);
        exchange.onPasswordChecked(right);
    }
}

}  // namespace regrow::serve
