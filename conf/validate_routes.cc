#include "conf/validate_routes.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/file.h"
#include "base/http/chars.h"
#include "base/password_file.h"
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

// Its own keys are checked as they are read; here the pool's attempts stand in for absent ones. A
// route that says attempts: 1 below a pool that hedges has asked for just that.
void checkHedge(const Config& config, const Route& route, const Node& node,
                const std::string& where, Problems& problems) {
    const auto pool = config.pools.find(route.pool);
    if (pool == config.pools.end() || !route.hedge.value_or(false) || route.attempts) return;
    if (pool->second.retry.attempts > 1) return;
    problems.add(node.at("retry").at("hedge"),
                 fmt::format("{}.retry.hedge asks twice, but pools.{}.retry.attempts allows one; "
                             "write attempts: 2 or more beside hedge",
                             where, route.pool));
}

// Each of these says whether all that `later` matches, `earlier` matches too. No where it is not
// plain.
bool takesHosts(const std::string& earlier, const std::string& later) {
    if (earlier == "*" || earlier == later) return true;
    return earlier.starts_with("*.") && later.size() > earlier.size() - 1 &&
           later.ends_with(std::string_view(earlier).substr(1));
}

bool takesPaths(const Route& earlier, const Route& later) {
    if (earlier.exact) return later.exact && earlier.path == later.path;
    return later.path.starts_with(earlier.path);
}

bool takesMethods(const Route& earlier, const Route& later) {
    if (earlier.methods.empty()) return true;
    return !later.methods.empty() && std::ranges::all_of(later.methods, [&](const auto& m) {
        return std::ranges::count(earlier.methods, m) > 0;
    });
}

bool takesHeaders(const Route& earlier, const Route& later) {
    return std::ranges::all_of(earlier.headers, [&](const auto& wanted) {
        return std::ranges::any_of(later.headers, [&](const auto& given) {
            return http::equalsIgnoringCase(wanted.first, given.first) &&
                   (wanted.second == "*" || wanted.second == given.second);
        });
    });
}

bool shadows(const Route& earlier, const Route& later) {
    return takesHosts(earlier.host, later.host) && takesPaths(earlier, later) &&
           takesMethods(earlier, later) && takesHeaders(earlier, later);
}

void checkReached(const Listener& listener, size_t i, const Node& node, const std::string& where,
                  Problems& problems) {
    for (size_t earlier = 0; earlier < i; ++earlier) {
        const Route& first = listener.routes[earlier];
        if (!shadows(first, listener.routes[i])) continue;
        problems.add(node, fmt::format("{} is never reached: routes[{}] (host {}, {} {}) takes "
                                       "everything it matches, and the first match wins; move it "
                                       "up or remove it",
                                       where, earlier, first.host, first.exact ? "exact" : "path",
                                       first.path));
        return;
    }
}

void checkPages(const ErrorPages& pages, const Node& node, const std::string& where,
                Problems& problems) {
    for (const auto& [status, file] : pages)
        if (const auto text = readFile(file, kErrorPageLimit); !text)
            problems.add(node.at("error_pages").at(status),
                         fmt::format("{}.error_pages.{} cannot be used: {}", where, status,
                                     text.error().message));
}

void checkPasswords(const Route& route, const Node& node, const std::string& where,
                    Problems& problems) {
    if (!route.basic_auth || route.basic_auth->users_file.empty()) return;
    if (const auto users = PasswordFile::load(route.basic_auth->users_file); !users)
        problems.add(node.at("basic_auth").at("users_file"),
                     fmt::format("{}.basic_auth.users_file cannot be used: {}", where,
                                 users.error().message));
}

}  // namespace

void validateRoutes(const Config& config, const Node& root, Problems& problems) {
    for (size_t l = 0; l < config.listeners.size(); ++l) {
        const Listener& listener = config.listeners[l];
        const Node& routes = root.at("listeners").at(l).at("routes");
        for (size_t i = 0; i < listener.routes.size(); ++i) {
            const auto where = fmt::format("listeners[{}].routes[{}]", l, i);
            checkPool(config, listener.routes[i], routes.at(i), where, problems);
            checkHedge(config, listener.routes[i], routes.at(i), where, problems);
            checkReached(listener, i, routes.at(i), where, problems);
        }
    }
}

void checkRouteFiles(const Config& config, const Node& root, Problems& problems) {
    for (size_t l = 0; l < config.listeners.size(); ++l) {
        const Listener& listener = config.listeners[l];
        const Node& node = root.at("listeners").at(l);
        const auto where = fmt::format("listeners[{}]", l);
        checkPages(listener.error_pages, node, where, problems);
        for (size_t i = 0; i < listener.routes.size(); ++i) {
            const Node& route = node.at("routes").at(i);
            const auto route_where = fmt::format("{}.routes[{}]", where, i);
            checkPages(listener.routes[i].error_pages, route, route_where, problems);
            checkPasswords(listener.routes[i], route, route_where, problems);
        }
    }
}

}  // namespace regrow::conf
