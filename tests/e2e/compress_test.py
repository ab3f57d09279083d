"""Responses encoded on the way: what the client gets is what the backend sent, in fewer bytes, and nothing is encoded that should
not be. Origins here are threads that answer with given bytes; clients are raw sockets and curl."""
import gzip
import random
import socket
import subprocess
import threading
import unittest
import zlib

import harness


class Origin(threading.Thread):
    """Answers each path with the bytes it was given; a list is sent piece by piece, waiting for `go` in between."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.answers, self.go = answers, threading.Semaphore(0)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        try:
            self.answer_all(peer)
        except OSError:
            pass  # the proxy closed what it did not need

    def answer_all(self, peer):
        with peer:
            head = b""
            while True:
                while b"\r\n\r\n" not in head:
                    more = peer.recv(65536)
                    if not more:
                        return
                    head += more
                path = head.split()[1].decode()
                head = head.split(b"\r\n\r\n", 1)[1]
                answer = self.answers[path]
                for number, piece in enumerate(answer if isinstance(answer, list) else [answer]):
                    if number:
                        self.go.acquire()
                    peer.sendall(piece)

    def close(self):
        self.socket.close()


def answer(body, fields="Content-Type: text/plain\r\n", chunked=False):
    if chunked:
        cut = random.Random(1)
        framed = b""
        while body:
            size = cut.randrange(1, 30_000)
            piece, body = body[:size], body[size:]
            framed += f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
        return f"HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n".encode() + framed + b"0\r\n\r\n"
    return f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


TEXT = "".join(f"line {n % 97} of {n % 31}\n" for n in range(60_000)).encode()
NOISE = random.Random(2).randbytes(200_000)


class Compress(harness.TestCase):
    def proxy(self, answers, routes=None, **compress):
        self.origin = Origin(answers)
        self.addCleanup(self.origin.close)
        world = self.world(app=harness.Store)
        world.config["listeners"][0]["h2c"] = True
        world.config["pools"]["wiki"] = {"data": "none", "check": "tcp", "observe": "off", "compress": compress,
                                         "backends": [{"name": "wiki-1", "address": f"127.0.0.1:{self.origin.port}"}]}
        if routes:
            world.config["listeners"][0]["routes"] = routes
        del world.config["repositories"]
        return world.start()

    def curl(self, world, path, *options):
        """curl decodes by itself: (content, head, bytes on the wire)."""
        head = world.dir / "head"
        done = subprocess.run(["curl", "-sS", "--compressed", "-D", head, "-w", "%{stderr}%{size_download}", *options,
                               f"http://127.0.0.1:{world.port}{path}"], capture_output=True, timeout=harness.PATIENCE, check=True)
        return done.stdout, head.read_text().lower(), int(done.stderr)

    def test_it_comes_back_whole_in_fewer_bytes(self):
        world = self.proxy({"/text": answer(TEXT), "/chunked": answer(TEXT, chunked=True), "/noise": answer(NOISE), "/empty": answer(b"", chunked=True)},
                           codings=["br", "gzip"])
        for version in ("--http1.1", "--http2-prior-knowledge"):
            for coding in ("br", "gzip"):
                for path, content in (("/text", TEXT), ("/chunked", TEXT), ("/noise", NOISE), ("/empty", b"")):
                    with self.subTest(version=version, coding=coding, path=path):
                        got, head, size = self.curl(world, path, version, "-H", f"Accept-Encoding: {coding}")
                        self.assertEqual(got, content)
                        self.assertIn(f"content-encoding: {coding}", head)
                        self.assertIn("vary: accept-encoding", head)
                        self.assertNotIn("content-length", head)
                        if content is TEXT:
                            self.assertLess(size, len(TEXT) // 3)

    def test_what_stays_as_it_is(self):
        packed = gzip.compress(TEXT)
        plain = "Content-Type: text/plain\r\n"
        world = self.proxy({
            "/small": answer(b"x" * 500), "/image": answer(NOISE, "Content-Type: image/png\r\n"),
            "/packed": answer(packed, plain + "Content-Encoding: gzip\r\n"), "/kept": answer(TEXT, plain + "Cache-Control: no-transform\r\n"),
            "/untyped": answer(TEXT, ""), "/text": answer(TEXT),
            "/part": answer(TEXT, plain + "Content-Range: bytes 0-1/2\r\n").replace(b"200 OK", b"206 Partial")})
        for path, content in (("/small", b"x" * 500), ("/image", NOISE), ("/kept", TEXT), ("/untyped", TEXT), ("/part", TEXT), ("/packed", TEXT)):
            with self.subTest(path=path):
                got, head, _ = self.curl(world, path)
                self.assertEqual(got, content)
                self.assertEqual("content-encoding" in head, path == "/packed")
                self.assertIn("content-length", head)
        plainly = world.ask("GET", "/text")  # a client that asks for nothing, though the answer varies
        self.assertEqual((plainly.body, plainly.headers.get("Content-Encoding"), plainly.headers["Vary"]), (TEXT, None, "Accept-Encoding"))
        head = subprocess.run(["curl", "-sSI", "--compressed", f"http://127.0.0.1:{world.port}/small"], capture_output=True, text=True, check=True)
        self.assertNotIn("content-encoding", head.stdout.lower())

    def test_tags_and_ranges_speak_of_other_bytes(self):
        world = self.proxy({"/": answer(TEXT, 'Content-Type: text/html\r\nETag: "abc"\r\nAccept-Ranges: bytes\r\nVary: Cookie\r\n'),
                            "/weak": answer(TEXT, 'Content-Type: text/html\r\nETag: W/"abc"\r\nVary: Origin, accept-encoding\r\n')})
        _, head, _ = self.curl(world, "/")
        self.assertIn('etag: w/"abc"', head)
        self.assertNotIn("accept-ranges", head)
        self.assertIn("vary: cookie", head)
        self.assertIn("vary: accept-encoding", head)
        _, head, _ = self.curl(world, "/weak")
        self.assertIn('etag: w/"abc"', head)
        self.assertEqual(head.count("accept-encoding"), 1)

    def test_without_content_the_head_is_that_of_the_content(self):
        fields = 'Content-Type: text/html\r\nETag: "abc"\r\n'
        world = self.proxy({"/": answer(b"", fields).replace(b"Length: 0", b"Length: 5000"),
                            "/not": b'HTTP/1.1 304 Not Modified\r\nETag: "abc"\r\n\r\n'})
        _, head, _ = self.curl(world, "/", "--head")
        for line in ('etag: w/"abc"', "content-encoding: zstd", "vary: accept-encoding"):
            self.assertIn(line, head)
        self.assertNotIn("content-length", head)
        for tag, told in (('W/"abc"', 'w/"abc"'), ('"abc"', '"abc"')):
            _, head, _ = self.curl(world, "/not", "-H", f"If-None-Match: {tag}")
            self.assertIn(f"etag: {told}", head)
            self.assertEqual("vary: accept-encoding" in head, "W/" in tag)

    def test_what_a_route_changes_is_what_counts(self):
        world = self.proxy({"/vary": answer(TEXT, "Content-Type: text/plain\r\nVary: Accept-Encoding\r\n"), "/type": answer(TEXT)}, routes=[
            {"path": "/vary", "pool": "wiki", "response_headers": {"set": {"Vary": "Origin"}}},
            {"path": "/type", "pool": "wiki", "response_headers": {"set": {"Content-Type": "image/png"}}}])
        _, head, _ = self.curl(world, "/vary")
        self.assertIn("content-encoding", head)
        self.assertEqual((head.count("vary: origin"), head.count("vary: accept-encoding")), (1, 1))
        self.assertNotIn("content-encoding", self.curl(world, "/type")[1])

    def test_what_a_client_says_counts_as_a_whole(self):
        world = self.proxy({"/": answer(TEXT)}, codings=["gzip"])

        def coding(*fields):
            head = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-D", "-", *(f"-H{f}" for f in fields), f"http://127.0.0.1:{world.port}/"],
                                  capture_output=True, text=True, check=True).stdout.lower()
            return "content-encoding: gzip" in head
        self.assertTrue(coding("Accept-Encoding: deflate", "accept-encoding: gzip"))
        self.assertFalse(coding("Accept-Encoding: gzip;q=0", "accept-encoding: *"))
        self.assertFalse(coding("Accept-Encoding: gzip", "Cache-Control: no-transform"))

    def test_events_are_not_held_back(self):
        events = [b"data: %d\n\n" % n for n in range(5)]
        framed = [b"%x\r\n%s\r\n" % (len(e), e) for e in events]
        start = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        world = self.proxy({"/": [start + framed[0], *framed[1:], b"0\r\n\r\n"]}, codings=["gzip"])
        client = socket.create_connection(("127.0.0.1", world.port), timeout=harness.PATIENCE)
        self.addCleanup(client.close)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        stream, received, decoder = client.makefile("rb"), b"", zlib.decompressobj(31)
        while stream.readline() != b"\r\n":
            pass
        for event in events:  # each is here before the next one is sent
            received = b""
            while received != event:
                received += decoder.decompress(stream.read(int(stream.readline(), 16)))
                self.assertEqual(stream.readline(), b"\r\n")
                self.assertTrue(event.startswith(received), (event, received))
            self.origin.go.release()

    def test_a_backend_that_breaks_off_shows(self):
        half = answer(TEXT, chunked=True)[:400_000]
        for version in ("--http1.1", "--http2-prior-knowledge"):
            origin = Origin({"/": [half]})
            self.addCleanup(origin.close)
            origin.answer_all = lambda peer: peer.recv(65536) and (peer.sendall(half), peer.close())
            world = self.world(app=harness.Store)
            world.config["listeners"][0]["h2c"] = True
            world.config["pools"]["wiki"] = {"data": "none", "check": "tcp", "observe": "off", "compress": {},
                                             "backends": [{"name": "wiki-1", "address": f"127.0.0.1:{origin.port}"}]}
            del world.config["repositories"]
            world.start()
            done = subprocess.run(["curl", "-sS", "--compressed", version, f"http://127.0.0.1:{world.port}/"], capture_output=True, check=False)
            self.assertNotEqual(done.returncode, 0, "an answer that was cut off must not look whole")
            self.assertTrue(TEXT.startswith(done.stdout))
            world.end()


if __name__ == "__main__":
    unittest.main()
