#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

// OpenSSL's objects as values with owners, and its errors as text.
namespace regrow::tls {

template <auto Free>
struct Freeing {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Freeing<SSL_CTX_free>>;
using SessionPtr = std::unique_ptr<SSL, Freeing<SSL_free>>;
using CertificatePtr = std::unique_ptr<X509, Freeing<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Freeing<BIO_free>>;

// Both sides' floor: 112 bits of security, so no RSA below 2048 and nothing signed with SHA-1.
inline constexpr int kSecurityLevel = 2;

// Why the last call failed, in OpenSSL's words; empties this thread's queue of errors.
std::string takeReason();

}  // namespace regrow::tls
