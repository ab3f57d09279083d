#include "proxy/control/views.h"

#include <algorithm>

namespace regrow::control {
namespace {

// Alive by its last answers, though wrong ones: what a panicking pool falls back to.
bool answersSomething(const health::HealthState& state) {
    if (state.exited) return false;
    return std::ranges::any_of(state.checks, [](const auto& check) {
        return check.failures > 0 && check.no_answers == 0;
    });
}

BackendView backendView(const Registry& registry, const Place& place) {
    const auto* const filling = registry.filling(place);
    BackendView view;
    view.slot = place.slot;
    view.name = place.key.backend;
    view.address =
        (filling ? *filling : place.conf.server).address;  // fenced: any, it is not accepting
    view.epoch = registry.assignment(place).epoch;
    view.accepting = accepting(registry, place);
    view.weight = place.conf.weight;
    view.max_connections = place.conf.max_connections;
    view.priority = place.conf.priority;
    view.ramp_from = place.ramp_from;
    view.ramp = place.ramp;
    view.stats = place.stats;
    return view;
}

PoolView poolView(const Registry& registry, const PoolState& pool) {
    PoolView view;
    view.slot = pool.slot;
    view.name = pool.conf.name;
    view.balance = pool.conf.balance;
    view.hash = pool.conf.hash;
    view.keys = pool.keys;
    view.affinity = pool.affinity;
    view.retry = pool.conf.retry;
    view.timeouts = pool.conf.timeouts;
    view.proxy_protocol = pool.conf.proxy_protocol;
    view.http2 = pool.conf.http2;
    view.hold = pool.conf.hold;
    view.compress = pool.conf.compress;
    view.tls = pool.tls;
    view.stats = pool.stats;
    for (const auto& place : pool.places) {
        view.backends.push_back(backendView(registry, *place));
        view.release_per_second = std::max(view.release_per_second, place->release_per_second);
    }
    return view;
}

ListenerView listenerView(const Registry& registry, const ListenerState& listener) {
    ListenerView view;
    view.slot = listener.slot;
    view.timeouts = listener.conf.timeouts;
    view.h2c = listener.conf.h2c;
    view.mode = listener.conf.mode;
    if (const auto pool = registry.pools().find(listener.conf.pool); pool != registry.pools().end())
        view.pool = static_cast<uint32_t>(std::distance(registry.pools().begin(), pool));
    view.proxy_protocol = listener.conf.proxy_protocol;
    view.trusted_proxies = listener.conf.trusted_proxies;
    view.accept = listener.conf.accept;
    view.clients = listener.clients;
    view.routes = listener.routes;
    view.tls = listener.tls;
    view.stats = listener.stats;
    return view;
}

}  // namespace

bool accepting(const Registry& registry, const Place& place) {
    const auto flags = registry.flags(place);
    if (place.fenced || place.data_in_doubt || flags.drained || !registry.filling(place))
        return false;
    if (!registry.filling(place)->address.valid()) return false;  // a name, not found yet
    if (place.health.verdict == health::Verdict::up) return true;
    return registry.poolOf(place).panic.panicking() && answersSomething(place.health);
}

std::shared_ptr<const View> buildView(const Registry& registry) {
    auto view = std::make_shared<View>();
    view->generation = registry.generation();
    view->limits = registry.limits();
    for (const auto& [name, pool] : registry.pools())
        view->pools.push_back(poolView(registry, pool));
    for (const auto& listener : registry.listeners())
        view->listeners.push_back(listenerView(registry, listener));
    return view;
}

ViewPublisher::ViewPublisher(EventLoop& loop, const Registry& registry, Publish publish)
    : loop_(loop), registry_(registry), publish_(std::move(publish)) {}

void ViewPublisher::changed() {
    if (pending_) return;
    pending_ = true;
    loop_.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.expired() || !pending_) return;
        publishNow([] {});
    });
}

void ViewPublisher::publishNow(Acknowledged acknowledged) {
    pending_ = false;
    publish_(buildView(registry_), std::move(acknowledged));
}

}  // namespace regrow::control
