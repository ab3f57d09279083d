#include "proxy/net/ticket_keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <cstring>

namespace regrow::net {
namespace {

template <class Aged>
void wipe(std::optional<Aged>& key) {
    if (key) OPENSSL_cleanse(&*key, sizeof *key);
    key.reset();
}

template <size_t N>
bool draw(std::array<unsigned char, N>& bytes) {
    return RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
}

bool isNamed(const TicketKeys::Key& key, const unsigned char* name) {
    return std::memcmp(key.name.data(), name, key.name.size()) == 0;
}

}  // namespace

TicketKeys::~TicketKeys() {
    wipe(current_);
    wipe(previous_);
}

void TicketKeys::age(Instant now) {
    if (current_ && now - current_->born >= kPeriod) {
        wipe(previous_);
        previous_ = current_;
        wipe(current_);
    }
    if (previous_ && now - previous_->born >= 2 * kPeriod) wipe(previous_);
}

std::optional<TicketKeys::Key> TicketKeys::forSealing(Instant now) {
    const std::lock_guard lock(mutex_);
    age(now);
    if (!current_) {
        Aged fresh{.key = {}, .born = now};
        if (!draw(fresh.key.name) || !draw(fresh.key.cipher) || !draw(fresh.key.mac)) return {};
        current_ = fresh;
        OPENSSL_cleanse(&fresh, sizeof fresh);
    }
    return current_->key;
}

std::optional<TicketKeys::Opened> TicketKeys::forOpening(const unsigned char* name, Instant now) {
    const std::lock_guard lock(mutex_);
    age(now);
    if (current_ && isNamed(current_->key, name)) return Opened{current_->key, false};
    if (previous_ && isNamed(previous_->key, name)) return Opened{previous_->key, true};
    return {};
}

}  // namespace regrow::net
