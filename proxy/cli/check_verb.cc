#include "proxy/cli/check_verb.h"

#include <fmt/core.h>

#include "base/text.h"
#include "conf/load.h"
#include "proxy/cli/output.h"
#include "proxy/control/tls_contexts.h"

namespace regrow::cli {
namespace {

struct Asked {
    std::string config;
    bool plan = false;
};

int check(const Asked& asked) {
    if (asked.plan) {
        fmt::print(stderr,
                   "regrow: check --plan is not available in this version; without --plan the file "
                   "is validated\n");
        return kExitUsage;
    }
    const auto config = conf::load(asked.config, conf::Depth::files);
    if (!config) {
        for (const auto& problem : config.error()) fmt::print(stderr, "{}\n", problem.text());
        fmt::print(stderr, "{}: {}\n", asked.config, plural(config.error().size(), "problem"));
        return kExitFailed;
    }
    const auto tls = control::TlsContexts::load(*config, {});
    if (!tls) {
        fmt::print(stderr, "{}: {}\n", asked.config, tls.error().message);
        return kExitFailed;
    }
    for (const auto& objection : tls->objections()) fmt::print(stderr, "warning: {}\n", objection);
    size_t backends = 0;
    for (const auto& [name, pool] : config->pools) backends += pool.backends.size();
    print(fmt::format("{}: ok, {}, {}, {}\n", asked.config,
                      plural(config->listeners.size(), "listener"),
                      plural(config->pools.size(), "pool"), plural(backends, "backend")));
    return kExitDone;
}

}  // namespace

void addCheckVerb(CLI::App& app, int& exit_code) {
    const auto asked = std::make_shared<Asked>();
    CLI::App* verb = app.add_subcommand("check", "validate a configuration: every problem at once")
                         ->group("The proxy");
    verb->add_option("-c,--config", asked->config, "the configuration")
        ->type_name("FILE")
        ->required();
    verb->add_flag("--plan", asked->plan,
                   "show what a reload would change (not available in this version)");
    verb->callback([asked, &exit_code] { exit_code = check(*asked); });
}

}  // namespace regrow::cli
