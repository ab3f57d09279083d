#include "proxy/admin/admin_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "tests/proxy/admin/live_server.h"

using namespace regrow;
using namespace regrow::admin;
using namespace regrow::admin::testing;
using namespace std::chrono_literals;

namespace {

// A directory for sockets and tokens, gone afterwards.
struct Scratch {
    std::string path;
    Scratch() {
        char name[] = "/tmp/regrow-admin-XXXXXX";
        REQUIRE(::mkdtemp(name));
        path = name;
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { std::filesystem::remove_all(path); }
    std::string token() const {
        std::ofstream(path + "/token") << "secret-secret-secret\n";
        ::chmod((path + "/token").c_str(), 0600);
        return path + "/token";
    }
};

const std::string kHost = "Host: 127.0.0.1\r\n";

std::string errorOf(const std::string& answer) {
    const auto document = json::parse(bodyOf(answer));
    return document ? json::getString(*document, "error").value_or("") : "";
}

control::Event happened(std::string text, std::string backend = "wiki-1") {
    control::Event e;
    e.time = Wall::now(), e.pool = "wiki", e.backend = std::move(backend), e.kind = "health",
    e.text = std::move(text);
    return e;
}

}  // namespace

TEST_CASE("admin: every path that is read answers, in its type") {
    LiveServer server;
    const std::pair<const char*, const char*> paths[] = {
        {"/", "text/html"},
        {"/stats", "application/json"},
        {"/metrics", "text/plain; version=0.0.4"},
        {"/healthz", "application/json"},
        {"/readyz", "application/json"},
        {"/api/recoveries", "application/json"},
        {"/api/snapshots", "application/json"},
        {"/api/events?pool=wiki&backend=wiki-1&since=2", "application/json"}};
    for (const auto& [path, type] : paths) {
        const auto answer = exchange(server.address(), std::string("GET ") + path, kHost);
        INFO(answer.substr(0, 400));
        CHECK(statusOf(answer) == 200);
        CHECK(answer.find(std::string("Content-Type: ") + type) != std::string::npos);
        CHECK(answer.find("X-Content-Type-Options: nosniff") != std::string::npos);
        const auto head = exchange(server.address(), std::string("HEAD ") + path, kHost);
        CHECK(statusOf(head) == 200);
        CHECK(bodyOf(head).empty());
    }
    const auto events =
        json::parse(bodyOf(exchange(server.address(), "GET /api/events?since=2", kHost)));
    CHECK((*events)["events"].Size() == 4);
    CHECK(statusOf(exchange(server.address(), "GET /api/events?since=x", kHost)) == 400);
    server.onLoop([](FakeControl& c) { c.is_ready = false; });
    CHECK(statusOf(exchange(server.address(), "GET /readyz", kHost)) == 503);
    CHECK(statusOf(exchange(server.address(), "GET /healthz", kHost)) == 200);
}

TEST_CASE("admin: the page runs only its own script and style, and fetches nothing") {
    LiveServer server;
    const auto page = exchange(server.address(), "GET /", kHost);
    const auto policy = page.substr(page.find("Content-Security-Policy: "), 400);
    CHECK(policy.find("default-src 'none'; script-src 'sha256-") != std::string::npos);
    CHECK(policy.find("unsafe") == std::string::npos);
    CHECK(page.find("@SCRIPT@") == std::string::npos);
    CHECK(page.find("@STYLE@") == std::string::npos);
    for (const char* never : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
                              "eval(", "src=\"http", "url(http", "@import"})
        CHECK(bodyOf(page).find(never) == std::string::npos);
}

