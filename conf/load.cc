#include "conf/load.h"

#include <fmt/core.h>

#include "base/file.h"
#include "conf/problems.h"
#include "conf/reader.h"
#include "conf/sections.h"
#include "conf/tree.h"
#include "conf/validate.h"
#include "conf/validate_routes.h"
#include "conf/validate_tls.h"

namespace regrow::conf {

std::string Problem::text() const {
    if (line == 0) return fmt::format("{}: {}", file, message);
    return fmt::format("{}:{}:{}: {}", file, line, column, message);
}

std::expected<Config, std::vector<Problem>> parse(const std::string& yaml,
                                                  const std::string& file_name, Depth depth) {
    Tree tree = parseTree(yaml, file_name);
    const bool readable = tree.root.kind == NodeKind::map;
    const bool broken = !tree.problems.empty();
    Problems problems(file_name, std::move(tree.problems));
    Config config;
    if (readable) {
        config = readConfig(Reader(tree.root, kRootSection, "", problems));
        validate(config, tree.root, problems);
        if (depth == Depth::files) {
            checkTlsFiles(config, tree.root, problems);
            checkRouteFiles(config, tree.root, problems);
        }
    } else if (!broken) {
        problems.add(tree.root, fmt::format("a configuration is a map of keys, but this file holds "
                                            "{}; `regrow config defaults` "
                                            "prints one to start from",
                                            name(tree.root.kind)));
    }
    if (!problems.empty()) return std::unexpected(std::move(problems).take());
    config.file = file_name;
    return config;
}

std::expected<Config, std::vector<Problem>> load(const std::string& path, Depth depth) {
    const auto yaml = readFile(path, kFileLimit);
    if (!yaml)
        return std::unexpected(
            std::vector<Problem>{{path, 0, 0, "cannot be read: " + yaml.error().message}});
    return parse(*yaml, path, depth);
}

}  // namespace regrow::conf
