#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace regrow {

struct HttpResponse {
    int status = 0;
    std::string body;
};

// A blocking HTTP client on libcurl for what is not the request path: verbs that talk to a running
// proxy, the demo's visitors, webhooks from child processes. Keeps its connection between calls.
// One thread at a time.
class HttpClient {
  public:
    // `address`: "127.0.0.1:9901", "[::1]:80" or "unix:/path".
    explicit HttpClient(std::string address);
    ~HttpClient();
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;

    // headers: "Name: value". Any status is a response; an Error means that none came: unavailable
    // (nobody listens, connection lost) or timeout.
    Result<HttpResponse> call(std::string_view method, std::string_view target, Duration timeout,
                              const std::vector<std::string>& headers = {},
                              std::string_view body = {});

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace regrow
