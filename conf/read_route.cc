#include <fmt/core.h>

#include <algorithm>

#include "base/http/chars.h"
#include "base/http/lines.h"
#include "base/http/redirect_template.h"
#include "base/media_type.h"
#include "conf/fields.h"
#include "conf/sections.h"
#include "conf/values.h"

namespace regrow::conf {
namespace {

constexpr size_t kLongestBody = size_t{64} << 10;

std::string lowerCase(std::string text) {
    std::ranges::transform(text, text.begin(), http::lower);
    return text;
}

// Host names compare without regard to case; the router then compares bytes.
void readHost(const Reader& reader, Route& route) {
    reader.get("host", route.host);
    route.host = lowerCase(std::move(route.host));
    if (route.host == "*") return;
    if (route.host.ends_with('.')) route.host.pop_back();  // the root's: the same name
    std::string_view name = route.host;
    if (name.starts_with("*.")) name.remove_prefix(2);
    if (name.empty() || name.starts_with('.') || name.ends_with('.') ||
        name.find("..") != name.npos || name.find_first_of(":*/ ") != name.npos)
        reader.complain("host",
                        "must be a host name without port, \"*.example.org\" for every host below "
                        "that name, or \"*\" for any");
}

void readPath(const Reader& reader, Route& route) {
    const std::string_view key = reader.has("exact") ? "exact" : "path";
    reader.get(key, route.path);
    route.exact = key == "exact";
    if (route.exact && reader.has("path"))
        reader.complain("path", "stands beside exact; a route has one of them");
    const bool open = !route.exact && !route.path.ends_with('/');  // its last segment may go on
    if (!route.path.starts_with('/') || route.path.find_first_of("?# ") != std::string::npos)
        reader.complain(key, "must begin with '/' and hold no '?', '#' or space");
    else if (!http::isPath(open ? route.path + "x" : route.path))
        reader.complain(key,
                        "is no path that a request can have: '.' and '..' as segments, bytes "
                        "that belong percent-encoded and a bad '%' are refused");
}

void readMethods(const Reader& reader, Route& route) {
    reader.get("method", route.methods);
    for (const auto& method : route.methods)
        if (std::ranges::any_of(method, [](char c) { return c >= 'a' && c <= 'z'; }))
            return reader.complain("method", fmt::format("'{}' holds lower-case letters, and "
                                                         "methods are told apart by case; write {}",
                                                         method, "GET, not get"));
    for (const auto& method : route.methods)
        if (method == "TRACE" || method == "CONNECT")
            return reader.complain(
                "method",
                fmt::format("holds {}, which regrow answers with 405; remove it", method));
}

void readHeaders(const Reader& reader, Route& route) {
    reader.get("header", route.headers);
    for (const auto& [name, value] : route.headers) {
        if (!http::all(name, http::kToken))
            reader.complain("header", fmt::format("holds '{}', which is no field name; use "
                                                  "letters, digits and '-'",
                                                  name));
        else if (belongsToConnection(http::fieldIdOf(name)))
            reader.complain("header", fmt::format("holds {}, which concerns one connection and is "
                                                  "not looked at here; remove it",
                                                  name));
        else if (const auto good = checkFieldValue(value); !good)
            reader.complain("header", fmt::format("{} {}", name, good.error().message));
    }
}

void readRedirect(const Reader& reader, Route& route) {
    const auto section = reader.section("redirect");
    if (!section) return;
    Redirect redirect;
    std::string status = "302";
    section->get("to", redirect.to);
    section->get("status", status);
    redirect.status = static_cast<int>(parseInteger(status).value_or(302));
    if (section->has("to") && !redirect.to.empty())
        if (const auto ok = http::parseRedirect(redirect.to); !ok)
            section->complain("to", "is wrong: " + ok.error().message);
    route.redirect = redirect;
}

void readRespond(const Reader& reader, Route& route) {
    const auto section = reader.section("respond");
    if (!section) return;
    Respond respond;
    section->get("status", respond.status);
    section->get("body", respond.body);
    section->get("content_type", respond.content_type);
    if (respond.body.size() > kLongestBody)
        section->complain("body", fmt::format("is {} bytes long; at most {} fit here",
                                              respond.body.size(), kLongestBody));
    if (!respond.body.empty() &&
        (respond.status == 204 || respond.status == 205 || respond.status == 304))
        section->complain("body", fmt::format("cannot be sent with {}; write another status or "
                                              "remove it",
                                              respond.status));
    if (const auto ok = checkFieldValue(respond.content_type); !ok)
        section->complain("content_type", ok.error().message);
    route.respond = respond;
}

// A prefix that could end within a segment would let a client make '..' of what is left of it.
void readRewrite(const Reader& reader, Route& route) {
    const auto section = reader.section("rewrite");
    if (!section) return;
    section->get("prefix", route.rewrite);
    if (route.rewrite.empty()) return;
    if (const auto ok = checkPath(route.rewrite); !ok)
        section->complain("prefix", ok.error().message);
    else if (!route.exact && !route.path.ends_with('/'))
        reader.complain("rewrite",
                        fmt::format("needs a path that ends with '/': '{}' takes '{}x' too. Write "
                                    "'path: {}/', or exact",
                                    route.path, route.path, route.path));
    else if (!route.exact && !route.rewrite.ends_with('/'))
        section->complain("prefix", "must end with '/', as the path it takes the place of");
}

void readEdits(const Reader& reader, std::string_view key, FieldEdits& edits, Side side) {
    const auto section = reader.section(key);
    if (!section) return;
    section->get("set", edits.set);
    section->get("add", edits.add);
    section->get("remove", edits.remove);
    const auto check = [&](std::string_view where, const Fields& fields) {
        for (const auto& [name, value] : fields) {
            if (const auto ok = checkFieldEdit(name, side); !ok)
                section->complain(where, ok.error().message);
            else if (const auto good = checkFieldValue(value); !good)
                section->complain(where, fmt::format("{} {}", name, good.error().message));
        }
    };
    check("set", edits.set);
    check("add", edits.add);
    for (size_t i = 0; i < edits.remove.size(); ++i)
        if (const auto ok = checkFieldEdit(edits.remove[i], side); !ok)
            section->complain("remove", i, ok.error().message);
    for (size_t i = 0; i < edits.remove.size(); ++i)
        if (http::equalsIgnoringCase(edits.remove[i], "host"))
            section->complain("remove", i, "holds Host, which every request has; use set");
    for (auto f = edits.set.begin(); f != edits.set.end(); ++f)
        if (std::any_of(edits.set.begin(), f, [&](const auto& before) {
                return http::equalsIgnoringCase(before.first, f->first);
            }))
            section->complain("set",
                              fmt::format("holds {} twice; use add for the second", f->first));
    const auto added_host = std::ranges::any_of(
        edits.add, [](const auto& f) { return http::equalsIgnoringCase(f.first, "host"); });
    if (added_host) section->complain("add", "would make two Host fields; use set");
    if (edits.set.size() + edits.add.size() > kMostFields)
        reader.complain(key, fmt::format("writes more than {} fields", kMostFields));
}

void readRetry(const Reader& reader, Route& route) {
    const auto section = reader.section("retry");
    if (!section) return;
    if (section->has("attempts")) section->get("attempts", route.attempts.emplace(2));
    if (section->has("hedge")) section->get("hedge", route.hedge.emplace(false));
    if (route.hedge.value_or(false) && route.attempts.value_or(2) < 2)
        section->complain("hedge",
                          "asks twice, but attempts allows one; write attempts: 2 or more");
    if (!section->has("on")) return;
    std::vector<std::string> on;
    section->get("on", on);
    const auto named = [&](std::string_view word) { return std::ranges::count(on, word) > 0; };
    route.retry_on = RetryOn{.unsent = named("unsent"),
                             .no_answer = named("no_answer"),
                             .on_503 = named("503"),
                             .on_5xx = named("5xx")};
}

void readTimeouts(const Reader& reader, Route& route) {
    const auto section = reader.section("timeouts");
    if (!section) return;
    if (section->has("first_byte"))
        section->get("first_byte", route.first_byte.emplace(std::chrono::seconds(30)));
    if (section->has("idle")) section->get("idle", route.idle.emplace(std::chrono::seconds(60)));
}

void readBasicAuth(const Reader& reader, Route& route) {
    const auto section = reader.section("basic_auth");
    if (!section) return;
    BasicAuth auth;
    section->get("realm", auth.realm);
    section->get("users_file", auth.users_file);
    section->get("pass", auth.pass);
    if (!checkFieldValue(auth.realm) || auth.realm.size() > 128 ||
        auth.realm.find_first_of("\"\\") != std::string::npos)
        section->complain("realm", "must be one line of at most 128 bytes without '\"' and '\\'");
    route.basic_auth = auth;
}

void readNetworks(const Reader& reader, std::string_view key, std::vector<std::string>& networks) {
    reader.get(key, networks);
    for (size_t i = 0; i < networks.size(); ++i) {
        if (networks[i] == "unix") continue;
        if (const auto ok = checkNetwork(networks[i]); !ok)
            reader.complain(key, i, "is wrong: " + ok.error().message);
    }
}

// What only a request that is passed on can have.
void checkAction(const Reader& reader) {
    if (reader.node().line == 0) return;  // it was no map, and that was said
    int actions = 0;
    for (const std::string_view key : {"pool", "redirect", "respond"})
        if (reader.has(key)) ++actions;
    if (actions == 0)
        reader.complain("", "leads nowhere; add one of 'pool', 'redirect' and 'respond'");
    if (actions > 1)
        reader.complain("", "has more than one of 'pool', 'redirect' and 'respond'; keep one");
    if (actions != 1 || reader.has("pool")) return;
    for (const std::string_view key : {"rewrite", "request_headers", "timeouts", "retry"})
        if (reader.has(key))
            reader.complain(key, "is for requests that go to a pool; remove it, or name a 'pool'");
}

}  // namespace

ErrorPages readErrorPages(const Reader& reader) {
    Fields written;
    reader.get("error_pages", written);
    ErrorPages pages;
    for (const auto& [status, file] : written) {
        const auto number = parseInteger(status);
        const bool known = status == "4xx" || status == "5xx" ||
                           (status.size() == 3 && number && *number >= 400 && *number <= 599);
        if (!known)
            reader.complain("error_pages", fmt::format("holds '{}'; write a status from 400 to "
                                                       "599, 4xx or 5xx",
                                                       status));
        else if (mediaTypeOf(file).empty())
            reader.complain("error_pages",
                            fmt::format("{}: '{}' must end with {}", status, file, kMediaEndings));
        else if (const auto ok = checkAbsolutePath(file); !ok)
            reader.complain("error_pages", fmt::format("{}: {}", status, ok.error().message));
        else
            pages[status] = file;
    }
    return pages;
}

Route readRoute(const Reader& reader) {
    Route route;
    readHost(reader, route);
    readPath(reader, route);
    readMethods(reader, route);
    readHeaders(reader, route);
    reader.get("pool", route.pool);
    readRedirect(reader, route);
    readRespond(reader, route);
    readRewrite(reader, route);
    readEdits(reader, "request_headers", route.request_headers, Side::request);
    readEdits(reader, "response_headers", route.response_headers, Side::response);
    readTimeouts(reader, route);
    readRetry(reader, route);
    if (reader.has("max_body")) reader.get("max_body", route.max_body.emplace(0));
    readBasicAuth(reader, route);
    readNetworks(reader, "allow", route.allow);
    readNetworks(reader, "deny", route.deny);
    route.error_pages = readErrorPages(reader);
    checkAction(reader);
    return route;
}

}  // namespace regrow::conf
