#include "proxy/admin/api.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/json.h"
#include "proxy/admin/metrics_text.h"
#include "proxy/admin/stats_json.h"

namespace regrow::admin {
namespace {

constexpr std::array<std::string_view, 7> kBackendVerbs{
    "drain", "undrain", "maintenance", "recover", "quarantine", "release", "backup"};

Reply notFound(const Request& r) {
    std::string path;
    for (const auto& segment : r.path) path += "/" + segment;
    return Reply::error(
        404,
        fmt::format("there is no {}; GET / /stats /metrics /events /healthz /readyz /api/events "
                    "/api/recoveries /api/snapshots, POST "
                    "/api/pools/POOL/backends/BACKEND/VERB /api/recoveries/ID/approve|cancel "
                    "/api/pause|resume|reload",
                    path.empty() ? "/" : path),
        "not_found");
}

Reply methodNotAllowed(std::string_view allowed) {
    Reply reply = Reply::error(405, fmt::format("this takes {} only", allowed), "invalid");
    reply.headers.emplace_back("Allow", allowed);
    return reply;
}

Reply said(const Result<std::string>& outcome) {
    if (!outcome) return errorReply(outcome.error());
    json::Writer w;
    w.beginObject().field("ok", true).field("message", *outcome).endObject();
    return Reply::json(w.text());
}

// For the audit log: who asked. A name may be given; it is a note, not a proof.
std::string actorOf(const Request& r) {
    std::string actor(r.header("X-Regrow-Actor").substr(0, 64));
    std::ranges::replace_if(actor, [](char c) { return c < 0x20 || c == 0x7f; }, '?');
    return actor.empty() ? "admin" : "admin:" + actor;
}

// What to restore: ?snapshot=, ?at=, or {"snapshot": …} in the body; "full" for a backup that reads
// all again.
Result<std::string> snapshotOf(const Request& r) {
    for (const char* name : {"snapshot", "at"})
        if (auto value = r.queryValue(name); !value.empty()) return value;
    if (r.path.back() == "backup" && r.queryValue("full") == "1") return "full";
    if (r.body.empty() || r.body.front() != '{') return std::string();
    REGROW_TRY(const auto document, json::parse(r.body));
    for (const char* name : {"snapshot", "at"})
        if (auto value = json::getString(document, name)) return *value;
    return std::string();
}

Reply actOnBackend(const Request& r, control::Control& control) {
    const auto& pool = r.path[2];
    const auto& target = r.path[4];
    const auto& verb = r.path[5];
    if (std::ranges::find(kBackendVerbs, verb) == kBackendVerbs.end())
        return Reply::error(
            404,
            fmt::format("'{}' is no verb; one of: drain undrain maintenance recover quarantine "
                        "release backup",
                        verb),
            "not_found");
    const auto snapshot = snapshotOf(r);
    if (!snapshot) return errorReply(snapshot.error());
    return said(control.act(verb, pool, target, *snapshot, actorOf(r)));
}

Reply change(const Request& r, control::Control& control) {
    const auto& p = r.path;
    if (p.size() == 6 && p[1] == "pools" && p[3] == "backends") return actOnBackend(r, control);
    if (p.size() == 4 && p[1] == "recoveries" && p[3] == "approve")
        return said(control.approve(p[2], actorOf(r)));
    if (p.size() == 4 && p[1] == "recoveries" && p[3] == "cancel")
        return said(control.cancel(p[2], actorOf(r)));
    if (p.size() == 2 && p[1] == "pause") return said(control.pause(true, actorOf(r)));
    if (p.size() == 2 && p[1] == "resume") return said(control.pause(false, actorOf(r)));
    if (p.size() == 2 && p[1] == "reload") return said(control.reload(actorOf(r)));
    return notFound(r);
}

Reply listEvents(const Request& r, const control::Control& control) {
    uint64_t since = 0;
    const std::string text = r.queryValue("since");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), since);
    if (!text.empty() && (error != std::errc() || end != text.data() + text.size()))
        return Reply::error(400, fmt::format("since={} is not an event's number", text), "invalid");
    return Reply::json(
        eventsJson(control.events(r.queryValue("pool"), r.queryValue("backend"), since)));
}

Reply ready(const control::Control& control) {
    const bool yes = control.ready();
    json::Writer w;
    w.beginObject().field("ready", yes).key("down").beginArray();
    if (!yes)
        for (const auto& [name, pool] : control.status().pools)
            if (pool.state == "down") w.value(name);
    w.endArray().endObject();
    return {.status = yes ? 200 : 503, .body = w.text(), .headers = {}};
}

Reply metrics(const control::Control& control) {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = metricsText(control.status()),
            .headers = {}};
}

// Nothing when the path is not one that is read.
std::optional<Reply> read(const Request& r, const control::Control& control, WallTime now) {
    const auto is = [&](std::initializer_list<std::string_view> path) {
        return std::ranges::equal(r.path, path);
    };
    if (is({"stats"})) return Reply::json(statsJson(control.status(), now));
    if (is({"metrics"})) return metrics(control);
    if (is({"healthz"})) return Reply::json(R"({"ok":true})");
    if (is({"readyz"})) return ready(control);
    if (is({"api", "recoveries"})) return Reply::json(recoveriesJson(control.status()));
    if (is({"api", "snapshots"}))
        return Reply::json(snapshotsJson(control.snapshots(), r.queryValue("name")));
    if (is({"api", "events"})) return listEvents(r, control);
    return std::nullopt;
}

bool isChangePath(const std::vector<std::string>& p) {
    if (p.empty() || p[0] != "api") return false;
    return (p.size() == 6 && p[1] == "pools") || (p.size() == 4 && p[1] == "recoveries") ||
           (p.size() == 2 && (p[1] == "pause" || p[1] == "resume" || p[1] == "reload"));
}

int httpStatus(Code code) {
    switch (code) {
        case Code::invalid: return 400;
        case Code::not_found: return 404;
        case Code::exists:
        case Code::refused: return 409;
        case Code::permission: return 403;
        case Code::unavailable: return 503;
        case Code::timeout: return 504;
        case Code::no_space: return 507;
        default: return 500;
    }
}

}  // namespace

Reply errorReply(const Error& error) {
    return Reply::error(httpStatus(error.code), error.message, name(error.code));
}

Reply answer(const Request& r, control::Control& control, WallTime now) {
    if (r.method == "POST") {
        if (isChangePath(r.path)) return change(r, control);
        return read(r, control, now) ? methodNotAllowed("GET") : notFound(r);
    }
    if (r.changes()) return methodNotAllowed("GET, HEAD and POST");
    if (auto reply = read(r, control, now)) return *std::move(reply);
    return isChangePath(r.path) ? methodNotAllowed("POST") : notFound(r);
}

}  // namespace regrow::admin
