#include "conf/sections.h"
#include "conf/values.h"

namespace regrow::conf {
namespace {

std::optional<Hook> readHook(const Reader& hooks, std::string_view key) {
    const Node* node = hooks.value(key);
    if (!node) return std::nullopt;
    Hook hook;
    if (node->kind == NodeKind::map) {
        const auto section = hooks.section(key);
        section->get("run", hook.argv);
        section->get("timeout", hook.timeout);
    } else {
        hooks.get(key, hook.argv);
    }
    return hook;
}

void readHooks(const Reader& hooks, Recovery& recovery) {
    recovery.fence = readHook(hooks, "fence");
    recovery.prepare = readHook(hooks, "prepare");
    recovery.verify = readHook(hooks, "verify");
    recovery.after = readHook(hooks, "after");
}

void readBudget(const Reader& reader, Recovery& recovery) {
    std::string text;
    reader.get("budget", text);
    if (text.empty()) return;
    const auto rate = parseRate(text);
    if (!rate) return reader.complain("budget", "is wrong: " + rate.error().message);
    recovery.budget_count = rate->count;
    recovery.budget_per = rate->per;
}

}  // namespace

Backup readBackup(const Reader& reader) {
    Backup backup;
    backup.on = true;
    reader.get("repository", backup.repositories);
    reader.get("every", backup.every);
    reader.get("full", backup.full);
    reader.get("exclude", backup.exclude);
    if (backup.repositories.size() > 1)
        reader.complain("repository",
                        "names more than one; several repositories are not available in this "
                        "version of regrow; keep one");
    if (backup.full < backup.every)
        reader.complain("full", "is shorter than 'every'; make it at least as long");
    return backup;
}

Recovery readRecovery(const Reader& reader) {
    Recovery recovery;
    std::string mode = "auto";
    reader.get("mode", mode);
    recovery.mode = mode == "auto"      ? RecoveryMode::automatic
                    : mode == "approve" ? RecoveryMode::approve
                                        : RecoveryMode::off;
    reader.get("rescue", recovery.rescue);
    readBudget(reader, recovery);
    std::string unfenced = "hold";
    reader.get("unfenced", unfenced);
    recovery.unfenced_proceed = unfenced == "proceed";
    for (const auto& notify : reader.sections("notify")) {
        Argv argv;
        notify.get("run", argv);
        recovery.notify.push_back(std::move(argv));
    }
    if (const auto hooks = reader.section("hooks")) readHooks(*hooks, recovery);
    return recovery;
}

}  // namespace regrow::conf
