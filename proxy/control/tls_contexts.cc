#include "proxy/control/tls_contexts.h"

namespace regrow::control {
namespace {

// What is offered to clients, best first.
std::vector<std::string> protocols() {
    return {"h2", "http/1.1"};
}

}  // namespace

Result<TlsContexts> TlsContexts::load(const conf::Config& config, const TlsContexts& before) {
    TlsContexts made;
    for (const auto& listener : config.listeners) REGROW_CHECK(made.addServer(listener, before));
    for (const auto& [name, pool] : config.pools) REGROW_CHECK(made.addClient(pool, before));
    return made;
}

Result<> TlsContexts::addServer(const conf::Listener& listener, const TlsContexts& before) {
    if (!listener.tls.on()) {
        servers_.emplace_back();
        return {};
    }
    const std::string address = listener.listen.text();
    auto& tickets = tickets_[address];
    const auto known = before.tickets_.find(address);
    tickets = known != before.tickets_.end() ? known->second : std::make_shared<net::TicketKeys>();
    auto server = net::TlsServer::make(listener.tls, protocols(), tickets);
    if (!server) return std::unexpected(std::move(server).error().in("TLS of listener " + address));
    servers_.push_back(*std::move(server));
    return {};
}

Result<> TlsContexts::addClient(const conf::Pool& pool, const TlsContexts& before) {
    if (!pool.tls.on) return {};
    auto client = tls::ClientContext::make({.ca = pool.tls.ca,
                                            .name = pool.tls.name,
                                            .certificate = pool.tls.certificate,
                                            .key = pool.tls.key,
                                            .verify = pool.tls.verify,
                                            .alpn = {pool.http2 ? "h2" : "http/1.1"}});
    if (!client) return std::unexpected(std::move(client).error().in("TLS of pool " + pool.name));
    const auto known = before.client(pool.name);
    const bool same = known && known->fingerprint() == (*client)->fingerprint();
    clients_[pool.name] = same ? known : *std::move(client);
    return {};
}

std::shared_ptr<const tls::ClientContext> TlsContexts::client(const std::string& pool) const {
    const auto found = clients_.find(pool);
    return found == clients_.end() ? nullptr : found->second;
}

std::vector<std::string> TlsContexts::objections() const {
    std::vector<std::string> all;
    for (const auto& server : servers_)
        if (server) all.insert(all.end(), server->objections().begin(), server->objections().end());
    return all;
}

}  // namespace regrow::control
