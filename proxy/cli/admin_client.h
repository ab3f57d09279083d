#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"

// How a verb talks to a running proxy: over its admin endpoint, as anybody could with curl.
namespace regrow::cli {

constexpr const char* kDefaultAdmin = "127.0.0.1:9901";

// What every such verb takes: -a ADDR or -c FILE, --token-file, --json. Without them REGROW_ADMIN
// and REGROW_TOKEN_FILE of the environment, then kDefaultAdmin.
struct AdminOptions {
    std::string address;     // HOST:PORT, [IPV6]:PORT, unix:/path; names are allowed
    std::string config;      // its admin.listen and admin.token_file are used
    std::string token_file;  // wins over the configuration's
    bool json = false;       // print what the proxy answered, as it is
};
void addAdminOptions(CLI::App& verb, AdminOptions& options);
// The same without --json, for verbs that have one of their own.
void addAdminAddress(CLI::App& verb, AdminOptions& options);

struct Answer {
    long status = 0;
    std::string body;
};

// One connection, used by one thread, for as long as a verb runs. Every call has a deadline of 15
// s.
class AdminClient {
  public:
    // Reads configuration and token; does not connect yet.
    static Result<AdminClient> open(const AdminOptions& options);

    // The answer's body when the proxy said 2xx; its error otherwise (refused when it said 409).
    // When nobody listens, the error says where we looked and what to do.
    Result<std::string> get(const std::string& path) const;
    Result<std::string> post(const std::string& path) const;
    const std::string& address() const { return address_; }

  private:
    Result<std::string> ask(const std::string& path, bool change) const;

    std::string address_;  // as a person would write it
    std::string url_;
    std::string unix_path_;
    std::string token_;
};

// "wiki-1" with %-escapes for a path segment or query value.
std::string escaped(std::string_view text);

// POOL/NAME into its two halves.
Result<std::pair<std::string, std::string>> splitTarget(const std::string& target);

}  // namespace regrow::cli