TEST_CASE("admin: changing calls reach control, with who asked") {
    LiveServer server;
    for (const char* verb :
         {"drain", "undrain", "maintenance", "recover", "quarantine", "release", "backup"})
        CHECK(statusOf(exchange(server.address(),
                                std::string("POST /api/pools/wiki/backends/wiki-1/") + verb,
                                kHost)) == 200);
    CHECK(statusOf(exchange(server.address(),
                            "POST /api/pools/wiki/backends/wiki-1/recover?at=snap-1",
                            kHost + "X-Regrow-Actor: ann\r\n")) == 200);
    CHECK(statusOf(exchange(server.address(), "POST /api/pools/wiki/backends/wiki-1/recover", kHost,
                            R"({"snapshot":"snap-2"})")) == 200);
    for (const char* path : {"/api/recoveries/r-1/approve", "/api/recoveries/r-1/cancel",
                             "/api/pause", "/api/resume", "/api/reload"})
        CHECK(statusOf(exchange(server.address(), std::string("POST ") + path, kHost)) == 200);
    const auto asked = server.onLoop([](FakeControl& c) { return c.asked; });
    REQUIRE(asked.size() == 14);
    CHECK(asked[0] == "drain wiki wiki-1 '' admin");
    CHECK(asked[7] == "recover wiki wiki-1 'snap-1' admin:ann");
    CHECK(asked[8] == "recover wiki wiki-1 'snap-2' admin");
    CHECK(asked[9] == "approve r-1 admin");
    CHECK(asked[13] == "reload admin");
}

TEST_CASE("admin: refusals are JSON with the reason, in the status that fits") {
    LiveServer server;
    const auto get = [&](const std::string& line) {
        return exchange(server.address(), line, kHost);
    };
    CHECK(statusOf(get("GET /nowhere")) == 404);
    CHECK(errorOf(get("GET /nowhere")).find("/stats") != std::string::npos);
    CHECK(statusOf(get("POST /stats")) == 405);
    CHECK(statusOf(get("GET /api/pause")) == 405);
    CHECK(statusOf(get("DELETE /stats")) == 405);
    CHECK(statusOf(get("POST /api/pools/wiki/backends/wiki-1/explode")) == 404);
    CHECK(statusOf(get("GET /%zz")) == 400);
    server.onLoop([](FakeControl& c) {
        c.refuse_with = Error{Code::refused, Source::us, false, "no spare is free"};
    });
    const auto refused = get("POST /api/pools/wiki/backends/wiki-1/recover");
    CHECK(statusOf(refused) == 409);
    CHECK(errorOf(refused) == "no spare is free");
}

TEST_CASE("admin: with a token, reading is free on loopback and changing is not") {
    const Scratch scratch;
    LiveServer server("127.0.0.1:0", scratch.token());
    CHECK(statusOf(exchange(server.address(), "GET /stats", kHost)) == 200);
    const auto denied = exchange(server.address(), "POST /api/pause", kHost);
    CHECK(statusOf(denied) == 401);
    CHECK(denied.find("WWW-Authenticate: Bearer") != std::string::npos);
    CHECK(statusOf(exchange(server.address(), "POST /api/pause",
                            kHost + "Authorization: Bearer secret-secret-secret\r\n")) == 200);
    CHECK(statusOf(exchange(server.address(), "POST /api/pause",
                            kHost + "Origin: http://evil.example\r\n")) == 403);
    CHECK(statusOf(exchange(server.address(), "GET /stats", "Host: evil.example\r\n")) == 403);
    CHECK(server.onLoop([](FakeControl& c) { return c.asked.size(); }) == 1);
}

TEST_CASE("admin: beyond loopback nothing is shown without the token, and no start without one") {
    const Scratch scratch;
    LiveServer server("0.0.0.0:0", scratch.token());
    const auto here = Address::loopback(server.address().port());
    for (const char* path : {"/stats", "/metrics", "/events", "/healthz", "/readyz", "/api/events"})
        CHECK(statusOf(exchange(here, std::string("GET ") + path, kHost)) == 401);
    const auto page = exchange(here, "GET /", kHost);
    CHECK(statusOf(page) == 401);
    CHECK(page.find("token-dialog") !=
          std::string::npos);  // it asks for the token, and holds no data
    CHECK(statusOf(exchange(here, "GET /stats",
                            kHost + "Authorization: Bearer secret-secret-secret\r\n")) == 200);
    EventLoop loop;
    FakeControl control;
    CHECK_FALSE(AdminServer::start(loop, {.listen = *Address::parse("0.0.0.0:0"), .token_file = ""},
                                   control));
}

