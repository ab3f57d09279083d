#include "proxy/cli/status_verb.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "proxy/cli/admin_client.h"
#include "proxy/cli/output.h"

namespace regrow::cli {
namespace {

using rapidjson::Value;

std::string text(const Value& v, const char* key) {
    const auto found = json::getString(v, key);
    return found && !found->empty() ? printable(*found) : "-";
}
uint64_t number(const Value& v, const char* key) {
    return json::getUint(v, key).value_or(0);
}
std::string secondsText(const Value& v, const char* key) {
    const auto s = json::getDouble(v, key);
    return s ? humanDuration(
                   std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*s)))
             : "-";
}

std::string since(const Value& v, const char* key, WallTime now) {
    const auto time = parseTime(json::getString(v, key).value_or(""));
    return time ? humanDuration(
                      std::max(Duration{0}, std::chrono::duration_cast<Duration>(now - *time)))
                : "-";
}

std::string millis(const Value& b, const char* key) {
    const auto* latency = json::getObject(b, "latency_ms");
    const double ms = latency ? json::getDouble(*latency, key).value_or(0) : 0;
    return ms > 0 ? fmt::format("{:.1f}", ms) : "-";
}

constexpr size_t kColumns = 9;
using Row = std::array<std::string, kColumns>;

std::string lastCheck(const Value& b) {
    const auto* check = json::getObject(b, "check");
    return check ? text(*check, "result") : "-";
}

Row backendRow(const Value& b, WallTime now) {
    return {text(b, "name"),
            text(b, "state"),
            since(b, "since", now),
            fmt::format("{} {}", text(b, "server"), text(b, "address")),
            fmt::format("{}", number(b, "requests")),
            fmt::format("{}", number(b, "errors")),
            fmt::format("{}", number(b, "in_flight")),
            fmt::format("{}/{}", millis(b, "p50"), millis(b, "p99")),
            lastCheck(b)};
}

std::string tableLine(const Row& row, const Row& widths_of,
                      const std::array<size_t, kColumns>& widths, bool colour) {
    std::string line = "  ";
    for (size_t i = 0; i < kColumns; ++i) {
        const std::string cell = i + 1 == kColumns ? row[i] : padded(row[i], widths[i] + 2);
        line += i == 1 && &row != &widths_of ? tinted(cell, row[i], colour) : cell;
    }
    return line;
}

std::string backendTable(const Value& backends, WallTime now, bool colour) {
    const Row head{"BACKEND", "STATE", "FOR",        "SERVER", "REQUESTS",
                   "ERRORS",  "NOW",   "P50/P99 MS", "CHECK"};
    std::vector<Row> rows;
    std::array<size_t, kColumns> widths{};
    for (const auto& b : backends.GetArray()) rows.push_back(backendRow(b, now));
    for (size_t i = 0; i < kColumns; ++i) {
        widths[i] = head[i].size();
        for (const auto& row : rows) widths[i] = std::max(widths[i], columns(row[i]));
    }
    std::string out = faint(tableLine(head, head, widths, false), colour) + "\n";
    for (rapidjson::SizeType i = 0; i < backends.Size(); ++i) {
        out += tableLine(rows[i], head, widths, colour) + "\n";
        const std::string reason = text(backends[i], "reason");
        if (reason != "-") out += "    " + faint(reason, colour) + "\n";
    }
    return out;
}

std::string spareLine(const Value& spares, bool colour) {
    std::string out;
    for (const auto& s : spares.GetArray()) {
        const std::string reason = text(s, "reason");
        out += fmt::format("{}{} {}{}", out.empty() ? "  spares: " : ", ", text(s, "name"),
                           tinted(text(s, "state"), text(s, "state"), colour),
                           reason == "-" ? "" : " (" + reason + ")");
    }
    return out.empty() ? out : out + "\n";
}

std::string backupLine(const Value& backup, bool colour) {
    const auto* latest = json::getObject(backup, "latest");
    std::string out = "  backup: " + plural(number(backup, "snapshots"), "snapshot");
    out += json::getDouble(backup, "rpo_s")
               ? ", newest data " + secondsText(backup, "rpo_s") + " old (RPO)"
               : ", " + tinted("not all data could be restored (RPO)", "held", colour);
    out += json::getDouble(backup, "rto_estimate_s")
               ? ", recovery takes about " + secondsText(backup, "rto_estimate_s") + " (RTO)"
               : ", no recovery measured yet (RTO)";
    if (!latest) out += ", " + tinted("no snapshot yet", "held", colour);
    if (latest && !json::getBool(*latest, "verified").value_or(false))
        out += ", newest not proven yet";
    if (latest && json::getBool(*latest, "suspicious").value_or(false))
        out += ", " + tinted("newest held back: most files had vanished", "held", colour);
    if (latest && json::getBool(*latest, "incomplete").value_or(false))
        out += ", " + tinted("newest incomplete", "held", colour);
    const std::string error = text(backup, "last_error");
    if (error != "-") out += "\n  " + tinted("last capture failed: " + error, "failed", colour);
    return out + "\n";
}

