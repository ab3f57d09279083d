#include <fmt/core.h>

#include <map>

#include "base/text.h"
#include "conf/validate.h"

namespace regrow::conf {
namespace {

std::vector<std::string_view> poolNames(const Config& config) {
    std::vector<std::string_view> names;
    names.reserve(config.pools.size());
    for (const auto& [name, pool] : config.pools) names.push_back(name);
    return names;
}

void checkPool(const Config& config, const Route& route, const Node& node, const std::string& where,
               Problems& problems) {
    if (route.pool.empty() || config.pools.contains(route.pool)) return;
    const auto meant = nearest(route.pool, poolNames(config));
    const auto hint = meant.empty() ? std::string("; add it under 'pools'")
                                    : fmt::format("; did you mean '{}'?", meant);
    problems.add(node.at("pool"),
                 fmt::format("{}.pool: there is no pool '{}'{}", where, route.pool, hint));
}

// Whether every request that `later` matches is taken by `earlier` before it. Says no where it is
// not plain.
bool shadows(const Route& earlier, const Route& later) {
    if (earlier.host != "*" && earlier.host != later.host) return false;
    return earlier.path == later.path ||
           (earlier.path.ends_with('/') && later.path.starts_with(earlier.path));
}

void checkRoutes(const Config& config, const Listener& listener, const Node& node,
                 const std::string& where, Problems& problems) {
    for (size_t i = 0; i < listener.routes.size(); ++i) {
        const Route& route = listener.routes[i];
        const auto route_where = fmt::format("{}.routes[{}]", where, i);
        checkPool(config, route, node.at("routes").at(i), route_where, problems);
        for (size_t earlier = 0; earlier < i; ++earlier) {
            if (!shadows(listener.routes[earlier], route)) continue;
            problems.add(node.at("routes").at(i),
                         fmt::format("{} is never reached: routes[{}] (host {}, path {}) takes "
                                     "everything it matches, and the "
                                     "first match wins; move it up or remove it",
                                     route_where, earlier, listener.routes[earlier].host,
                                     listener.routes[earlier].path));
            break;
        }
    }
}

bool isFixed(const Address& address) {
    return address.isUnix() || address.port() != 0;
}

void checkAdmin(const Config& config, const Node& root, Problems& problems) {
    const auto& admin = config.admin;
    if (!admin.listen || !admin.listen->valid() || admin.listen->isLoopback() ||
        root.at("admin").find("token_file"))
        return;
    problems.add(
        root.at("admin").at("listen"),
        fmt::format(
            "admin.listen: {} can be reached from other machines, and there is no token_file; add "
            "'token_file: /path' or listen on 127.0.0.1",
            admin.listen->text()));
}

}  // namespace

void validateListeners(const Config& config, const Node& root, Problems& problems) {
    std::map<std::string, std::string> taken;
    checkAdmin(config, root, problems);
    if (config.admin.listen && isFixed(*config.admin.listen))
        taken[config.admin.listen->text()] = "admin.listen";
    for (size_t i = 0; i < config.listeners.size(); ++i) {
        const Listener& listener = config.listeners[i];
        const Node& node = root.at("listeners").at(i);
        const auto where = fmt::format("listeners[{}]", i);
        checkRoutes(config, listener, node, where, problems);
        if (!listener.listen.valid() || !isFixed(listener.listen)) continue;
        const auto [first, fresh] = taken.emplace(listener.listen.text(), where + ".listen");
        if (!fresh)
            problems.add(node.at("listen"),
                         fmt::format("{}.listen: {} is taken by {} already; choose another port",
                                     where, listener.listen.text(), first->second));
    }
}

}  // namespace regrow::conf