TEST_CASE("admin: events are streamed, and what was missed is replayed") {
    LiveServer server("127.0.0.1:0", "", {.events = {.heartbeat = 20ms}});
    RawClient fresh(server.address());
    fresh.send("GET /events HTTP/1.1\r\n" + kHost + "\r\n");
    REQUIRE(fresh.readUntil("retry: 2000"));
    RawClient back(server.address());
    back.send("GET /events HTTP/1.1\r\n" + kHost + "Last-Event-ID: 4\r\n\r\n");
    REQUIRE(back.readUntil("id: 6\n"));
    CHECK(back.received().find("id: 4\n") == std::string::npos);
    CHECK(back.received().find("Content-Type: text/event-stream") != std::string::npos);
    RawClient other(server.address());
    other.send("GET /events?pool=wiki&backend=wiki-9 HTTP/1.1\r\n" + kHost + "\r\n");
    REQUIRE(other.readUntil("retry: 2000"));
    server.onLoop([](FakeControl& c) {
        c.happen(happened("one \"quoted\"\nline"));
        c.happen(happened("for nine", "wiki-9"));
    });
    CHECK(fresh.readUntil("id: 7\ndata: {\"seq\":7,"));
    CHECK(fresh.readUntil(R"(one \"quoted\"\nline)"));
    CHECK(fresh.received().find("id: 6\n") == std::string::npos);
    CHECK(other.readUntil("id: 8\n"));
    CHECK(other.received().find("id: 7\n") == std::string::npos);
    CHECK(back.readUntil(": alive"));
}

TEST_CASE("admin: a client that knew an earlier life of the program gets everything") {
    LiveServer server;
    RawClient client(server.address());
    client.send("GET /events HTTP/1.1\r\n" + kHost + "Last-Event-ID: 900000\r\n\r\n");
    CHECK(client.readUntil("id: 1\n"));
    CHECK(client.readUntil("id: 6\n"));
}

TEST_CASE("admin: a stream whose client does not read is cut off, others go on") {
    LiveServer server("127.0.0.1:0", "", {.events = {.limit_bytes = 64 << 10}});
    RawClient deaf(server.address());
    deaf.send("GET /events HTTP/1.1\r\n" + kHost + "\r\n");
    REQUIRE(deaf.readUntil("retry"));
    const std::string big(32 << 10, 'x');
    for (int i = 0; i < 800; ++i) server.onLoop([&](FakeControl& c) { c.happen(happened(big)); });
    CHECK(deaf.readToEnd());
    CHECK(deaf.received().size() < 800 * big.size());
    CHECK(statusOf(exchange(server.address(), "GET /healthz", kHost)) == 200);
}

TEST_CASE("admin: streams that leave are forgotten, and only so many are open") {
    LiveServer server("127.0.0.1:0", "", {.events = {.heartbeat = 10ms, .streams = 2}});
    {
        RawClient a(server.address());
        RawClient b(server.address());
        for (RawClient* c : {&a, &b}) {
            c->send("GET /events HTTP/1.1\r\n" + kHost + "\r\n");
            REQUIRE(c->readUntil("retry"));
        }
        CHECK(statusOf(exchange(server.address(), "GET /events", kHost)) == 503);
    }
    const Instant deadline = Mono::now() + 10s;
    for (bool open = false; !open && Mono::now() < deadline;) {
        RawClient again(server.address());
        again.send("GET /events HTTP/1.1\r\n" + kHost + "\r\n");
        REQUIRE(again.readUntil("\r\n\r\n"));
        open = statusOf(again.received()) == 200;
    }
    CHECK(Mono::now() < deadline);
}

