#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/tls/client_context.h"
#include "conf/config.h"
#include "proxy/net/tls_server.h"

namespace regrow::control {

// The certificates of a configuration, read and ready: what its listeners show and how its pools
// speak to their backends. Made as a whole before anything else of the configuration is taken, so
// that a bad file leaves everything as it was. A value; the contexts are shared with the workers.
class TlsContexts {
  public:
    // `before`: what is served until now. Listeners keep their ticket keys, so that clients notice
    // nothing; pools whose files and names are the same keep their context, and with it their
    // connections.
    static Result<TlsContexts> load(const conf::Config& config, const TlsContexts& before);

    // By position in the file; null: plain text.
    std::shared_ptr<const net::TlsServer> server(size_t listener) const {
        return servers_[listener];
    }
    std::shared_ptr<const tls::ClientContext> client(const std::string& pool) const;
    // What clients will object to: "FILE expired on …".
    std::vector<std::string> objections() const;

  private:
    Result<> addServer(const conf::Listener& listener, const TlsContexts& before);
    Result<> addClient(const conf::Pool& pool, const TlsContexts& before);

    std::vector<std::shared_ptr<const net::TlsServer>> servers_;
    std::map<std::string, std::shared_ptr<net::TicketKeys>> tickets_;  // by listening address
    std::map<std::string, std::shared_ptr<const tls::ClientContext>> clients_;
};

}  // namespace regrow::control
