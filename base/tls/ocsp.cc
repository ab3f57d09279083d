#include "base/tls/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include <ctime>
#include <memory>

#include "base/file.h"
#include "base/tls/openssl.h"

namespace regrow::tls {
namespace {

constexpr size_t kFileLimit = 64 * 1024;  // they have some 500 bytes, or 3 KiB with a certificate

std::unexpected<Error> wrong(const std::string& file, const std::string& what) {
    ERR_clear_error();
    return fail(Code::invalid, Source::config, file + " " + what);
}

WallTime wallTime(const ASN1_GENERALIZEDTIME* time) {
    std::tm broken{};
    if (!time || ASN1_TIME_to_tm(time, &broken) != 1) return WallTime::max();
    return Wall::from_time_t(::timegm(&broken));
}

}  // namespace

Result<OcspResponse> loadOcsp(const std::string& file) {
    auto der = readFile(file, kFileLimit);
    if (!der) return std::unexpected(std::move(der).error().in("cannot be read"));
    const auto* at = reinterpret_cast<const unsigned char*>(der->data());
    const std::unique_ptr<OCSP_RESPONSE, Freeing<OCSP_RESPONSE_free>> response(
        d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der->size())));
    if (!response) return wrong(file, "holds no OCSP response in DER form");
    if (const int status = OCSP_response_status(response.get());
        status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return wrong(file, std::string("says that the question failed: ") +
                               OCSP_response_status_str(status));
    const std::unique_ptr<OCSP_BASICRESP, Freeing<OCSP_BASICRESP_free>> basic(
        OCSP_response_get1_basic(response.get()));
    if (!basic || OCSP_resp_count(basic.get()) < 1)
        return wrong(file, "holds an OCSP response that speaks of no certificate");
    ASN1_GENERALIZEDTIME* next = nullptr;
    OCSP_single_get0_status(OCSP_resp_get0(basic.get(), 0), nullptr, nullptr, nullptr, &next);
    return OcspResponse{*std::move(der), wallTime(next)};
}

}  // namespace regrow::tls
