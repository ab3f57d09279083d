#include <fmt/core.h>

#include <map>

#include "conf/validate.h"

namespace regrow::conf {
namespace {

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

void checkTcp(const Config& config, const Listener& listener, const Node& node,
              const std::string& where, Problems& problems) {
    if (listener.mode != ListenerMode::tcp || listener.pool.empty()) return;
    const auto pool = config.pools.find(listener.pool);
    if (pool == config.pools.end())
        problems.add(node.at("pool"), fmt::format("{}.pool: there is no pool '{}'; add it under "
                                                  "'pools'",
                                                  where, listener.pool));
    else if (pool->second.http2)
        problems.add(
            node.at("pool"),
            fmt::format("{}.pool: pool '{}' has 'http: 2', and a listener with 'mode: tcp' "
                        "passes on bytes as they are; remove one of the two",
                        where, listener.pool));
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
        checkTcp(config, listener, node, where, problems);
        if (!listener.listen.valid() || !isFixed(listener.listen)) continue;
        const auto [first, fresh] = taken.emplace(listener.listen.text(), where + ".listen");
        if (!fresh)
            problems.add(node.at("listen"),
                         fmt::format("{}.listen: {} is taken by {} already; choose another port",
                                     where, listener.listen.text(), first->second));
    }
}

}  // namespace regrow::conf
