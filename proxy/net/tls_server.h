#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/tls/ocsp.h"
#include "base/tls/openssl.h"
#include "conf/tls.h"
#include "proxy/net/sni_table.h"
#include "proxy/net/ticket_keys.h"

namespace regrow::net {

// How a listener speaks TLS: its certificates, chosen by the name a client asks for, whom it lets
// in, what it offers by ALPN. Built when a configuration is loaded, immutable from then on, shared
// by all workers; a connection keeps the one it began with, so a reload drops nobody.
//
// 1.2 and 1.3 with ECDHE and AEAD only, our order of ciphers, X25519 before the NIST curves. No
// compression, no renegotiation, no session cache (its lock is shared by all workers): who comes
// back brings a ticket, one for each handshake.
//
// One library context for each certificate, alike in everything else: which one a handshake began
// with must not matter.
class TlsServer {
  public:
    // `alpn`: offered, best first. A client that offers only others is refused (RFC 7301 3.2).
    static Result<std::shared_ptr<const TlsServer>> make(const conf::ListenerTls& tls,
                                                         const std::vector<std::string>& alpn,
                                                         std::shared_ptr<TicketKeys> tickets);

    // For one accepted connection, which keeps this object alive beside it; null: out of memory.
    tls::SessionPtr session() const;
    // Clients are asked who they are.
    bool asksClients() const { return asks_clients_; }
    // What clients will object to in the certificates, each as "FILE expired on …".
    const std::vector<std::string>& objections() const { return objections_; }

  private:
    struct Certificate {
        tls::ContextPtr context;
        tls::OcspResponse staple;
    };
    TlsServer() = default;

    Result<> load(const conf::ListenerTls& tls);
    Result<> add(const conf::ListenerTls& tls, const conf::TlsCertificate& files);
    Result<> askClients(SSL_CTX* context, const conf::ListenerTls& tls);
    void setCallbacks(Certificate& certificate);

    // What the library asks during a handshake; its context's app data is the TlsServer.
    static const TlsServer& of(const SSL* session);
    static int onName(SSL* session, int* alert, void*);
    static int onAlpn(SSL* session, const unsigned char** chosen, unsigned char* size,
                      const unsigned char* offered, unsigned offered_size, void*);
    static int onStaple(SSL* session, void* staple);
    static int onTicket(SSL* session, unsigned char* name, unsigned char* iv,
                        EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int sealing);

    std::deque<Certificate> certificates_;  // they stay where they are
    SniTable by_name_;
    std::string alpn_;  // as on the wire
    std::shared_ptr<TicketKeys> tickets_;
    bool asks_clients_ = false;
    std::vector<std::string> objections_;
};

}  // namespace regrow::net
