#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "conf/sections.h"

namespace regrow::conf {
namespace {

DataKind readData(const Reader& reader) {
    std::string data = "own";
    reader.get("data", data);
    return data == "own" ? DataKind::own : DataKind::none;
}

// `check: tls`, a kind that is not built, as the one word that `check: tcp` may be.
bool isUnbuiltWord(const Reader& reader) {
    const Node* const check = reader.value("check");
    for (const std::string_view kind : {"tls", "redis", "postgres", "grpc"})
        if (check && check->kind == NodeKind::scalar && check->text == kind)
            return reader.complain("check", fmt::format("'{}' is not available in this version of "
                                                        "regrow; write tcp or {{http: /healthz}}",
                                                        kind)),
                   true;
    return false;
}

std::vector<Check> readChecks(const Reader& reader) {
    std::vector<Check> checks;
    if (reader.has("check") && !isUnbuiltWord(reader))
        for (const auto& check : reader.sections("check")) checks.push_back(readCheck(check));
    if (checks.empty()) checks.emplace_back();  // absent, or the word tcp
    return checks;
}

Observe readObserve(const Reader& reader) {
    Observe observe;
    observe.on = !reader.isWord("observe");
    if (const auto section = reader.section("observe"))
        section->get("errors_in_a_row", observe.errors_in_a_row);
    return observe;
}

Retry readRetry(const Reader& reader) {
    Retry retry;
    reader.get("attempts", retry.attempts);
    reader.get("budget", retry.budget);
    reader.get("hedge", retry.hedge);
    if (retry.hedge && retry.attempts < 2)
        reader.complain("hedge", "asks twice, but attempts allows one; write attempts: 2 or more");
    if (reader.has("on")) {
        std::vector<std::string> on;
        reader.get("on", on);
        const auto named = [&](std::string_view word) {
            return std::find(on.begin(), on.end(), word) != on.end();
        };
        retry.unsent = named("unsent");
        retry.no_answer = named("no_answer");
        retry.on_503 = named("503");
        retry.on_5xx = named("5xx");
    }
    return retry;
}

Hold readHold(const Reader& reader) {
    Hold hold;
    hold.on = !reader.isWord("hold");
    if (const auto section = reader.section("hold")) {
        section->get("wait", hold.wait);
        section->get("requests", hold.requests);
    }
    return hold;
}

PoolTimeouts readTimeouts(const Reader& reader) {
    PoolTimeouts timeouts;
    reader.get("connect", timeouts.connect);
    reader.get("first_byte", timeouts.first_byte);
    reader.get("idle", timeouts.idle);
    reader.get("tunnel", timeouts.tunnel);
    return timeouts;
}

}  // namespace

Pool readPool(const std::string& name, const Reader& reader) {
    Pool pool;
    pool.name = name;
    pool.data = readData(reader);
    pool.balance = readBalance(reader, pool.hash);
    if (const auto affinity = reader.section("affinity"))
        pool.affinity_cookie = readAffinity(*affinity);
    pool.checks = readChecks(reader);
    pool.observe = readObserve(reader);
    if (const auto retry = reader.section("retry")) pool.retry = readRetry(*retry);
    if (const auto timeouts = reader.section("timeouts")) pool.timeouts = readTimeouts(*timeouts);
    std::string http = "1";
    reader.get("http", http);
    pool.http2 = http == "2";
    pool.tls = readPoolTls(reader);
    pool.proxy_protocol = readProxyProtocol(reader);
    if (pool.http2 && pool.proxy_protocol != ProxyProtocol::off)
        reader.complain("proxy_protocol",
                        "names one client for a connection, and with 'http: 2' many share one; "
                        "remove one of the two");
    pool.hold = readHold(reader);
    pool.compress = readCompression(reader);
    reader.get("slow_start", pool.slow_start);
    if (reader.isWord("slow_start")) pool.slow_start = Duration{};
    for (const auto& backend : reader.sections("backends"))
        pool.backends.push_back(readBackend(backend));
    for (const auto& spare : reader.sections("spares")) pool.spares.push_back(readSpare(spare));
    if (const auto backup = reader.section("backup")) pool.backup = readBackup(*backup);
    if (const auto recovery = reader.section("recovery")) pool.recovery = readRecovery(*recovery);
    pool.recovery.warm_ramp = pool.slow_start;
    return pool;
}

}  // namespace regrow::conf
