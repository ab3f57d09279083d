#include "proxy/cli/step_verbs.h"

#include <fmt/core.h>

#include <ranges>

#include "backup/lineage.h"
#include "backup/store.h"
#include "backup/untouched.h"
#include "base/text.h"
#include "proxy/cli/verb_output.h"

namespace regrow::cli {
namespace {

// A damaged snapshot says nothing against the disk: the newest that can be read is compared with.
Result<std::vector<backup::Entry>> newestReadableTree(backup::Store& store,
                                                      const std::string& name) {
    REGROW_TRY(const auto list, store.snapshots().list(name));
    for (const auto& snapshot : list.snapshots | std::views::reverse) {
        auto tree = store.tree(snapshot);
        if (tree || (tree.error().code != Code::corrupt && tree.error().code != Code::not_found))
            return tree;
    }
    return std::vector<backup::Entry>{};
}

Result<std::vector<std::string>> askUntouched(const UntouchedArguments& a) {
    backup::UntouchedQuestion question;
    auto at = parseTime(a.exited_at);
    if (!at) return std::unexpected(std::move(at.error()).in("--exited-at"));
    question.exited_at = *at;
    question.data = a.data;
    if (a.epoch && !a.lineage.empty())
        question.marker = backup::Marker{.backend = a.name,
                                         .lineage = a.lineage,
                                         .epoch = *a.epoch,
                                         .staged_for = {},
                                         .ready = {}};
    REGROW_TRY(const auto store, backup::Store::open(a.repo, a.key_file));
    REGROW_TRY(const auto manifest, newestReadableTree(*store, a.name));
    question.manifest = manifest;
    return backup::reasonsAgainst(question);
}

Result<> writeFresh(const FreshArguments& a) {
    if (!a.repo.empty()) {
        REGROW_TRY(const auto store, backup::Store::open(a.repo, a.key_file));
        REGROW_TRY(const auto list, store->snapshots().list(a.backend));
        if (!list.snapshots.empty() || !list.damaged.empty())
            return fail(Code::refused, Source::repository,
                        fmt::format("{} has snapshots in {}: it is no new backend; restore it",
                                    a.backend, a.repo));
    }
    return backup::writeFirstMarker(a.data, {.backend = a.backend,
                                             .lineage = a.lineage,
                                             .epoch = a.epoch,
                                             .staged_for = {},
                                             .ready = {}});
}

}  // namespace

int stepActivate(const ActivateArguments& a) {
    VerbOutput out(a.json);
    const auto activated = backup::activate(a.request);
    if (!activated) return out.failure(activated.error());
    out.say(fmt::format("{} is READY for recovery {}; the data before is {}.", a.request.data,
                        a.request.recovery,
                        activated->old ? "kept in " + *activated->old : "none"));
    json::Writer w;
    VerbOutput::beginResult(w).field("digest", activated->digest).field("old", activated->old);
    out.result(w);
    return kDone;
}

int stepUntouched(const UntouchedArguments& a) {
    VerbOutput out(a.json);
    const auto reasons = askUntouched(a);
    if (!reasons) return out.failure(reasons.error());
    out.say(reasons->empty() ? a.data + ": untouched since the server's end."
                             : a.data + ": not to be trusted:");
    for (const std::string& reason : *reasons) out.say("  " + reason);
    json::Writer w;
    VerbOutput::beginResult(w).field("untouched", reasons->empty()).key("reasons").beginArray();
    for (const std::string& reason : *reasons) w.value(reason);
    w.endArray();
    out.result(w);
    return kDone;
}

int stepFresh(const FreshArguments& a) {
    VerbOutput out(a.json);
    if (const auto written = writeFresh(a); !written) return out.failure(written.error());
    out.say(fmt::format("{} is marked as the data of {}.", a.data, a.backend));
    json::Writer w;
    VerbOutput::beginResult(w)
        .field("backend", a.backend)
        .field("lineage", a.lineage)
        .field("epoch", a.epoch);
    out.result(w);
    return kDone;
}

int stepRaise(const RaiseArguments& a) {
    VerbOutput out(a.json);
    if (const auto raised = backup::raiseEpoch(a.data, a.backend, a.lineage, a.epoch); !raised)
        return out.failure(raised.error());
    out.say(fmt::format("{} is of epoch {}.", a.data, a.epoch));
    json::Writer w;
    VerbOutput::beginResult(w).field("epoch", a.epoch);
    out.result(w);
    return kDone;
}

}  // namespace regrow::cli
