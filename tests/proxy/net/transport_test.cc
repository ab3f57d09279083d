#include "proxy/net/transport.h"

#include <catch2/catch.hpp>

#include "tests/support/tls_files.h"
#include "tests/support/tls_pair.h"

using namespace regrow;
using namespace regrow::test;
using Kind = IoResult::Kind;

namespace {

struct World {
    TlsFiles files;
    TlsFiles::Pair ca = files.authority("ca");
    TlsFiles::Pair leaf = files.leaf("a", "DNS:a.test", ca);
    std::shared_ptr<const net::TlsServer> server;
    std::shared_ptr<const tls::ClientContext> client;

    World() {
        conf::ListenerTls tls;
        tls.certificates = {{leaf.certificate, leaf.key, ""}};
        server = *net::TlsServer::make(tls, {}, std::make_shared<net::TicketKeys>());
        client = *tls::ClientContext::make({.ca = ca.certificate, .name = "a.test"});
    }
};

std::string noise(size_t bytes) {
    std::string text(bytes, '\0');
    uint32_t state = 1;
    for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return text;
}

// Sends what goes; true when all of `text` from `at` is out.
bool push(net::Transport& to, const std::string& text, size_t& at) {
    while (at < text.size()) {
        const IoResult r = to.send(std::string_view(text).substr(at));
        if (r.kind != Kind::bytes) {
            CHECK(r.kind == Kind::would_block);
            return false;
        }
        at += r.bytes;
    }
    return true;
}

void pull(net::Transport& from, std::string& text) {
    char bytes[40'000];
    while (true) {
        const IoResult r = from.receive(bytes, sizeof bytes);
        if (r.kind != Kind::bytes) {
            CHECK(r.kind == Kind::would_block);
            CHECK(from.tls()->dry());
            return;
        }
        text.append(bytes, r.bytes);
    }
}

}  // namespace

TEST_CASE("TLS: a megabyte each way at once, whatever the kernel takes of it") {
    const World world;
    TlsPair pair(world.server, world.client);
    REQUIRE(pair.shake());
    const std::string up = noise(1 << 20);
    const std::string down = noise((1 << 20) + 12'345);
    std::string heard_up;
    std::string heard_down;
    size_t up_at = 0;
    size_t down_at = 0;
    for (int i = 0; i < 10'000 && (heard_up.size() < up.size() || heard_down.size() < down.size());
         ++i) {
        push(pair.client(), up, up_at);
        push(pair.server(), down, down_at);
        pair.wake();
        pull(pair.server(), heard_up);
        pull(pair.client(), heard_down);
    }
    CHECK((heard_up == up));
    CHECK((heard_down == down));
}

TEST_CASE("TLS: one byte at a time, from the first of the handshake to the end") {
    const World world;
    TlsPair pair(world.server, world.client, true);
    REQUIRE(pair.shake(1));
    const std::string up = noise(40'000);
    std::string heard;
    size_t at = 0;
    for (int i = 0; i < 200'000 && heard.size() < up.size(); ++i) {
        push(pair.client(), up, at);
        pair.pass(1);
        pull(pair.server(), heard);
    }
    CHECK((heard == up));
    pair.client().shutdownSend();
    char byte = 0;
    IoResult end;
    for (int i = 0; i < 1000 && end.kind == Kind::would_block; ++i) {
        pair.pass(1);
        end = pair.server().receive(&byte, 1);
    }
    CHECK(end.kind == Kind::closed);
}

TEST_CASE("TLS: parts go out together, and what was not taken is asked for again in other pieces") {
    const World world;
    TlsPair pair(world.server, world.client, true);
    REQUIRE(pair.shake());
    const std::string head = noise(300);
    const std::string body = noise(50'000);
    const std::string all = head + body;
    const int small = 4096;
    ::setsockopt(pair.server().fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    size_t at = 0;
    std::string heard;
    char bytes[65536];
    // First both parts, then only what is left of the head, as a session keeps it, then the body.
    for (int i = 0; i < 100'000 && heard.size() < all.size(); ++i) {
        IoResult r;
        if (i == 0) {
            const iovec parts[] = {{const_cast<char*>(head.data()), head.size()},
                                   {const_cast<char*>(body.data()), body.size()}};
            r = pair.server().send(parts, 2);
        } else if (at < head.size()) {
            r = pair.server().send(std::string_view(head).substr(at));
        } else if (at < all.size()) {
            r = pair.server().send(std::string_view(all).substr(at));
        }
        REQUIRE(r.kind != Kind::failed);
        at += r.bytes;
        pair.pass(777);
        r = pair.client().receive(bytes, sizeof bytes);
        REQUIRE(r.kind != Kind::failed);
        heard.append(bytes, r.bytes);
    }
    CHECK((heard == all));
    CHECK(at == all.size());
}

TEST_CASE("TLS: what was said before the goodbye is read, then the end; a bare end is a failure") {
    const World world;
    TlsPair pair(world.server, world.client);
    REQUIRE(pair.shake());
    REQUIRE(pair.client().send("last words").bytes == 10);
    const bool polite = GENERATE(true, false);
    if (polite)
        pair.client().close();
    else
        ::shutdown(pair.client().fd(), SHUT_WR);
    pair.server().tls()->noteReadable(true);
    char bytes[100];
    const IoResult words = pair.server().receive(bytes, sizeof bytes);
    CHECK(std::string_view(bytes, words.bytes) == "last words");
    CHECK_FALSE(pair.server().tls()->dry());
    const IoResult end = pair.server().receive(bytes, sizeof bytes);
    CHECK(end.kind == (polite ? Kind::closed : Kind::failed));
    const IoResult still = pair.server().receive(bytes, sizeof bytes);
    CHECK(still.kind == end.kind);
    if (polite)
        CHECK(pair.server().send("an answer to a half-closed client").kind != Kind::would_block);
    else
        CHECK(end.error == ECONNRESET);
}

TEST_CASE("TLS: a record that was tampered with is a failure, and nothing of it is passed on") {
    const World world;
    TlsPair pair(world.server, world.client);
    REQUIRE(pair.shake());
    const std::string forged = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
    REQUIRE(::send(pair.client().fd(), forged.data(), forged.size(), 0) == 37);
    pair.wake();
    char bytes[100];
    const IoResult r = pair.server().receive(bytes, sizeof bytes);
    CHECK(r.kind == Kind::failed);
    CHECK(r.error == EPROTO);
    CHECK(pair.server().send("anything").kind == Kind::failed);
}

TEST_CASE("TLS: peeking takes nothing and sees what comes") {
    const World world;
    TlsPair pair(world.server, world.client);
    REQUIRE(pair.shake());
    CHECK(pair.server().peek().kind == Kind::would_block);
    pair.client().send("x");
    pair.wake();
    CHECK(pair.server().peek().kind == Kind::bytes);
    char byte = 0;
    CHECK(pair.server().receive(&byte, 1).bytes == 1);
    CHECK(byte == 'x');
}

TEST_CASE("TLS: who makes us answer without reading is cut off, not remembered for ever") {
    const World world;
    TlsPair pair(world.server, world.client);
    REQUIRE(pair.shake());
    SSL* const session = pair.client().tls()->session();
    char byte = 0;
    Kind kind = Kind::would_block;
    for (int i = 0; i < 200'000 && kind == Kind::would_block; ++i) {
        SSL_key_update(session, SSL_KEY_UPDATE_REQUESTED);
        if (pair.client().send("").kind == Kind::failed) break;
        SSL_do_handshake(session);
        pair.client().tls()->flush();
        pair.server().tls()->noteReadable(false);
        kind = pair.server().receive(&byte, 1).kind;
    }
    CHECK(kind == Kind::failed);
}
