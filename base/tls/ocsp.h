#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/tls/openssl.h"

namespace regrow::tls {

// A response of a certificate's authority that it was not revoked, to be handed to clients with the
// certificate (OCSP stapling), so that they need not ask. Something else fetches it into a file.
struct OcspResponse {
    std::string der;
    WallTime next_update{};  // not to be shown any more after this
};
// Refuses what is no response, or one that says that the question failed. For one that speaks of
// other certificates only, `der` is empty: the file is older than the certificate.
Result<OcspResponse> loadOcsp(const std::string& file, X509* certificate);

}  // namespace regrow::tls
