#include "proxy/http/compression.h"

#include <catch2/catch.hpp>

#include "base/http/parser.h"

using namespace regrow;
using namespace regrow::proxy;

namespace {

const conf::Compression kAll{};

bool mayCompress(const std::string& fields, http::Method method = http::Method::get,
                 int status = 200) {
    const std::string text = "HTTP/1.1 " + std::to_string(status) + " OK\r\n" + fields + "\r\n";
    http::ResponseParser parser;
    http::ResponseHead head;
    head.clear();
    REQUIRE(parser.parse(text, head).outcome == http::Outcome::done);
    return compressible(head, method, kAll);
}

}  // namespace

TEST_CASE("the coding is the first of ours that the client takes", "[http]") {
    using conf::Coding;
    const std::pair<const char*, Coding> cases[] = {
        {"gzip, deflate, br, zstd", Coding::zstd},
        {"gzip, deflate, br", Coding::br},
        {"gzip", Coding::gzip},
        {"GZIP;Q=0.5", Coding::gzip},
        {"br;q=0, gzip;q=0.001", Coding::gzip},
        {"zstd;q=0.0, *", Coding::br},
        {"*;q=0", Coding::identity},
        {"identity", Coding::identity},
        {"", Coding::identity},
        {"gzipped", Coding::identity},
        {"deflate", Coding::identity},
    };
    for (const auto& [accept, coding] : cases) {
        INFO(accept);
        CHECK(chooseCoding(accept, kAll) == coding);
    }
}

TEST_CASE("only whole, plain, large enough text is encoded", "[http]") {
    CHECK(mayCompress("Content-Type: text/html; charset=utf-8\r\nContent-Length: 5000\r\n"));
    CHECK(mayCompress("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"));
    CHECK(mayCompress("Content-Type: text/plain\r\nContent-Length: 5000\r\n", http::Method::get,
                      404));
    const std::string text = "Content-Type: text/plain\r\nContent-Length: 5000\r\n";
    CHECK_FALSE(mayCompress("Content-Type: text/plain\r\nContent-Length: 100\r\n"));
    CHECK_FALSE(mayCompress("Content-Type: image/png\r\nContent-Length: 5000\r\n"));
    CHECK_FALSE(mayCompress("Content-Length: 5000\r\n"));
    CHECK_FALSE(mayCompress(text + "Content-Encoding: gzip\r\n"));
    CHECK_FALSE(mayCompress(text + "Content-Range: bytes 0-4999/9000\r\n"));
    CHECK_FALSE(mayCompress(text + "Cache-Control: public, no-transform\r\n"));
    CHECK_FALSE(mayCompress(text, http::Method::head));
    CHECK_FALSE(mayCompress(text, http::Method::get, 206));
    CHECK_FALSE(mayCompress(text, http::Method::get, 304));
}
