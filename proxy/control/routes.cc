#include "proxy/control/routes.h"

#include <algorithm>
#include <map>

#include "base/http/chars.h"
#include "proxy/balance/path_text.h"

namespace regrow::control {
namespace {

bool isPlain(const conf::Route& route) {
    conf::Route plain;
    plain.host = route.host;
    plain.path = route.path;
    plain.exact = route.exact;
    plain.pool = route.pool;
    plain.methods = route.methods;
    plain.headers = route.headers;
    return route == plain;
}

void takeRetry(const conf::Route& route, conf::Retry& retry) {
    retry.attempts = route.attempts.value_or(retry.attempts);
    retry.hedge = route.hedge.value_or(retry.hedge);
    if (!route.retry_on) return;
    retry.unsent = route.retry_on->unsent;
    retry.no_answer = route.retry_on->no_answer;
    retry.on_503 = route.retry_on->on_503;
    retry.on_5xx = route.retry_on->on_5xx;
}

void takeFromPool(const conf::Pool& pool, const conf::Route& route, RouteActions& actions) {
    actions.retry = pool.retry;
    takeRetry(route, actions.retry);
    actions.first_byte = route.first_byte.value_or(pool.timeouts.first_byte);
    actions.idle = route.idle.value_or(pool.timeouts.idle);
}

std::string hostSet(const conf::FieldEdits& edits) {
    for (const auto& [name, value] : edits.set)
        if (http::equalsIgnoringCase(name, "host")) return value;
    return {};
}

Result<RouteAuth> loadAuth(const conf::BasicAuth& auth) {
    REGROW_TRY(auto users, PasswordFile::load(auth.users_file));
    return RouteAuth{.challenge = "Basic realm=\"" + auth.realm + "\", charset=\"UTF-8\"",
                     .users = std::move(users),
                     .pass = auth.pass};
}

Result<std::shared_ptr<const RouteActions>> buildActions(const conf::Config& config,
                                                         const conf::Listener& listener,
                                                         const conf::Route& route) {
    auto actions = std::make_shared<RouteActions>();
    actions->path = canonicalPath(route.path);
    if (const auto pool = config.pools.find(route.pool); pool != config.pools.end())
        takeFromPool(pool->second, route, *actions);
    if (route.redirect) {
        REGROW_TRY(auto pieces, http::parseRedirect(route.redirect->to));
        actions->redirect = RouteRedirect{proxy::Location(std::move(pieces)),
                                          static_cast<uint16_t>(route.redirect->status)};
    }
    actions->respond = route.respond;
    actions->rewrite = route.rewrite;
    actions->host = hostSet(route.request_headers);
    actions->request = proxy::FieldEdits(route.request_headers);
    actions->response = proxy::FieldEdits(route.response_headers);
    actions->max_body = route.max_body.value_or(actions->max_body);
    if (route.basic_auth) {
        REGROW_TRY(actions->auth, loadAuth(*route.basic_auth));
    }
    REGROW_TRY(actions->allow, proxy::ProxyTrust::parse(route.allow));
    REGROW_TRY(actions->deny, proxy::ProxyTrust::parse(route.deny));
    REGROW_TRY(actions->pages, ErrorPages::load(route.error_pages, listener.error_pages));
    return actions;
}

// Of the pools in a view: in the order of their names.
using PoolIndex = std::map<std::string, uint32_t>;

Result<std::shared_ptr<const RouteTable>> buildTable(const conf::Config& config,
                                                     const conf::Listener& listener,
                                                     const PoolIndex& index) {
    std::vector<RouteRule> rules;
    std::vector<RouteTarget> targets;
    for (const auto& route : listener.routes) {
        rules.push_back({route.host, route.path, route.exact, route.methods, route.headers});
        RouteTarget& target = targets.emplace_back();
        if (!route.pool.empty()) target.pool = index.at(route.pool);
        if (isPlain(route)) continue;
        REGROW_TRY(target.actions, buildActions(config, listener, route));
    }
    REGROW_TRY(auto pages, ErrorPages::load({}, listener.error_pages));
    return std::make_shared<const RouteTable>(
        RouteTable{Router(rules), std::move(targets), std::move(pages)});
}

}  // namespace

Result<std::vector<std::shared_ptr<const RouteTable>>> buildRoutes(const conf::Config& config) {
    PoolIndex index;
    for (const auto& [name, pool] : config.pools)
        index.emplace(name, static_cast<uint32_t>(index.size()));
    std::vector<std::shared_ptr<const RouteTable>> tables;
    for (const auto& listener : config.listeners) {
        REGROW_TRY(auto table, buildTable(config, listener, index));
        tables.push_back(std::move(table));
    }
    return tables;
}

}  // namespace regrow::control
