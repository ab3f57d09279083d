#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

// One rule of a listener, as the operator writes it: which requests it takes (host, path, method,
// header; all must agree), what becomes of them (a pool, a redirect, a fixed answer), and what is
// done on the way. Plain values; absent means the pool's own or nothing.
namespace regrow::conf {

using Fields = std::vector<std::pair<std::string, std::string>>;  // name, value; as written

struct FieldEdits {
    Fields set = {};  // in place of all of that name
    Fields add = {};
    std::vector<std::string> remove = {};
    bool any() const { return !set.empty() || !add.empty() || !remove.empty(); }
    friend bool operator==(const FieldEdits&, const FieldEdits&) = default;
};

struct Redirect {
    std::string to;  // base/http/redirect_template.h
    int status = 302;
    friend bool operator==(const Redirect&, const Redirect&) = default;
};

struct Respond {
    int status = 200;
    std::string body;
    std::string content_type = "text/plain; charset=utf-8";
    friend bool operator==(const Respond&, const Respond&) = default;
};

struct RetryOn {
    bool unsent = false, no_answer = false, on_503 = false, on_5xx = false;
    friend bool operator==(const RetryOn&, const RetryOn&) = default;
};

struct BasicAuth {
    std::string realm = "regrow";
    std::string users_file;  // base/password_file.h
    bool pass = false;       // the backend gets Authorization too
    friend bool operator==(const BasicAuth&, const BasicAuth&) = default;
};

// By status ("502") or class ("5xx"): the file sent in place of our own short text.
using ErrorPages = std::map<std::string, std::string>;

struct Route {
    std::string host = "*";  // lower case: exact, "*.example.org" for all below it, or "*"
    std::string path = "/";  // a prefix, or the whole path when `exact`
    std::string pool = {};   // empty: redirect or respond
    bool exact = false;
    std::vector<std::string> methods = {};  // empty: any
    Fields headers = {};                    // all must be there; the value "*" is any
    std::optional<Redirect> redirect = {};
    std::optional<Respond> respond = {};
    std::string rewrite = {};  // takes the place of `path`; empty: the path stays
    FieldEdits request_headers = {};
    FieldEdits response_headers = {};
    std::optional<Duration> first_byte = {}, idle = {};
    std::optional<int> attempts = {};
    std::optional<RetryOn> retry_on = {};
    std::optional<bool> hedge = {};
    std::optional<uint64_t> max_body = {};  // bytes
    std::optional<BasicAuth> basic_auth = {};
    std::vector<std::string> allow = {}, deny = {};  // CIDRs
    ErrorPages error_pages = {};
    friend bool operator==(const Route&, const Route&) = default;
};

}  // namespace regrow::conf
