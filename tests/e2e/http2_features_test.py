"""What routes and pools do, asked over HTTP/2: rules that answer, redirect, rewrite and edit, compression, and the queue of a backend
that takes one request at a time."""
import gzip
import json
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import harness
import http2_dialogue as h2
from harness import free_port, wait_for

TEXT = b"the quick brown fox jumps over the lazy dog. " * 4000


class Features(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.origin = h2.Origin()
        cls.addClassCleanup(cls.origin.close)
        cls.dir = Path(tempfile.mkdtemp(prefix="regrow-features-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.port, cls.admin = free_port(), free_port()
        check = {"command": ["/bin/true"], "every": "1h", "timeout": "10s"}
        backend = {"name": "one", "address": f"127.0.0.1:{cls.origin.port}"}
        base = {"data": "none", "check": check, "observe": "off", "slow_start": "off"}
        routes = [{"exact": "/fixed", "respond": {"status": 200, "body": "fixed\n"}},
                  {"path": "/old/", "redirect": {"to": "https://{host}/new/{rest}{query}", "status": 301}},
                  {"path": "/app/", "rewrite": {"prefix": "/inside/"}, "pool": "app", "max_body": "1KiB",
                   "request_headers": {"set": {"X-Set": "ours"}, "remove": ["X-Secret"]},
                   "response_headers": {"remove": ["Server"], "add": {"X-Added": "1"}}},
                  {"path": "/post-only", "method": "POST", "pool": "app"}, {"path": "/narrow", "pool": "narrow"},
                  {"path": "/squeezed", "pool": "app"}]
        config = {"workers": 1, "state_dir": str(cls.dir / "state"), "admin": {"listen": f"127.0.0.1:{cls.admin}"},
                  "listeners": [{"listen": f"127.0.0.1:{cls.port}", "h2c": True, "routes": routes}],
                  "pools": {"app": {**base, "hold": "off", "compress": {"codings": ["gzip"]}, "backends": [backend]},
                            "narrow": {**base, "hold": {"wait": "60s", "requests": 100}, "backends": [{**backend, "max_connections": 1}]}}}
        (cls.dir / "regrow.json").write_text(json.dumps(config))
        with open(cls.dir / "log", "wb") as log:
            cls.proxy = subprocess.Popen([harness.REGROW, "run", "-c", str(cls.dir / "regrow.json")], stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log)
        cls.addClassCleanup(cls.proxy.wait)
        cls.addClassCleanup(cls.proxy.kill)

        def serving():
            if cls.proxy.poll() is not None:
                raise AssertionError(harness.read_text(cls.dir / "log"))
            return harness.request(cls.admin, "GET", "/readyz").status == 200
        wait_for(serving, "the proxy to serve")

    def client(self):
        client = h2.Client(self.port)
        self.addCleanup(client.close)
        return client

    def test_rules(self):
        c = self.client()
        got = c.ask("GET", "/fixed")
        self.assertEqual((got.status, got.body), (200, b"fixed\n"))
        self.assertEqual(c.ask("HEAD", "/fixed").body, b"")
        got = c.ask("GET", "/old/a%2Fb?q=1")
        self.assertEqual((got.status, got.final["location"]), (301, "https://a.test/new/a%2Fb?q=1"))
        self.origin.on("/inside/x", lambda conn, r: conn.answer(b"in", fields="Server: secret\r\n") or True)
        got = c.ask("GET", "/app/x?y", [("x-secret", "1"), ("x-set", "theirs")])
        self.assertEqual((got.status, got.body, got.final["x-added"], got.final.get("server")), (200, b"in", "1", None))
        asked = self.origin.wait("/inside/x?y")
        self.assertEqual((asked.all("x-set"), asked.get("x-secret")), (["ours"], None))
        self.assertEqual(c.ask("POST", "/app/echo", body=b"x" * 1025).status, 413)
        self.assertEqual(c.ask("GET", "/post-only").status, 404)
        self.assertEqual(c.ask("POST", "/post-only", body=b"x").body, b"x")
        self.assertEqual(c.goaways, [])

    def test_compression(self):
        def chunked(conn, request):
            pieces = [TEXT[i:i + 7000] for i in range(0, len(TEXT), 7000)]
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nETag: \"1\"\r\n\r\n")
            for piece in pieces:
                conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            conn.send(b"0\r\n\r\n")
            return True
        self.origin.on("/squeezed/chunked", chunked)
        self.origin.on("/squeezed/length", lambda conn, r: conn.answer(TEXT, fields="Content-Type: text/plain\r\nETag: \"1\"\r\n") or True)
        self.origin.on("/squeezed/cut", lambda conn, r: conn.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9999999\r\n\r\n" + TEXT))
        c = self.client()
        for path in ("/squeezed/chunked", "/squeezed/length"):
            with self.subTest(path):
                got = c.ask("GET", path, [("accept-encoding", "br;q=0, gzip")])
                self.assertEqual((got.status, got.final["content-encoding"], got.ended), (200, "gzip", True))
                self.assertTrue(gzip.decompress(got.body) == TEXT)
                self.assertLess(len(got.body), len(TEXT) // 10)
                self.assertIn("accept-encoding", got.final["vary"].lower())
                self.assertEqual(got.final["etag"], 'W/"1"')
                self.assertNotIn("content-length", got.final)
                plain = c.ask("GET", path)
                self.assertTrue(plain.body == TEXT)
                self.assertNotIn("content-encoding", plain.final)
        cut = c.ask("GET", "/squeezed/cut", [("accept-encoding", "gzip")])
        self.assertEqual((cut.ended, cut.reset), (False, h2.INTERNAL_ERROR))
        self.assertEqual(c.ask("POST", "/post-only", body=b"x").body, b"x")

    def test_a_backend_that_takes_one_at_a_time_serves_in_order(self):
        order, gates = [], [threading.Event() for _ in range(6)]

        def serve(conn, request):
            number = int(request.target.rsplit("/", 1)[1])
            order.append(number)
            gates[number].wait(h2.DEADLINE)
            conn.answer(b"%d" % number)
            return True
        clients, numbers = [], []
        held = lambda: harness.request(self.admin, "GET", "/stats").json()["pools"]["narrow"]["held"]
        for i in range(6):
            self.origin.on(f"/narrow/{i}", serve)
            clients.append(self.client())
            numbers.append(clients[-1].open(path=f"/narrow/{i}"))
            if i == 0:
                self.origin.wait("/narrow/0")
            else:
                wait_for(lambda: held() == i, f"{i} to wait")
        for i in range(6):
            self.origin.wait(f"/narrow/{i}")
            self.assertEqual(order, list(range(i + 1)), "more than one at a time, or out of order")
            gates[i].set()
            self.assertEqual(clients[i].answer(numbers[i]).body, b"%d" % i)
        self.assertEqual(held(), 0)


if __name__ == "__main__":
    unittest.main()
