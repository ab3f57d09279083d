#include "proxy/cli/why_verb.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"
#include "proxy/cli/admin_client.h"
#include "proxy/cli/output.h"

namespace regrow::cli {
namespace {

using rapidjson::Value;

struct Asked {
    AdminOptions admin;
    std::string target;
    size_t last = 100;
};

// "2026-11-22 20:03:33.123Z": as in the logs, so that both can be read side by side.
std::string absolute(std::string time) {
    std::ranges::replace(time, 'T', ' ');
    return printable(time);
}

std::string relative(const std::string& time, WallTime now) {
    const auto parsed = parseTime(time);
    if (!parsed) return "";
    return humanDuration(
               std::max(Duration{0}, std::chrono::duration_cast<Duration>(now - *parsed))) +
           " ago";
}

std::string evidence(const Value& event, bool colour) {
    const auto* details = json::getObject(event, "details");
    std::string out;
    if (!details) return out;
    for (const auto& [key, value] : details->GetObject()) {
        if (!value.IsString()) continue;
        out += fmt::format(
            "{:42}{}\n", "",
            faint(printable(fmt::format("{}: {}", key.GetString(), value.GetString())), colour));
    }
    return out;
}

std::string kindWord(const std::string& kind) {
    if (kind == "alarm") return "failed";
    return kind == "backup" ? "ok" : kind == "recovery" ? "held" : kind;
}

std::string eventText(const Value& event, WallTime now, bool colour) {
    const std::string time = json::getString(event, "time").value_or("");
    const std::string kind = printable(json::getString(event, "kind").value_or(""));
    return fmt::format("{}  {}  {}  {}\n", absolute(time),
                       faint(padded(relative(time, now), 15), colour),
                       tinted(padded(kind, 9), kindWord(kind), colour),
                       printable(json::getString(event, "text").value_or(""))) +
           evidence(event, colour);
}

// The state it is in now, from /stats; nothing when there is no such backend.
std::optional<std::string> present(const Value& stats, const std::string& pool,
                                   const std::string& name) {
    const auto* pools = json::getObject(stats, "pools");
    const auto* found = pools ? json::getObject(*pools, pool.c_str()) : nullptr;
    const auto* backends = found ? json::getArray(*found, "backends") : nullptr;
    if (!backends) return std::nullopt;
    for (const auto& b : backends->GetArray())
        if (json::getString(b, "name") == name)
            return fmt::format("{}/{} is {}: {}", pool, name,
                               json::getString(b, "state").value_or("?"),
                               json::getString(b, "reason").value_or("no reason recorded"));
    return std::nullopt;
}

Result<std::string> headline(const AdminClient& client, const std::string& pool,
                             const std::string& name) {
    REGROW_TRY(const auto body, client.get("/stats"));
    REGROW_TRY(const auto stats, json::parse(body));
    if (auto said = present(stats, pool, name)) return printable(*said) + "\n\n";
    return fail(
        Code::not_found, Source::client,
        fmt::format("{}/{} is no backend of this proxy; `regrow status` lists them", pool, name));
}

Result<std::string> story(const Asked& asked) {
    REGROW_TRY(const auto target, splitTarget(asked.target));
    REGROW_TRY(const auto client, AdminClient::open(asked.admin));
    REGROW_TRY(const auto body,
               client.get(fmt::format("/api/events?pool={}&backend={}", escaped(target.first),
                                      escaped(target.second))));
    if (asked.admin.json) return body + "\n";
    REGROW_TRY(auto document, json::parse(body));
    const auto* events = json::getArray(document, "events");
    if (!events)
        return fail(Code::invalid, Source::upstream, "the answer is not a list of events: " + body);
    REGROW_TRY(const auto head, headline(client, target.first, target.second));
    if (events->Empty()) return head + "nothing recorded yet\n";
    auto& list = document["events"];
    std::string note;
    if (list.Size() > asked.last) {
        note = fmt::format("({} earlier ones: --last {})\n", list.Size() - asked.last, list.Size());
        list.Erase(list.Begin(), list.End() - static_cast<std::ptrdiff_t>(asked.last));
    }
    return head + note + renderWhy(list, Wall::now(), wantsColour());
}

}  // namespace

std::string renderWhy(const Value& events, WallTime now, bool colour) {
    std::string out;
    for (const auto& e : events.GetArray()) out += eventText(e, now, colour);
    return out;
}

void addWhyVerb(CLI::App& app, int& exit_code) {
    const auto asked = std::make_shared<Asked>();
    CLI::App* verb =
        app.add_subcommand("why", "the story of a backend: every transition, with its evidence")
            ->group("A running proxy");
    addAdminOptions(*verb, asked->admin);
    verb->add_option("target", asked->target, "which one; `regrow status` lists them")
        ->type_name("POOL/BACKEND")
        ->required();
    verb->add_option("--last", asked->last, "show at most this many events (default 100)")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
    verb->callback([asked, &exit_code] {
        const auto text = story(*asked);
        exit_code = text ? (print(*text), kExitDone) : report(text.error());
        if (!text && !splitTarget(asked->target)) exit_code = kExitUsage;
    });
}

}  // namespace regrow::cli
