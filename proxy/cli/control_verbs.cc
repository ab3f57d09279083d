#include "proxy/cli/control_verbs.h"

#include <fmt/core.h>

#include <memory>

#include "proxy/cli/admin_client.h"
#include "proxy/cli/tell.h"
#include "proxy/cli/verb_output.h"

namespace regrow::cli {
namespace {

struct Asked {
    AdminOptions admin;
    std::string target;
    std::string at;
};

int tellTarget(const Asked& asked, const std::string& verb, const std::string& query) {
    return tellBackend(asked.admin, asked.target, verb, query);
}

CLI::App* addVerb(CLI::App& app, const std::string& name, const std::string& help,
                  const std::shared_ptr<Asked>& asked, const char* target_kind) {
    CLI::App* verb = app.add_subcommand(name, help)->group("A running proxy");
    addAdminOptions(*verb, asked->admin);
    if (target_kind)
        verb->add_option("target", asked->target,
                         fmt::format("which one; `regrow status` lists them"))
            ->type_name(target_kind)
            ->required();
    return verb;
}

void addTargetVerb(CLI::App& app, int& exit_code, const std::string& name, const char* kind,
                   const std::string& help) {
    const auto asked = std::make_shared<Asked>();
    CLI::App* verb = addVerb(app, name, help, asked, kind);
    verb->callback([asked, name, &exit_code] { exit_code = tellTarget(*asked, name, ""); });
}

void addRecover(CLI::App& app, int& exit_code) {
    const auto asked = std::make_shared<Asked>();
    CLI::App* verb = addVerb(
        app, "recover", "give a backend a new server, restored from its newest proven snapshot",
        asked, "POOL/BACKEND");
    verb->add_option(
            "--at", asked->at,
            "restore this snapshot, or the newest proven one captured at this time or before")
        ->type_name("TIME|SNAPSHOT")
        ->check(CLI::Validator(
            [](const std::string& at) {
                return at == "latest" ? "without --at the newest is taken" : notAnInstant(at);
            },
            ""));
    verb->callback([asked, &exit_code] {
        exit_code =
            tellTarget(*asked, "recover", asked->at.empty() ? "" : "?at=" + escaped(asked->at));
    });
}

void addRecoveryVerb(CLI::App& app, int& exit_code, const std::string& name,
                     const std::string& help) {
    const auto asked = std::make_shared<Asked>();
    CLI::App* verb = addVerb(app, name, help, asked, "RECOVERY");
    verb->callback([asked, name, &exit_code] {
        exit_code =
            tell(asked->admin, fmt::format("/api/recoveries/{}/{}", escaped(asked->target), name));
    });
}

void addPlainVerb(CLI::App& app, int& exit_code, const std::string& name, const std::string& help) {
    const auto asked = std::make_shared<Asked>();
    CLI::App* verb = addVerb(app, name, help, asked, nullptr);
    verb->callback([asked, name, &exit_code] { exit_code = tell(asked->admin, "/api/" + name); });
}

}  // namespace

void addControlVerbs(CLI::App& app, int& exit_code) {
    addTargetVerb(app, exit_code, "drain", "POOL/BACKEND",
                  "no new requests; those under way are finished");
    addTargetVerb(app, exit_code, "undrain", "POOL/BACKEND", "end a drain or maintenance");
    addTargetVerb(app, exit_code, "maintenance", "POOL/BACKEND",
                  "checks may fail and nothing is recovered, until undrain");
    addRecover(app, exit_code);
    addTargetVerb(app, exit_code, "quarantine", "POOL/SERVER",
                  "take a server out; its data is kept");
    addTargetVerb(app, exit_code, "release", "POOL/SERVER",
                  "make a quarantined server a spare again");
    addRecoveryVerb(app, exit_code, "approve", "let a held recovery go on");
    addRecoveryVerb(app, exit_code, "cancel", "end a recovery");
    addPlainVerb(app, exit_code, "pause", "begin no recovery until resume");
    addPlainVerb(app, exit_code, "resume", "begin recoveries again");
    addPlainVerb(app, exit_code, "reload", "read the configuration again");
}

}  // namespace regrow::cli
