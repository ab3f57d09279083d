#include "proxy/control/limits.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/log.h"
#include "base/process_limits.h"

namespace regrow::control {
namespace {

constexpr uint64_t kLeastReserve = 128;
constexpr uint64_t kMostReserve = 4096;
constexpr uint64_t kEachServer = 4;  // a check, a probe, pipes and the pidfd of a server of ours

uint64_t servers(const conf::Config& config) {
    uint64_t count = 0;
    for (const auto& [name, pool] : config.pools)
        count += pool.backends.size() + pool.spares.size();
    return count;
}

}  // namespace

Machine Machine::own() {
    rlimit limit{};
    Machine machine;
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) machine.descriptors = limit.rlim_cur;
    machine.memory = machineMemory();
    return machine;
}

uint64_t reserve(const conf::Config& config, const Machine& machine) {
    const uint64_t wanted = machine.descriptors / 32 + kEachServer * servers(config);
    // However little there is, half of it serves.
    return std::min(std::clamp(wanted, kLeastReserve, kMostReserve), machine.descriptors / 2);
}

LimitsView limitsView(const conf::Config& config, const Machine& machine) {
    const auto free = static_cast<int64_t>(std::min<uint64_t>(machine.descriptors, INT32_MAX) -
                                           reserve(config, machine));
    LimitsView view;
    view.connections = config.limits.connections > 0
                           ? std::min<int64_t>(config.limits.connections, free - free / 8)
                           : free / 2;
    if (config.limits.connections > view.connections)
        log::warn("limits",
                  "connections: {} descriptors are enough for {} clients, not for {}; raise "
                  "LimitNOFILE (ulimit -n)",
                  machine.descriptors, view.connections, config.limits.connections);
    view.connections = std::max<int64_t>(view.connections, 1);
    view.upstreams = std::max<int64_t>(free - view.connections, 1);
    view.memory = config.limits.memory > 0 ? config.limits.memory : machine.memory / 4 * 3;
    return view;
}

}  // namespace regrow::control
