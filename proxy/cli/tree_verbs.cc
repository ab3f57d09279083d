#include "proxy/cli/tree_verbs.h"

#include <fmt/core.h>

#include <memory>

#include "backup/selection.h"
#include "backup/store.h"
#include "backup/tree_diff.h"
#include "backup/tree_dir.h"
#include "base/text.h"
#include "proxy/cli/output.h"
#include "proxy/cli/repository_options.h"
#include "proxy/cli/verb_output.h"

namespace regrow::cli {
namespace {

using backup::Entry;
using backup::EntryType;
using backup::Store;

struct ListArguments : RepositoryArguments {
    std::string name;
    std::string at = "latest";
    std::vector<std::string> include;
    bool details = false;
};

struct DiffArguments : RepositoryArguments {
    std::string name;
    std::string from;
    std::string to;
    bool metadata = false;
};

char typeLetter(EntryType type) {
    constexpr char kLetters[] = {'-', 'd', 'l', 'p', 's', 'b', 'c'};
    return kLetters[static_cast<size_t>(type)];
}

std::string modeText(const Entry& entry) {
    std::string text(1, typeLetter(entry.type));
    for (int shift = 6; shift >= 0; shift -= 3)
        for (int bit = 2; bit >= 0; --bit)
            text += entry.mode >> (shift + bit) & 1 ? "xwr"[bit] : '-';
    const auto special = [&](uint32_t bit, size_t at, char with, char without) {
        if (entry.mode & bit) text[at] = text[at] == 'x' ? with : without;
    };
    special(04000, 3, 's', 'S');
    special(02000, 6, 's', 'S');
    special(01000, 9, 't', 'T');
    return text;
}

WallTime timeOf(const backup::TimeStamp& t) {
    return WallTime(std::chrono::duration_cast<WallTime::duration>(
        std::chrono::seconds(t.seconds) + std::chrono::nanoseconds(t.nanoseconds)));
}

std::string ownerText(const std::string& name, uint32_t number) {
    return name.empty() ? std::to_string(number) : backup::printable(name);
}

std::string lineOf(const Entry& entry, bool details) {
    std::string name = entry.path.empty() ? "." : backup::printable(entry.path);
    if (!details) return name;
    if (entry.type == EntryType::symlink) name += " -> " + backup::printable(entry.target);
    return fmt::format("{} {:>8} {:>8} {:>12} {} {}", modeText(entry),
                       ownerText(entry.user, entry.uid), ownerText(entry.group, entry.gid),
                       entry.size, formatTime(timeOf(entry.mtime)).substr(0, 19), name);
}

// Paths of any bytes as JSON text: what is no UTF-8 comes out as \xHH, as everywhere.
void writeEntry(json::Writer& w, const Entry& entry) {
    w.beginObject()
        .field("type", "entry")
        .field("path", backup::printable(entry.path))
        .field("kind", backup::typeName(entry.type))
        .field("size", entry.size);
    w.field("mode", fmt::format("{:04o}", entry.mode))
        .field("uid", entry.uid)
        .field("gid", entry.gid)
        .field("user", backup::printable(entry.user))
        .field("group", backup::printable(entry.group));
    w.field("mtime", formatTime(timeOf(entry.mtime)));
    if (entry.type == EntryType::symlink) w.field("target", backup::printable(entry.target));
    w.endObject();
}

Result<int> runList(const ListArguments& a, VerbOutput& out) {
    REGROW_TRY(const auto store, Store::open(a.repo, a.key_file));
    REGROW_TRY(const backup::Snapshot snapshot, store->snapshots().find(a.name, a.at));
    REGROW_TRY(auto tree, store->tree(snapshot));
    REGROW_TRY(const auto entries, backup::Selection(a.include).of(std::move(tree)));
    for (const Entry& entry : entries) {
        if (!out.json()) {
            out.say(lineOf(entry, a.details));
            continue;
        }
        json::Writer w;
        writeEntry(w, entry);
        out.item(w);
    }
    json::Writer w;
    VerbOutput::beginResult(w).key("snapshot");
    writeSnapshot(w, snapshot);
    out.result(w);
    return kDone;
}

void tellChange(VerbOutput& out, backup::Change change, const Entry& entry) {
    const std::string path = backup::printable(entry.path);
    const std::string letter(1, backup::letterOf(change));
    const bool directory = entry.type == EntryType::directory;
    if (!out.json())
        return out.say(letter + "  " + (path.empty() ? "." : path) + (directory ? "/" : ""));
    json::Writer w;
    w.beginObject()
        .field("type", "change")
        .field("path", path)
        .field("modifier", letter)
        .endObject();
    out.item(w);
}

void tellSum(VerbOutput& out, const backup::TreeDiff& sum, const backup::Snapshot& from,
             const backup::Snapshot& to) {
    out.say(fmt::format(
        "{} → {}: {} added, {} removed, {} modified, {} with other metadata; {} new, {} gone.",
        from.shortId(), to.shortId(), sum.added, sum.removed, sum.modified, sum.touched,
        humanSize(sum.added_bytes), humanSize(sum.removed_bytes)));
    json::Writer w;
    VerbOutput::beginResult(w)
        .field("from", backup::hexOf(from.id))
        .field("to", backup::hexOf(to.id))
        .field("added", sum.added)
        .field("removed", sum.removed);
    w.field("modified", sum.modified).field("metadata", sum.touched);
    w.field("added_bytes", sum.added_bytes).field("removed_bytes", sum.removed_bytes);
    out.result(w);
}

Result<int> runDiff(const DiffArguments& a, VerbOutput& out) {
    REGROW_TRY(const auto store, Store::open(a.repo, a.key_file));
    REGROW_TRY(const backup::Snapshot from, store->snapshots().find(a.name, a.from));
    REGROW_TRY(const backup::Snapshot to, store->snapshots().find(a.name, a.to));
    REGROW_TRY(const auto before, store->tree(from));
    REGROW_TRY(const auto after, store->tree(to));
    const auto sum = backup::diffTrees(
        before, after, [&](backup::Change change, const Entry* old, const Entry* now) {
            if (change != backup::Change::metadata || a.metadata)
                tellChange(out, change, now ? *now : *old);
        });
    tellSum(out, sum, from, to);
    return kDone;
}

template <class Arguments, class Work>
int told(const Arguments& a, Work&& work) {
    VerbOutput out(a.json);
    const Result<int> code = work(a, out);
    return code ? *code : out.failure(code.error());
}

void addName(CLI::App* verb, std::string& name) {
    verb->add_option("--name", name, "the snapshots' name, usually POOL/BACKEND")
        ->type_name("NAME")
        ->required();
}

// With --repo and --key-file, or with what the configuration says of the name's pool.
template <class Arguments, class Work>
int onRepository(const std::shared_ptr<Arguments>& a, OnlineRequest& o, const OnlineVerb& online,
                 Work work) {
    o.backend = a->name, o.json = a->json;
    o.alone = [a, work](const std::string& repo, const std::string& key_file) {
        a->repo = repo, a->key_file = key_file;
        return told(*a, work);
    };
    return dispatchVerb(*a, o, online, [&] { return told(*a, work); });
}

void addList(CLI::App& app, int& exit_code, const OnlineVerb& online) {
    CLI::App* verb = app.add_subcommand("ls", "list the files in a snapshot");
    auto a = std::make_shared<ListArguments>();
    auto o = std::make_shared<OnlineRequest>();
    addRepositoryOptions(verb, *a);
    addAdminAddress(*verb, o->admin);
    addName(verb, a->name);
    addInstant(verb, a->at);
    addInclude(verb, a->include, "list only what matches, and what is below it");
    verb->add_flag("-l,--long", a->details, "with mode, owner, size and time");
    verb->callback([&exit_code, a, o, online] {
        o->verb = "ls";
        exit_code = onRepository(a, *o, online, runList);
    });
}

void addDiff(CLI::App& app, int& exit_code, const OnlineVerb& online) {
    CLI::App* verb =
        app.add_subcommand("diff", "show what differs between two snapshots of a name");
    auto a = std::make_shared<DiffArguments>();
    auto o = std::make_shared<OnlineRequest>();
    addRepositoryOptions(verb, *a);
    addAdminAddress(*verb, o->admin);
    addName(verb, a->name);
    const CLI::Validator instant(notAnInstant, "");
    verb->add_option("FROM", a->from, "TIME, SNAPSHOT or latest")->required()->check(instant);
    verb->add_option("TO", a->to, "TIME, SNAPSHOT or latest")->required()->check(instant);
    verb->add_flag("--metadata", a->metadata,
                   "also names of which only owner, mode, times or attributes differ");
    verb->callback([&exit_code, a, o, online] {
        o->verb = "diff";
        exit_code = onRepository(a, *o, online, runDiff);
    });
}

}  // namespace

void addTreeVerbs(CLI::App& app, int& exit_code, const OnlineVerb& online) {
    addList(app, exit_code, online);
    addDiff(app, exit_code, online);
}

}  // namespace regrow::cli
