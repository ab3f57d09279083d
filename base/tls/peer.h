#pragma once

#include <string>

#include "base/tls/openssl.h"

namespace regrow::tls {

// Who the other side proved to be, as text that fits a header field.
struct PeerCertificate {
    bool shown = false;   // and verified: a wrong one ends the handshake
    std::string subject;  // "CN=alice,O=Example", RFC 2253, ASCII; empty when longer than 1 KiB
    std::string sha256;   // of the certificate, 64 hex digits
};
PeerCertificate peerOf(const SSL* session);

}  // namespace regrow::tls
