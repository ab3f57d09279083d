#include "proxy/cli/run_verb.h"

#include "proxy/cli/run_proxy.h"

namespace regrow::cli {

void addRunVerb(CLI::App& app, int& exit_code) {
    const auto config = std::make_shared<std::string>();
    CLI::App* verb = app.add_subcommand("run", "the proxy, in the foreground")->group("The proxy");
    verb->add_option("-c,--config", *config,
                     "the configuration (regrow config defaults shows every key)")
        ->type_name("FILE")
        ->required();
    verb->callback([config, &exit_code] { exit_code = runProxy(*config); });
}

}  // namespace regrow::cli
