#include <fmt/core.h>

#include "base/text.h"
#include "conf/places.h"
#include "conf/validate.h"

namespace regrow::conf {
namespace {

std::string hintFor(const Config& config, const std::string& repository) {
    std::vector<std::string_view> names;
    names.reserve(config.repositories.size());
    for (const auto& [name, ignored] : config.repositories) names.push_back(name);
    const auto meant = nearest(repository, names);
    return meant.empty()
               ? fmt::format("add 'repositories: {{{}: {{path: …, key_file: …}}}}'", repository)
               : fmt::format("did you mean '{}'?", meant);
}

void checkPool(const Config& config, const Pool& pool, const Node& node, Problems& problems) {
    const auto where = fmt::format("pools.{}.backup", pool.name);
    const Node& backup = node.at("backup");
    if (pool.data == DataKind::none)
        problems.add(
            backup,
            fmt::format("{} stands in a pool of 'data: none'; remove it, or write 'data: own'",
                        where));
    for (const auto& repository : pool.backup.repositories)
        if (!repository.empty() && !config.repositories.contains(repository))
            problems.add(backup.at("repository"),
                         fmt::format("{}.repository: there is no repository '{}'; {}", where,
                                     repository, hintFor(config, repository)));
}

void checkServer(const ServerPlace& place, Problems& problems) {
    const bool has_data = place.node.find("data");
    if (place.pool.data == DataKind::none && has_data)
        problems.add(
            place.node.at("data"),
            fmt::format("{}.data: the pool says 'data: none'; remove one of the two", place.where));
    if (place.pool.data != DataKind::none && place.pool.backup.on && !place.spare && !has_data)
        problems.add(place.node, fmt::format("{}.data is missing: the pool is backed up; add "
                                             "'data: /path', the directory to back up",
                                             place.where));
}

}  // namespace

void validateBackups(const Config& config, const Node& root, Problems& problems) {
    for (const auto& [name, pool] : config.pools)
        if (pool.backup.on) checkPool(config, pool, root.at("pools").at(name), problems);
    eachServer(config, root, [&](const ServerPlace& place) { checkServer(place, problems); });
}

}  // namespace regrow::conf