std::string activeLine(const Value& r, bool colour) {
    const std::string state = text(r, "state");
    std::string out = fmt::format("  recovery {}: {} -> {}, {}", text(r, "id"), text(r, "backend"),
                                  text(r, "spare"), tinted(state, state, colour));
    if (state == "restore")
        out += fmt::format(" {:.0f}%", json::getDouble(r, "progress").value_or(0) * 100);
    if (const auto snapshot = text(r, "snapshot"); snapshot != "-") out += " from " + snapshot;
    if (const auto reason = text(r, "reason"); reason != "-") out += ": " + reason;
    return out + "\n";
}

std::string lastRecoveryLine(const Value& r, bool colour) {
    const auto lost = json::getDouble(r, "lost_s");
    const std::string loss = !lost        ? "loss unknown"
                             : *lost == 0 ? "nothing lost"
                                          : secondsText(r, "lost_s") + " of changes lost";
    return fmt::format("  last recovery {}: {} {}, {} -> {}, down {}, {}\n", text(r, "id"),
                       text(r, "backend"), tinted(text(r, "result"), text(r, "result"), colour),
                       text(r, "from"), text(r, "to"), secondsText(r, "down_s"), loss);
}

std::string recoveryLines(const Value& pool, bool colour) {
    std::string out;
    const auto* active = json::getArray(pool, "active_recoveries");
    const auto* first = json::getObject(pool, "recovery");
    if (active) {
        for (const auto& r : active->GetArray()) out += activeLine(r, colour);
    } else if (first) {
        out += activeLine(*first, colour);
    }
    const auto* past = json::getArray(pool, "recoveries");
    if (past && !past->Empty()) out += lastRecoveryLine((*past)[past->Size() - 1], colour);
    return out;
}

std::string poolText(const std::string& name, const Value& pool, WallTime now, bool colour) {
    std::string out = fmt::format("\n{}  {}  {}, {}, {} retries, {} held now\n", bold(name, colour),
                                  tinted(text(pool, "state"), text(pool, "state"), colour),
                                  plural(number(pool, "requests"), "request"),
                                  plural(number(pool, "errors"), "error"), number(pool, "retries"),
                                  number(pool, "held"));
    if (const auto* backends = json::getArray(pool, "backends"))
        out += backendTable(*backends, now, colour);
    if (const auto* spares = json::getArray(pool, "spares")) out += spareLine(*spares, colour);
    if (const auto* backup = json::getObject(pool, "backup")) out += backupLine(*backup, colour);
    return out + recoveryLines(pool, colour);
}

std::string headline(const Value& stats, bool colour) {
    std::string out =
        fmt::format("{} {}, up {}, {}, configuration #{}", bold("regrow", colour),
                    text(stats, "version"), secondsText(stats, "uptime_s"),
                    plural(number(stats, "workers"), "worker"), number(stats, "generation"));
    if (json::getBool(stats, "paused").value_or(false))
        out += ", " + tinted("recoveries paused", "paused", colour);
    if (json::getBool(stats, "draining").value_or(false))
        out += ", " + tinted("stopping", "draining", colour);
    out += "\n";
    if (const auto* listeners = json::getArray(stats, "listeners"))
        for (const auto& l : listeners->GetArray())
            out += fmt::format("listening on {}: {} on {}\n", text(l, "listen"),
                               plural(number(l, "requests"), "request"),
                               plural(number(l, "connections"), "connection"));
    return out;
}

std::string repositoryLines(const Value& repositories, bool colour) {
    std::string out = repositories.ObjectEmpty() ? "" : "\n";
    for (const auto& [name, r] : repositories.GetObject()) {
        const bool reachable = json::getBool(r, "reachable").value_or(false);
        out += fmt::format("repository {}: ", printable(name.GetString()));
        out += reachable
                   ? fmt::format("{}, {}, {} free\n", plural(number(r, "snapshots"), "snapshot"),
                                 humanSize(number(r, "bytes")), humanSize(number(r, "free_bytes")))
                   : tinted("unreachable: " + text(r, "error"), "failed", colour) + "\n";
    }
    return out;
}

int showStatus(const AdminOptions& options) {
    const auto client = AdminClient::open(options);
    if (!client) return report(client.error());
    const auto body = client->get("/stats");
    if (!body) return report(body.error());
    if (options.json) return print(*body + "\n"), kExitDone;
    const auto stats = json::parse(*body);
    if (!stats || !stats->IsObject())
        return report({.message = client->address() +
                                  " did not answer with stats; is that regrow's admin endpoint?"});
    return print(renderStatus(*stats, wantsColour())), kExitDone;
}

}  // namespace

std::string renderStatus(const Value& stats, bool colour) {
    // Ages are taken against the proxy's clock, which made the times.
    const auto now = parseTime(json::getString(stats, "time").value_or("")).value_or(Wall::now());
    std::string out = headline(stats, colour);
    if (const auto* pools = json::getObject(stats, "pools"))
        for (const auto& [name, pool] : pools->GetObject())
            out += poolText(printable(name.GetString()), pool, now, colour);
    if (const auto* repositories = json::getObject(stats, "repositories"))
        out += repositoryLines(*repositories, colour);
    return out;
}

void addStatusVerb(CLI::App& app, int& exit_code) {
    const auto options = std::make_shared<AdminOptions>();
    CLI::App* verb =
        app.add_subcommand("status", "state of a running proxy")->group("A running proxy");
    addAdminOptions(*verb, *options);
    verb->callback([options, &exit_code] { exit_code = showStatus(*options); });
}

}  // namespace regrow::cli
