#include <algorithm>
#include <cmath>

#include "proxy/http/client_address.h"
#include "proxy/serve/client_guard.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// Whether a request is taken at all: what memory there is, and what its client has had already.
namespace regrow::serve {

// False: it was answered.
bool Exchange::admit(const http::RequestHead& head) {
    const uint32_t slot = client_->listenerSlot();
    if (const Duration most = worker_.timeoutsOf(slot).request; most > Duration::zero())
        worker_.deadlines.set(ceiling_, worker_.now() + most);
    if (worker_.outOfMemory()) {
        refused(Refusal::memory);
        respond(503, Cause::limit, "too much is under way for the memory there is");
        return false;
    }
    ClientGuard* guard = worker_.guardOf(slot);
    return !guard || admitClient(*guard, head);
}

// Behind a proxy that we trust it is the client that it names who counts.
bool Exchange::admitClient(ClientGuard& guard, const http::RequestHead& head) {
    uint64_t client = client_->identity().key();
    if (client_->identity().trusted()) {
        const auto named =
            proxy::forwardedClient(head.fields, worker_.trustOf(client_->listenerSlot()));
        const bool unclear = !named && head.fields.find(http::FieldId::x_forwarded_for);
        if (named ? !guard.allows(*named) : unclear && guard.namesNetworks()) {
            refused(Refusal::address);
            respond(403, Cause::limit, "this address may not come here");
            return false;
        }
        if (named) client = proxy::clientKey(*named);
    }
    if (guard.limitsRate()) {
        if (const Duration early = guard.ask(client, worker_.now()); early > Duration::zero()) {
            tooMany(Refusal::rate, early, "too many requests from this address in a short time");
            return false;
        }
    }
    if (!guard.countsRequests()) return true;
    const auto entered = guard.began(client, worker_.now());
    client_entry_ = entered.entry;
    if (!entered.allowed)
        tooMany(Refusal::concurrent, std::chrono::seconds(1),
                "too many requests from this address at once");
    return entered.allowed;
}

void Exchange::tooMany(Refusal why, Duration after, std::string_view detail) {
    refused(why);
    retry_after_s_ = static_cast<uint32_t>(std::clamp(std::ceil(toSeconds(after)), 1.0, 3600.0));
    respond(429, Cause::limit, detail);
}

void Exchange::refused(Refusal why) {
    worker_.shardOf(client_->listenerSlot()).refused[static_cast<size_t>(why)].add();
}

// Tunnels are as long as they are; they have a deadline on silence.
void Exchange::onCeiling() {
    if (state_ == State::done || state_ == State::tunnelling) return;
    if (answered_) return cancel(Cause::limit);
    if (!body_.received())
        return respond(408, Cause::client, "the request took longer than it may take here");
    respond(504, Cause::limit, "the answer took longer than it may take here");
}

void Exchange::leaveClient() {
    ceiling_.clear();
    if (client_entry_ == net::ClientTable::kNone) return;
    worker_.clientsOf(client_->listenerSlot())
        ->leave(net::ClientTable::What::requests,
                std::exchange(client_entry_, net::ClientTable::kNone));
}

}  // namespace regrow::serve
