#include <algorithm>

#include "conf/sections.h"
#include "conf/values.h"

namespace regrow::conf {
namespace {

// Host names compare without regard to case; the router then compares bytes.
std::string lowerCase(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

Route readRoute(const Reader& reader) {
    Route route;
    reader.get("host", route.host);
    reader.get("path", route.path);
    reader.get("pool", route.pool);
    route.host = lowerCase(std::move(route.host));
    if (route.host != "*" && route.host.find_first_of(":*/ ") != std::string::npos)
        reader.complain("host", "must be a host name without port or wildcard, or \"*\" for any");
    if (!route.path.starts_with('/') || route.path.find_first_of("?# ") != std::string::npos)
        reader.complain("path", "must begin with '/' and hold no '?', '#' or space");
    return route;
}

}  // namespace

Listener readListener(const Reader& reader) {
    Listener listener;
    std::string mode;
    reader.get("listen", listener.listen);
    reader.get("mode", mode);
    if (const auto timeouts = reader.section("timeouts")) {
        timeouts->get("header", listener.timeouts.header);
        timeouts->get("idle", listener.timeouts.idle);
        timeouts->get("body", listener.timeouts.body);
    }
    reader.get("trusted_proxies", listener.trusted_proxies);
    for (size_t i = 0; i < listener.trusted_proxies.size(); ++i)
        if (const auto ok = checkNetwork(listener.trusted_proxies[i]); !ok)
            reader.complain("trusted_proxies", i, "is wrong: " + ok.error().message);
    for (const auto& route : reader.sections("routes")) listener.routes.push_back(readRoute(route));
    return listener;
}

}  // namespace regrow::conf