TEST_CASE("admin: garbage, giants and half requests end, and the endpoint goes on") {
    LiveServer server("127.0.0.1:0", "", {.ceiling = 300ms, .events = {}});
    const std::string garbage[] = {
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + "\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /stats HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        std::string(100'000, 'A') + "\r\n\r\n",
        "GET /stats HTTP/1.1\r\nX: " + std::string(40'000, 'h') + "\r\n\r\n",
        "POST /api/pause HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        "POST /api/pause HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /api/pause HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"};
    for (const auto& bytes : garbage) {
        RawClient client(server.address());
        client.send(bytes);
        INFO(bytes.substr(0, 60));
        CHECK(client.readToEnd());  // an error or the ceiling, but an end
    }
    CHECK(server.onLoop([](FakeControl& c) { return c.asked.empty(); }));
    CHECK(statusOf(exchange(server.address(), "GET /healthz", kHost)) == 200);
}

TEST_CASE("admin: a client that trickles meets the ceiling") {
    LiveServer server("127.0.0.1:0", "", {.idle = 60s, .ceiling = 300ms, .events = {}});
    RawClient slow(server.address());
    slow.send("GET /stats HTTP/1.1\r\nX-Slow: ");
    CHECK(slow.readToEnd());
}

TEST_CASE("admin: at its limit of connections newcomers wait, and are served when there is room") {
    LiveServer server("127.0.0.1:0", "", {.connections = 4, .ceiling = 400ms, .events = {}});
    std::vector<std::unique_ptr<RawClient>> idle;
    for (int i = 0; i < 12; ++i) idle.push_back(std::make_unique<RawClient>(server.address()));
    CHECK(statusOf(exchange(server.address(), "GET /healthz", kHost)) ==
          200);  // when ceilings made room
}

TEST_CASE("admin: keep-alive connections serve many requests") {
    LiveServer server;
    RawClient client(server.address());
    for (int i = 0; i < 50; ++i) {
        REQUIRE(
            client.send("GET /nowhere/" + std::to_string(i) + " HTTP/1.1\r\n" + kHost + "\r\n"));
        REQUIRE(client.readUntil("there is no /nowhere/" + std::to_string(i) + ";"));
    }
}

TEST_CASE(
    "admin: a unix socket is private, replaced when stale, refused when alive, removed at the "
    "end") {
    const Scratch scratch;
    const std::string path = scratch.path + "/admin.sock";
    {
        LiveServer server("unix:" + path);
        struct stat info{};
        REQUIRE(::stat(path.c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0600);
        CHECK(statusOf(exchange(server.address(), "GET /stats", "Host: localhost\r\n")) == 200);
        EventLoop loop;
        FakeControl control;
        const auto second =
            AdminServer::start(loop, {.listen = server.address(), .token_file = ""}, control);
        REQUIRE_FALSE(second);
        CHECK(second.error().message.find(path) != std::string::npos);
        CHECK(second.error().message.find("taken") != std::string::npos);
    }
    CHECK_FALSE(std::filesystem::exists(path));
    const auto address = *Address::parse("unix:" + path);
    {
        const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
        REQUIRE(::bind(dead.get(), address.sockaddrPtr(), address.length()) == 0);
    }
    LiveServer server("unix:" + path);
    CHECK(statusOf(exchange(server.address(), "GET /healthz", "Host: localhost\r\n")) == 200);
    std::ofstream(scratch.path + "/file") << "precious";
    EventLoop loop;
    FakeControl control;
    CHECK_FALSE(AdminServer::start(
        loop, {.listen = *Address::parse("unix:" + scratch.path + "/file"), .token_file = ""},
        control));
    CHECK(std::filesystem::file_size(scratch.path + "/file") == 8);
}

TEST_CASE("admin: a taken port is an error that names it and the remedy") {
    LiveServer first;
    EventLoop loop;
    FakeControl control;
    const auto second =
        AdminServer::start(loop, {.listen = first.address(), .token_file = ""}, control);
    REQUIRE_FALSE(second);
    CHECK(second.error().message.find(first.text()) != std::string::npos);
    CHECK(second.error().message.find("change admin.listen") != std::string::npos);
}

// Serves the page with example data until its input ends; tests/e2e/browser/screenshot.sh looks at
// it.
TEST_CASE("serve the page", "[.page]") {
    LiveServer server(std::getenv("REGROW_PAGE_LISTEN") ? std::getenv("REGROW_PAGE_LISTEN")
                                                        : "127.0.0.1:0");
    std::fprintf(stdout, "listening on %s\n", server.text().c_str());
    std::fflush(stdout);
    for (char c = 0; ::read(STDIN_FILENO, &c, 1) > 0;)
        server.onLoop([](FakeControl& f) { f.happen(happened("something happened")); });
}
