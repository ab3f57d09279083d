#include "proxy/cli/online_verbs.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "conf/load.h"
#include "proxy/cli/admin_client.h"
#include "proxy/cli/output.h"
#include "proxy/cli/repository_verbs.h"
#include "proxy/cli/tell.h"

namespace regrow::cli {
namespace {

int usage(std::string message) {
    report({.code = Code::invalid, .source = Source::client, .message = std::move(message)});
    return kExitUsage;
}

AdminOptions adminOf(const OnlineRequest& r) {
    AdminOptions options = r.admin;
    options.json = r.json;
    return options;
}

std::string snapshotLine(const rapidjson::Value& s) {
    const auto time = parseTime(json::getString(s, "time").value_or(""));
    const std::string age =
        time ? humanDuration(std::chrono::duration_cast<Duration>(Wall::now() - *time)) : "?";
    return printable(fmt::format(
        "{}  {}  {}  {}  {} old{}\n", padded(json::getString(s, "id").value_or("?"), 28),
        padded(json::getString(s, "name").value_or(""), 20),
        padded(json::getString(s, "type").value_or(""), 11),
        padded(humanSize(json::getUint(s, "bytes").value_or(0)), 10), age,
        json::getBool(s, "verified").value_or(false) ? "" : "  (not proven)"));
}

int listThroughProxy(const OnlineRequest& r) {
    const auto client = AdminClient::open(adminOf(r));
    if (!client) return report(client.error());
    const auto body =
        client->get("/api/snapshots" + (r.backend.empty() ? "" : "?name=" + escaped(r.backend)));
    if (!body) return report(body.error());
    if (r.json) return print(*body + "\n"), kExitDone;
    const auto document = json::parse(*body);
    const auto* list = document ? json::getArray(*document, "snapshots") : nullptr;
    if (!list) return report({.message = "the answer is not a list of snapshots: " + *body});
    if (list->Empty())
        print(r.backend.empty() ? "no snapshots\n"
                                : fmt::format("no snapshots of {}\n", r.backend));
    for (const auto& s : list->GetArray()) print(snapshotLine(s));
    return kExitDone;
}

Result<conf::Config> configOf(const OnlineRequest& r) {
    auto config = conf::load(r.admin.config);
    if (config) return *std::move(config);
    return fail(Code::invalid, Source::config,
                fmt::format("{} (regrow check -c {} shows everything)",
                            config.error().front().text(), r.admin.config));
}

// The repository that holds the snapshots of POOL/BACKEND.
Result<conf::Repository> repositoryOf(const conf::Config& config, const std::string& backend) {
    REGROW_TRY(const auto target, splitTarget(backend));
    const auto pool = config.pools.find(target.first);
    if (pool == config.pools.end())
        return fail(Code::not_found, Source::client,
                    fmt::format("{} has no pool '{}'", config.file, target.first));
    const auto& names = pool->second.backup.repositories;
    if (!pool->second.backup.on || names.empty())
        return fail(Code::not_found, Source::client,
                    fmt::format("pool '{}' has no backup in {}", target.first, config.file));
    return config.repositories.at(names.front());
}

// A proxy's address alone does not give us its key.
std::string needsConfig(const OnlineRequest& r) {
    return fmt::format(
        "regrow {} needs -c FILE (the proxy's configuration names repository and key), or --repo "
        "and --key-file",
        r.verb);
}

// What reads the repository itself, with the configuration's word for which.
int aloneFromConfig(const OnlineRequest& r) {
    if (r.backend.empty()) return usage(fmt::format("regrow {}: of which POOL/BACKEND?", r.verb));
    if (r.admin.config.empty()) return usage(needsConfig(r));
    const auto config = configOf(r);
    if (!config) return report(config.error());
    const auto repository = repositoryOf(*config, r.backend);
    if (!repository) return report(repository.error());
    return r.alone(repository->path, repository->key_file);
}

int verifyFromConfig(const OnlineRequest& r) {
    if (r.admin.config.empty()) return usage(needsConfig(r));
    const auto config = configOf(r);
    if (!config) return report(config.error());
    if (config->repositories.empty()) return usage(config->file + " names no repository");
    int worst = kExitDone;
    for (const auto& [name, repository] : config->repositories)
        worst = std::max(worst, verifyRepository({repository.path, repository.key_file, r.json}));
    return worst;
}

}  // namespace

int online(const OnlineRequest& r) {
    if (r.verb == "snapshots") return listThroughProxy(r);
    if (r.alone) return aloneFromConfig(r);
    if (r.verb == "verify") return verifyFromConfig(r);
    if (r.backend.empty())
        return usage(
            "write: regrow backup POOL/BACKEND [--full] with -a ADDR or -c FILE, or --repo, "
            "--key-file and --name");
    return tellBackend(adminOf(r), r.backend, "backup", r.full ? "?full=1" : "");
}

}  // namespace regrow::cli
