#include "proxy/balance/affinity.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "base/text.h"

namespace regrow {
namespace {

constexpr size_t kTokenBytes = 12;
constexpr std::string_view kSecure = "; Secure";

std::string tokenOf(std::string_view key, std::string_view pool, std::string_view backend) {
    std::string text(pool);
    text += '/';  // in no name
    text += backend;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
    return toHex({reinterpret_cast<const char*>(digest), kTokenBytes});
}

}  // namespace

Affinity::Affinity(std::string cookie, std::string_view key, std::string_view pool,
                   std::span<const Backend> backends)
    : cookie_(std::move(cookie)) {
    uint32_t last = 0;
    first_slot_ = UINT32_MAX;
    for (uint32_t i = 0; i < backends.size(); ++i) {
        std::string token = tokenOf(key, pool, backends[i].name);
        std::string set = cookie_ + "=" + token + "; Path=/; HttpOnly; SameSite=Lax";
        set += kSecure;
        entries_.push_back({std::move(token), {backends[i].slot, i}, std::move(set)});
        first_slot_ = std::min(first_slot_, backends[i].slot);
        last = std::max(last, backends[i].slot);
    }
    std::ranges::sort(entries_, {}, &Entry::token);
    if (entries_.empty()) return;
    by_slot_.assign(last - first_slot_ + 1, UINT32_MAX);
    for (uint32_t i = 0; i < entries_.size(); ++i)
        by_slot_[entries_[i].place.slot - first_slot_] = i;
}

std::optional<Affinity::Place> Affinity::find(std::string_view token) const {
    const auto at = std::ranges::lower_bound(entries_, token, {}, &Entry::token);
    if (at == entries_.end() || at->token != token) return std::nullopt;
    return at->place;
}

std::string_view Affinity::setCookie(uint32_t slot, bool secure) const {
    if (slot < first_slot_ || slot - first_slot_ >= by_slot_.size()) return {};
    const uint32_t entry = by_slot_[slot - first_slot_];
    if (entry == UINT32_MAX) return {};
    std::string_view text = entries_[entry].set_cookie;
    if (!secure) text.remove_suffix(kSecure.size());
    return text;
}

}  // namespace regrow
