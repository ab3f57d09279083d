#pragma once

#include <functional>
#include <string>

#include "conf/config.h"
#include "conf/tree.h"

namespace regrow::conf {

// One server of the file, wherever it is written, with its place there.
struct ServerPlace {
    const Pool& pool;
    const Server& server;
    const Node& node;
    std::string where;  // "pools.wiki.spares[0]"
    bool spare = false;
};
void eachServer(const Config& config, const Node& root,
                const std::function<void(const ServerPlace&)>& visit);

}  // namespace regrow::conf
