"""HTTP/2 to backends, as dialogues: what a client says is seen at the backend, what the backend does is seen at the client."""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import harness
import http2_dialogue as h2
import http2_origin
from harness import free_port, wait_for


class Backend(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = Path(tempfile.mkdtemp(prefix="regrow-h2b-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def origin(self, **options):
        origin = http2_origin.Origin(**options)
        self.addCleanup(lambda: self.assertEqual(origin.failures, []))
        self.addCleanup(origin.close)
        return origin

    def start(self, *addresses, **pool):
        self.port, self.admin = free_port(), free_port()
        base = {"data": "none", "http": 2, "balance": "round_robin", "check": {"command": ["/bin/true"], "every": "1h", "timeout": "10s"},
                "observe": "off", "slow_start": "off", "hold": "off", "timeouts": {"first_byte": "10s", "idle": "30s"},
                "backends": [{"name": f"b{i}", "address": a} for i, a in enumerate(addresses)]}
        self.config = config = {"workers": 1, "state_dir": str(self.dir / f"state-{self.port}"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
                  "listeners": [{"listen": f"127.0.0.1:{self.port}", "h2c": True, "routes": [{"pool": "app"}]}], "pools": {"app": {**base, **pool}}}
        (self.dir / "regrow.json").write_text(json.dumps(config))
        with open(self.dir / "log", "wb") as log:
            self.proxy = subprocess.Popen([harness.REGROW, "run", "-c", str(self.dir / "regrow.json")], stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log)
        self.addCleanup(self.proxy.wait)
        self.addCleanup(self.proxy.terminate)

        def serving():
            if self.proxy.poll() is not None:
                raise AssertionError(harness.read_text(self.dir / "log"))
            return harness.request(self.admin, "GET", "/readyz").status == 200
        wait_for(serving, "the proxy to serve")

    def reload(self, **pool):
        self.config["pools"]["app"].update(pool)
        (self.dir / "regrow.json").write_text(json.dumps(self.config))
        generation = harness.request(self.admin, "GET", "/stats").json()["generation"]
        self.proxy.send_signal(signal.SIGHUP)
        wait_for(lambda: harness.request(self.admin, "GET", "/stats").json()["generation"] > generation, "the new configuration")

    def ask(self, path, method="GET", body=None, headers=None, **options):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=h2.DEADLINE)
        try:
            connection.request(method, path, body, headers or {}, **options)
            answer = connection.getresponse()
            return harness.Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def client(self, **options):
        client = h2.Client(self.port, **options)
        self.addCleanup(client.close)
        return client

    def raw(self, request):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=h2.DEADLINE)
        self.addCleanup(sock.close)
        sock.sendall(request)
        return sock

    def stats(self):
        return harness.request(self.admin, "GET", "/stats").json()["pools"]["app"]


def read_until(sock, wanted):
    got = b""
    while wanted not in got:
        piece = sock.recv(65536)
        if not piece:
            raise AssertionError(f"ended before {wanted!r}: {got!r}")
        got += piece
    return got


class Messages(Backend):
    def test_what_a_request_becomes(self):
        origin = self.origin()
        self.start(origin.address)
        told = self.ask("/a%20b?q=1", headers={"Host": "app.test:81", "Connection": "close, x-hop", "X-Hop": "1", "Keep-Alive": "timeout=1",
                                               "Cookie": "a=b", "X-Own": "v"}).json()["fields"]
        self.assertEqual([told[k] for k in (":method", ":scheme", ":authority", ":path")], [["GET"], ["http"], ["app.test:81"], ["/a%20b?q=1"]])
        self.assertEqual([told["x-own"], told["cookie"], told["x-forwarded-for"], told["via"]], [["v"], ["a=b"], ["127.0.0.1"], ["1.1 regrow"]])
        for name in ("host", "connection", "keep-alive", "x-hop", "transfer-encoding", "te", "upgrade"):
            self.assertNotIn(name, told)

    def test_a_head_that_comes_in_pieces_after_another(self):
        heard = threading.Event()

        def answer(r):
            c = r.connection
            with c.writing:
                early = http2_origin.frames.HeadersFrame(r.number, data=c.encoder.encode([(":status", "103"), ("link", "</a>")]),
                                                         flags=["END_HEADERS"])
                block = c.encoder.encode([(":status", "200"), ("x-late", "here"), ("content-length", "2")])
                c.send(early, http2_origin.frames.HeadersFrame(r.number, data=block[:3]))
                assert heard.wait(h2.DEADLINE)
                c.send(http2_origin.frames.ContinuationFrame(r.number, data=block[3:], flags=["END_HEADERS"]))
            r.data(b"ok", end=True)
        origin = self.origin()
        origin.on("/pieces", answer)
        self.start(origin.address)
        sock = self.raw(b"GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 103 "))
        heard.set()
        got = read_until(sock, b"ok")
        self.assertTrue(got.startswith(b"HTTP/1.1 200 "), got)
        self.assertIn(b"x-late: here\r\n", got)

    def test_bodies_and_trailers_both_ways(self):
        origin = self.origin()
        self.start(origin.address)
        self.assertEqual(self.ask("/length", "POST", b"x" * 100).json()["body"], "x" * 100)
        self.assertEqual(self.ask("/chunks", "POST", iter([b"ab", b"cd"]), encode_chunked=True).json()["body"], "abcd")
        self.assertEqual(self.ask("/none", "POST", b"").json()["fields"]["content-length"], ["0"])
        client = self.client()
        told = json.loads(client.ask("POST", "/trailers", body=b"abc", trailers=[("x-sum", "1")]).body)
        self.assertEqual((told["body"], told["trailers"]), ("abc", {"x-sum": ["1"]}))
        origin.on("/status", lambda r: r.whole().answer(b"body", trailers=[("grpc-status", "0"), ("x-more", "m")]))
        got = client.ask("GET", "/status", [("te", "trailers")])
        self.assertEqual((got.status, got.body, got.trailers), (200, b"body", {"grpc-status": "0", "x-more": "m"}))
        sock = self.raw(b"GET /status HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
        got = read_until(sock, b"x-more: m\r\n\r\n")
        self.assertIn(b"\r\n\r\n4\r\nbody\r\n0\r\ngrpc-status: 0\r\n", got)

    def test_an_answer_without_a_body_and_a_head(self):
        origin = self.origin()
        self.start(origin.address)
        origin.on("/204", lambda r: r.head(204, end=True))
        origin.on("/304", lambda r: r.head(304, [("content-length", "10"), ("etag", '"1"')], end=True))
        origin.on("/late-end", lambda r: (r.head(204), r.data(end=True)))
        origin.on("/head", lambda r: r.head(200, [("content-length", "1000")], end=True))
        origin.on("/empty", lambda r: r.head(200, end=True))
        for path, status in (("/204", 204), ("/304", 304), ("/late-end", 204), ("/empty", 200)):
            got = self.ask(path)
            self.assertEqual((got.status, got.body), (status, b""), path)
        got = self.ask("/head", "HEAD")
        self.assertEqual((got.status, got.headers["content-length"]), (200, "1000"))
        self.assertEqual(len(origin.connections), 1)

    def test_large_bodies(self):
        origin, data = self.origin(), os.urandom(3 << 20)
        self.start(origin.address)
        origin.on("/down", lambda r: r.whole().answer(data))
        origin.on("/up", lambda r: r.answer(hashlib.sha256(r.whole().body).hexdigest().encode()))
        self.assertTrue(self.ask("/down").body == data)
        self.assertTrue(self.client().ask("GET", "/down").body == data)
        self.assertEqual(self.ask("/up", "POST", data).text, hashlib.sha256(data).hexdigest())

    def test_interim_answers(self):
        origin = self.origin()
        self.start(origin.address)

        def early(request):
            with request.connection.writing:  # all in one packet, as far as it goes
                request.head(103, [("link", "</a>; rel=preload")])
                request.head(103, [("link", "</b>; rel=preload")])
                request.answer(b"done")
        origin.on("/early", early)
        got = self.client().ask("GET", "/early")
        self.assertEqual((got.interims, got.status, got.body), ([103, 103], 200, b"done"))

        def expects(request):
            assert request["expect"] == "100-continue" and not request.body
            request.head(100)
            request.answer(request.whole().body)
        origin.on("/expect", expects)
        sock = self.raw(b"POST /expect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        read_until(sock, b"HTTP/1.1 100 Continue\r\n")
        sock.sendall(b"abc")
        self.assertTrue(read_until(sock, b"abc").startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_tls_and_alpn(self):
        key, pem = self.dir / "key.pem", self.dir / "pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=app.test", "-days",
                        "2", "-addext", "subjectAltName=DNS:app.test", "-keyout", key, "-out", pem], check=True, capture_output=True)
        speaks, does_not = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for context in (speaks, does_not):
            context.load_cert_chain(pem, key)
        speaks.set_alpn_protocols(["h2"])
        origin, other = self.origin(tls=speaks), self.origin(tls=does_not)
        self.start(origin.address, tls={"ca": str(pem), "name": "app.test"})
        self.assertEqual(self.ask("/x").json()["fields"][":scheme"], ["https"])
        self.assertEqual(origin.connections[0].socket.selected_alpn_protocol(), "h2")
        self.start(other.address, tls={"ca": str(pem), "name": "app.test"}, observe={"errors_in_a_row": 1})
        self.assertEqual(self.ask("/x").status, 502)
        wait_for(lambda: "did not choose h2" in harness.read_text(self.dir / "log"), "the reason")


class Sharing(Backend):
    def test_many_at_once_share_a_connection(self):
        origin, gate = self.origin(), threading.Event()
        self.start(origin.address)
        origin.on("/", lambda r: gate.wait(h2.DEADLINE) and r.answer(r.path.encode()))
        with ThreadPoolExecutor(20) as pool:
            asked = [pool.submit(self.ask, f"/{i}") for i in range(20)]
            for i in range(20):
                origin.asked(f"/{i}")
            gate.set()
            self.assertEqual([a.result().text for a in asked], [f"/{i}" for i in range(20)])
        self.assertEqual(len(origin.connections), 1)
        self.assertEqual(self.stats()["backends"][0]["in_flight"], 0)

    def test_no_more_than_the_server_grants(self):
        origin, gate = self.origin(settings={http2_origin.MAX_STREAMS: 2}), threading.Event()
        self.start(origin.address)
        self.ask("/first")  # its settings are known then
        origin.on("/wait", lambda r: gate.wait(h2.DEADLINE) and r.answer(b"ok"))
        with ThreadPoolExecutor(6) as pool:
            asked = []
            for i in range(6):
                asked.append(pool.submit(self.ask, f"/wait{i}"))
                origin.asked(f"/wait{i}")
            self.assertEqual(sorted(sum(1 for r in c.requests.values() if r.path != "/first") for c in origin.connections), [2, 2, 2])
            gate.set()
            self.assertEqual([a.result().text for a in asked], ["ok"] * 6)

    def test_who_does_not_read_holds_nobody_up(self):
        origin = self.origin()
        self.start(origin.address)
        origin.on("/big", lambda r: r.answer(bytes(2 << 20)))
        for _ in range(3):
            self.raw(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        origin.asked("/big", 3)
        self.assertEqual(len(self.ask("/big").body), 2 << 20)
        self.assertEqual(len(origin.connections), 1)

    def test_who_leaves_is_cancelled_and_the_rest_goes_on(self):
        origin, gate = self.origin(), threading.Event()
        self.start(origin.address)
        origin.on("/wait", lambda r: gate.wait(h2.DEADLINE) and r.answer(b"ok"))
        with ThreadPoolExecutor(1) as pool:
            stays = pool.submit(self.ask, "/wait/stays")
            first = origin.asked("/wait/stays")
            client = self.client()
            number = client.open("GET", "/wait/leaves")
            leaves = origin.asked("/wait/leaves")
            client.reset(number)
            leaves.until(lambda: leaves.reset is not None, "the cancellation")
            self.assertEqual((leaves.reset, first.reset, leaves.connection), (h2.CANCEL, None, first.connection))
            gate.set()
            self.assertEqual(stays.result().text, "ok")

    def test_an_idle_connection_is_closed(self):
        origin = self.origin()
        self.start(origin.address, timeouts={"idle": "200ms"})
        self.ask("/x")
        wait_for(lambda: origin.connections[0].over, "the connection's end")
        self.assertEqual(self.ask("/y").status, 200)


class Trouble(Backend):
    def test_goaway_ends_nothing_that_is_under_way(self):
        origin, gate = self.origin(), threading.Event()
        self.start(origin.address)
        origin.on("/wait", lambda r: gate.wait(h2.DEADLINE) and r.answer(b"ok"))
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self.ask, "/wait")
            request = origin.asked("/wait")
            request.connection.goaway(request.number)
            wait_for(lambda: self.ask("/next").status == 200 and len(origin.connections) == 2, "a new connection")
            gate.set()
            self.assertEqual(asked.result().text, "ok")
        wait_for(lambda: origin.connections[0].over, "the old connection's end")

    def test_what_a_goaway_leaves_out_is_sent_again_whatever_it_is(self):
        origin = self.origin()
        self.start(origin.address)
        self.ask("/first")

        def leave(request):
            if len(origin.connections) == 1:
                request.connection.goaway(1)
            else:
                request.answer(request.whole().body)
        origin.on("/post", leave)
        self.assertEqual(self.ask("/post", "POST", b"once").text, "once")
        self.assertEqual(self.stats()["backends"][0]["failures"]["reset"], 0)

    def test_a_refused_stream_is_sent_elsewhere_whatever_it_is(self):
        refuses, takes = self.origin(), self.origin()
        self.start(refuses.address, takes.address)
        refuses.on("/", lambda r: r.refuse(h2.REFUSED_STREAM))
        self.assertEqual([self.ask(f"/{i}", "POST", b"x").status for i in range(20)], [200] * 20)
        self.assertEqual(len(takes.requests), 20)

    def test_streams_that_all_refuse_make_no_storm(self):
        for count, hold in ((1, "off"), (1, {"wait": "2s"}), (3, "off"), (3, {"wait": "2s"})):
            with self.subTest(servers=count, hold=hold):
                origins = [self.origin() for _ in range(count)]
                for origin in origins:
                    origin.on("/", lambda r: r.refuse(h2.REFUSED_STREAM))
                self.start(*(o.address for o in origins), hold=hold)
                self.assertEqual({self.ask("/", "POST", b"x").status for _ in range(100)}, {502})
                self.assertLess(sum(len(o.requests) for o in origins), 1.2 * 100 + 5)

    def test_a_reset_is_not_sent_again_when_it_may_have_been_done(self):
        resets, takes = self.origin(), self.origin()
        self.start(resets.address, takes.address)
        resets.on("/", lambda r: r.refuse(h2.INTERNAL_ERROR))
        self.assertEqual(sorted(self.ask(f"/{i}", "POST", b"x").status for i in range(4)), [200, 200, 502, 502])
        self.assertEqual([self.ask(f"/get{i}").status for i in range(4)], [200] * 4)

    def test_silence_costs_one_request_and_not_the_next(self):
        origin, first = self.origin(), []
        self.start(origin.address, timeouts={"first_byte": "300ms"}, retry={"attempts": 1})
        origin.on("/silent", first.append)
        self.assertEqual(self.ask("/silent").status, 504)
        first[0].until(lambda: first[0].reset is not None, "the cancellation")
        self.assertEqual(self.ask("/next").status, 200)
        self.assertEqual(len(origin.connections), 2)

    def test_a_connection_that_ends_in_a_body_is_seen_to(self):
        origin = self.origin()
        self.start(origin.address)
        origin.on("/cut", lambda r: (r.head(200, [("content-length", "100")]), r.data(b"part"), r.connection.close()))
        origin.on("/open", lambda r: (r.head(200), r.data(b"part"), r.refuse(h2.INTERNAL_ERROR)))
        for path in ("/cut", "/open"):
            sock = self.raw(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            got = b""
            while piece := sock.recv(65536):
                got += piece
            self.assertIn(b"part", got)
            self.assertFalse(got.endswith(b"0\r\n\r\n"), got)
        stream = self.client().ask("GET", "/open")
        self.assertEqual((stream.ended, stream.reset is not None), (False, True))

    def test_a_wrong_length_is_never_passed_off_as_whole(self):
        origin = self.origin()
        self.start(origin.address)
        origin.on("/short", lambda r: (r.head(200, [("content-length", "10")]), r.data(b"abc", end=True)))
        origin.on("/long", lambda r: (r.head(200, [("content-length", "2")]), r.data(b"abcdef", end=True)))
        for path in ("/short", "/long"):
            stream = self.client().ask("GET", path)
            self.assertFalse(stream.ended and stream.status == 200, (path, stream))

    def test_bad_heads_are_answered_for(self):
        origin = self.origin()
        self.start(origin.address)
        bad = {"/connection": [("connection", "close")], "/upper": [("X-Upper", "1")], "/te": [("transfer-encoding", "chunked")],
               "/twice": [("content-length", "1"), ("content-length", "2")]}
        for path, fields in bad.items():
            origin.on(path, lambda r, fields=fields: r.head(200, fields, end=True))
        origin.on("/101", lambda r: r.head(101, end=True))
        origin.on("/none", lambda r: r.connection.headers(r.number, [("x", "y")], True))
        for path in [*bad, "/101", "/none"]:
            self.assertEqual(self.ask(path).status, 502, path)
        self.assertEqual(self.ask("/good").status, 200)

    def test_who_does_not_speak_http2(self):
        plain = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(plain.close)

        def answer():
            while True:
                sock, _ = plain.accept()
                with sock:
                    read_until(sock, b"\r\n\r\n")
                    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        threading.Thread(target=answer, daemon=True).start()
        self.start(f"127.0.0.1:{plain.getsockname()[1]}", observe={"errors_in_a_row": 1})
        self.assertEqual(self.ask("/x").status, 502)
        wait_for(lambda: re.search("does not speak HTTP/2|before a word of HTTP/2", harness.read_text(self.dir / "log")), "the reason")

    def test_an_answer_before_the_end_of_the_request(self):
        origin = self.origin()
        self.start(origin.address)
        origin.on("/early", lambda r: r.answer(b"too much", 413))
        sock = self.raw(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
        self.assertTrue(read_until(sock, b"too much").startswith(b"HTTP/1.1 413"))
        request = origin.asked("/early")
        request.until(lambda: request.reset is not None, "the reset")
        self.assertEqual(self.ask("/next").status, 200)
        self.assertEqual(len(origin.connections), 1)


class Both(http2_origin.Origin):
    """Speaks what it is spoken to in. HTTP/1 is answered with its name, below /gated when the gate opens."""

    def __init__(self, **options):
        super().__init__(**options)
        self.gate, self.gated = threading.Event(), threading.Event()

    def greeted(self, connection):
        while len(connection.buffer) < 3:
            connection.more()
        if connection.buffer.startswith(b"PRI"):
            return connection.serve()
        while True:
            while b"\r\n\r\n" not in connection.buffer:
                connection.more()
            head, connection.buffer = connection.buffer.split(b"\r\n\r\n", 1)
            if b" /gated" in head:
                self.gated.set()
                self.gate.wait(h2.DEADLINE)
            connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nHTTP/1")


class Changes(Backend):
    def both(self, **options):
        origin = Both(**options)
        self.addCleanup(lambda: self.assertEqual(origin.failures, []))
        self.addCleanup(origin.close)
        origin.on("/", lambda r: r.answer(b"HTTP/2"))
        origin.on("/gated", lambda r: origin.gate.wait(h2.DEADLINE) and r.answer(b"HTTP/2"))
        return origin

    def changed(self, origin, pool):
        """From HTTP/1 to 2 and back, with a request under way each time."""
        self.start(origin.address, **{**pool, "http": 1})
        with ThreadPoolExecutor(2) as at_once:
            old = at_once.submit(self.ask, "/gated/1")
            self.assertTrue(origin.gated.wait(h2.DEADLINE))
            self.reload(http=2)
            self.assertEqual(self.ask("/now").text, "HTTP/2")
            under_way = at_once.submit(self.ask, "/gated/2")
            origin.asked("/gated/2")
            self.reload(http=1)
            self.assertEqual(self.ask("/now").text, "HTTP/1")
            origin.gate.set()
            self.assertEqual([old.result().text, under_way.result().text], ["HTTP/1", "HTTP/2"])
        self.assertEqual(self.stats()["errors"], 0)

    def test_the_version_changes_under_way(self):
        self.changed(self.both(), {})

    def test_the_version_changes_under_way_over_tls(self):
        key, pem = self.dir / "key.pem", self.dir / "pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=app.test", "-days",
                        "2", "-addext", "subjectAltName=DNS:app.test", "-keyout", key, "-out", pem], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.changed(self.both(tls=context), {"tls": {"ca": str(pem), "name": "app.test"}})

    def test_the_address_changes_under_way(self):
        """What the old server has begun with it ends; nothing more goes there."""
        old, new, gate = self.origin(), self.origin(), threading.Event()
        self.start(old.address)
        old.on("/", lambda r: gate.wait(h2.DEADLINE) and r.answer(b"old"))
        with ThreadPoolExecutor(2) as at_once:
            get, post = at_once.submit(self.ask, "/get"), at_once.submit(self.ask, "/post", "POST", b"x")
            old.asked("/get"), old.asked("/post").whole()
            self.reload(backends=[{"name": "b0", "address": new.address}])
            self.assertEqual(self.ask("/next").status, 200)
            gate.set()
            self.assertEqual([get.result().text, post.result().text], ["old", "old"])
        wait_for(lambda: all(c.over for c in old.connections), "the old connection's end")
        self.assertEqual(([r.path for r in new.requests], len(old.requests)), (["/next"], 2))
        self.assertEqual(self.stats()["errors"], 0)

    def test_a_second_server_is_asked_when_the_first_takes_too_long(self):
        one, two = self.origin(), self.origin()
        self.start(one.address, two.address, retry={"attempts": 2, "budget": "100%", "hedge": True})
        for i in range(80):  # what is usual
            self.ask(f"/{i}")
        one.on("/slow", lambda r: None)
        for i in range(6):
            self.assertEqual(self.ask(f"/slow/{i}").status, 200)
        stuck = [r for r in one.requests if r.path.startswith("/slow")]
        self.assertEqual(self.stats()["hedges_won"], len(stuck))
        self.assertGreater(len(stuck), 0)
        wait_for(lambda: all(r.reset is not None for r in stuck[1:]), "those that lost to be cancelled")


class Checks(Backend):
    CHECK = {"http": "/healthz", "every": "300ms", "timeout": "300ms", "rise": 1, "fall": 1}

    def until(self, state, text=""):
        wait_for(lambda: self.stats()["backends"][0]["state"] == state and text in harness.read_text(self.dir / "log"), f"{state}: {text}")

    def test_they_speak_it_too(self):
        origin, status = self.origin(), [200]
        origin.on("/healthz", lambda r: r.answer(b"body", status[0]))
        self.start(origin.address, check=self.CHECK)
        asked = origin.asked("/healthz")
        self.assertEqual((asked[":method"], asked[":authority"], asked["user-agent"]), ("GET", origin.address, "regrow-check"))
        status[0] = 500
        self.until("down", "HTTP 500, expected 200-399")
        status[0] = 201
        self.until("up", "HTTP 201")
        origin.on("/healthz", lambda r: r.refuse(h2.INTERNAL_ERROR))
        self.until("down", "reset the stream")

    def test_over_tls_and_what_does_not_speak_it(self):
        key, pem = self.dir / "key.pem", self.dir / "pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=app.test", "-days",
                        "2", "-addext", "subjectAltName=DNS:app.test", "-keyout", key, "-out", pem], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        context.set_alpn_protocols(["h2"])
        tls = self.origin(tls=context)
        self.start(tls.address, check=self.CHECK, tls={"ca": str(pem), "name": "app.test"})
        wait_for(lambda: tls.requests and self.stats()["backends"][0]["state"] == "up", "a check over TLS")
        tls.on("/healthz", lambda r: r.answer(status=500))
        self.until("down", "HTTP 500")
        plain = h2.Origin()
        self.addCleanup(plain.close)
        self.start(f"127.0.0.1:{plain.port}", check=self.CHECK)
        self.until("down")


class WebSockets(Backend):
    KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # the example of RFC 6455 1.3
    OPEN = (f"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\n\r\n").encode()

    def echo(self, request):
        assert request[":method"] == "CONNECT" and request[":protocol"] == "websocket" and request["sec-websocket-key"] is None
        request.head(200)
        told = 0
        while True:
            request.until(lambda: len(request.body) > told or request.ended, "more")
            ended, piece = request.ended, request.body[told:]
            request.data(piece, end=ended)
            told += len(piece)
            if ended:
                return

    def test_from_http1(self):
        origin = self.origin(settings={http2_origin.CONNECT_PROTOCOL: 1})
        self.start(origin.address)
        origin.on("/ws", self.echo)
        sock = self.raw(self.OPEN)
        head = read_until(sock, b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head)
        self.assertIn(b"Sec-WebSocket-Accept: " + self.ACCEPT, head)
        for piece in (b"\x81\x05hello", os.urandom(200_000)):
            sock.sendall(piece)
            got = b""
            while len(got) < len(piece):
                got += sock.recv(65536)
            self.assertTrue(got == piece)
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(sock.recv(1), b"")

    def test_from_http2(self):
        origin = self.origin(settings={http2_origin.CONNECT_PROTOCOL: 1})
        self.start(origin.address)
        origin.on("/ws", self.echo)
        client = self.client()
        number = client.open("CONNECT", "/ws", [("sec-websocket-version", "13")], end=False, protocol="websocket")
        self.assertEqual(client.head_of(number).status, 200)
        client.data(number, b"ping", end=True)
        self.assertEqual(client.answer(number).body, b"ping")

    def test_refused_by_the_application_and_not_known_to_the_server(self):
        knows, does_not = self.origin(settings={http2_origin.CONNECT_PROTOCOL: 1}), self.origin()
        knows.on("/ws", lambda r: r.answer(b"no", 403))
        self.start(knows.address)
        self.assertTrue(read_until(self.raw(self.OPEN), b"no").startswith(b"HTTP/1.1 403"))
        self.start(does_not.address)
        self.assertTrue(read_until(self.raw(self.OPEN), b"\r\n\r\n").startswith(b"HTTP/1.1 501"))
        self.assertEqual(does_not.requests, [])
        self.assertEqual(self.ask("/next").status, 200)


if __name__ == "__main__":
    unittest.main()
