#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/tls/openssl.h"

namespace regrow::tls {

struct ClientOptions {
    std::string ca = {};           // file of those to trust; empty: the system's
    std::string name = {};         // the server's, as its certificate has it; empty: its address
    std::string certificate = {};  // ours, when the server asks who we are; with `key`
    std::string key = {};
    bool verify = true;
    std::vector<std::string> alpn = {};  // offered, best first
};

// How we speak TLS to servers of one kind: whom we trust, which name they must prove, who we are.
// Made when a configuration is loaded, immutable from then on, shared by all threads; sessions keep
// it alive. Files are read once, here; a changed file takes effect with the next load.
class ClientContext {
  public:
    static Result<std::shared_ptr<const ClientContext>> make(const ClientOptions& options);

    // For one connection to `server`. Its certificate must be for the configured name, or for the
    // IP address when there is none.
    SessionPtr session(const Address& server) const;
    // Equal when options and the content of all files are: then connections are interchangeable.
    const std::string& fingerprint() const { return fingerprint_; }

  private:
    ClientContext() = default;
    Result<> load(const ClientOptions& options);
    Result<> offer(const std::vector<std::string>& alpn);

    ContextPtr context_;
    std::string name_;
    bool verify_ = true;
    std::string fingerprint_;
};

// As the extension has it: each name after its length. Fails when one is empty or too long.
Result<std::string> alpnWire(const std::vector<std::string>& names);

}  // namespace regrow::tls
