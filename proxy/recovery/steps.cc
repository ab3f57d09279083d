#include "proxy/recovery/steps.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "proxy/recovery/verb_run.h"

namespace regrow::recovery {
namespace {

using rapidjson::Document;
using rapidjson::Value;

// argv of one verb, piece by piece.
class VerbArgs {
  public:
    VerbArgs(const std::string& binary, std::initializer_list<const char*> verb) : argv_{binary} {
        argv_.insert(argv_.end(), verb.begin(), verb.end());
    }
    VerbArgs& with(const char* option, const std::string& value) {
        argv_.emplace_back(option);
        argv_.push_back(value);
        return *this;
    }
    VerbArgs& when(bool wanted, const char* flag) {
        if (wanted) argv_.emplace_back(flag);
        return *this;
    }
    VerbArgs& repository(const RepositoryRef& repository) {
        return with("--repo", repository.path).with("--key-file", repository.key_file);
    }
    // A path of the operator's that begins with '-' is still a path.
    VerbArgs& positional(const std::string& value) {
        argv_.emplace_back(value.starts_with('-') ? "./" + value : value);
        return *this;
    }
    std::vector<std::string> take() {
        argv_.emplace_back("--json");
        return std::move(argv_);
    }

  private:
    std::vector<std::string> argv_;
};

std::vector<std::string> stringsOf(const Value& object, const char* key) {
    std::vector<std::string> out;
    if (const Value* array = json::getArray(object, key))
        for (const auto& item : array->GetArray())
            if (item.IsString()) out.emplace_back(item.GetString(), item.GetStringLength());
    return out;
}

Error misses(std::string_view what, std::string_view field) {
    return {Code::internal, Source::us, false,
            fmt::format("{}: its result has no valid '{}'", what, field)};
}

Result<SnapshotInfo> snapshotOf(const Value& object, std::string_view what) {
    SnapshotInfo info;
    const auto id = json::getString(object, "id");
    if (!id || id->empty()) return std::unexpected(misses(what, "snapshot.id"));
    const auto time = parseTime(json::getString(object, "time").value_or(""));
    if (!time) return std::unexpected(misses(what, "snapshot.time"));
    info.id = *id;
    info.time = *time;
    info.name = json::getString(object, "name").value_or("");
    info.number = json::getUint(object, "number").value_or(0);
    info.epoch = json::getUint(object, "epoch").value_or(0);
    info.lineage = json::getString(object, "lineage").value_or("");
    info.type = json::getString(object, "type").value_or("");
    info.bytes = json::getUint(object, "bytes").value_or(0);
    info.files = json::getUint(object, "files").value_or(0);
    info.new_bytes = json::getUint(object, "new_bytes").value_or(0);
    // What is not said is taken for the worse.
    info.proven = json::getBool(object, "proven").value_or(false);
    info.incomplete = json::getBool(object, "incomplete").value_or(true);
    info.suspicious = json::getBool(object, "suspicious").value_or(false);
    info.rescue = json::getBool(object, "rescue").value_or(false);
    info.problems = stringsOf(object, "problems");
    return info;
}

Result<CaptureResult> captureOf(const Value& line, std::string_view what) {
    const Value* snapshot = json::getObject(line, "snapshot");
    if (!snapshot) return std::unexpected(misses(what, "snapshot"));
    CaptureResult result;
    REGROW_TRY(result.snapshot, snapshotOf(*snapshot, what));
    result.unchanged = json::getBool(line, "unchanged").value_or(false);
    result.took_ms = json::getDouble(line, "took_ms").value_or(0);
    return result;
}

Result<SnapshotListing> listingOf(const Value& line, std::string_view what) {
    const Value* snapshots = json::getArray(line, "snapshots");
    if (!snapshots) return std::unexpected(misses(what, "snapshots"));
    SnapshotListing listing;
    for (const auto& item : snapshots->GetArray()) {
        REGROW_TRY(auto snapshot, snapshotOf(item, what));
        listing.snapshots.push_back(std::move(snapshot));
    }
    if (const Value* damaged = json::getArray(line, "damaged")) listing.damaged = damaged->Size();
    if (const Value* repository = json::getObject(line, "repository")) {
        listing.space.bytes = json::getUint(*repository, "bytes").value_or(0);
        listing.space.free_bytes = json::getUint(*repository, "free_bytes").value_or(0);
    }
    return listing;
}

Result<RestoreResult> restoreOf(const Value& line, std::string_view what) {
    RestoreResult result;
    // The whole snapshot or its id: what matters is that it says what it restored.
    const Value* snapshot = json::getObject(line, "snapshot");
    const auto id = snapshot ? json::getString(*snapshot, "id") : json::getString(line, "snapshot");
    if (!id || id->empty()) return std::unexpected(misses(what, "snapshot"));
    result.snapshot = *id;
    result.restored_bytes = json::getUint(line, "restored_bytes").value_or(0);
    result.files = json::getUint(line, "files").value_or(0);
    result.took_ms = json::getDouble(line, "took_ms").value_or(0);
    result.resumed = json::getBool(line, "resumed").value_or(false);
    return result;
}

Result<ActivateResult> activateOf(const Value& line, std::string_view what) {
    const auto digest = json::getString(line, "digest");
    if (!digest || digest->empty()) return std::unexpected(misses(what, "digest"));
    return ActivateResult{*digest, json::getString(line, "old").value_or("")};
}

Result<UntouchedResult> untouchedOf(const Value& line, std::string_view what) {
    const auto untouched = json::getBool(line, "untouched");
    if (!untouched) return std::unexpected(misses(what, "untouched"));
    return UntouchedResult{*untouched, stringsOf(line, "reasons")};
}

Result<VerifyTreeResult> verifyTreeOf(const Value& line, std::string_view what) {
    const auto digest = json::getString(line, "digest");
    if (!digest || digest->empty()) return std::unexpected(misses(what, "digest"));
    return VerifyTreeResult{*digest};
}

Result<InspectResult> inspectOf(const Value& line, std::string_view what) {
    const auto usable = json::getBool(line, "usable");
    if (!usable) return std::unexpected(misses(what, "usable"));
    return InspectResult{.usable = *usable,
                         .reason = json::getString(line, "reason").value_or(""),
                         .backend = json::getString(line, "backend").value_or(""),
                         .lineage = json::getString(line, "lineage").value_or(""),
                         .epoch = json::getUint(line, "epoch").value_or(0),
                         .ready_recovery = json::getString(line, "ready_recovery").value_or(""),
                         .ready_epoch = json::getUint(line, "ready_epoch").value_or(0)};
}

Result<RepositoryOpened> repositoryOf(const Value& line, std::string_view what) {
    const auto id = json::getString(line, "id");
    if (!id || id->empty()) return std::unexpected(misses(what, "id"));
    return RepositoryOpened{*id, json::getBool(line, "created").value_or(false)};
}

Result<void> nothingOf(const Value& /*line*/, std::string_view /*what*/) {
    return {};
}

// Runs the command and hands on what `convert` makes of its result.
template <class T>
Handle run(EventLoop& loop, VerbCommand command, OnProgress on_progress,
           Result<T> (*convert)(const Value&, std::string_view), OnDone<T> on_done) {
    std::string what = command.what;
    return runVerb(loop, std::move(command), std::move(on_progress),
                   [convert, what = std::move(what),
                    on_done = std::move(on_done)](Result<Document> line) mutable {
                       if (!line) return on_done(std::unexpected(std::move(line).error()));
                       on_done(convert(*line, what));
                   });
}

}  // namespace

double Progress::fraction() const {
    const auto part = [](uint64_t done, uint64_t total) {
        return std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    };
    if (total_bytes > 0) return part(done_bytes, total_bytes);
    return total_files > 0 ? part(done_files, total_files) : 0;
}

std::string stagingPath(const std::string& data, const std::string& recovery) {
    std::string path = data;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path + ".regrow-staging-" + recovery;
}

LocalSteps::LocalSteps(EventLoop& loop, std::string binary, Limits limits)
    : loop_(loop), binary_(std::move(binary)), limits_(limits) {}

Handle LocalSteps::capture(const CaptureRequest& request, OnProgress on_progress,
                           OnDone<CaptureResult> on_done) {
    VerbArgs command(binary_, {"backup"});
    command.repository(request.repository)
        .with("--name", request.name)
        .positional(request.data)
        .when(request.full, "--full");
    for (const auto& pattern : request.exclude) command.with("--exclude", pattern);
    command.with("--epoch", std::to_string(request.epoch))
        .with("--lineage", request.lineage)
        .when(request.rescue, "--rescue")
        .when(request.expect_marker, "--expect-marker");
    return run(loop_,
               {(request.rescue ? "rescue of " : "backup of ") + request.name, command.take(),
                limits_.silence, !request.rescue},
               std::move(on_progress), captureOf, std::move(on_done));
}

Handle LocalSteps::listSnapshots(const RepositoryRef& repository, const std::string& name,
                                 OnDone<SnapshotListing> on_done) {
    VerbArgs command(binary_, {"snapshots"});
    command.repository(repository);
    if (!name.empty()) command.positional(name);
    return run(loop_,
               {"listing the snapshots in " + repository.path, command.take(), limits_.listing},
               nullptr, listingOf, std::move(on_done));
}

Handle LocalSteps::restore(const RestoreRequest& request, OnProgress on_progress,
                           OnDone<RestoreResult> on_done) {
    VerbArgs command(binary_, {"restore"});
    command.repository(request.repository)
        .with("--name", request.name)
        .with("--at", request.snapshot)
        .with("--to", request.staging)
        .when(true, "--staging")
        .when(true, "--resume")
        .with("--recovery", request.recovery);
    return run(loop_,
               {fmt::format("restoring snapshot {} of {}", request.snapshot, request.name),
                command.take(), limits_.silence},
               std::move(on_progress), restoreOf, std::move(on_done));
}

Handle LocalSteps::activate(const ActivateRequest& request, OnProgress on_progress,
                            OnDone<ActivateResult> on_done) {
    VerbArgs command(binary_, {"step", "activate"});
    command.with("--staging", request.staging)
        .with("--data", request.data)
        .with("--recovery", request.recovery)
        .with("--epoch", std::to_string(request.epoch))
        .with("--backend", request.backend)
        .with("--lineage", request.lineage)
        .with("--snapshot", request.snapshot);
    return run(loop_, {"activating " + request.data, command.take(), limits_.silence},
               std::move(on_progress), activateOf, std::move(on_done));
}

Handle LocalSteps::untouched(const UntouchedRequest& request, OnDone<UntouchedResult> on_done) {
    VerbArgs command(binary_, {"step", "untouched"});
    command.repository(request.repository)
        .with("--name", request.name)
        .with("--data", request.data)
        .with("--exited-at", formatTime(request.exited_at));
    if (!request.lineage.empty())
        command.with("--lineage", request.lineage).with("--epoch", std::to_string(request.epoch));
    return run(loop_,
               {"looking whether " + request.data + " is untouched", command.take(), limits_.brief},
               nullptr, untouchedOf, std::move(on_done));
}

Handle LocalSteps::verifyTree(const VerifyTreeRequest& request, OnProgress on_progress,
                              OnDone<VerifyTreeResult> on_done) {
    VerbArgs command(binary_, {"step", "verify"});
    command.repository(request.repository)
        .with("--name", request.name)
        .with("--at", request.snapshot)
        .with("--staging", request.staging);
    return run(loop_, {"verifying " + request.staging, command.take(), limits_.silence},
               std::move(on_progress), verifyTreeOf, std::move(on_done));
}

Handle LocalSteps::inspect(const InspectRequest& request, OnDone<InspectResult> on_done) {
    VerbArgs command(binary_, {"step", "inspect"});
    command.with("--data", request.data).with("--backend", request.backend);
    return run(loop_, {"looking at " + request.data, command.take(), limits_.brief}, nullptr,
               inspectOf, std::move(on_done));
}

Handle LocalSteps::openRepository(const RepositoryRef& repository, bool create,
                                  OnDone<RepositoryOpened> on_done) {
    VerbArgs command(binary_, {"step", "repository"});
    command.repository(repository).when(create, "--create");
    return run(loop_, {"opening repository " + repository.path, command.take(), limits_.brief},
               nullptr, repositoryOf, std::move(on_done));
}

Handle LocalSteps::fresh(const FreshRequest& request, OnDone<void> on_done) {
    VerbArgs command(binary_, {"step", "fresh"});
    if (request.repository) command.repository(*request.repository);
    command.with("--data", request.data)
        .with("--backend", request.backend)
        .with("--lineage", request.lineage)
        .with("--epoch", std::to_string(request.epoch));
    return run(loop_, {"marking " + request.data, command.take(), limits_.brief}, nullptr,
               nothingOf, std::move(on_done));
}

Handle LocalSteps::raiseEpoch(const RaiseRequest& request, OnDone<void> on_done) {
    VerbArgs command(binary_, {"step", "raise"});
    command.with("--data", request.data)
        .with("--backend", request.backend)
        .with("--lineage", request.lineage)
        .with("--epoch", std::to_string(request.epoch));
    return run(loop_, {"marking " + request.data, command.take(), limits_.brief}, nullptr,
               nothingOf, std::move(on_done));
}

Handle LocalSteps::pin(const PinRequest& request, OnDone<void> on_done) {
    VerbArgs command(binary_, {"step", "pin"});
    command.repository(request.repository)
        .with("--name", request.name)
        .with("--at", request.snapshot)
        .with("--recovery", request.recovery)
        .with("--for", formatDuration(request.lifetime));
    return run(loop_, {"pinning snapshot " + request.snapshot, command.take(), limits_.brief},
               nullptr, nothingOf, std::move(on_done));
}

Handle LocalSteps::hook(const std::string& step, const conf::Hook& hook, const HookContext& context,
                        OnDone<std::string> on_done) {
    return runHook(loop_, step, hook, context, std::move(on_done));
}

}  // namespace regrow::recovery
