#include "health/checker.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/health/server.h"

using namespace regrow;
using namespace regrow::health;
using namespace regrow::health::test;
using namespace std::chrono_literals;
using Manner = Server::Manner;

namespace {

conf::Check httpCheck(Duration timeout = 5s) {
    conf::Check check;
    check.kind = conf::CheckKind::http;
    check.http_path = "/healthz";
    check.timeout = timeout;
    return check;
}

conf::Check tcpCheck(Duration timeout = 5s) {
    conf::Check check;
    check.timeout = timeout;
    return check;
}

conf::Check commandCheck(conf::Argv argv, Duration timeout = 5s) {
    conf::Check check;
    check.kind = conf::CheckKind::command;
    check.command = std::move(argv);
    check.timeout = timeout;
    return check;
}

CheckResult probe(EventLoop& loop, const Address& address, const conf::Check& check) {
    std::optional<CheckResult> result;
    const auto checker = makeChecker(loop, address, check);
    checker->start([&](CheckResult r) { result = std::move(r); });
    REQUIRE_FALSE(result.has_value());  // never from within start()
    REQUIRE(runUntil(loop, [&] { return result.has_value(); }));
    CHECK(result->took >= 0ns);
    return *result;
}

void expect(const CheckResult& result, Outcome outcome, const std::string& text) {
    CHECK(name(result.outcome) == name(outcome));
    CHECK(result.text == text);
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

}  // namespace

TEST_CASE("every kind of check keeps the contract of a checker") {
    EventLoop loop;
    Server good(loop, Manner::reply, kOk);
    const Refusing refusing;
    const auto check = GENERATE(tcpCheck(), httpCheck(), commandCheck({"true"}),
                                commandCheck({"/nonexistent/program"}),
                                commandCheck({"sleep", "60"}), httpCheck(1ms));
    const bool refused = GENERATE(false, true);
    const Address address = refused ? refusing.address() : good.address();

    SECTION("it calls back once") {
        int calls = 0;
        const auto checker = makeChecker(loop, address, check);
        if (check.kind == conf::CheckKind::command && check.command[0] == "sleep") return;
        checker->start([&](const CheckResult&) { ++calls; });
        CHECK(calls == 0);
        CHECK(runUntil(loop, [&] { return calls > 0; }));
        event_base_loop(loop.base(), EVLOOP_NONBLOCK);
        CHECK(calls == 1);
    }
    SECTION("it may be destroyed by its own callback") {
        if (check.kind == conf::CheckKind::command && check.command[0] == "sleep") return;
        auto checker = makeChecker(loop, address, check);
        bool called = false;
        checker->start([&](const CheckResult&) { checker.reset(), called = true; });
        CHECK(runUntil(loop, [&] { return called; }));
    }
    SECTION("destroyed before its end it never calls") {
        auto checker = makeChecker(loop, address, check);
        bool called = false;
        checker->start([&](const CheckResult&) { called = true; });
        checker.reset();
        event_base_loop(loop.base(), EVLOOP_NONBLOCK);
        CHECK_FALSE(called);
    }
}

TEST_CASE("a tcp check is about the connection") {
    EventLoop loop;
    Server silent(loop, Manner::silent);
    const Refusing refusing;
    const Full full;
    expect(probe(loop, silent.address(), tcpCheck()), Outcome::pass, "connected");
    expect(probe(loop, refusing.address(), tcpCheck()), Outcome::no_answer, "connection refused");
    expect(probe(loop, full.address(), tcpCheck(50ms)), Outcome::no_answer,
           "timeout after 50ms (connecting)");
    expect(probe(loop, *Address::parse("unix:/nonexistent/socket"), tcpCheck()), Outcome::no_answer,
           "no such socket");
}

TEST_CASE("an http check asks politely") {
    EventLoop loop;
    Server server(loop, Manner::reply, kOk);
    auto check = httpCheck();
    check.http_host = "wiki.example.org";
    expect(probe(loop, server.address(), check), Outcome::pass, "HTTP 200");
    CHECK(server.request() ==
          "GET /healthz HTTP/1.1\r\nHost: wiki.example.org\r\nUser-Agent: regrow-check\r\nAccept: "
          "*/*\r\nConnection: close\r\n\r\n");
    probe(loop, server.address(), httpCheck());
    CHECK(server.request().find("Host: " + server.address().text() + "\r\n") != std::string::npos);
}

TEST_CASE("no answer at all is told from a wrong one") {
    EventLoop loop;
    Server server(loop, Manner::silent);
    const Refusing refusing;
    const Full full;
    expect(probe(loop, refusing.address(), httpCheck()), Outcome::no_answer, "connection refused");
    expect(probe(loop, full.address(), httpCheck(50ms)), Outcome::no_answer,
           "timeout after 50ms (connecting)");
    expect(probe(loop, server.address(), httpCheck(50ms)), Outcome::no_answer,
           "timeout after 50ms (no byte)");
    server.become(Manner::drop);
    expect(probe(loop, server.address(), httpCheck()), Outcome::no_answer,
           "connection closed without a byte");
    server.become(Manner::reset);
    expect(probe(loop, server.address(), httpCheck()), Outcome::no_answer, "connection reset");
}

TEST_CASE("wrong answers") {
    EventLoop loop;
    Server server(loop, Manner::silent);
    const auto said = [&](Manner manner, const std::string& text, Duration timeout = 5s) {
        server.become(manner, text);
        const auto result = probe(loop, server.address(), httpCheck(timeout));
        CHECK(name(result.outcome) == name(Outcome::bad_answer));
        return result.text;
    };
    CHECK(said(Manner::reply, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") ==
          "HTTP 503, expected 200-399");
    CHECK(said(Manner::reply_close, "HTTP/1.1 503 Busy\r\n\r\n") == "HTTP 503, expected 200-399");
    CHECK(said(Manner::reply, "SSH-2.0-OpenSSH_9.2\r\n").starts_with("not HTTP: "));
    CHECK(said(Manner::reply, "HTTP/1.1 200 OK\nX: y\n\n").starts_with("not HTTP: "));
    CHECK(said(Manner::reply, std::string(200, '\0')).starts_with("not HTTP: "));
    CHECK(said(Manner::reply_close, "HTTP/1.1 2") ==
          "connection closed within the answer's head (10 bytes)");
    CHECK(said(Manner::reply, "HTTP/1.1 200 OK\r\nX:", 50ms) ==
          "timeout after 50ms (answer incomplete)");
    CHECK(said(Manner::drip, "HTTP/1.1 200 OK\r\n" + std::string(5000, 'x'), 50ms) ==
          "timeout after 50ms (answer incomplete)");
    CHECK(said(Manner::reply, "HTTP/1.1 200 OK\r\nX: " + std::string(17'000, 'x'))
              .starts_with("not HTTP: "));
    std::string interim;
    for (int i = 0; i < 20; ++i) interim += "HTTP/1.1 103 Early\r\n\r\n";
    CHECK(said(Manner::reply, interim) == "more than 8 interim answers");
}

TEST_CASE("right answers, however they end") {
    EventLoop loop;
    Server server(loop, Manner::silent);
    const auto passes = [&](Manner manner, const std::string& text, const std::string& as) {
        server.become(manner, text);
        expect(probe(loop, server.address(), httpCheck()), Outcome::pass, as);
    };
    passes(Manner::reply, kOk, "HTTP 200");
    passes(Manner::drip, kOk, "HTTP 200");
    passes(Manner::reply, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204");
    passes(Manner::reply, "HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n",
           "HTTP 302");  // body without an end
    passes(Manner::reply, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
           "HTTP 200");  // body that never comes
    passes(Manner::reply, "HTTP/1.1 103 Early\r\n\r\n" + kOk, "HTTP 200");
    passes(Manner::reply,
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "HTTP 200");
}

TEST_CASE("a command says what it thinks") {
    EventLoop loop;
    const Refusing nobody;
    const auto run = [&](const std::string& script, Duration timeout = 5s) {
        return probe(loop, nobody.address(), commandCheck({"sh", "-c", script}, timeout));
    };
    expect(run("exit 0"), Outcome::pass, "exit 0");
    expect(run("exit 3"), Outcome::failed, "exit 3");
    expect(run("echo 'queue is stuck'; echo more; exit 1"), Outcome::failed,
           "exit 1: queue is stuck");
    expect(run("echo oops >&2; exit 1"), Outcome::failed, "exit 1: oops");
    expect(run("kill -9 $$"), Outcome::failed, "killed by SIGKILL");
    expect(run("sleep 60", 50ms), Outcome::failed, "timeout after 50ms");
    const auto port = std::to_string(nobody.address().port());
    CHECK(
        run("test \"$REGROW_PORT\" = " + port + " && test \"$REGROW_ADDRESS\" = 127.0.0.1:" + port)
            .outcome == Outcome::pass);
    const auto missing = probe(loop, nobody.address(), commandCheck({"/nonexistent/program"}));
    CHECK(name(missing.outcome) == name(Outcome::failed));
    CHECK(missing.text.find("/nonexistent/program") != std::string::npos);
}
