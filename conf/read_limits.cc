#include "conf/sections.h"
#include "conf/values.h"

namespace regrow::conf {
namespace {

void readNetworks(const Reader& reader, std::string_view key, std::vector<std::string>& out) {
    reader.get(key, out);
    for (size_t i = 0; i < out.size(); ++i)
        if (const auto ok = checkNetwork(out[i]); !ok)
            reader.complain(key, i, "is wrong: " + ok.error().message);
}

}  // namespace

Accept readAccept(const Reader& reader) {
    Accept accept;
    readNetworks(reader, "allow", accept.allow);
    readNetworks(reader, "deny", accept.deny);
    reader.get("connections_per_ip", accept.connections_per_ip);
    reader.get("requests_per_second", accept.requests_per_second);
    reader.get("concurrent_requests", accept.concurrent_requests);
    accept.burst = accept.requests_per_second;
    reader.get("burst", accept.burst);
    if (reader.has("burst") && accept.requests_per_second == 0)
        reader.complain("burst",
                        "limits nothing without 'requests_per_second'; add that or remove it");
    return accept;
}

Limits readLimits(const Reader& reader) {
    Limits limits;
    reader.get("connections", limits.connections);
    reader.get("memory", limits.memory);
    return limits;
}

}  // namespace regrow::conf
