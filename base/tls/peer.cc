#include "base/tls/peer.h"

#include <openssl/err.h>

#include <algorithm>

#include "base/text.h"

namespace regrow::tls {
namespace {

constexpr size_t kLongestSubject = 1024;

// Everything beyond printable ASCII comes escaped. A name that is cut might be another's, so one
// that is too long is left out.
std::string subjectOf(const X509* certificate) {
    const BioPtr out(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out.get(), &bytes);
    std::string text(bytes ? bytes : "", size > 0 ? static_cast<size_t>(size) : 0);
    const bool printable = std::ranges::all_of(text, [](char c) { return c >= ' ' && c < '\x7f'; });
    return printable && text.size() <= kLongestSubject ? text : std::string();
}

}  // namespace

PeerCertificate peerOf(const SSL* session) {
    PeerCertificate peer;
    const X509* const certificate = SSL_get0_peer_certificate(session);
    if (!certificate || SSL_get_verify_result(session) != X509_V_OK) return peer;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    X509_digest(certificate, EVP_sha256(), digest, &length);
    peer.shown = true;
    peer.subject = subjectOf(certificate);
    peer.sha256 = toHex({reinterpret_cast<const char*>(digest), length});
    ERR_clear_error();
    return peer;
}

}  // namespace regrow::tls
