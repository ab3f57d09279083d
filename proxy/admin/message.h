#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A request and an answer of the admin endpoint, free of the HTTP library, so that routing and
// access are pure.
namespace regrow::admin {

struct Request {
    std::string method;                                      // GET, HEAD, POST, …
    std::vector<std::string> path;                           // decoded segments; "/" is empty
    std::vector<std::pair<std::string, std::string>> query;  // decoded
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;

    std::string_view header(std::string_view name) const;  // case-insensitive; empty when absent
    std::string queryValue(std::string_view name) const;   // empty when absent
    bool changes() const { return method != "GET" && method != "HEAD"; }
};

struct Reply {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;

    static Reply json(std::string body) { return {.body = std::move(body), .headers = {}}; }
    // {"error": message, "code": code}; message: what and the remedy.
    static Reply error(int status, std::string_view message, std::string_view code);
};

// From an origin-form target. Nothing when it holds a NUL, a broken %-escape or more than 16
// segments.
std::optional<Request> parseTarget(std::string_view method, std::string_view target);

}  // namespace regrow::admin
