#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "conf/places.h"
#include "conf/validate.h"

namespace regrow::conf {
namespace {

bool holdsData(const Pool& pool) {
    const auto has = [](const auto& server) { return !server.data.empty(); };
    return pool.data != DataKind::none &&
           (pool.backup.on || std::any_of(pool.backends.begin(), pool.backends.end(),
                                          [&](const Backend& b) { return has(b.server); }));
}

// A unix wildcard does not exist; an IP one takes its port on every local address.
bool isWildcard(const Address& address) {
    return !address.isUnix() && (address.host() == "0.0.0.0" || address.host() == "::");
}

bool reaches(const Address& listen, const Address& server) {
    if (listen == server) return true;
    return isWildcard(listen) && !server.isUnix() && server.isLoopback() &&
           listen.port() == server.port();
}

class Names {
  public:
    explicit Names(Problems& problems) : problems_(problems) {}
    void take(const std::string& name, const Node& at, const std::string& where) {
        if (name.empty()) return;
        const auto [first, fresh] = taken_.emplace(name, where);
        if (!fresh)
            problems_.add(at, fmt::format("{}: the name '{}' is {}'s already; choose another",
                                          where, name, first->second));
    }

  private:
    Problems& problems_;
    std::map<std::string, std::string> taken_;
};

void checkNames(const Config& config, const Node& root, Problems& problems) {
    for (const auto& [name, pool] : config.pools) {
        Names places(problems);
        Names servers(problems);
        const Node& node = root.at("pools").at(name);
        for (size_t i = 0; i < pool.backends.size(); ++i) {
            const Node& backend = node.at("backends").at(i);
            const auto where = fmt::format("pools.{}.backends[{}]", name, i);
            places.take(pool.backends[i].name, backend.at("name"), where);
            // A server without a name of its own has the backend's, whose repetition was just
            // reported.
            if (backend.find("server") || i == 0 ||
                pool.backends[i].name != pool.backends[i - 1].name)
                servers.take(pool.backends[i].server.name,
                             backend.at(backend.find("server") ? "server" : "name"), where);
        }
        for (size_t i = 0; i < pool.spares.size(); ++i)
            servers.take(pool.spares[i].name, node.at("spares").at(i).at("name"),
                         fmt::format("pools.{}.spares[{}]", name, i));
    }
}

bool started(const Server& server) {
    return server.service.supervised() || server.service.foreign();
}

// One address twice in a pool counts one server double. Across pools it is a server with two
// services, which is fine unless regrow would start both.
void checkAddresses(const Config& config, const Node& root, Problems& problems) {
    struct First {
        const Pool* pool;
        const Server* server;
        std::string where;
    };
    std::map<std::string, First> taken;
    eachServer(config, root, [&](const ServerPlace& place) {
        const auto& address = place.server.address;
        const auto& lookup = place.server.lookup;
        if (!address.valid() && lookup.empty()) return;
        const std::string text = address.valid() ? address.text() : lookup;
        if (address.valid() && !address.isUnix() && address.port() == 0)
            problems.add(
                place.node.at("address"),
                fmt::format("{}.address: port 0 cannot be connected to; write the server's port",
                            place.where));
        const auto [first, fresh] =
            taken.emplace(text, First{&place.pool, &place.server, place.where});
        const bool clash = !fresh && (first->second.pool == &place.pool || started(place.server) ||
                                      started(*first->second.server));
        if (clash)
            problems.add(place.node.at("address"),
                         fmt::format("{}.address: {} is {}'s already; give each server its own",
                                     place.where, text, first->second.where));
    });
}

void checkLoops(const Config& config, const Node& root, Problems& problems) {
    eachServer(config, root, [&](const ServerPlace& place) {
        const auto& address = place.server.address;
        if (!address.valid() || (!address.isUnix() && address.port() == 0)) return;
        const auto refuse = [&](const Address& listen, std::string_view what) {
            if (listen.valid() && reaches(listen, address))
                problems.add(
                    place.node.at("address"),
                    fmt::format(
                        "{}.address: {} is where {} listens ({}), so regrow would talk to itself; "
                        "write the server's own address",
                        place.where, address.text(), what, listen.text()));
        };
        for (size_t i = 0; i < config.listeners.size(); ++i)
            refuse(config.listeners[i].listen, fmt::format("listeners[{}]", i));
        if (config.admin.listen) refuse(*config.admin.listen, "admin");
    });
}

void checkSpares(const Config& config, const Node& root, Problems& problems) {
    eachServer(config, root, [&](const ServerPlace& place) {
        if (!place.spare || !holdsData(place.pool)) return;
        if (place.server.data.empty() && !place.node.find("data"))
            problems.add(place.node, fmt::format("{}.data is missing: the pool's backends hold "
                                                 "data, so a spare needs a directory to restore "
                                                 "it to; add 'data: /path'",
                                                 place.where));
        if (!place.node.find("service"))
            problems.add(place.node, fmt::format("{}.service is missing: a spare does not run "
                                                 "until its data is restored, so regrow must be "
                                                 "able to start it; add 'service: {{run: [ … ]}}'",
                                                 place.where));
    });
}

void checkWeights(const Config& config, const Node& root, Problems& problems) {
    for (const auto& [name, pool] : config.pools) {
        const bool none =
            !pool.backends.empty() && std::all_of(pool.backends.begin(), pool.backends.end(),
                                                  [](const Backend& b) { return b.weight == 0; });
        if (none)
            problems.add(root.at("pools").at(name).at("backends"),
                         fmt::format("pools.{}.backends all have weight 0, so no request could be "
                                     "served; give one a weight",
                                     name));
    }
}

// Only root can start somebody else's programs.
void checkUsers(const Config& config, const Node& root, Problems& problems) {
    if (config.user.empty()) return;
    eachServer(config, root, [&](const ServerPlace& place) {
        const std::string& user = place.server.service.user;
        if (user.empty() || user == config.user) return;
        problems.add(place.node.at("service").at("user"),
                     fmt::format("{}.service.user: regrow itself becomes '{}' and cannot start a "
                                 "server as '{}'; remove one of the two",
                                 place.where, config.user, user));
    });
}

}  // namespace

void validateServers(const Config& config, const Node& root, Problems& problems) {
    checkNames(config, root, problems);
    checkAddresses(config, root, problems);
    checkLoops(config, root, problems);
    checkSpares(config, root, problems);
    checkWeights(config, root, problems);
    checkUsers(config, root, problems);
}

}  // namespace regrow::conf
