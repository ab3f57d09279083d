#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "proxy/http/http2_forward.h"
#include "proxy/http/http2_response.h"

using namespace regrow;
using namespace regrow::proxy;

namespace {

struct Said {
    std::map<std::string, std::string> fields;
    std::string order;
    Http2Forward forward;
};

Said say(const std::string& text) {
    Said said;
    said.forward =
        visitHttp2Request(text, "https", [&](std::string_view name, std::string_view value) {
            said.fields[std::string(name)] = value;
            said.order.append(name).append(" ");
        });
    return said;
}

http::Flaw read(std::initializer_list<std::pair<const char*, std::string>> fields,
                http::ResponseHead& head, char* memory, size_t size) {
    Http2Response response;
    response.begin(memory, size, head);
    for (const auto& [name, value] : fields) response.add(name, value);
    return response.finish();
}

}  // namespace

TEST_CASE("a stored request is said in HTTP/2's words, without what belongs to HTTP/1") {
    const std::string head =
        "POST /a?b HTTP/1.1\r\nHost: a.test:81\r\nX: 1\r\nEmpty: \r\nTransfer-Encoding: chunked\r\n"
        "Via: 1.1 p\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    const Said said = say(head + "3\r\nabc\r\n");
    CHECK(said.order == ":method :scheme :authority :path X Empty Via TE ");
    CHECK(said.fields.at(":method") == "POST");
    CHECK(said.fields.at(":scheme") == "https");
    CHECK(said.fields.at(":authority") == "a.test:81");
    CHECK(said.fields.at(":path") == "/a?b");
    CHECK(said.fields.at("Empty").empty());
    CHECK(said.forward.bytes == head.size());
    CHECK(said.forward.body.kind == http::BodyKind::chunked);
}

TEST_CASE("a length is kept, and says whether a body follows") {
    const Said some = say("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n");
    CHECK(some.fields.at("Content-Length") == "12");
    CHECK(some.forward.body == http::Body{http::BodyKind::length, 12});
    const Said none = say("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    CHECK(none.fields.at("Content-Length") == "0");
    CHECK(none.forward.body.kind == http::BodyKind::none);
    CHECK(say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").forward.body.kind == http::BodyKind::none);
}

TEST_CASE("a WebSocket is asked for by an extended CONNECT, any other upgrade is left out") {
    const std::string before = "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\nUpgrade: ";
    const std::string asked = before + "WebSocket\r\nConnection: Upgrade\r\n\r\n";
    const Said socket = say(asked);  // the key points into what was said
    CHECK(socket.order == ":method :protocol :scheme :authority :path ");
    CHECK(socket.fields.at(":method") == "CONNECT");
    CHECK(socket.forward.websocket_key == "k");
    CHECK(socket.forward.body.kind == http::BodyKind::tunnel);
    const Said other = say(before + "irc/6.9\r\nConnection: Upgrade\r\n\r\n");
    CHECK(other.order == ":method :scheme :authority :path Sec-WebSocket-Key ");
    CHECK(other.fields.at(":method") == "GET");
    // In a body it is none.
    CHECK_FALSE(asksForWebSocket("GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nUpgrade: websocket\r\n"));
}

TEST_CASE("an answer's fields become a head by HTTP/1's rules") {
    http::ResponseHead head;
    char memory[256];
    CHECK(read({{":status", "206"}, {"content-length", "5"}, {"x", "y"}}, head, memory,
               sizeof memory) == http::Flaw::none);
    CHECK(head.status == 206);
    CHECK(head.reason == "Partial Content");
    CHECK(head.content_length == 5);
    CHECK(head.keep_alive);
    CHECK(head.fields.find("x")->value() == "y");
}

TEST_CASE("what could be read differently in an answer is refused") {
    http::ResponseHead head;
    char memory[256];
    const auto [status, name, value, flaw] =
        GENERATE(table<std::string, const char*, std::string, http::Flaw>({
            {"20", "x", "", http::Flaw::bad_status},
            {"2000", "x", "", http::Flaw::bad_status},
            {"2x0", "x", "", http::Flaw::bad_status},
            {"101", "x", "", http::Flaw::bad_status},
            {"200", "content-length", "+5", http::Flaw::bad_content_length},
            {"204", "content-length", "5", http::Flaw::body_forbidden},
            {"200", "x", std::string(300, 'x'), http::Flaw::head_too_large},
        }));
    CAPTURE(status, name);
    CHECK(textOf(read({{":status", status}, {name, value}}, head, memory, sizeof memory)) ==
          textOf(flaw));
}
