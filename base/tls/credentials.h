#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/tls/openssl.h"

// Certificates and keys from PEM files. Read when a configuration is loaded, never while serving.
// Every error names the file, what is wrong with it and what to do.
namespace regrow::tls {

// A certificate, leaf first, then those that lead to its authority.
struct Chain {
    std::vector<CertificatePtr> certificates;
    std::vector<std::string> names;  // DNS names it is for, lower case; its CN when it lists none
    WallTime not_before{};
    WallTime not_after{};
};
Result<Chain> loadChain(const std::string& file);

// A key with a passphrase is refused: nobody is there to type it when the machine starts.
Result<KeyPtr> loadKey(const std::string& file);

struct Credentials {
    Chain chain;
    KeyPtr key;
};
Result<Credentials> loadCredentials(const std::string& certificate_file,
                                    const std::string& key_file);
// Whether the two belong together and are strong enough to be served.
Result<> checkPair(const Chain& chain, EVP_PKEY* key, const std::string& certificate_file,
                   const std::string& key_file);

// Whom to trust: all certificates of the file.
Result<std::vector<CertificatePtr>> loadAuthorities(const std::string& file);

// What its peers will object to at `now`: expired, not valid yet; empty when nothing.
std::string objection(const Chain& chain, WallTime now);

// Makes the context show these. They were checked when they were loaded.
Result<> install(SSL_CTX* context, const Credentials& credentials);
Result<> trust(SSL_CTX* context, const std::vector<CertificatePtr>& authorities);

}  // namespace regrow::tls
