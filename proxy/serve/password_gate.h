#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/password_file.h"
#include "proxy/serve/password_checkers.h"
#include "proxy/serve/verified_cache.h"

namespace regrow::serve {

class Exchange;

// Asks for passwords in the name of a worker's exchanges: from memory when it can, else of the
// checkers, and tells everybody who waits for the same answer at once (a browser's first page asks
// thirty times). Worker's thread; the checkers answer by post.
class PasswordGate {
  public:
    // Runs its argument on the worker's loop; any thread.
    using Post = std::function<void(std::move_only_function<void()>)>;
    PasswordGate(PasswordCheckers* checkers, Post post);

    // What a request says of itself, copied: its bytes do not wait with it.
    struct Claim {
        Hash128 key{};
        std::shared_ptr<const PasswordFile> users;
        std::string user, password;
    };
    enum class Known : uint8_t { right, wrong, unknown };
    // `token` as it was sent, base64. For `unknown` the claim is filled in.
    Known look(const std::shared_ptr<const PasswordFile>& users, std::string_view token,
               Instant now, Claim& claim) const;
    // Calls onPasswordChecked() in a later turn, unless forget() comes before. False: too many are
    // being checked.
    bool check(Exchange& exchange, Claim claim);
    void forget(Exchange& exchange);

  private:
    static constexpr size_t kMostWaiting = 4096;
    struct Waiting {
        Hash128 key;
        Exchange* exchange;
    };
    void checked(const Hash128& key, bool right);

    PasswordCheckers* checkers_;
    Post post_;
    Hash128 secret_;
    VerifiedCache known_;
    std::vector<Waiting> waiting_;
};

}  // namespace regrow::serve
