#include "proxy/cli/recovery_steps.h"

#include <dirent.h>
#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "backup/activate.h"
#include "backup/lineage.h"
#include "backup/store.h"
#include "backup/tree_dir.h"
#include "backup/tree_verify.h"
#include "base/text.h"
#include "proxy/cli/repository_verbs.h"
#include "proxy/cli/verb_output.h"

namespace regrow::cli {
namespace {

struct InspectArguments {
    std::string data;
    std::string backend;
    bool json = false;
};
struct Inspected {
    bool usable = false;
    std::string reason;
    std::optional<backup::Marker> marker;
};

struct VerifyArguments : RepositoryArguments {
    std::string name;
    std::string at;
    std::string staging;
};

struct EnsureArguments : RepositoryArguments {
    bool create = false;
};

// Whether a directory holds anything; an absent one does not.
Result<bool> holdsAnything(const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
    if (!dir && errno == ENOENT) return false;
    if (!dir) return failErrno(errno, path);
    while (const dirent* entry = ::readdir(dir.get()))
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
            return true;
    return false;
}

Result<Inspected> inspect(const InspectArguments& a) {
    REGROW_TRY(const bool anything, holdsAnything(a.data));
    if (!anything) return Inspected{true, "", std::nullopt};
    REGROW_TRY(auto marker, backup::readMarker(a.data));
    Inspected seen{false, "", std::move(marker)};
    seen.usable = seen.marker && seen.marker->backend == a.backend;
    if (!seen.marker)
        seen.reason = a.data + " is not empty and carries no marker of " + a.backend +
                      "; move its files away, or name another directory";
    else if (!seen.usable)
        seen.reason = a.data + " holds data of " + seen.marker->backend + ", not of " + a.backend +
                      "; give each backend directories of its own";
    return seen;
}

int stepInspect(const InspectArguments& a) {
    VerbOutput out(a.json);
    const auto seen = inspect(a);
    if (!seen) return out.failure(seen.error());
    out.say(seen->usable ? a.data + " may be written to." : seen->reason);
    json::Writer w;
    VerbOutput::beginResult(w).field("usable", seen->usable).field("reason", seen->reason);
    if (seen->marker)
        w.field("backend", seen->marker->backend)
            .field("lineage", seen->marker->lineage)
            .field("epoch", seen->marker->epoch);
    if (seen->marker && seen->marker->ready)
        w.field("ready_recovery", seen->marker->ready->recovery)
            .field("ready_epoch", seen->marker->ready->epoch);
    out.result(w);
    return kDone;
}

Result<std::string> verifyStaged(const VerifyArguments& a, const backup::OnProgress& progress) {
    REGROW_TRY(const auto store, backup::Store::open(a.repo, a.key_file));
    REGROW_TRY(const auto snapshot, store->snapshots().find(a.name, a.at));
    REGROW_TRY(const auto entries, store->tree(snapshot));
    REGROW_TRY(const auto root, backup::TreeDir::open(a.staging));
    backup::TreeVerifyOptions options;
    options.progress = progress;
    REGROW_TRY(const auto differences, backup::verifyTree(root, entries, options));
    if (!differences.empty())
        return fail(
            Code::corrupt, Source::disk,
            fmt::format(
                "{} is not what snapshot {} says: {}{}", a.staging, snapshot.shortId(),
                differences.front(),
                differences.size() > 1 ? fmt::format(" and {} more", differences.size() - 1) : ""));
    return backup::treeDigest(a.staging);
}

int stepVerify(const VerifyArguments& a) {
    VerbOutput out(a.json);
    const auto digest = verifyStaged(a, out.onProgress());
    if (!digest) return out.failure(digest.error());
    out.say(a.staging + " is exactly snapshot " + a.at + ".");
    json::Writer w;
    VerbOutput::beginResult(w).field("digest", *digest);
    out.result(w);
    return kDone;
}

// Opened, or made where nothing is: never when it was known before, for then nothing there means
// that it was lost.
Result<std::string> ensureRepository(const EnsureArguments& a, bool& created) {
    auto store = backup::Store::open(a.repo, a.key_file);
    if (!store && store.error().code == Code::not_found &&
        store.error().source == Source::repository && a.create) {
        REGROW_CHECK(backup::Store::initialise(a.repo, a.key_file));
        created = true;
        store = backup::Store::open(a.repo, a.key_file);
    }
    if (!store) return std::unexpected(std::move(store).error());
    const auto& id = (*store)->keys().repository();
    return toHex({reinterpret_cast<const char*>(id.data()), id.size()});
}

int stepRepository(const EnsureArguments& a) {
    VerbOutput out(a.json);
    bool created = false;
    const auto id = ensureRepository(a, created);
    if (!id) return out.failure(id.error());
    out.say(fmt::format("Repository {} is {}.", a.repo, created ? "made" : "there"));
    json::Writer w;
    VerbOutput::beginResult(w).field("id", *id).field("created", created);
    out.result(w);
    return kDone;
}

void addRepository(CLI::App* verb, RepositoryArguments& a) {
    verb->add_option("--repo", a.repo)->required();
    verb->add_option("--key-file", a.key_file)->required();
    verb->add_flag("--json", a.json);
}

}  // namespace

void addRecoverySteps(CLI::App* step, int& exit_code) {
    auto inspected = std::make_shared<InspectArguments>();
    CLI::App* verb = step->add_subcommand("inspect", "whose data lies in a directory?");
    verb->add_option("--data", inspected->data)->required();
    verb->add_option("--backend", inspected->backend)->required();
    verb->add_flag("--json", inspected->json);
    verb->callback([&exit_code, inspected] { exit_code = stepInspect(*inspected); });

    auto verified = std::make_shared<VerifyArguments>();
    verb = step->add_subcommand("verify", "is a restored tree exactly the snapshot's?");
    addRepository(verb, *verified);
    verb->add_option("--name", verified->name)->required();
    verb->add_option("--at", verified->at)->required();
    verb->add_option("--staging", verified->staging)->required();
    verb->callback([&exit_code, verified] { exit_code = stepVerify(*verified); });

    auto ensured = std::make_shared<EnsureArguments>();
    verb = step->add_subcommand("repository", "open a repository, or make it");
    addRepository(verb, *ensured);
    verb->add_flag("--create", ensured->create);
    verb->callback([&exit_code, ensured] { exit_code = stepRepository(*ensured); });
}

}  // namespace regrow::cli
