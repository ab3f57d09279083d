#include "proxy/admin/access.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

using namespace regrow;
using namespace regrow::admin;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Request ask(std::string method, Headers headers) {
    Request r;
    r.method = std::move(method), r.path = {"api", "pause"}, r.headers = std::move(headers);
    return r;
}
int verdict(const Request& r, const AccessRules& rules) {
    const auto refusal = refuse(r, rules);
    return refusal ? refusal->status : 200;
}

const AccessRules kOpen{.token = "", .loopback = true, .listen = "127.0.0.1:9901"};
const AccessRules kToken{.token = "0123456789abcdef", .loopback = true, .listen = "127.0.0.1:9901"};
const AccessRules kRemote{.token = "0123456789abcdef", .loopback = false, .listen = "0.0.0.0:9901"};
const std::pair<std::string, std::string> kHost{"Host", "127.0.0.1:9901"};
const std::pair<std::string, std::string> kBearer{"authorization", "bearer 0123456789abcdef"};

}  // namespace

TEST_CASE("access: plain tools on loopback may read, and change when no token is configured") {
    CHECK(verdict(ask("GET", {kHost}), kOpen) == 200);
    CHECK(verdict(ask("POST", {kHost}), kOpen) == 200);
    CHECK(verdict(ask("GET", {kHost}), kToken) == 200);
    CHECK(verdict(ask("POST", {kHost}), kToken) == 401);
    CHECK(verdict(ask("POST", {kHost, kBearer}), kToken) == 200);
    CHECK(verdict(ask("POST", {kHost, {"Authorization", "Bearer 0123456789abcdeF"}}), kToken) ==
          401);
    CHECK(verdict(ask("POST", {kHost, {"Authorization", "Basic 0123456789abcdef"}}), kToken) ==
          401);
}

TEST_CASE("access: beyond loopback everything needs the token") {
    CHECK(verdict(ask("GET", {kHost}), kRemote) == 401);
    CHECK(verdict(ask("GET", {kHost, kBearer}), kRemote) == 200);
    CHECK(verdict(ask("GET", {{"Host", "proxy.example.org:9901"}, kBearer}), kRemote) == 200);
}

TEST_CASE("access: another site's page changes nothing") {
    CHECK(verdict(ask("POST", {kHost, {"Origin", "https://evil.example"}}), kOpen) == 403);
    CHECK(verdict(ask("POST", {kHost, {"Origin", "null"}}), kOpen) == 403);
    CHECK(verdict(ask("POST", {kHost, {"Origin", "https://evil.example"}, kBearer}), kToken) ==
          403);
    CHECK(verdict(ask("POST", {kHost, {"Sec-Fetch-Site", "cross-site"}}), kOpen) == 403);
    CHECK(verdict(ask("POST", {kHost, {"Sec-Fetch-Site", "same-site"}, {"X-Regrow-Request", "1"}}),
                  kOpen) == 403);
    CHECK(verdict(ask("POST", {kHost, {"User-Agent", "Mozilla/5.0"}}), kOpen) == 403);
    CHECK(verdict(ask("POST", {kHost, {"Referer", "http://evil.example/"}}), kOpen) == 403);
    CHECK(verdict(ask("POST", {kHost, {"Origin", "http://127.0.0.1:9901"}}), kOpen) ==
          403);  // no header of ours
    CHECK(verdict(
              ask("POST", {kHost, {"Origin", "http://127.0.0.1:9901"}, {"X-Regrow-Request", "1"}}),
              kOpen) == 200);
}

TEST_CASE("access: a name rebound to loopback sees nothing") {
    CHECK(verdict(ask("GET", {{"Host", "evil.example:9901"}}), kOpen) == 403);
    CHECK(verdict(ask("GET", {{"Host", "127.0.0.1.evil.example"}}), kOpen) == 403);
    CHECK(verdict(ask("GET", {{"Host", "evil.example"}, kBearer}), kToken) == 200);
    for (const char* good :
         {"localhost", "localhost:9901", "LOCALHOST:1", "127.0.0.1", "[::1]:9901", "10.0.0.7:80"})
        CHECK(verdict(ask("GET", {{"Host", good}}), kOpen) == 200);
    CHECK(verdict(ask("GET", {}), kOpen) == 200);
}

TEST_CASE("access: a token file is read, or its fault and remedy are named") {
    char path[] = "/tmp/regrow-token-XXXXXX";
    ::close(::mkstemp(path));
    const auto loopback = *Address::parse("127.0.0.1:1");
    const auto wide = *Address::parse("0.0.0.0:1");
    CHECK_FALSE(loadAccessRules(loopback, path));  // empty
    std::ofstream(path) << "short\n";
    CHECK(loadAccessRules(loopback, path).error().message.find("openssl rand -hex 32") !=
          std::string::npos);
    std::ofstream(path) << "0123456789abcdef\r\nsecond line\n";
    CHECK(loadAccessRules(wide, path)->token == "0123456789abcdef");
    ::unlink(path);
    CHECK(loadAccessRules(loopback, path).error().message.find(path) != std::string::npos);
    CHECK(loadAccessRules(wide, "").error().code == Code::refused);
    CHECK(loadAccessRules(loopback, ""));
}

TEST_CASE("targets are decoded once, and refused when they hide something") {
    const auto r = parseTarget(
        "POST", "/api/pools/a%2Fb/backends/x%20y/drain?at=2026-01-01T00%3A00%3A00Z&b=c+d");
    REQUIRE(r);
    CHECK(r->path == std::vector<std::string>{"api", "pools", "a/b", "backends", "x y", "drain"});
    CHECK(r->queryValue("at") == "2026-01-01T00:00:00Z");
    CHECK(r->queryValue("b") == "c d");
    for (const char* bad : {"", "stats", "http://h/stats", "/a%", "/a%2", "/a%zz", "/a%00b",
                            "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"})
        CHECK_FALSE(parseTarget("GET", bad));
}
