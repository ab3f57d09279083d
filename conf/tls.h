#pragma once

#include <string>
#include <vector>

// TLS as the operator writes it; part of config.h. Paths of PEM files, absolute.
namespace regrow::conf {

struct TlsCertificate {
    std::string certificate;  // with its chain, the server's own first
    std::string key;
    std::string ocsp;  // a response in DER form to staple; empty: none
    friend bool operator==(const TlsCertificate&, const TlsCertificate&) = default;
};

enum class ClientCertificate { off, optional, required };
enum class TlsVersion { tls12, tls13 };

// What a listener shows and asks for. No certificates: it speaks plain text.
struct ListenerTls {
    std::vector<TlsCertificate> certificates;  // chosen by SNI; the first for all other names
    std::string client_ca;
    ClientCertificate client_certificate = ClientCertificate::off;
    TlsVersion min_version = TlsVersion::tls12;
    bool on() const { return !certificates.empty(); }
    friend bool operator==(const ListenerTls&, const ListenerTls&) = default;
};

// How a pool's backends are spoken to.
struct PoolTls {
    bool on = false;
    std::string ca;    // empty: the system's
    std::string name;  // that their certificates must be for, and SNI; empty: their addresses
    std::string certificate;
    std::string key;
    bool verify = true;
    friend bool operator==(const PoolTls&, const PoolTls&) = default;
};

}  // namespace regrow::conf
