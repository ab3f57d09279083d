"""Origins that misbehave in every way a socket allows, behind a proxy that clients of HTTP/1 and of HTTP/2 ask: each gets the
right answer or sees that it was cut short, the connection that went wrong carries nothing more, and whoever asks next gets
what belongs to him."""
import contextlib
import itertools
import json
import shutil
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

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Outcome:
    """What a client saw. `whole`: the answer ended as its framing announced."""

    def __init__(self, status=None, body=b"", whole=False, interims=()):
        self.status, self.body, self.whole, self.interims = status, body, whole, list(interims)

    def __repr__(self):
        return f"{self.status} {self.body[:80]!r} {'whole' if self.whole else 'cut short'} {self.interims}"


class Http1:
    """One connection; a new one when the last answer ended it."""

    def __init__(self, port):
        self.port, self.socket, self.buffer = port, None, b""

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket, self.buffer = None, b""

    def more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError
        self.buffer += data

    def until(self, end):
        while end not in self.buffer:
            self.more()
        part, self.buffer = self.buffer.split(end, 1)
        return part

    def take(self, out, count):
        while count:
            if not self.buffer:
                self.more()
            part, self.buffer = self.buffer[:count], self.buffer[count:]
            out.body += part
            count -= len(part)

    def send(self, method, path, body=None, chunked=False):
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=h2.DEADLINE)
        framing = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {len(body)}\r\n" if body is not None else ""
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n".encode() + (body or b""))

    def answer(self, method="GET"):
        out = Outcome()
        try:
            self.read(method, out)
            out.whole = True
        except (EOFError, ConnectionError):
            self.close()
        return out

    def read(self, method, out):
        while True:
            first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            status = int(first.split(" ")[1])
            fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            if status >= 200:
                break
            out.interims.append(status)
        out.status = status
        closes = fields.get("connection") == "close"
        if method == "HEAD" or status in (204, 304):
            pass
        elif "transfer-encoding" in fields:
            while size := int(self.until(b"\r\n"), 16):
                self.take(out, size)
                if self.until(b"\r\n"):
                    raise AssertionError("a chunk without its end")
            while self.until(b"\r\n"):
                pass
        else:
            self.take(out, int(fields["content-length"]))
        if self.buffer:
            raise AssertionError(f"bytes behind the answer: {self.buffer[:200]}")
        if closes:
            self.close()

    def ask(self, method, path, body=None):
        with contextlib.suppress(ConnectionError):  # answered and closed while we speak: the answer tells
            self.send(method, path, body)
        return self.answer(method)


class Http2:
    def __init__(self, port):
        self.client = h2.Client(port)

    def close(self):
        self.client.close()

    def ask(self, method, path, body=None):
        return self.seen(self.client.ask(method, path, body=body))

    @staticmethod
    def seen(stream):
        return Outcome(stream.status, stream.body, stream.ended and stream.reset in (None, h2.NO_ERROR), stream.interims)


