#include "proxy/cli/config_verb.h"

#include <fmt/core.h>

#include "conf/load.h"
#include "proxy/cli/output.h"

namespace regrow::cli {
namespace {

void printText(const std::string& text) {
    print(text.ends_with('\n') ? text : text + "\n");
}

}  // namespace

void addConfigVerbs(CLI::App& app, int& exit_code) {
    CLI::App* config =
        app.add_subcommand("config", "what can be written in a configuration")->group("The proxy");
    config->require_subcommand(1);
    config->add_subcommand("defaults", "every key with its default, as YAML")
        ->callback([&exit_code] {
            printText(conf::defaultsText());
            exit_code = kExitDone;
        });
    config->add_subcommand("schema", "JSON schema, for editors")->callback([&exit_code] {
        printText(conf::schemaText());
        exit_code = kExitDone;
    });
    app.add_subcommand("version", "the version, in one line")
        ->group("The proxy")
        ->callback([&exit_code] {
            print("regrow " REGROW_VERSION "\n");
            exit_code = kExitDone;
        });
}

}  // namespace regrow::cli
