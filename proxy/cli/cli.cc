#include "proxy/cli/cli.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"
#include "proxy/cli/backup_verbs.h"
#include "proxy/cli/check_verb.h"
#include "proxy/cli/completion.h"
#include "proxy/cli/config_verb.h"
#include "proxy/cli/control_verbs.h"
#include "proxy/cli/demo_verb.h"
#include "proxy/cli/online_verbs.h"
#include "proxy/cli/output.h"
#include "proxy/cli/run_verb.h"
#include "proxy/cli/status_verb.h"
#include "proxy/cli/why_verb.h"

namespace regrow::cli {
namespace {

constexpr const char* kAbout =
    "Regrow stands in front of a web service and keeps it alive: when a backend dies, it restores "
    "its data onto a spare\n"
    "and gives it the dead one's place.";
constexpr const char* kFooter =
    "\nregrow VERB --help says more. Exit codes: 0 done, 1 failed, 2 usage, 3 refused (it would "
    "lose data).\n";

// Promised for later; a guess at what was meant would only mislead.
constexpr std::array kNotYet{"prune", "repair", "drill", "top", "agent"};

// A verb that does not exist: what was meant?
bool unknownVerb(const CLI::App& app, int argc, char** argv) {
    if (argc < 2 || argv[1][0] == '-' || argv[1][0] == '\0') return false;
    std::vector<std::string> verbs;
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (sub->get_name() == argv[1]) return false;
        if (!sub->get_group().empty()) verbs.push_back(sub->get_name());
    }
    if (std::ranges::find(kNotYet, std::string_view(argv[1])) != kNotYet.end())
        return fmt::print(stderr,
                          "regrow: {} is not in this version; regrow --help lists what is\n",
                          argv[1]),
               true;
    const auto meant = nearest(argv[1], verbs);
    fmt::print(stderr, "regrow: there is no verb '{}'{}; regrow --help lists them\n",
               printable(argv[1]), meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant));
    return true;
}

int parseAndRun(CLI::App& app, int argc, char** argv, const int& exit_code) {
    try {
        app.parse(argc, argv);
        return exit_code;
    } catch (const CLI::ParseError& e) {
        if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
        fmt::print(stderr, "regrow: {}; regrow {}--help says what is taken\n", printable(e.what()),
                   argc > 1 && argv[1][0] != '-' ? std::string(argv[1]) + " " : "");
        return kExitUsage;
    }
}

}  // namespace

int runCli(int argc, char** argv) {
    int exit_code = kExitDone;
    CLI::App app(kAbout, "regrow");
    app.set_version_flag("--version", "regrow " REGROW_VERSION);
    app.footer(kFooter);
    app.require_subcommand(1);
    addDemoVerb(app, exit_code);
    addRunVerb(app, exit_code);
    addCheckVerb(app, exit_code);
    addStatusVerb(app, exit_code);
    addWhyVerb(app, exit_code);
    addControlVerbs(app, exit_code);
    addBackupVerbs(app, exit_code, online);
    addConfigVerbs(app, exit_code);
    addCompletionVerb(app, exit_code);
    if (argc < 2) return fmt::print(stderr, "{}", app.help()), kExitUsage;
    if (unknownVerb(app, argc, argv)) return kExitUsage;
    return parseAndRun(app, argc, argv, exit_code);
}

}  // namespace regrow::cli
