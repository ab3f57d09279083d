#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/resolver.h"
#include "proxy/control/event_log.h"
#include "proxy/control/registry.h"

namespace regrow::control {

// Keeps the addresses of servers that are configured by name: looked up when the configuration is
// taken, again every 30 s (5 s after a failure), never waited for. The last good address stays
// while looking up fails. One that changed is the same server somewhere else: nothing is fenced,
// workers let their connections go when idle. Control loop only.
class Names {
  public:
    // `changed`: a server has another address than before.
    Names(EventLoop& loop, Registry& registry, EventLog& events, std::function<void()> changed);

    void configure();  // after every Registry::take

  private:
    struct Watch {
        Timer again;
        bool failing = false;
    };
    void ask(const std::string& name);
    void answered(const std::string& name, Result<std::vector<Address>> found);

    EventLoop& loop_;
    Registry& registry_;
    EventLog& events_;
    std::function<void()> changed_;
    std::map<std::string, Watch> watches_;
    Resolver resolver_;
};

}  // namespace regrow::control
