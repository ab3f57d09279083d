"""HTTP/2 from clients, as dialogues: what the client's frames say, what the origin gets of it in HTTP/1.1, and back."""
import asyncio
import base64
import contextlib
import hashlib
import json
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import harness
import http2_dialogue as h2
from harness import free_port, wait_for
from http2_dialogue import Client, Gone, Origin, frame_bytes

MIB = bytes(range(256)) * 4096
GRPC = "application/grpc"


class Proxy:
    """Listeners: `port` speaks HTTP/2 too, `quick` does with short deadlines, `plain` does not. Host a.test leads to the
    origin, /refused and /held to nobody."""

    def __init__(self, origin, hold="off"):
        self.dir = Path(tempfile.mkdtemp(prefix="regrow-http2-"))
        self.port, self.quick, self.plain, self.admin = (free_port() for _ in range(4))
        self.dead = free_port()
        routes = [{"path": "/refused", "pool": "refused"}, {"path": "/held", "pool": "held"}, {"host": "a.test", "pool": "app"},
                  {"host": "127.0.0.1", "pool": "app"}]
        quick = {"header": "400ms", "idle": "500ms", "body": "700ms"}
        check = {"tcp": True, "every": "500ms", "timeout": "500ms", "rise": 1, "fall": 2}

        def pool(port, hold="off"):
            return {"data": "none", "check": check, "observe": "off", "hold": hold, "slow_start": "off",
                    "backends": [{"name": "one", "address": f"127.0.0.1:{port}"}]}
        self.config = {
            "workers": 1, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "listeners": [{"listen": f"127.0.0.1:{self.port}", "h2c": True, "routes": routes},
                          {"listen": f"127.0.0.1:{self.quick}", "h2c": True, "routes": routes, "timeouts": quick},
                          {"listen": f"127.0.0.1:{self.plain}", "routes": routes}],
            "pools": {"app": pool(origin.port, hold), "refused": pool(self.dead),
                      "held": pool(self.dead, {"wait": "300ms", "requests": 100})}}
        self.file = self.dir / "regrow.json"
        self.write()
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen([harness.REGROW, "run", "-c", str(self.file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(self.up, "the proxy to serve")
        except AssertionError as error:
            error.add_note(self.log())
            self.end()
            raise

    def write(self):
        self.file.write_text(json.dumps(self.config))

    def up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the proxy ended with {self.process.returncode}")
        return self.state() == "up"

    def pool(self, name="app"):
        return harness.request(self.admin, "GET", "/stats").json()["pools"][name]

    def state(self):
        return self.pool()["backends"][0]["state"]

    def log(self):
        return harness.read_text(self.dir / "log", 60)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(harness.PATIENCE)
        shutil.rmtree(self.dir, ignore_errors=True)


class Case(harness.TestCase):
    """One proxy and one origin for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.close)
        cls.proxy = Proxy(cls.origin)
        cls.addClassCleanup(cls.proxy.end)

    def setUp(self):
        super().setUp()
        self.path = "/" + self._testMethodName

    def tearDown(self):
        faults, self.origin.faults = self.origin.faults, []
        self.assertEqual(faults, [])
        self.assertIsNone(self.proxy.process.poll(), "the proxy ended: " + self.proxy.log())

    def client(self, port=None, **more):
        client = Client(port or self.proxy.port, **more)
        self.addCleanup(client.close)
        return client

    def on(self, do, path=None):
        self.origin.on(path or self.path, do)

    def still_good(self, client):
        """The connection serves on."""
        self.assertEqual(client.ask("POST", "/still-good", body=b"yes").body, b"yes")

    def ends_with(self, client, code):
        self.assertEqual(client.error(), code)


class Exchanges(Case):
    def test_get_head_and_post(self):
        self.on(lambda c, r: c.answer(b"hello", fields="X-Answer: 1\r\nConnection: X-Private\r\nX-Private: 2\r\nKeep-Alive: timeout=5\r\n") or True)
        c = self.client()
        got = c.ask("GET", self.path, [("x-one", "1"), ("cookie", "a=1"), ("cookie", "b=2"), ("x-empty", "")])
        self.assertEqual((got.status, got.body, got.final["x-answer"], got.final["content-length"]), (200, b"hello", "1", "5"))
        for name in ("connection", "x-private", "keep-alive", "transfer-encoding"):
            self.assertNotIn(name, got.final)
        self.assertEqual(got.final["via"], "1.1 regrow")
        asked = self.origin.wait(self.path)
        self.assertEqual((asked.method, asked.target, asked.version), ("GET", self.path, "HTTP/1.1"))
        self.assertEqual((asked.get("host"), asked.get("x-one"), asked.get("cookie"), asked.get("via"), asked.get("x-empty")),
                         ("a.test", "1", "a=1; b=2", "2.0 regrow", ""))
        self.assertEqual((asked.get("x-forwarded-for"), asked.get("x-forwarded-proto"), asked.get("x-forwarded-host")),
                         ("127.0.0.1", "http", "a.test"))
        for name in ("content-length", "transfer-encoding", "connection"):
            self.assertIsNone(asked.get(name), name)
        self.assertNotIn(":", "".join(name for name, _ in asked.fields))

    def test_head_has_the_length_and_no_body(self):
        self.on(lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n") or True)
        c = self.client()
        got = c.ask("HEAD", self.path)
        self.assertEqual((got.status, got.final["content-length"], got.body), (200, "1234", b""))
        self.still_good(c)

    def test_bodies_with_a_length_without_and_empty(self):
        c = self.client()
        for path, fields, body, length, chunked in (("/length", [("content-length", "5")], b"12345", "5", None),
                                                   ("/chunked", [], b"12345", None, "chunked"),
                                                   ("/zero", [("content-length", "0")], b"", "0", None),
                                                   ("/empty", [], b"", None, "chunked")):
            with self.subTest(path):
                got = c.ask("POST", path, fields, body=body)
                self.assertEqual((got.status, got.body), (200, body))
                asked = self.origin.wait(path)
                self.assertEqual((asked.get("content-length"), asked.get("transfer-encoding"), asked.body), (length, chunked, body))
        got = c.ask("POST", "/nothing")  # ends with its head
        self.assertEqual(got.status, 200)
        self.assertIsNone(self.origin.wait("/nothing").get("transfer-encoding"))

    def test_bodiless_answers(self):
        c = self.client()
        for status, fields in (("204 No Content", ""), ("304 Not Modified", "ETag: \"x\"\r\nContent-Length: 7\r\n")):
            self.on(lambda conn, r: conn.send(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode()) or True)
            got = c.ask("GET", self.path)
            self.assertEqual((got.status, got.body), (int(status[:3]), b""))
        self.on(lambda conn, r: conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil close"))
        got = c.ask("GET", self.path)
        self.assertEqual((got.body, got.ended), (b"until close", True))
        self.on(lambda conn, r: conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") or True)
        self.assertTrue(c.ask("GET", self.path).ended)

    def test_a_megabyte_both_ways(self):
        got = self.client().ask("POST", self.path, [("content-length", str(len(MIB)))], body=MIB)
        self.assertTrue(got.body == MIB)
        got = self.client(settings={4: 777}).ask("POST", self.path, body=MIB)  # a small window, no length
        self.assertTrue(got.body == MIB)
        self.assertTrue(self.origin.wait(self.path).body == MIB)

    def test_a_window_opened_later(self):
        self.on(lambda c, r: c.answer(b"x" * 100) or True)
        c = self.client(settings={4: 0}, generous=False)
        number = c.open(path=self.path)
        s = c.head_of(number)
        c.sync()
        self.assertEqual(s.body, b"")
        c.window(number, 60)
        c.until(lambda: len(s.body) == 60)
        c.send(h2.frames.SettingsFrame(0, settings={4: 40}))  # opens every stream's window
        self.assertEqual(c.answer(number).body, b"x" * 100)

    def test_a_client_that_never_reads_is_bounded_and_ended(self):
        sent, over = [0], threading.Event()

        def endless(c, r):
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    sent[0] += c.socket.send(MIB)
            except OSError:
                over.set()
        self.on(endless)
        c = self.client(self.proxy.quick, generous=False)
        number = c.open(path=self.path)
        got = c.answer(number)
        self.assertIn(got.reset, (h2.CANCEL, h2.INTERNAL_ERROR))
        self.assertEqual(len(got.body), h2.WINDOW)
        self.assertTrue(over.wait(h2.DEADLINE), "the origin's connection goes on")
        self.assertLess(sent[0], 16 << 20)  # what the sockets on the way hold

    def test_many_streams_answered_out_of_order(self):
        gates = [threading.Event() for _ in range(100)]

        def gated(c, r):
            number = int(r.get("x-number"))
            gates[number].wait(h2.DEADLINE)
            c.answer(b"%d" % number)
            if number:
                gates[number - 1].set()
            return True
        self.on(gated)
        c = self.client()
        numbers = [c.open(path=self.path, fields=[("x-number", str(i))]) for i in range(100)]
        self.origin.wait(self.path, 100)
        order = []
        gates[99].set()
        for number in reversed(numbers):
            order.append(c.answer(number).body)
        self.assertEqual(order, [b"%d" % i for i in reversed(range(100))])

    def test_an_origin_that_does_not_read_stops_the_client(self):
        read = threading.Event()
        self.addCleanup(read.set)
        self.on(lambda c, r: read.wait(h2.DEADLINE) and (self.origin.echo(c, r)))
        c = self.client()
        number = c.open("POST", self.path, end=False)
        body, sent = MIB * 32, 0
        while sent < len(body):
            room = min(c.windows[0], c.window_of(number), 16_384)
            if room <= 0:
                before = dict(c.windows)
                threading.Event().wait(0.1)
                c.sync()
                if c.windows == before:
                    break
                continue
            c.data(number, body[sent:sent + room])
            sent += room
        self.assertLess(sent, 16 << 20)  # what the sockets on the way hold
        self.still_good(c)  # with the connection's window still open
        read.set()
        c.upload(number, body[sent:sent + 1000])
        got = c.answer(number)
        self.assertEqual((got.status, len(got.body)), (200, sent + 1000), got)
        self.assertTrue(got.body == body[:sent + 1000])

    def test_settings_of_a_client(self):
        self.on(lambda c, r: c.answer(MIB) or True)
        for settings in ({5: 1 << 20}, {1: 0}, {1: 1 << 30}, {2: 0}, {3: 0}, {6: 100}):
            with self.subTest(settings):
                self.assertTrue(self.client(settings=settings).ask("GET", self.path).body == MIB)

    def test_large_heads_of_an_origin(self):
        c = self.client()
        fields = "".join(f"X-{i}: {'y' * 1000}\r\n" for i in range(40))
        self.on(lambda conn, r: conn.answer(b"ok", fields=fields) or True)
        got = c.ask("GET", self.path)
        self.assertEqual((got.body, got.final["x-39"]), (b"ok", "y" * 1000))
        self.on(lambda conn, r: conn.answer(b"ok", fields=fields * 2))
        self.assertEqual(c.ask("POST", self.path, body=b"").status, 502)
        self.still_good(c)

    def test_streams_move_while_one_is_stuck(self):
        self.on(lambda c, r: c.answer(MIB))
        c = self.client(generous=False)
        stuck = c.open(path=self.path)
        c.until(lambda: len(c.stream(stuck).body) == h2.WINDOW)
        c.window(0, 1 << 20)  # the connection's, not the stream's
        self.still_good(c)
        self.assertEqual(len(c.stream(stuck).body), h2.WINDOW)

    def test_targets_and_hosts(self):
        c = self.client()
        for path, at_origin in (("/a%2Fb?x=%20&y", "/a%2Fb?x=%20&y"), ("/?", "/?"), ("/a//b", "/a//b")):
            self.assertEqual(c.ask("GET", path).status, 200, path)
            self.origin.wait(at_origin)
        self.assertEqual(c.ask("OPTIONS", "*").status, 200)
        self.origin.wait("*")
        c.ask("GET", "/with-host", [("host", "a.test")])
        self.assertEqual(self.origin.wait("/with-host").get("host"), "a.test")
        c.ask("GET", "/host-only", [("host", "a.test")], authority=None)
        self.assertEqual(self.origin.wait("/host-only").get("host"), "a.test")

    def test_early_answer_to_a_body_still_coming(self):
        self.on(lambda c, r: c.send(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"))
        c = self.client()
        number = c.open("POST", self.path, end=False)
        c.data(number, b"x" * 1000)
        got = c.answer(number)
        self.assertEqual((got.status, got.body, got.ended), (501, b"no", True))
        c.upload(number, b"x" * 500_000)  # nobody wants it; the connection's window comes back
        self.still_good(c)
        abandoned = c.open("POST", self.path, end=False)
        c.answer(abandoned)
        c.until(lambda: c.stream(abandoned).reset is not None)  # told to stop, later
        self.assertEqual(c.stream(abandoned).reset, h2.NO_ERROR)
        self.still_good(c)


class Trailers(Case):
    def test_both_ways(self):
        def answer(c, r):
            c.body(r)
            c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 42\r\nX-Two: a b\r\n"
                   b"X-Forwarded-For: 6.6.6.6\r\n\r\n")
            return True
        self.on(answer)
        got = self.client().ask("POST", self.path, [("te", "trailers"), ("trailer", "x-check")], body=b"up",
                                trailers=[("x-check", "7"), ("x-forwarded-for", "6.6.6.6"), ("x-empty", "")])
        self.assertEqual((got.body, got.trailers), (b"body", {"x-sum": "42", "x-two": "a b"}))
        asked = self.origin.wait(self.path)
        self.assertEqual((asked.body, [t.lower() for t in asked.trailers]), (b"up", ["x-check: 7", "x-empty: "]))
        self.assertEqual(asked.get("te"), "trailers")
        self.assertIn("te", asked.get("connection").lower())

    def test_none_for_a_client_that_did_not_ask(self):
        self.on(lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n") or True)
        got = self.client().ask("GET", self.path)
        self.assertEqual((got.body, got.trailers, got.ended), (b"hi", None, True))

    def test_trailers_and_no_body(self):
        self.on(lambda c, r: c.body(r) and c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n") is None)
        got = self.client().ask("POST", self.path, [("te", "trailers")], trailers=[("x-only", "1")])
        self.assertEqual((got.body, got.trailers), (b"", {"x-sum": "1"}))
        self.assertEqual([t.lower() for t in self.origin.wait(self.path).trailers], ["x-only: 1"])

    def test_after_a_pause(self):
        c = self.client()
        number = c.open("POST", self.path, [("te", "trailers")], end=False)
        c.data(number, b"first")
        self.origin.wait(self.path)
        c.sync()
        c.headers(number, [("x-late", "1")])
        self.assertEqual(c.answer(number).body, b"first")
        self.assertEqual([t.lower() for t in self.origin.wait(self.path).trailers], ["x-late: 1"])

    def test_a_large_body_then_trailers(self):
        def answer(c, r):
            c.body(r)
            c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(MIB) + MIB + b"\r\n0\r\nX-Sum: 9\r\n\r\n")
            return True
        self.on(answer)
        got = self.client().ask("POST", self.path, [("te", "trailers")], body=MIB, trailers=[("x-up", "8")])
        self.assertTrue(got.body == MIB)
        self.assertEqual(got.trailers, {"x-sum": "9"})
        asked = self.origin.wait(self.path)
        self.assertTrue(asked.body == MIB)
        self.assertEqual([t.lower() for t in asked.trailers], ["x-up: 8"])

    def test_grpc_streams_both_ways(self):
        """Each message is answered before the next is sent."""
        def serve(c, r):
            c.send(f"HTTP/1.1 200 OK\r\nContent-Type: {GRPC}\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n".encode())
            while size := int(c.line(), 16):
                c.send(b"%x\r\n" % size + c.take(size) + b"\r\n")
                c.line()
            c.line()
            c.send(b"0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n")
            return True
        self.on(serve)
        c = self.client()
        number = c.open("POST", self.path, [("content-type", GRPC), ("te", "trailers"), ("grpc-timeout", "5S")], end=False)
        s = c.stream(number)
        c.head_of(number)
        for i in range(5):
            message = struct.pack(">BI", 0, 3) + b"m-%d" % i
            before = len(s.body)
            c.data(number, message)
            c.until(lambda: len(s.body) == before + len(message))
            self.assertTrue(s.body.endswith(message))
        c.data(number, b"", end=True)
        c.answer(number)
        self.assertEqual(s.final["content-type"], GRPC)
        self.assertEqual(s.trailers, {"grpc-status": "0", "grpc-message": "fine"})
        self.assertEqual(self.origin.wait(self.path).get("grpc-timeout"), "5S")

    def test_bad_trailers_of_a_client(self):
        for trailers in ([(":path", "/")], [("connection", "close")], [("X-Upper", "1")]):
            with self.subTest(trailers):
                c = self.client()
                number = c.open("POST", self.path, end=False)
                c.headers(number, trailers)
                got = c.answer(number)
                self.assertEqual(got.reset, h2.PROTOCOL_ERROR)
                self.still_good(c)
        c = self.client()
        number = c.open("POST", self.path, end=False)
        c.headers(number, [("x-early", "1")], end=False)  # a second head is no trailer
        self.assertTrue(c.answer(number).reset == h2.PROTOCOL_ERROR)

    def test_too_many_or_too_large_trailers_of_a_client(self):
        self.on(lambda c, r: c.body(r) and (c.answer(b"all here") or True))
        c = self.client()
        for trailers, status in (([(f"x-{i}", "y" * 1000) for i in range(40)], 431), ([(f"x-{i}", "") for i in range(129)], 431),
                                 ([(f"x-{i}", "") for i in range(128)], 200)):
            number = c.open("POST", self.path, end=False)
            c.data(number, b"some")
            c.headers(number, trailers)
            self.assertEqual(c.answer(number).status, status)
            self.still_good(c)
        self.assertEqual(len(self.origin.wait(self.path).trailers), 128)

    def test_trailers_of_an_origin_all_pass_or_the_answer_is_cut(self):
        def says(count):
            lines = b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(count))
            return lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n" + lines + b"\r\n") or True
        c = self.client()
        self.on(says(128))
        got = c.ask("GET", self.path, [("te", "trailers")])
        self.assertEqual((got.body, got.ended, len(got.trailers)), (b"good", True, 128))
        self.on(says(129))
        got = c.ask("GET", self.path, [("te", "trailers")])
        self.assertIn((got.status, got.ended, got.reset), ((200, False, h2.INTERNAL_ERROR), (502, True, None)))
        self.still_good(c)


class Interim(Case):
    def test_103_then_the_answer(self):
        self.on(lambda c, r: c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n") or c.answer(b"x") or True)
        got = self.client().ask("GET", self.path)
        self.assertEqual((got.interims, got.heads[0]["link"], got.status, got.body), ([103], "</a.css>", 200, b"x"))

    def test_expect_continue(self):
        def polite(c, r):
            c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            c.body(r)
            c.answer(r.body)
            return True
        self.on(polite)
        c = self.client()
        number = c.open("POST", self.path, [("expect", "100-continue"), ("content-length", "4")], end=False)
        c.until(lambda: c.stream(number).interims == [100])
        self.assertEqual(self.origin.wait(self.path).get("expect"), "100-continue")
        c.data(number, b"data", end=True)
        self.assertEqual(c.answer(number).body, b"data")

    def test_expectation_refused_by_the_origin(self):
        self.on(lambda c, r: c.answer(b"big", "413 Content Too Large", "Connection: close\r\n"))
        c = self.client()
        number = c.open("POST", self.path, [("expect", "100-continue"), ("content-length", "4000000")], end=False)
        got = c.answer(number)
        self.assertEqual((got.interims, got.status, got.body), ([], 413, b"big"))
        self.still_good(c)

    def test_too_many_interims(self):
        self.on(lambda c, r: c.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100))
        c = self.client()
        self.assertEqual(c.ask("POST", self.path, body=b"").status, 502)
        self.still_good(c)


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


class WebSockets(Case):
    def switch(self, accept=None):
        def do(c, r):
            proof = accept or accept_of(r.get("sec-websocket-key"))
            c.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n"
                   "Sec-WebSocket-Protocol: chat\r\n\r\nhi".encode())
            with contextlib.suppress(EOFError):
                while True:
                    if not c.buffer:
                        c.more()
                    data, c.buffer = c.buffer, b""
                    c.send(data.upper())
            c.send(b"bye")
        return do

    def connect(self, c, fields=(), protocol="websocket", path=None):
        fields = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat"), *fields]
        return c.open("CONNECT", path or self.path, fields, end=False, protocol=protocol)

    def test_both_ways(self):
        self.on(self.switch())
        c = self.client()
        c.sync()
        self.assertEqual(c.settings[8], 1)
        number = self.connect(c)
        s = c.head_of(number)
        self.assertEqual((s.status, s.final["sec-websocket-protocol"]), (200, "chat"))
        for name in ("sec-websocket-accept", "upgrade", "connection", "content-length", "transfer-encoding"):
            self.assertNotIn(name, s.final)
        asked = self.origin.wait(self.path)
        self.assertEqual((asked.method, asked.target, asked.get("upgrade"), asked.get("connection"), asked.get("sec-websocket-version")),
                         ("GET", self.path, "websocket", "Upgrade", "13"))
        self.assertEqual(len(base64.b64decode(asked.get("sec-websocket-key"))), 16)
        self.assertIsNone(asked.get("transfer-encoding"))
        c.data(number, b"hello")
        c.until(lambda: s.body == b"hiHELLO")
        self.still_good(c)
        self.assertEqual(c.upload(number, MIB.lower(), end=False), len(MIB))
        c.until(lambda: len(s.body) == 7 + len(MIB))
        self.assertTrue(s.body[7:] == MIB.lower().upper())
        c.data(number, b"", end=True)  # an orderly end reaches the origin, and comes back
        c.answer(number)
        self.assertTrue(s.body.endswith(b"bye") and s.ended and s.reset in (None, h2.NO_ERROR))

    def test_reset_ends_the_tunnel(self):
        ended = threading.Event()

        def do(c, r):
            c.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                   f"{accept_of(r.get('sec-websocket-key'))}\r\n\r\n".encode())
            c.wait_end()
            ended.set()
        self.on(do)
        c = self.client()
        number = self.connect(c)
        self.assertEqual(c.head_of(number).status, 200)
        c.reset(number)
        self.assertTrue(ended.wait(h2.DEADLINE))
        self.still_good(c)

    def test_wrong_proof(self):
        self.on(self.switch(accept=accept_of("another")))
        c = self.client()
        got = c.answer(self.connect(c))
        self.assertNotEqual(got.status, 200)
        self.assertTrue(got.status == 502 or got.reset is not None, got)
        self.still_good(c)

    def test_200_is_no_switch(self):
        self.on(lambda c, r: c.answer(b"a page") or True)
        c = self.client()
        got = c.answer(self.connect(c))
        self.assertNotEqual(got.status, 200)
        self.assertTrue(got.status == 502 or got.reset is not None, got)
        self.still_good(c)

    def test_403_is_passed_on(self):
        self.on(lambda c, r: c.answer(b"not you", "403 Forbidden") or True)
        c = self.client()
        got = c.answer(self.connect(c))
        self.assertEqual((got.status, got.body), (403, b"not you"))
        self.still_good(c)

    def test_other_protocols_and_plain_connect(self):
        c = self.client()
        self.assertEqual(c.answer(self.connect(c, protocol="connect-udp")).status, 501)
        number = c.new_id()
        c.headers(number, [(":method", "CONNECT"), (":authority", "a.test:443")], end=False)
        self.assertEqual(c.answer(number).status, 405)
        got = c.ask("GET", self.path, protocol="websocket")  # :protocol is for CONNECT alone
        self.assertEqual(got.reset, h2.PROTOCOL_ERROR)
        self.still_good(c)
        self.assertEqual(self.origin.asked(self.path), 0)

    def test_the_clients_own_key_is_refused_or_replaced(self):
        """Two keys at the origin would be one too many."""
        self.on(self.switch())
        c = self.client()
        number = self.connect(c, [("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")])
        c.head_of(number)
        if self.origin.asked(self.path):
            self.assertEqual(len(self.origin.wait(self.path).all("sec-websocket-key")), 1)

    def test_http1_library_on_the_same_port(self):
        import websockets
        self.on(self.switch())
        world = self

        async def talk():
            server = await websockets.serve(echo, "127.0.0.1", 0)
            # The proxy's backend is the origin: hand the connection through to the library's server.
            port = server.sockets[0].getsockname()[1]
            world.on(lambda c, r: through(c, r, port))
            async with websockets.connect(f"ws://127.0.0.1:{world.proxy.port}{world.path}") as ws:
                await ws.send("hello")
                world.assertEqual(await asyncio.wait_for(ws.recv(), h2.DEADLINE), "HELLO")
                await ws.send(b"x" * 200_000)
                world.assertEqual(len(await asyncio.wait_for(ws.recv(), h2.DEADLINE)), 200_000)
                await asyncio.wait_for(await ws.ping(), h2.DEADLINE)
            server.close()
            await server.wait_closed()

        async def echo(ws, _path=None):
            async for message in ws:
                await ws.send(message.upper())

        def through(c, r, port):
            c.socket.settimeout(None)
            with socket.create_connection(("127.0.0.1", port)) as behind:
                behind.sendall(r.head + b"\r\n\r\n" + c.buffer)

                def pump(a, b):
                    with contextlib.suppress(OSError):
                        while data := a.recv(65536):
                            b.sendall(data)
                        b.shutdown(socket.SHUT_WR)
                back = threading.Thread(target=pump, args=(behind, c.socket), daemon=True)
                back.start()
                pump(c.socket, behind)
                back.join(h2.DEADLINE)
        asyncio.run(talk())


class OurAnswers(Case):
    def test_as_responses(self):
        c = self.client()
        for path, authority, status in (("/x", "nobody.test", 404), ("/refused", "a.test", 502), ("/held", "a.test", 503)):
            with self.subTest(path):
                got = c.ask("GET", path, authority=authority)
                if path == "/refused" and got.status == 503:  # its checks have failed by now
                    status = 503
                self.assertEqual((got.status, got.ended, got.reset), (status, True, None))
                self.assertEqual(int(got.final["content-length"]), len(got.body))
                self.assertGreater(len(got.body), 0)
                head = c.ask("HEAD", path, authority=authority)
                self.assertEqual((head.body, head.final["content-length"]), (b"", got.final["content-length"]))
                self.assertIn("date", got.final)
                self.assertNotIn("connection", got.final)
        self.assertIn("retry-after", c.ask("GET", "/held").final)
        self.still_good(c)

    def test_an_origin_that_breaks_off(self):
        c = self.client()
        for sent in (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nZZ\r\n"):
            with self.subTest(sent):
                self.on(lambda conn, r: conn.send(sent))
                got = c.ask("GET", self.path)
                if b"ZZ" in sent and got.status == 502:  # seen before anything was passed on
                    continue
                self.assertIn((got.status, got.ended, got.reset), ((200, False, h2.INTERNAL_ERROR), (None, False, h2.INTERNAL_ERROR)))
                self.still_good(c)
        self.on(lambda conn, r: conn.send(b"nonsense\r\n\r\n"))
        self.assertEqual(c.ask("POST", self.path, body=b"x").status, 502)
        self.on(lambda conn, r: None)  # closes without a word
        self.assertEqual(c.ask("POST", self.path, body=b"x").status, 502)
        self.still_good(c)

    def test_a_body_that_stops_coming(self):
        c = self.client(self.proxy.quick)
        number = c.open("POST", self.path, end=False)
        c.data(number, b"x")
        got = c.answer(number)
        self.assertEqual(got.status, 408)

    def test_client_resets(self):
        ended, go = threading.Event(), threading.Event()

        def slow(c, r):
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            c.wait_end()
            ended.set()
        self.on(slow)
        self.on(lambda c, r: go.wait(h2.DEADLINE) and (c.answer(b"fine") or True), self.path + "/other")
        c = self.client()
        other = c.open(path=self.path + "/other")
        number = c.open(path=self.path)
        c.until(lambda: c.stream(number).body == b"half")
        c.reset(number)
        self.assertTrue(ended.wait(h2.DEADLINE), "the origin still has it")
        go.set()
        self.assertEqual(c.answer(other).body, b"fine")
        self.still_good(c)

    def test_a_held_request_that_is_reset_is_freed(self):
        c = self.client()
        held = lambda: self.proxy.pool("held")["held"]
        self.on(lambda conn, r: conn.answer() or True)
        numbers = [c.open(path="/held") for _ in range(20)]
        for number in numbers:
            c.reset(number)
        c.sync()
        wait_for(lambda: held() == 0, "nothing to be held")
        self.still_good(c)


class Strict(Case):
    """What breaks the rules, each beside a request that does not."""

    def reset_for(self, fields, code=h2.PROTOCOL_ERROR, end=True, status=400):
        """The stream is refused, by reset or by status, the origin hears nothing of it, and the connection serves on."""
        c = self.client()
        number = c.new_id()
        c.headers(number, fields, end)
        got = c.answer(number)
        self.assertTrue(got.reset == code or got.status == status, f"{fields}: {got}")
        self.assertEqual(self.origin.asked(self.path), 0)
        self.still_good(c)
        return got

    def request(self, *more, method="GET", path=None, authority="a.test"):
        return [(":method", method), (":scheme", "http"), (":path", path or self.path), (":authority", authority), *more]

    def test_fields(self):
        for bad in (("X-Upper", "1"), ("connection", "close"), ("connection", "x-one"), ("keep-alive", "1"), ("proxy-connection", "x"),
                    ("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("te", "gzip"), ("x y", "1"), ("x:y", "1"), ("", "1"),
                    ("x-nul", "a\0b"), ("x-lf", "a\nb"), ("x-cr", "a\rb"), ("x-pad", " a"), ("x-pad", "a "), ("x\x7f", "1"),
                    (":unknown", "1"), (":status", "200"), ("host", "b.test"), ("content-length", "-1"), ("content-length", "1, 1"),
                    ("content-length", "+1"), ("expect", "a-pony")):
            with self.subTest(bad):
                self.reset_for(self.request(bad), status=417 if bad[0] == "expect" else 400)
        for twice in (("host", "a.test"), ("content-length", "0")):
            with self.subTest(twice):
                self.reset_for(self.request(twice, twice))

    def test_pseudo_fields(self):
        whole = self.request()
        for i in range(4):
            with self.subTest(missing=whole[i][0]):
                self.reset_for(whole[:i] + whole[i + 1:])
            with self.subTest(twice=whole[i][0]):
                self.reset_for(whole + [whole[i]])
            with self.subTest(late=whole[i][0]):
                self.reset_for(whole[:i] + whole[i + 1:] + [("x-one", "1"), whole[i]])

    def test_targets(self):
        for path in ("", "x", "a.test/x", "http://a.test/x", self.path + " x", self.path + "#x", self.path + "\\..\\x", "/a/../../x", "/%00",
                     self.path + "\x7f", "/%zz", "*"):
            with self.subTest(path):
                fields = self.request()
                fields[2] = (":path", path)
                self.reset_for(fields)
        for authority in ("user@a.test", "a.test:", "a.test:x", "a.test:99999", "a test", "a.test/x", ""):
            with self.subTest(authority):
                self.reset_for(self.request(authority=authority))
        self.reset_for(self.request(method="G T"))
        self.reset_for(self.request(method=""))
        self.reset_for(self.request(method="TRACE"), status=405)
        self.reset_for(self.request(path="/" + "x" * 20_000), status=414)

    def test_length_against_data(self):
        for length, body in (("5", b"1234"), ("5", b"123456"), ("0", b"1"), ("1", b"")):
            with self.subTest(length=length, body=body):
                c = self.client()
                with c.at_once():  # or a body of length 0 is answered before the byte too many is there
                    number = c.open("POST", "/length-against-data", [("content-length", length)], end=False)
                    c.data(number, body, end=True)
                got = c.answer(number)
                self.assertTrue(got.reset == h2.PROTOCOL_ERROR or got.status == 400, got)
                self.still_good(c)
        self.reset_for(self.request(("content-length", "5"), method="POST", path="/no-body"))
        self.assertEqual(self.origin.asked("/no-body"), 0)
        with self.origin.lock:  # no shorter body was ever whole
            self.assertTrue(all(not r.body for r in self.origin.requests.get("/length-against-data", [])))

    def test_large_heads(self):
        c = self.client()
        for fields, status in (([(f"x-{i}", "y" * 1000) for i in range(60)], 431), ([(f"x-{i}", "") for i in range(300)], 431),
                               ([("cookie", f"c{i}=1") for i in range(70)], 431), ([("x-big", "y" * 50_000)], 431)):
            got = c.ask("GET", self.path, fields)
            self.assertTrue(got.status == status or got.reset is not None, got)
            self.assertEqual(self.origin.asked(self.path), 0)
            self.still_good(c)
        got = c.ask("GET", self.path, [(f"x-{i}", "y" * 1000) for i in range(40)])
        self.assertEqual(got.status, 200)
        self.assertEqual(self.origin.wait(self.path).get("x-39"), "y" * 1000)

    def test_header_bomb(self):
        """One large value in the dynamic table, named over and over: 16 KB of input, 64 MB of fields."""
        c = self.client()
        number = c.new_id()
        head = c.encoder.encode(self.request(("x-bomb", "y" * 4000)))
        c.frame(1, 4 | 1, number, head + b"\xbe" * 16_000)
        with contextlib.suppress(Gone):
            got = c.answer(number)
            self.assertTrue(got.status == 431 or got.reset is not None, got)
        self.assertEqual(self.origin.asked(self.path), 0)
        self.still_good(self.client())

    def test_data_in_the_wrong_place(self):
        c = self.client()
        c.data(1, b"x")  # idle
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.data(0, b"x")
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        number = c.open(path=self.path)
        c.answer(number)
        c.data(number, b"x")  # ended by the client
        with contextlib.suppress(Gone):
            c.sync()
        self.assertTrue(c.stream(number).reset == h2.STREAM_CLOSED or any(code == h2.STREAM_CLOSED for _, code in c.goaways) or not c.closed)

    def test_stream_numbers(self):
        c = self.client()
        c.headers(2, self.request())
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.headers(0, self.request())
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.headers(5, self.request(path="/number"))
        self.assertEqual(c.answer(5).status, 200)
        c.headers(3, self.request())  # lower than one before
        with contextlib.suppress(Gone):
            c.sync()
        self.assertEqual(self.origin.asked(self.path), 0)
        c = self.client()
        c.window(7, 1)  # idle
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.reset(7)
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.frame(5, 4, 1, struct.pack(">I", 2))  # PUSH_PROMISE
        self.ends_with(c, h2.PROTOCOL_ERROR)

    def test_frame_sizes(self):
        for kind, stream, payload in ((0, 1, b"x" * 16_385), (6, 0, b"1234567"), (8, 0, b"123"), (3, 1, b"12345"), (4, 0, b"12345"),
                                      (0x42, 0, b"x" * 16_385)):
            with self.subTest(kind=kind, size=len(payload)):
                c = self.client()
                c.open("POST", "/sizes", end=False)
                with contextlib.suppress(OSError):
                    c.frame(kind, 0, stream, payload)
                self.assertEqual(c.error(), h2.FRAME_SIZE_ERROR)
        c = self.client()
        c.frame(0x42, 0, 0, b"unknown kinds are passed over")
        self.still_good(c)

    def test_continuations(self):
        c = self.client()
        c.frame(1, 0, 1, c.encoder.encode(self.request()))
        c.frame(6, 0, 0, b"12345678")  # nothing may come between
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.frame(9, 4, 1, b"")  # of nothing
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff")
        self.ends_with(c, h2.COMPRESSION_ERROR)
        c = self.client()  # pieces of one byte
        block = c.encoder.encode(self.request(path="/pieces"))
        c.raw(frame_bytes(1, 1, 1, b"") + b"".join(frame_bytes(9, 4 if i + 1 == len(block) else 0, 1, block[i:i + 1]) for i in range(len(block))))
        with contextlib.suppress(Gone):
            c.answer(1)

    def test_continuation_flood(self):
        c = self.client()
        with contextlib.suppress(OSError):
            c.frame(1, 1, 1, c.encoder.encode(self.request()))
            for _ in range(200):
                c.raw(frame_bytes(9, 0, 1, b"") * 1000)
        c.end()
        self.assertEqual(self.origin.asked(self.path), 0)

    def test_preface(self):
        for bytes_ in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame_bytes(6, 0, 0, b"12345678")):
            with self.subTest(bytes_):
                c = self.client(greet=False)
                c.raw(bytes_)
                with contextlib.suppress(ValueError, AssertionError):  # an answer in HTTP/1 is none of ours
                    c.end()
        c = self.client(greet=False)  # byte by byte
        for byte in h2.PREFACE + frame_bytes(4, 0, 0, b""):
            c.raw(bytes([byte]))
        self.still_good(c)

    def test_settings(self):
        for settings, code in (({2: 2}, h2.PROTOCOL_ERROR), ({4: 1 << 31}, h2.FLOW_CONTROL_ERROR), ({5: 100}, h2.PROTOCOL_ERROR),
                               ({5: 1 << 24}, h2.PROTOCOL_ERROR)):
            with self.subTest(settings):
                c = self.client()
                payload = b"".join(struct.pack(">HI", key, value) for key, value in settings.items())
                c.frame(4, 0, 0, payload)
                self.ends_with(c, code)
        c = self.client()
        c.frame(4, 0, 1, b"")
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.frame(4, 1, 0, struct.pack(">HI", 4, 1))  # an acknowledgement that says something
        self.ends_with(c, h2.FRAME_SIZE_ERROR)
        c = self.client(settings={0x1234: 5})
        self.still_good(c)

    def test_window_updates(self):
        c = self.client()
        c.window(0, 0)
        self.ends_with(c, h2.PROTOCOL_ERROR)
        c = self.client()
        c.window(0, 0x7fffffff)
        self.ends_with(c, h2.FLOW_CONTROL_ERROR)
        c = self.client()
        number = c.open("POST", self.path, end=False)
        c.window(number, 0x7fffffff)
        self.assertEqual(c.answer(number).reset, h2.FLOW_CONTROL_ERROR)
        self.still_good(c)

    def test_more_data_than_the_window(self):
        release = threading.Event()
        self.addCleanup(release.set)
        self.on(lambda c, r: release.wait(h2.DEADLINE) and None)  # does not read
        c = self.client()
        number = c.open("POST", self.path, end=False)
        with contextlib.suppress(OSError):
            for _ in range(4096):
                c.data(number, b"x" * 16_384)
        with contextlib.suppress(Gone):
            c.answer(number)
        self.assertTrue(c.stream(number).reset == h2.FLOW_CONTROL_ERROR or any(code == h2.FLOW_CONTROL_ERROR for _, code in c.goaways),
                        f"{c.goaways} {c.streams}")


class Floods(Case):
    def flood(self, one, count, c=None):
        c = c or self.client()
        with contextlib.suppress(OSError):
            for _ in range(count // 500):
                c.raw(one * 500)
        self.assertEqual(c.error(), h2.ENHANCE_YOUR_CALM)

    def test_pings_settings_and_priorities(self):
        for name, one in (("ping", frame_bytes(6, 0, 0, b"12345678")), ("settings", frame_bytes(4, 0, 0, b"")),
                          ("priority", frame_bytes(2, 0, 1, struct.pack(">IB", 0, 1)))):
            with self.subTest(name):
                self.flood(one, 10_000)
        self.still_good(self.client())

    def test_empty_data(self):
        c = self.client()
        number = c.open("POST", self.path, end=False)
        self.flood(frame_bytes(0, 0, number, b""), 10_000, c)

    def test_padding_alone(self):
        c = self.client()
        number = c.open("POST", self.path, end=False)
        self.flood(frame_bytes(0, 8, number, b"\0"), 10_000, c)

    def test_window_updates(self):
        """They cost little, ask for nothing and are many with any honest client."""
        c = self.client()
        c.raw((frame_bytes(8, 0, 0, struct.pack(">I", 1)) + frame_bytes(0x42, 0, 0, b"")) * 20_000)
        self.still_good(c)

    def test_rapid_reset(self):
        self.on(lambda c, r: c.answer(b"") or True)
        c = self.client()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                c.reset(c.open(path=self.path))
        self.assertEqual(c.error(), h2.ENHANCE_YOUR_CALM)
        self.assertLess(self.origin.asked(self.path), 500)
        self.still_good(self.client())

    def test_resets_provoked_from_us(self):
        """What makes us reset a stream costs as much as resetting it (CVE-2025-8671)."""
        c = self.client()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                c.window(c.open(path=self.path), 0x7fffffff)
        self.assertEqual(c.error(), h2.ENHANCE_YOUR_CALM)
        self.still_good(self.client())

    def test_refused_heads(self):
        c = self.client()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                c.open(path=self.path, fields=[("connection", "x")])
        self.assertEqual(c.error(), h2.ENHANCE_YOUR_CALM)

    def test_refused_values(self):
        for field in (("x-a", "\x01"), ("x a", "b"), ("X-A", "b"), ("x-a", "b\r\nc: d")):
            with self.subTest(field):
                c = self.client()
                with contextlib.suppress(OSError):
                    for _ in range(1000):
                        c.open(path=self.path, fields=[field])
                self.assertEqual(c.error(), h2.ENHANCE_YOUR_CALM)
        self.assertEqual(self.origin.asked(self.path), 0)

    def test_an_honest_client_that_resets_some(self):
        self.on(lambda c, r: c.wait_end() and None)
        c = self.client()
        for i in range(400):
            self.assertEqual(c.ask("GET", "/honest").status, 200)
            if i % 4 == 0:
                c.reset(c.open(path=self.path))
        self.still_good(c)
        self.assertEqual(c.goaways, [])

    def test_too_many_streams_are_refused_and_may_be_retried(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.on(lambda c, r: gate.wait(h2.DEADLINE) and (c.answer(b"late") or True))
        c = self.client()
        numbers = [c.open(path=self.path) for _ in range(128)]
        refused = c.open(path=self.path + "/more")  # all before it knows how many it may have
        self.assertEqual(c.answer(refused).reset, h2.REFUSED_STREAM)
        self.assertEqual((c.settings[3], self.origin.asked(self.path + "/more")), (128, 0))
        self.origin.wait(self.path, 128)
        knowing = self.client()
        knowing.sync()
        for _ in range(129):
            knowing.open(path=self.path)
        self.ends_with(knowing, h2.PROTOCOL_ERROR)
        gate.set()
        self.assertEqual({c.answer(number).body for number in numbers}, {b"late"})
        self.assertEqual(c.ask("GET", self.path + "/more").status, 200)


class Deadlines(Case):
    def test_a_slow_head(self):
        c = self.client(self.proxy.quick)
        c.frame(1, 1, 1, c.encoder.encode([(":method", "GET"), (":path", self.path)]))
        c.end()
        self.assertEqual(self.origin.asked(self.path), 0)

    def test_a_head_in_drops(self):
        """What arrives slowly does not prolong it."""
        c = self.client(self.proxy.quick)
        c.frame(1, 1, 1, b"")
        dripping = threading.Event()

        def drip():
            with contextlib.suppress(OSError):
                while not dripping.wait(0.1):
                    c.frame(9, 0, 1, b"")
        thread = threading.Thread(target=drip)
        thread.start()
        c.end()
        dripping.set()
        thread.join()

    def read_in_drops(self, size):
        """Opens the windows by a byte at a time. How the stream was reset, if it was."""
        self.on(lambda conn, r: conn.answer(b"x" * size) or True)
        c = self.client(self.proxy.quick, generous=False)
        number = c.open(path=self.path)
        for _ in range(100):
            for window in (0, number):
                c.frame(8, 0, window, struct.pack(">I", 1))
            c.sync()
            if c.stream(number).reset is not None:
                break
            threading.Event().wait(0.05)
        return c.stream(number).reset

    def test_a_large_answer_read_in_drops(self):
        self.assertEqual(self.read_in_drops(1_000_000), h2.CANCEL)

    def test_the_end_of_an_answer_read_in_drops(self):
        """The origin is done with it: all that is left waits in the proxy."""
        self.assertEqual(self.read_in_drops(100_000), h2.CANCEL)

    def test_a_large_answer_read_slowly_but_read(self):
        """Megabytes of it stand in the proxy's socket, which takes no more for longer than a client may be silent."""
        self.on(lambda conn, r: conn.answer(b"x" * 200_000_000) or True)
        c = self.client(self.proxy.quick, generous=False)
        number = c.open(path=self.path)
        for window in (0, number):
            c.frame(8, 0, window, struct.pack(">I", 1_000_000_000))
        for _ in range(100):
            c.socket.recv(16384)
            threading.Event().wait(0.03)
        rest = 0
        while rest < 50_000_000:  # more than sockets hold: the proxy still sends
            piece = c.socket.recv(1 << 20)
            self.assertTrue(piece, f"it was cut, {rest} bytes after it began to be read fast")
            rest += len(piece)

    def test_nothing_ever_asked(self):
        c = self.client(self.proxy.quick)
        self.assertEqual(c.error(), h2.NO_ERROR)

    def test_a_refused_head_is_no_unfinished_one(self):
        """Streams beside one that was refused for its fields are not cut when the time for a head is up."""
        c = self.client(self.proxy.quick)
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.on(lambda conn, r: gate.wait(h2.DEADLINE) and (conn.answer(b"late") or True), self.path + "/gated")
        number = c.open(path=self.path + "/gated")
        self.origin.wait(self.path + "/gated")
        self.assertEqual(c.answer(c.open(path=self.path, fields=[("connection", "x")])).ended, False)
        other = self.client(self.proxy.quick, greet=True)
        other.end()  # said nothing: its time for a head was the same, and is up
        gate.set()
        self.assertEqual(c.answer(number).body, b"late")
        self.assertEqual(c.goaways, [])

    def test_idle_after_a_request(self):
        c = self.client(self.proxy.quick)
        self.assertEqual(c.ask("GET", self.path).status, 200)
        self.assertEqual(c.error(), h2.NO_ERROR)

    def test_pings_are_no_requests(self):
        c = self.client(self.proxy.quick)
        c.ask("GET", self.path)
        with contextlib.suppress(OSError, Gone):
            for _ in range(1000):
                c.sync()
                threading.Event().wait(0.05)
        self.assertTrue(c.closed)


class SamePort(Case):
    def test_http1_beside_it(self):
        answer = harness.request(self.proxy.port, "POST", self.path, b"one", {"Host": "a.test"})
        self.assertEqual((answer.status, answer.body), (200, b"one"))
        self.assertEqual(self.origin.wait(self.path).get("via"), "1.1 regrow")

    def test_the_preface_where_it_is_not_spoken(self):
        with socket.create_connection(("127.0.0.1", self.proxy.plain), timeout=h2.DEADLINE) as s:
            s.sendall(h2.PREFACE + frame_bytes(4, 0, 0, b""))
            said = b""
            while data := s.recv(65536):
                said += data
        self.assertRegex(said, rb"^HTTP/1\.1 (400|505) ")

    def test_upgrade_h2c_is_not_taken(self):
        answer = harness.request(self.proxy.port, "GET", self.path, headers={
            "Host": "a.test", "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"})
        self.assertEqual(answer.status, 200)
        asked = self.origin.wait(self.path)
        self.assertEqual((asked.get("upgrade"), asked.get("http2-settings")), (None, None))


class Clients(Case):
    def run_tool(self, *argv):
        if not shutil.which(argv[0]):
            self.skipTest(f"{argv[0]} is not installed")
        return subprocess.run([str(a) for a in argv], capture_output=True, timeout=harness.PATIENCE)

    def url(self, path=None):
        return f"http://127.0.0.1:{self.proxy.port}{path or self.path}"

    def test_curl(self):
        ran = self.run_tool("curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", "-d", "abc", self.url())
        self.assertEqual(ran.stdout, b"abc2 200")
        ran = self.run_tool("curl", "-sS", "--http2-prior-knowledge", "-I", self.url())
        self.assertIn(b"HTTP/2 200", ran.stdout)

    def test_curl_uploads_what_nobody_wants(self):
        self.on(lambda c, r: c.send(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"))
        with tempfile.NamedTemporaryFile() as file:
            file.write(MIB * 3)
            file.flush()
            ran = self.run_tool("curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_code}", "-X", "POST", "--data-binary", "@" + file.name,
                                self.url())
        self.assertEqual((ran.stdout, ran.returncode), (b"no501", 0), ran.stderr)

    def test_nghttp(self):
        self.on(lambda c, r: c.answer(MIB) or True)
        with tempfile.NamedTemporaryFile() as file:
            file.write(MIB)
            file.flush()
            self.assertTrue(self.run_tool("nghttp", self.url()).stdout == MIB)
            ran = self.run_tool("nghttp", "-d", file.name, self.url("/nghttp-echo"))
            self.assertTrue(ran.stdout == MIB, ran.stderr)

    def test_h2load(self):
        ran = self.run_tool("h2load", "-n", 2000, "-c", 10, "-m", 20, self.url())
        self.assertIn(b"2000 succeeded, 0 failed, 0 errored, 0 timeout", ran.stdout)


class Life(harness.TestCase):
    """Draining, reload and backends that die, each with a proxy of its own."""

    def start(self, **more):
        self.origin = Origin()
        self.addCleanup(self.origin.close)
        self.proxy = Proxy(self.origin, **more)
        self.addCleanup(self.proxy.end)
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        self.origin.on("/gated", lambda c, r: self.gate.wait(h2.DEADLINE) and (c.answer(b"at last") or True))
        client = Client(self.proxy.port)
        self.addCleanup(client.close)
        return client

    def test_sigterm_lets_streams_end(self):
        c = self.start()
        number = c.open(path="/gated")
        self.origin.wait("/gated")
        self.proxy.process.send_signal(signal.SIGTERM)
        c.until(lambda: c.goaways)
        self.assertEqual(c.goaways[0], (0x7fffffff, h2.NO_ERROR))
        crossing = c.ask("GET", "/crossing")  # on its way when we said so
        self.assertIn((crossing.status, crossing.reset), ((200, None), (None, h2.REFUSED_STREAM)))
        last = number
        while len(c.goaways) < 2:  # one that does not stop asking does not put it off
            last = c.open(path="/crossing")
            c.until(lambda: c.stream(last).ended or c.stream(last).reset is not None or len(c.goaways) > 1)
        self.assertLessEqual(c.goaways[-1][0], last)
        self.gate.set()
        self.assertEqual(c.answer(number).body, b"at last")
        c.end()
        self.assertEqual(self.proxy.process.wait(harness.PATIENCE), 0)

    def test_reload_keeps_the_connection(self):
        c = self.start()
        number = c.open(path="/gated")
        self.origin.wait("/gated")
        before = harness.request(self.proxy.admin, "GET", "/stats").json()["generation"]
        self.proxy.config["pools"]["app"]["retry"] = {"attempts": 3}
        self.proxy.write()
        self.proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: harness.request(self.proxy.admin, "GET", "/stats").json()["generation"] > before, "the reload")
        self.gate.set()
        self.assertEqual(c.answer(number).body, b"at last")
        self.assertEqual(c.ask("POST", "/after", body=b"x").body, b"x")
        self.assertEqual(c.goaways, [])

    def test_requests_wait_for_a_backend_that_comes_back(self):
        c = self.start(hold={"wait": "30s", "requests": 1000})
        self.assertEqual(c.ask("GET", "/before").status, 200)
        port = self.origin.port
        self.origin.close()
        wait_for(lambda: self.proxy.state() != "up", "the backend to be seen down")
        gets = [c.open(path=f"/waiting-{i}") for i in range(20)]
        post = c.open("POST", "/posted", end=False)
        c.data(post, b"kept", end=True)
        wait_for(lambda: self.proxy.pool()["held"] == 21, "all to be held")
        gone = c.open(path="/gone")
        wait_for(lambda: self.proxy.pool()["held"] == 22, "one more to be held")
        c.reset(gone)
        wait_for(lambda: self.proxy.pool()["held"] == 21, "it to be freed")
        self.origin = Origin(port)
        self.addCleanup(self.origin.close)
        self.assertEqual({c.answer(number).status for number in gets}, {200})
        self.assertEqual(c.answer(post).body, b"kept")
        self.assertEqual(self.origin.asked("/gone"), 0)


if __name__ == "__main__":
    unittest.main()
