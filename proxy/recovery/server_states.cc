#include "proxy/recovery/server_states.h"

#include <fmt/format.h>

#include <array>

namespace regrow::recovery {
namespace {

using enum ServerState;
using enum ServerChange;

constexpr std::array<std::string_view, 6> kStateNames = {"free",  "claimed",     "in_use",
                                                         "dirty", "quarantined", "lost"};
constexpr std::array<std::string_view, 7> kChangeNames = {
    "claim", "give back", "use", "soil", "quarantine", "lose", "release"};

struct Row {
    ServerChange what;
    ServerState from;
    ServerState to;
};
// Every change that may happen; repeating one (from == to) is harmless.
constexpr Row kRows[] = {
    {claim, free, claimed},
    {claim, claimed, claimed},
    {give_back, claimed, free},
    {give_back, free, free},
    {use, claimed, in_use},
    {use, in_use, in_use},
    {soil, claimed, dirty},
    {soil, dirty, dirty},
    {quarantine, free, quarantined},
    {quarantine, claimed, quarantined},
    {quarantine, in_use, quarantined},
    {quarantine, dirty, quarantined},
    {quarantine, lost, quarantined},
    {quarantine, quarantined, quarantined},
    {lose, free, lost},
    {lose, claimed, lost},
    {lose, in_use, lost},
    {lose, lost, lost},
    {release, dirty, free},
    {release, quarantined, free},
    {release, lost, free},
    {release, free, free},
};

constexpr bool ownersOnly(ServerChange what) {
    return what == claim || what == give_back || what == use || what == soil;
}

std::string describe(const ServerRecord& record) {
    std::string text(name(record.state));
    if (!record.claimed_by.empty()) text += " by recovery " + record.claimed_by;
    if (!record.reason.empty()) text += " (" + record.reason + ")";
    return text;
}

}  // namespace

Result<ServerRecord> change(const ServerRecord& record, ServerChange what, const std::string& by,
                            const std::string& reason) {
    const auto refused = [&](std::string_view why) {
        return fail(
            Code::refused, Source::us,
            fmt::format("cannot {} a server that is {}: {}", name(what), describe(record), why));
    };
    if (record.state == claimed && ownersOnly(what) && record.claimed_by != by)
        return refused("another recovery has it");
    for (const auto& row : kRows) {
        if (row.what != what || row.from != record.state) continue;
        const bool kept = row.to == claimed || row.to == in_use;
        return ServerRecord{row.to, row.to == free ? "" : reason,
                            kept && what == claim ? by
                            : kept                ? record.claimed_by
                                                  : ""};
    }
    return refused(what == release
                       ? "only dirty, quarantined or lost servers are released; `regrow "
                         "quarantine` takes one out first"
                   : what == claim ? "`regrow release` makes it a spare again"
                                   : "that does not follow");
}

std::string_view name(ServerState state) {
    return kStateNames[static_cast<size_t>(state)];
}
std::string_view name(ServerChange what) {
    return kChangeNames[static_cast<size_t>(what)];
}

Result<ServerState> serverStateFromName(std::string_view text) {
    for (size_t i = 0; i < kStateNames.size(); i++)
        if (kStateNames[i] == text) return static_cast<ServerState>(i);
    return fail(Code::invalid, Source::us, fmt::format("\"{}\" is no state of a server", text));
}

}  // namespace regrow::recovery
