#include "proxy/cli/backup_verbs.h"

#include <fmt/core.h>

#include <memory>

#include "proxy/cli/pin_verb.h"
#include "proxy/cli/recovery_steps.h"
#include "proxy/cli/repository_options.h"
#include "proxy/cli/repository_verbs.h"
#include "proxy/cli/step_verbs.h"
#include "proxy/cli/tree_verbs.h"
#include "proxy/cli/verb_output.h"

namespace regrow::cli {
namespace {

void addOnline(CLI::App* verb, OnlineRequest& o) {
    addAdminAddress(*verb, o.admin);
}

CLI::Option* hidden(CLI::Option* option) {
    return option->group("");
}

void addKey(CLI::App& app, int& exit_code) {
    CLI::App* key = app.add_subcommand("key", "make the key file of a repository");
    key->require_subcommand(1);
    CLI::App* made = key->add_subcommand(
        "new", "write a new key to FILE (never over an existing one); keep a copy elsewhere");
    auto path = std::make_shared<std::string>();
    auto json = std::make_shared<bool>(false);
    made->add_option("FILE", *path)->required();
    made->add_flag("--json", *json, "result as a JSON line");
    made->callback([&exit_code, path, json] { exit_code = keyNew(*path, *json); });
}

void addRepo(CLI::App& app, int& exit_code) {
    CLI::App* repo = app.add_subcommand("repo", "make a repository");
    repo->require_subcommand(1);
    CLI::App* init =
        repo->add_subcommand("init", "make an empty repository in a new or empty directory");
    auto a = std::make_shared<RepositoryArguments>();
    addRepositoryOptions(init, *a);
    init->callback([&exit_code, a] {
        exit_code = a->repo.empty() || a->key_file.empty() ? missingRepository(*a, "repo init")
                                                           : repoInit(*a);
    });
}

void addBackup(CLI::App& app, int& exit_code, const OnlineVerb& online) {
    CLI::App* verb = app.add_subcommand(
        "backup", "take a snapshot of a directory, or of a running proxy's backend");
    auto a = std::make_shared<BackupArguments>();
    auto o = std::make_shared<OnlineRequest>();
    addRepositoryOptions(verb, *a);
    addOnline(verb, *o);
    verb->add_option("--name", a->capture.name, "the snapshots' name, usually POOL/BACKEND")
        ->type_name("NAME");
    verb->add_option("PATH", a->capture.path, "the directory (with --repo), or POOL/BACKEND");
    verb->add_flag("--full", a->capture.full, "read everything again, whatever seems unchanged");
    verb->add_option("--exclude", a->capture.exclude, "leave out what matches; may be repeated")
        ->type_name("GLOB")
        ->allow_extra_args(false);
    verb->add_flag("--accept-vanished", a->capture.accept_vanished,
                   "that most files are gone is meant");
    verb->add_flag("--accept-empty", a->capture.accept_empty, "that all files are gone is meant");
    verb->add_flag("--prove,!--no-prove", a->capture.prove,
                   "read back and check what was written (the default)");
    hidden(verb->add_option("--epoch", a->capture.epoch));
    hidden(verb->add_option("--lineage", a->capture.lineage));
    hidden(verb->add_flag("--rescue", a->capture.rescue));
    hidden(verb->add_flag("--expect-marker", a->capture.expect_marker));
    hidden(verb->add_option("--scratch", a->capture.scratch));
    verb->callback([&exit_code, a, o, online] {
        o->verb = "backup", o->backend = a->capture.path, o->full = a->capture.full,
        o->json = a->json;
        exit_code = dispatchVerb(*a, *o, online, [&] {
            if (a->capture.name.empty())
                return usageError(*a,
                                  "--name NAME is missing: under which name is the snapshot kept?");
            if (a->capture.path.empty()) return usageError(*a, "PATH is missing: which directory?");
            return backupDirectory(*a);
        });
    });
}

void addSnapshots(CLI::App& app, int& exit_code, const OnlineVerb& online) {
    CLI::App* verb = app.add_subcommand("snapshots", "list snapshots, oldest first");
    auto a = std::make_shared<SnapshotsArguments>();
    auto o = std::make_shared<OnlineRequest>();
    addRepositoryOptions(verb, *a);
    addOnline(verb, *o);
    verb->add_option("NAME", a->name, "only those of this name");
    verb->callback([&exit_code, a, o, online] {
        o->verb = "snapshots", o->backend = a->name, o->json = a->json;
        exit_code = dispatchVerb(*a, *o, online, [&] { return listSnapshots(*a); });
    });
}

int restoreChosen(RestoreArguments& a) {
    a.restore.selection = backup::Selection(a.include);
    if (a.restore.target != "-") return restoreSnapshot(a);
    if (a.restore.onto || a.restore.staging)
        return usageError(a, "--to - writes a tar stream: there is nothing to bring it onto");
    return streamSnapshot(a);
}

void addRestore(CLI::App& app, int& exit_code, const OnlineVerb& online) {
    CLI::App* verb = app.add_subcommand("restore", "bring a snapshot back into a directory");
    auto a = std::make_shared<RestoreArguments>();
    auto o = std::make_shared<OnlineRequest>();
    addRepositoryOptions(verb, *a);
    addOnline(verb, *o);
    verb->add_option("--name", a->name, "the snapshots' name")->type_name("NAME");
    verb->add_option("BACKEND", o->backend, "without --repo: POOL/BACKEND");
    verb->add_option(
            "--to", a->restore.target,
            "the directory to restore into; empty or absent, unless --onto; - writes a tar "
            "stream to standard output")
        ->type_name("DIR|-");
    addInstant(verb, a->at);
    addInclude(verb, a->include, "restore only what matches, and what is below it");
    verb->add_flag("--onto", a->restore.onto,
                   "bring an existing tree to the snapshot: what differs is changed, what is not "
                   "in it removed; with --include, just there");
    hidden(verb->add_flag("--staging", a->restore.staging));
    hidden(verb->add_flag("--resume", a->restore.resume));
    hidden(verb->add_option("--recovery", a->recovery));
    hidden(verb->add_flag("--pin", a->pin));
    verb->callback([&exit_code, a, o, online] {
        o->verb = "restore", o->json = a->json;
        o->alone = [a, &backend = o->backend](const std::string& repo,
                                              const std::string& key_file) {
            a->repo = repo, a->key_file = key_file, a->name = backend;
            return restoreChosen(*a);
        };
        if (a->restore.target.empty()) {
            exit_code = usageError(*a, "--to DIR is missing: restore into which directory?");
            return;
        }
        exit_code = dispatchVerb(*a, *o, online, [&] {
            if (a->name.empty())
                return usageError(
                    *a,
                    "--name NAME is missing: the snapshots of what? (regrow snapshots lists them)");
            return restoreChosen(*a);
        });
    });
}

void addVerify(CLI::App& app, int& exit_code, const OnlineVerb& online) {
    CLI::App* verb = app.add_subcommand("verify", "read and check everything a repository holds");
    auto a = std::make_shared<RepositoryArguments>();
    auto o = std::make_shared<OnlineRequest>();
    addRepositoryOptions(verb, *a);
    addOnline(verb, *o);
    verb->callback([&exit_code, a, o, online] {
        o->verb = "verify", o->json = a->json;
        exit_code = dispatchVerb(*a, *o, online, [&] { return verifyRepository(*a); });
    });
}

void addStepActivate(CLI::App* step, int& exit_code) {
    CLI::App* verb = step->add_subcommand("activate", "give a restored tree the data's place");
    auto a = std::make_shared<ActivateArguments>();
    verb->add_option("--staging", a->request.staging)->required();
    verb->add_option("--data", a->request.data)->required();
    verb->add_option("--recovery", a->request.recovery)->required();
    verb->add_option("--epoch", a->request.epoch)->required();
    verb->add_option("--backend", a->request.backend)->required();
    verb->add_option("--lineage", a->request.lineage)->required();
    verb->add_option("--snapshot", a->request.snapshot)->required();
    verb->add_flag("--json", a->json);
    verb->callback([&exit_code, a] { exit_code = stepActivate(*a); });
}

void addStepUntouched(CLI::App* step, int& exit_code) {
    CLI::App* verb = step->add_subcommand("untouched", "has a dead server's disk earned trust?");
    auto a = std::make_shared<UntouchedArguments>();
    addRepositoryOptions(verb, *a);
    verb->add_option("--name", a->name)->required();
    verb->add_option("--data", a->data)->required();
    verb->add_option("--exited-at", a->exited_at)->required();
    verb->add_option("--lineage", a->lineage, "with --epoch: what the marker must say");
    verb->add_option("--epoch", a->epoch);
    verb->callback([&exit_code, a] {
        exit_code = a->repo.empty() || a->key_file.empty() ? missingRepository(*a, "step untouched")
                                                           : stepUntouched(*a);
    });
}

void addStepFresh(CLI::App* step, int& exit_code) {
    CLI::App* verb =
        step->add_subcommand("fresh", "write the first marker of a backend that never existed");
    auto a = std::make_shared<FreshArguments>();
    addRepositoryOptions(verb, *a);
    verb->add_option("--data", a->data)->required();
    verb->add_option("--backend", a->backend)->required();
    verb->add_option("--lineage", a->lineage)->required();
    verb->add_option("--epoch", a->epoch)->required();
    verb->callback([&exit_code, a] { exit_code = stepFresh(*a); });
}

void addStepRaise(CLI::App* step, int& exit_code) {
    CLI::App* verb =
        step->add_subcommand("raise", "the server with this data serves at a higher epoch");
    auto a = std::make_shared<RaiseArguments>();
    verb->add_option("--data", a->data)->required();
    verb->add_option("--backend", a->backend)->required();
    verb->add_option("--lineage", a->lineage)->required();
    verb->add_option("--epoch", a->epoch)->required();
    verb->add_flag("--json", a->json);
    verb->callback([&exit_code, a] { exit_code = stepRaise(*a); });
}

}  // namespace

void addBackupVerbs(CLI::App& app, int& exit_code, const OnlineVerb& online) {
    addKey(app, exit_code);
    addRepo(app, exit_code);
    addBackup(app, exit_code, online);
    addSnapshots(app, exit_code, online);
    addRestore(app, exit_code, online);
    addVerify(app, exit_code, online);
    addTreeVerbs(app, exit_code, online);
    CLI::App* step =
        app.add_subcommand("step", "the steps a proxy runs as child processes")->group("");
    step->require_subcommand(1);
    addStepActivate(step, exit_code);
    addStepUntouched(step, exit_code);
    addStepFresh(step, exit_code);
    addStepRaise(step, exit_code);
    addStepPin(step, exit_code);
    addRecoverySteps(step, exit_code);
}

}  // namespace regrow::cli
