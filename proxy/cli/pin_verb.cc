#include "proxy/cli/pin_verb.h"

#include <fmt/core.h>

#include <memory>

#include "backup/store.h"
#include "base/text.h"
#include "proxy/cli/repository_verbs.h"
#include "proxy/cli/verb_output.h"

namespace regrow::cli {
namespace {

struct PinArguments : RepositoryArguments {
    std::string name;
    std::string at;
    std::string recovery;
    std::string lifetime;
};

Result<backup::Pin> pin(const PinArguments& a) {
    auto lifetime = parseDuration(a.lifetime);
    if (!lifetime) return std::unexpected(std::move(lifetime.error()).in("--for"));
    REGROW_TRY(const auto store, backup::Store::open(a.repo, a.key_file));
    REGROW_TRY(const auto snapshot, store->snapshots().find(a.name, a.at));
    return store->snapshots().pin(
        snapshot, "recovery " + a.recovery,
        Wall::now() + std::chrono::duration_cast<Wall::duration>(*lifetime));
}

int stepPin(const PinArguments& a) {
    VerbOutput out(a.json);
    const auto pinned = pin(a);
    if (!pinned) return out.failure(pinned.error());
    out.say(fmt::format("Snapshot {} of {} is pinned until {}.", a.at, a.name,
                        formatTime(pinned->expires)));
    json::Writer w;
    VerbOutput::beginResult(w)
        .field("pin", pinned->object)
        .field("expires", formatTime(pinned->expires));
    out.result(w);
    return kDone;
}

}  // namespace

void addStepPin(CLI::App* step, int& exit_code) {
    CLI::App* verb = step->add_subcommand("pin", "keep retention away from a snapshot for a while");
    auto a = std::make_shared<PinArguments>();
    verb->add_option("--repo", a->repo)->required();
    verb->add_option("--key-file", a->key_file)->required();
    verb->add_option("--name", a->name)->required();
    verb->add_option("--at", a->at)->required();
    verb->add_option("--recovery", a->recovery)->required();
    verb->add_option("--for", a->lifetime)->required();
    verb->add_flag("--json", a->json);
    verb->callback([&exit_code, a] { exit_code = stepPin(*a); });
}

}  // namespace regrow::cli
