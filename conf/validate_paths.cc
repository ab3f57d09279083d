#include <fmt/core.h>

#include <filesystem>

#include "conf/places.h"
#include "conf/validate.h"

namespace regrow::conf {
namespace {

struct Directory {
    std::string path;  // normalised, with a '/' at the end, so that a prefix is an ancestor
    const Node* node;
    std::string what;
};

// By the text alone: what links and mounts make of it is seen when the directories are opened.
std::string normalised(const std::string& path) {
    auto text = std::filesystem::path(path).lexically_normal().string();
    if (!text.ends_with('/')) text += '/';
    return text;
}

bool meet(const std::string& a, const std::string& b) {
    return a.starts_with(b) || b.starts_with(a);
}

std::string relation(const Directory& a, const Directory& b) {
    if (a.path == b.path) return fmt::format("is also {}", b.what);
    return a.path.starts_with(b.path) ? fmt::format("lies inside {}", b.what)
                                      : fmt::format("contains {}", b.what);
}

class Directories {
  public:
    explicit Directories(Problems& problems) : problems_(problems) {}
    void add(const std::string& path, const Node& node, std::string what) {
        if (!path.empty()) all_.push_back({normalised(path), &node, std::move(what)});
    }
    const std::vector<Directory>& all() const { return all_; }
    // `why` ends the message: what would happen, and the remedy.
    void keepApart(const Directory& a, const Directory& b, std::string_view why) {
        if (meet(a.path, b.path))
            problems_.add(*a.node, fmt::format("{}: {} {} ({}); {}", a.what, a.path, relation(a, b),
                                               b.path, why));
    }

  private:
    Problems& problems_;
    std::vector<Directory> all_;
};

Directories dataDirectories(const Config& config, const Node& root, Problems& problems) {
    Directories data(problems);
    eachServer(config, root, [&](const ServerPlace& place) {
        data.add(place.server.data, place.node.at("data"), place.where + ".data");
    });
    return data;
}

Directories repositoryDirectories(const Config& config, const Node& root, Problems& problems) {
    Directories repositories(problems);
    for (const auto& [name, repository] : config.repositories)
        repositories.add(repository.path, root.at("repositories").at(name).at("path"),
                         fmt::format("repositories.{}.path", name));
    return repositories;
}

}  // namespace

void validatePaths(const Config& config, const Node& root, Problems& problems) {
    auto data = dataDirectories(config, root, problems);
    auto repositories = repositoryDirectories(config, root, problems);
    const Directory state{normalised(config.state_dir), &root.at("state_dir"), "state_dir"};
    const auto& servers = data.all();
    for (size_t i = 0; i < servers.size(); ++i) {
        for (size_t j = 0; j < i; ++j)
            data.keepApart(servers[i], servers[j],
                           "two servers' data must not meet; give each its own directory");
        for (const auto& repository : repositories.all())
            data.keepApart(servers[i], repository,
                           "a restore would touch the backups; move one of the two");
        data.keepApart(servers[i], state,
                       "a restore would touch regrow's own state; move one of the two");
    }
    const auto& stores = repositories.all();
    for (size_t i = 0; i < stores.size(); ++i) {
        for (size_t j = 0; j < i; ++j)
            repositories.keepApart(stores[i], stores[j], "give each repository its own directory");
        // A repository inside state_dir is usual; the other way round, pruning would meet the
        // journal.
        if (state.path.starts_with(stores[i].path))
            repositories.keepApart(stores[i], state, "move one of the two");
    }
}

}  // namespace regrow::conf