class Proxy:
    """/impatient is the same origin with short timeouts."""

    def __init__(self, origin):
        self.dir = Path(tempfile.mkdtemp(prefix="regrow-origins-"))
        self.port, self.admin = free_port(), free_port()

        def pool(**more):
            return {"data": "none", "check": {"command": ["/bin/true"], "every": "1h", "timeout": "10s"}, "observe": "off", "hold": "off",
                    "slow_start": "off", "backends": [{"name": "one", "address": f"127.0.0.1:{origin.port}"}], **more}
        config = {"workers": 1, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
                  "access_log": {"path": str(self.dir / "access.log"), "format": "json"},
                  "listeners": [{"listen": f"127.0.0.1:{self.port}", "h2c": True,
                                 "routes": [{"path": "/impatient", "pool": "impatient"}, {"pool": "app"}]}],
                  "pools": {"app": pool(), "impatient": pool(timeouts={"first_byte": "400ms", "idle": "400ms"})}}
        (self.dir / "regrow.json").write_text(json.dumps(config))
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen([harness.REGROW, "run", "-c", str(self.dir / "regrow.json")], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_for(lambda: harness.request(self.admin, "GET", "/readyz").status == 200, "the proxy to serve")

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(harness.PATIENCE)
        shutil.rmtree(self.dir, ignore_errors=True)


def rst(connection):
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()


class Case(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origin = h2.Origin()
        cls.addClassCleanup(cls.origin.close)
        cls.proxy = Proxy(cls.origin)
        cls.addClassCleanup(cls.proxy.end)
        cls.tokens = itertools.count()

    def setUp(self):
        super().setUp()
        self.path = "/" + self._testMethodName
        self.leaks = []  # what came over a connection after it had gone wrong

    def tearDown(self):
        faults, self.origin.faults = self.origin.faults, []
        self.assertEqual(faults, [])
        self.assertIsNone(self.proxy.process.poll(), "the proxy ended: " + harness.read_text(self.proxy.dir / "log", 60))

    def fronts(self):
        """A client of each kind, with a connection of its own."""
        for kind in (Http1, Http2):
            front = kind(self.proxy.port)
            self.addCleanup(front.close)
            yield kind.__name__, front

    def watch(self, connection):
        """Until the proxy closes it: it must, and say nothing more."""
        said = connection.buffer
        with contextlib.suppress(ConnectionError):
            while piece := connection.socket.recv(1 << 18):
                said += piece
        if said:
            self.leaks.append(said)

    def says(self, *pieces, then=None):
        """An origin that reads the request, says this, and watches its connection."""
        def do(connection, request):
            connection.body(request)
            with contextlib.suppress(ConnectionError):  # closed by the proxy, which has seen enough
                for piece in pieces:
                    connection.send(piece)
            if then:
                then(connection)
            else:
                self.watch(connection)
        return do

    def on(self, do, path=None):
        self.origin.on(path or self.path, do)

    def innocent(self):
        """Others get what is theirs."""
        for _, front in self.fronts():
            for _ in range(2):
                token = f"token-{next(self.tokens)}".encode()
                got = front.ask("POST", "/echo", token)
                self.assertEqual((got.status, got.body, got.whole), (200, token, True))
        self.assertEqual(self.leaks, [])

    def each(self, table, method="GET", body=None):
        """table: what the origin says, and what the client sees of it (status, body, whole), or several of which one."""
        for name, pieces, *expected in table:
            for kind, front in self.fronts():
                with self.subTest(name, client=kind):
                    self.on(self.says(*(pieces if isinstance(pieces, tuple) else (pieces,))))
                    before = self.origin.asked(self.path)
                    got = front.ask(method, self.path, body)
                    self.assertIn((got.status, got.body, got.whole) if got.status == 200 else (got.status,), expected, got)
                    self.assertEqual(self.origin.asked(self.path) - before, 1, "asked again, though it had answered")
                    self.innocent()


class Refused(Case):
    """What two readers could take for two things, or nobody for anything: 502, and the connection is gone."""

    def test_lengths(self):
        head = b"HTTP/1.1 200 OK\r\n"
        self.each([(fields.decode(), head + fields + b"\r\n\r\ngood", (502,)) for fields in (
            b"Content-Length: 4\r\nContent-Length: 4", b"Content-Length: 4\r\nContent-Length: 5", b"Content-Length: 4, 4",
            b"Content-Length: +4", b"Content-Length: -4", b"Content-Length: 0x4", b"Content-Length: 04", b"Content-Length: 4 4",
            b"Content-Length:", b"Content-Length: 99999999999999999999", b"Content-Length: 9223372036854775808", b"Content-Length: 4;",
            b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 4",
            b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: identity",
            b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding:",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: \"chunked\"")])

    def test_encoding_of_an_old_version(self):
        self.each([("1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (502,))])

    def test_status_lines(self):
        rest = b"\r\nContent-Length: 4\r\n\r\ngood"
        self.each([(line.decode("latin-1"), line + rest, (502,)) for line in (
            b"HTTP/1.1 200OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 99 X", b"HTTP/1.1 600 X", b"HTTP/1.1 2000 OK", b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2x0 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1", b"HTTP/1.1 ", b" HTTP/1.1 200 OK", b"http/1.1 200 OK",
            b"HTTP/1.2 200 OK", b"HTTP/2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK", b"ICY 200 OK", b"\r\nHTTP/1.1 200 OK",
            b"HTTP/1.1 200 O\x01K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 000 OK", b"SSH-2.0-OpenSSH_9", b"\x15\x03\x03\x00\x02\x02\x28")])

    def test_fields(self):
        self.each([(repr(field), b"HTTP/1.1 200 OK\r\n" + field + b"\r\nContent-Length: 4\r\n\r\ngood", (502,)) for field in (
            b"X: a\r\n folded", b"X: a\r\n\tfolded", b"X : a", b"X a", b": a", b"X\x00: a", b"X: a\x00b", b"X: a\x0bb", b"X: a\nY: b", b"X: a\rb",
            b" X: a", b"(X): a", b"X: a\x7f", "Ü: a".encode(), b"Connection: \x22close\x22", b"Connection: " + b"a," * 40)])

    def test_heads_that_end_in_bare_line_feeds(self):
        self.each([("lf", b"HTTP/1.1 200 OK\nContent-Length: 4\n\ngood", (502,)), ("mixed", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\ngood", (502,))])

    def test_header_bombs(self):
        self.each([("count", b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % i for i in range(129)) + b"Content-Length: 4\r\n\r\ngood", (502,)),
                   ("size", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 60_000 + b"\r\nContent-Length: 4\r\n\r\ngood", (502,)),
                   ("name", b"HTTP/1.1 200 OK\r\n" + b"a" * 1000 + b": b\r\nContent-Length: 4\r\n\r\ngood", (502,)),
                   ("line", b"HTTP/1.1 200 " + b"a" * 200_000, (502,)),
                   ("endless", tuple(b"X-%d: a\r\n" % i if i else b"HTTP/1.1 200 OK\r\n" for i in range(20_000)), (502,))])

    def test_interims(self):
        hundred = b"HTTP/1.1 100 Continue\r\n\r\n"
        self.each([("flood", hundred * 17 + GOOD, (502,)),
                   ("endless", (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",) * 500, (502,)),
                   ("with a length", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nEVIL" + GOOD, (502,)),
                   ("chunked", b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GOOD, (502,)),
                   ("101 unasked", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + EVIL, (502,)),
                   ("nonsense behind", hundred + b"EVIL\r\n\r\n", (502,)),
                   ("fine", hundred * 16 + GOOD + b"behind", (200, b"good", True))])

    def test_bodies_where_none_may_be(self):
        self.each([("204 chunked", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (502,)),
                   ("204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nEVIL", (502,))])


class Extra(Case):
    """The answer is right, and there is more of it than there should be: it passes, the rest is nobody's."""

    def test_bytes_behind(self):
        self.each([("length", GOOD + b"EVIL", (200, b"good", True)),
                   ("an answer", GOOD + EVIL, (200, b"good", True)),
                   ("many answers", GOOD + EVIL * 100, (200, b"good", True)),
                   ("empty lines", GOOD + b"\r\n\r\n", (200, b"good", True)),
                   ("chunked", CHUNKED + b"4\r\ngood\r\n0\r\n\r\n" + EVIL, (200, b"good", True)),
                   ("extensions", CHUNKED + b"4;a=b;c=\"\\\";\"\r\ngood\r\n0;d\r\n\r\n" + EVIL, (200, b"good", True)),
                   ("trailers", CHUNKED + b"4\r\ngood\r\n0\r\nX: y\r\n\r\n" + EVIL, (200, b"good", True)),
                   ("304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nEVIL", (304,)),
                   ("204", b"HTTP/1.1 204 No Content\r\n\r\nEVIL", (204,)),
                   ("length 0", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nEVIL", (404,)),
                   ("an interim", GOOD + b"HTTP/1.1 100 Continue\r\n\r\n", (200, b"good", True))])

    def test_the_body_of_an_answer_to_head(self):
        self.each([("length", EVIL, (200, b"", True)), ("chunked", CHUNKED + b"4\r\nEVIL\r\n0\r\n\r\n", (200, b"", True))], method="HEAD")

    def test_an_answer_nobody_asked_for_on_a_kept_connection(self):
        for kind, front in self.fronts():
            with self.subTest(client=kind):
                answered, closed = threading.Event(), threading.Event()

                def later(connection):
                    answered.wait(h2.DEADLINE)
                    connection.send(EVIL)
                    self.watch(connection)
                    closed.set()
                self.on(self.says(GOOD, then=later))
                self.assertEqual(front.ask("GET", self.path).body, b"good")
                answered.set()
                self.assertTrue(closed.wait(h2.DEADLINE), "the connection is still kept")
                self.innocent()

    def test_answers_before_any_question(self):
        """They come with the connection, before a request went out over it."""
        held = []

        class Eager(threading.Thread):
            def __init__(self):
                super().__init__(daemon=True)
                self.listener = socket.create_server(("127.0.0.1", 0))
                self.port = self.listener.getsockname()[1]
                self.start()

            def run(self):
                with contextlib.suppress(OSError):
                    while True:
                        peer, _ = self.listener.accept()
                        peer.sendall(GOOD * 3)
                        held.append(peer)
        eager = Eager()
        proxy = Proxy(eager)
        self.addCleanup(proxy.end)
        self.addCleanup(eager.listener.close)
        for kind in (Http1, Http2):
            front = kind(proxy.port)
            self.addCleanup(front.close)
            for _ in range(3):  # each over a connection of its own: none is kept
                before = len(held)
                got = front.ask("GET", "/")
                self.assertIn(got.status, (200, 502))
                wait_for(lambda: len(held) > before, "a new connection")


class CutShort(Case):
    """The head is right and was passed on; what is missing is seen by every client."""

    def shown(self, table, then):
        for name, sent in table:
            for kind, front in self.fronts():
                with self.subTest(name, client=kind):
                    sent_all = threading.Event()
                    self.on(self.says(sent, then=lambda c: (sent_all.wait(h2.DEADLINE), then(c))))
                    # The head has arrived before the end comes, so that it cannot be a 502.
                    got = self.asked_in_two(front, sent_all)
                    self.assertEqual((got.status, got.whole), (200, False), got)
                    self.assertEqual(b"good", got.body[:4])
                    self.innocent()

    def asked_in_two(self, front, sent_all):
        if isinstance(front, Http2):
            number = front.client.open(path=self.path)
            front.client.until(lambda: front.client.stream(number).body[:4] == b"good")
            sent_all.set()
            return front.seen(front.client.answer(number))
        front.send("GET", self.path)
        while b"good" not in front.buffer:
            front.more()
        sent_all.set()
        return front.answer()

    TABLE = [("length", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ngood"), ("in a chunk", CHUNKED + b"8\r\ngood"),
             ("behind a chunk", CHUNKED + b"4\r\ngood\r\n"), ("in the end of a chunk", CHUNKED + b"4\r\ngood\r"),
             ("in a size", CHUNKED + b"4\r\ngood\r\n4"), ("before the trailers", CHUNKED + b"4\r\ngood\r\n0\r\n"),
             ("in the trailers", CHUNKED + b"4\r\ngood\r\n0\r\nX: y\r\n")]

    def test_by_a_close(self):
        self.shown(self.TABLE, lambda c: c.socket.close())

    def test_by_a_reset(self):
        self.shown([*self.TABLE, ("until close", b"HTTP/1.1 200 OK\r\n\r\ngood")], rst)

    def test_by_half_a_close(self):
        self.shown(self.TABLE, lambda c: (c.socket.shutdown(socket.SHUT_WR), self.watch(c)))

    def test_by_broken_framing(self):
        for broken in (b"ZZ\r\n", b"-4\r\nEVIL\r\n", b"4;x=\r\nEVIL\r\n", b"4;\nEVIL\r\n", b"4 \r\nEVIL\r\n", b"0x4\r\nEVIL\r\n", b"4\nEVIL\r\n", b"\r\n", b"4\r\nEVIL!\r\n",
                       b"FFFFFFFFFFFFFFFFF\r\n", b"FFFFFFFFFFFFFFFF\r\n", b"8000000000000000\r\n", b"0\r\nContent-Length: 3\r\n\r\n",
                       b"0\r\nHost: x\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\n folded\r\n\r\n",
                       b"0\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"0\r\n\n"):
            self.shown([(repr(broken[:30]), CHUNKED + b"4\r\ngood\r\n")], lambda c: (c.send(broken), self.watch(c)))

    def test_by_silence(self):
        self.path = "/impatient" + self.path
        self.shown(self.TABLE + [("until close", b"HTTP/1.1 200 OK\r\n\r\ngood")], self.watch)

    def test_what_ends_with_the_connection_is_whole(self):
        for kind, front in self.fronts():
            for head in (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"):
                with self.subTest(head, client=kind):
                    self.on(self.says(head + b"good", then=lambda c: c.socket.close()))
                    got = front.ask("GET", self.path)
                    self.assertEqual((got.status, got.body, got.whole), (200, b"good", True))


class Gone(Case):
    """No whole head ever comes. What may be asked again is, once (and once more when the first connection was a kept one, which may
    have been stale); then 502."""

    def phases(self, ways, statuses=(502,)):
        for name, do in ways:
            for kind, front in self.fronts():
                for method, body, most in (("POST", b"once", 1), ("GET", None, 3), ("POST", b"once" * 100_000, 1)):
                    with self.subTest(name, client=kind, method=method, body=len(body or b"")):
                        self.on(do)
                        before = self.origin.asked(self.path)
                        got = front.ask(method, self.path, body)
                        self.assertIn(got.status, statuses, got)
                        self.assertTrue(got.whole, got)
                        self.assertLessEqual(self.origin.asked(self.path) - before, most)
                        self.innocent()

    def test_before_the_body_is_read(self):
        self.phases([("close", lambda c, r: c.socket.close()), ("reset", lambda c, r: rst(c)),
                     ("half a close", lambda c, r: (c.socket.shutdown(socket.SHUT_WR), c.wait_end()) and None)])

    def test_after_the_request(self):
        self.phases([("close", self.says(then=lambda c: c.socket.close())), ("reset", self.says(then=rst)),
                     ("half a close", self.says(then=lambda c: (c.socket.shutdown(socket.SHUT_WR), self.watch(c))))])

    def test_in_the_head(self):
        self.phases([(f"{sent[-10:]} {how.__name__}", self.says(sent, then=how))
                     for sent in (b"H", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r", b"HTTP/1.1 100 Continue\r\n\r\n")
                     for how in (lambda c: c.socket.close(), rst)])

    def test_silence(self):
        self.path = "/impatient" + self.path

        def trickle(connection):
            with contextlib.suppress(ConnectionError):
                for byte in itertools.chain(b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(97)):
                    connection.send(bytes([byte]))
                    if self.stop.wait(0.02):
                        return
        self.stop = threading.Event()
        self.addCleanup(self.stop.set)
        self.phases([("no answer", self.says()), ("half a head", self.says(b"HTTP/1.1 200 OK\r\nContent-")), ("a trickle", self.says(then=trickle)),
                     ("an interim and nothing", self.says(b"HTTP/1.1 103 Early Hints\r\n\r\n"))], (504,))

    def test_an_origin_that_never_reads(self):
        self.path = "/impatient" + self.path
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.on(lambda c, r: gate.wait(h2.DEADLINE) and None)
        large = b"x" * (32 << 20)
        for kind, front in self.fronts():
            with self.subTest(client=kind):
                if kind == "Http2":
                    number = front.client.open("POST", self.path, end=False)
                    with contextlib.suppress(h2.Gone):
                        front.client.upload(number, large)
                    got = front.seen(front.client.answer(number))
                else:
                    got = front.ask("POST", self.path, large)
                self.assertEqual(got.status, 504, got)
                self.innocent()


class Early(Case):
    """Answers to what has not been read."""

    def test_the_answer_passes_and_the_connection_is_not_used_again(self):
        for status in ("200 OK", "413 Content Too Large"):
            for kind, front in self.fronts():
                with self.subTest(status, client=kind):
                    def early(connection, request):
                        connection.answer(b"early", status)
                        with contextlib.suppress(ConnectionError, EOFError):  # the rest of this body, and no other request
                            while True:
                                connection.more()
                                if b" HTTP/1.1" in connection.buffer:
                                    self.leaks.append(connection.buffer)
                                connection.buffer = connection.buffer[-16:]
                    self.on(early)
                    if kind == "Http2":
                        number = front.client.open("POST", self.path, end=False)
                        front.client.data(number, b"some")
                        front.client.until(lambda: front.client.stream(number).final)
                        got = front.client.answer(number)
                        self.assertEqual((got.status, got.body), (int(status[:3]), b"early"))
                    else:
                        front.send("POST", self.path, None, chunked=True)
                        got = front.answer()
                        self.assertEqual((got.status, got.body), (int(status[:3]), b"early"))
                        front.close()
                    self.innocent()

    def test_before_a_large_body(self):
        large = b"x" * (8 << 20)
        for kind, front in self.fronts():
            with self.subTest(client=kind):
                def early(connection, request):
                    connection.answer(b"no", "403 Forbidden", "Connection: close\r\n")
                    self.drain(connection)
                self.on(early)
                got = front.ask("POST", self.path, large)
                self.assertEqual((got.status, got.body), (403, b"no"), got)
                self.innocent()

    @staticmethod
    def drain(connection):
        with contextlib.suppress(OSError):
            while connection.socket.recv(1 << 18):
                pass


if __name__ == "__main__":
    unittest.main()
