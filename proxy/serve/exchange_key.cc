#include "proxy/http/client_address.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// What the choice of a backend depends on beside load, and the cookie that remembers it.
namespace regrow::serve {

uint64_t Exchange::clientKey(const http::RequestHead& head) const {
    const proxy::ClientIdentity& peer = client_->identity();
    if (!peer.trusted()) return peer.key();
    const auto client =
        proxy::forwardedClient(head.fields, worker_.trustOf(client_->listenerSlot()));
    return client ? proxy::clientKey(*client) : peer.key();
}

uint64_t Exchange::hashKey(const http::RequestHead& head) const {
    const conf::HashKey& key = pool_->hash;
    std::string_view value;
    switch (key.on) {
        case conf::HashOn::ip: return hashOf(clientKey(head));
        case conf::HashOn::path: value = head.path; break;
        case conf::HashOn::header:
            if (const http::Field* field = head.fields.find(key.name)) value = field->value();
            break;
        case conf::HashOn::cookie: value = cookieValue(head.fields, key.name); break;
    }
    return value.empty() ? 0 : hashOf(value);
}

void Exchange::readKey(const http::RequestHead& head) {
    if (pool_->balance == conf::Balance::hash) key_.hash = hashKey(head);
    if (!pool_->affinity) return;
    secure_ = proxy::outerScheme(head, client_->identity()) == "https";
    const auto own = pool_->affinity->find(cookieValue(head.fields, pool_->affinity->cookie()));
    if (!own) return;
    key_.sticky_slot = own->slot;
    key_.sticky_index = own->index;
}

// Only news: who is served by the backend that his cookie names keeps it, and so does who was sent
// elsewhere because that one was full for a moment.
std::string_view Exchange::affinityCookie() const {
    if (!pool_->affinity) return {};
    const uint32_t slot = attempt_.stream->place->slot;
    if (slot == key_.sticky_slot) return {};
    if (key_.sticky_slot != RequestKey::kNobody && key_.sticky_index < pool_->backends.size()) {
        const BackendView& own = pool_->backends[key_.sticky_index];
        if (own.slot == key_.sticky_slot && own.accepting && !tried_.contains(own.slot)) return {};
    }
    return pool_->affinity->setCookie(slot, secure_);
}

}  // namespace regrow::serve
