#include "proxy/control/views.h"

#include <algorithm>

#include "proxy/balance/router.h"

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
    view.retry = pool.conf.retry;
    view.timeouts = pool.conf.timeouts;
    view.hold = pool.conf.hold;
    view.stats = pool.stats;
    for (const auto& place : pool.places) {
        view.backends.push_back(backendView(registry, *place));
        view.release_per_second = std::max(view.release_per_second, place->release_per_second);
    }
    return view;
}

ListenerView listenerView(const ListenerState& listener) {
    ListenerView view;
    view.slot = listener.slot;
    view.timeouts = listener.conf.timeouts;
    view.trusted_proxies = listener.conf.trusted_proxies;
    view.router = listener.router;
    view.stats = listener.stats;
    return view;
}

}  // namespace

bool accepting(const Registry& registry, const Place& place) {
    const auto flags = registry.flags(place);
    if (place.fenced || place.data_in_doubt || flags.drained || !registry.filling(place))
        return false;
    if (place.health.verdict == health::Verdict::up) return true;
    return registry.poolOf(place).panic.panicking() && answersSomething(place.health);
}

std::shared_ptr<const View> buildView(const Registry& registry) {
    auto view = std::make_shared<View>();
    view->generation = registry.generation();
    for (const auto& [name, pool] : registry.pools())
        view->pools.push_back(poolView(registry, pool));
    for (const auto& listener : registry.listeners())
        view->listeners.push_back(listenerView(listener));
    return view;
}

std::shared_ptr<const Router> buildRouter(const conf::Config& config,
                                          const conf::Listener& listener) {
    std::map<std::string, uint32_t> index;  // of the pools in a view: in the order of their names
    for (const auto& [name, pool] : config.pools)
        index.emplace(name, static_cast<uint32_t>(index.size()));
    std::vector<RouteRule> rules;
    rules.reserve(listener.routes.size());
    for (const auto& route : listener.routes)
        rules.push_back({route.host, route.path, index.at(route.pool)});
    return std::make_shared<const Router>(rules);
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
