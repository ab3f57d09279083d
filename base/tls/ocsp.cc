#include "base/tls/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include <array>
#include <cstring>
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

// By serial number and the authority's name.
bool speaksOf(OCSP_SINGLERESP* single, X509* certificate) {
    ASN1_OCTET_STRING* named = nullptr;
    ASN1_OBJECT* hash = nullptr;
    ASN1_INTEGER* serial = nullptr;
    auto* const id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
    if (OCSP_id_get0_info(&named, &hash, nullptr, &serial, id) != 1) return false;
    const EVP_MD* const digest = EVP_get_digestbyobj(hash);
    std::array<unsigned char, EVP_MAX_MD_SIZE> issuer{};
    unsigned int size = 0;
    return digest &&
           X509_NAME_digest(X509_get_issuer_name(certificate), digest, issuer.data(), &size) == 1 &&
           static_cast<int>(size) == ASN1_STRING_length(named) &&
           std::memcmp(issuer.data(), ASN1_STRING_get0_data(named), size) == 0 &&
           ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0;
}

}  // namespace

Result<OcspResponse> loadOcsp(const std::string& file, X509* certificate) {
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
    for (int i = 0; i < OCSP_resp_count(basic.get()); ++i) {
        OCSP_SINGLERESP* const single = OCSP_resp_get0(basic.get(), i);
        if (!speaksOf(single, certificate)) continue;
        ASN1_GENERALIZEDTIME* next = nullptr;
        OCSP_single_get0_status(single, nullptr, nullptr, nullptr, &next);
        return OcspResponse{*std::move(der), wallTime(next)};
    }
    return OcspResponse{};
}

}  // namespace regrow::tls
