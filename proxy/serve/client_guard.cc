#include "proxy/serve/client_guard.h"

#include "base/log.h"

namespace regrow::serve {
namespace {

using What = net::ClientTable::What;

// The configuration was checked, so this cannot fail; were it to, nobody would be let in by
// mistake.
proxy::ProxyTrust networks(const std::vector<std::string>& cidrs) {
    auto parsed = proxy::ProxyTrust::parse(cidrs);
    if (parsed) return *std::move(parsed);
    log::error("listener", "accept: {}", parsed.error().message);
    return {};
}

int64_t nanoseconds(Instant now) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
}

}  // namespace

ClientGuard::ClientGuard(const conf::Accept& rules, std::shared_ptr<net::ClientTable> table)
    : rules_(rules),
      allow_(networks(rules.allow)),
      deny_(networks(rules.deny)),
      rate_(net::Gcra::of(rules.requests_per_second, rules.burst)),
      table_(std::move(table)) {}

// Who comes over a unix socket is on this machine, and let in by the socket's own mode.
bool ClientGuard::allows(const Address& client) const {
    if (client.isUnix()) return true;
    return !deny_.trusts(client) && (rules_.allow.empty() || allow_.trusts(client));
}

net::ClientTable::Entered ClientGuard::connected(uint64_t client, Instant now) {
    return table_->enter(What::connections, client,
                         static_cast<uint32_t>(rules_.connections_per_ip), nanoseconds(now));
}

net::ClientTable::Entered ClientGuard::began(uint64_t client, Instant now) {
    return table_->enter(What::requests, client, static_cast<uint32_t>(rules_.concurrent_requests),
                         nanoseconds(now));
}

Duration ClientGuard::ask(uint64_t client, Instant now) {
    return std::chrono::nanoseconds(table_->ask(client, rate_, nanoseconds(now)));
}

}  // namespace regrow::serve
