#include "conf/places.h"

#include <fmt/core.h>

namespace regrow::conf {

void eachServer(const Config& config, const Node& root,
                const std::function<void(const ServerPlace&)>& visit) {
    for (const auto& [name, pool] : config.pools) {
        const Node& node = root.at("pools").at(name);
        for (size_t i = 0; i < pool.backends.size(); ++i)
            visit({pool, pool.backends[i].server, node.at("backends").at(i),
                   fmt::format("pools.{}.backends[{}]", name, i), false});
        for (size_t i = 0; i < pool.spares.size(); ++i)
            visit({pool, pool.spares[i], node.at("spares").at(i),
                   fmt::format("pools.{}.spares[{}]", name, i), true});
    }
}

}  // namespace regrow::conf
