"""All at once, for a while: HTTP/1 and HTTP/2 on both sides, plain and TLS, bodies both ways, compression, routes, clients that leave in the
middle, reloads, backends that die. Meant for a binary built with a sanitizer (REGROW names it): whatever that reports ends the
test. REGROW_LOAD_SECONDS says how long."""
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import harness  # noqa: E402
import http2_dialogue as h2  # noqa: E402
from harness import free_port, wait_for  # noqa: E402

SECONDS = int(os.environ.get("REGROW_LOAD_SECONDS", "20"))
REPORT = re.compile(r"Sanitizer|runtime error:|SUMMARY:")


class Load(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = self.directory()
        self.plain, self.tls, self.tcp, self.admin = (free_port() for _ in range(4))
        self.backends = [free_port() for _ in range(3)]
        self.stop = threading.Event()
        self.addCleanup(self.stop.set)
        self.origins = {}
        for port in self.backends:
            self.start_origin(port)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-keyout", self.dir / "key.pem", "-out", self.dir / "cert.pem"], check=True, capture_output=True)

    def start_origin(self, port):
        self.origins[port] = subprocess.Popen([sys.executable, "-S", str(HERE / "origin.py"), str(port)], stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_origin, self.origins[port])

    @staticmethod
    def end_origin(process):
        if process.poll() is None:
            process.kill()
        process.wait(harness.PATIENCE)

    def config(self, turn):
        """Every other one has more routes and one backend less."""
        routes = [{"path": "/old/", "redirect": {"to": "https://{host}/{rest}"}}, {"exact": "/fixed", "respond": {"status": 200, "body": "fixed"}},
                  {"path": "/app/", "rewrite": {"prefix": "/"}, "pool": "app", "request_headers": {"set": {"X-Set": "1"}},
                   "response_headers": {"remove": ["Server"], "add": {"X-Added": "2"}}},
                  {"path": "/two/", "rewrite": {"prefix": "/"}, "pool": "itself"}, {"pool": "app"}]
        if turn % 2:
            routes[:0] = [{"path": f"/route/{i}/", "pool": "app"} for i in range(200)]
        check = {"http": "/1", "every": "1s", "timeout": "1s", "rise": 1, "fall": 2}
        accept = {"requests_per_second": 100_000, "connections_per_ip": 10_000}
        backends = [{"name": f"app-{i}", "address": f"127.0.0.1:{port}"} for i, port in enumerate(self.backends)]
        app = {"data": "none", "check": check, "hold": {"wait": "20s", "requests": 1000}, "slow_start": "off", "balance": "least_requests",
               "compress": {}, "backends": backends[:3 - turn % 2]}
        # Over HTTP/2 to its own listener, and from there on as all else. (By name: its address would be refused.)
        itself = {"data": "none", "http": 2, "check": {"http": "/fixed", "every": "1s", "timeout": "1s"}, "slow_start": "off",
                  "retry": {"attempts": 2, "hedge": True}, "backends": [{"name": "itself", "address": f"localhost:{self.plain}"}]}
        tls = {"certificate": str(self.dir / "cert.pem"), "key": str(self.dir / "key.pem")}
        return {"workers": 2, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
                "access_log": {"path": str(self.dir / "access.log"), "format": "json"},
                "listeners": [{"listen": f"127.0.0.1:{self.plain}", "h2c": True, "routes": routes, "accept": accept},
                              {"listen": f"127.0.0.1:{self.tls}", "tls": tls, "routes": routes},
                              {"listen": f"127.0.0.1:{self.tcp}", "mode": "tcp", "pool": "app"}],
                "pools": {"app": app, "itself": itself}}

    def start_proxy(self):
        self.file, self.log = self.dir / "regrow.json", self.dir / "log"
        self.file.write_text(json.dumps(self.config(0)))
        with open(self.log, "wb") as log:
            self.proxy = subprocess.Popen([harness.REGROW, "run", "-c", str(self.file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(self.end_origin, self.proxy)

        def serving():
            self.assertIsNone(self.proxy.poll(), "the proxy ended:\n" + harness.read_text(self.log))
            return harness.request(self.admin, "GET", "/readyz").status == 200
        wait_for(serving, "the proxy to serve")

    # What goes on meanwhile.
    def reloads(self):
        for turn in range(1, 10_000):
            if self.stop.wait(0.7):
                return
            self.file.write_text(json.dumps(self.config(turn)))
            self.proxy.send_signal(signal.SIGHUP)

    def deaths(self):
        while not self.stop.wait(1.5):
            port = random.choice(self.backends)
            self.end_origin(self.origins[port])
            self.stop.wait(0.5)
            self.start_origin(port)

    def rude(self):
        """Leaves at any point of a dialogue, over any protocol."""
        said = [b"GET /10000", b"GET /100000 HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000,
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ", b"GET / HTTP/1.1\r\n\r\n\r\n",
                h2.PREFACE + h2.frame_bytes(4, 0, 0, b"") + h2.frame_bytes(1, 5, 1, bytes.fromhex("828684418aa0e41d139d09b8f01e07")) * 2,
                h2.PREFACE + b"nonsense" * 20, b"\x16\x03\x01\x00\x05hello", b""]
        while not self.stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", random.choice((self.plain, self.tls, self.tcp))), timeout=5) as peer:
                    peer.sendall(random.choice(said))
                    if random.random() < 0.5:
                        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    elif random.random() < 0.5:
                        peer.recv(1000)
            except OSError:
                pass
            self.stop.wait(0.01)

    def resets(self):
        """Streams of HTTP/2, ended from our side while they run."""
        while not self.stop.is_set():
            try:
                with h2.Client(self.plain) as client:
                    for _ in range(20):
                        number = client.open(path=random.choice(("/100000", "/two/100000")))
                        if random.random() < 0.7:
                            client.head_of(number)
                        client.reset(number)
                    client.ask("POST", "/", body=b"x" * 30_000, trailers=[("x-sum", "1")])
            except (OSError, AssertionError):
                pass

    def operators(self):
        while not self.stop.wait(0.3):
            for path in ("/stats", "/metrics", "/"):
                try:
                    harness.request(self.admin, "GET", path, patience=20)
                except OSError:
                    pass

    def curls(self):
        urls = [f"http://127.0.0.1:{self.plain}", f"https://127.0.0.1:{self.tls}"]
        while not self.stop.is_set():
            way = random.choice((["--http1.1"], ["--http2"], ["--http1.1", "-H", "Transfer-Encoding: chunked"]))
            what = random.choice((["-d", "@" + str(HERE / "origin.py")], ["--compressed"], ["-I"], ["-X", "PUT", "-d", "x"]))
            where = random.choice(("/30000", "/chunked/200000", "/app/chunked/3000", "/old/x", "/fixed", "/route/7/100", "/two/30000", "/two/app/chunked/3000"))
            subprocess.run(["curl", "-sk", "-m", "5", "-o", "/dev/null", *way, *what, random.choice(urls) + where], timeout=60)

    def h2load(self, *argv):
        return subprocess.Popen(["h2load", "-D", str(SECONDS), "-H", "accept-encoding: zstd, br, gzip", *map(str, argv)], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def test_everything_at_once(self):
        self.start_proxy()
        plain, tls = f"http://127.0.0.1:{self.plain}", f"https://127.0.0.1:{self.tls}"
        loads = [self.h2load("--h1", "-c", 8, plain + "/500", plain + "/20000", plain + "/fixed"),
                 self.h2load("-c", 2, "-m", 10, plain + "/5000", plain + "/chunked/40000", plain + "/app/10"),
                 self.h2load("-c", 3, "-m", 5, tls + "/5000", tls + "/chunked/100000", tls + "/route/5/100"),
                 self.h2load("--h1", "-c", 3, tls + "/500", tls + "/chunked/9000"),
                 self.h2load("-c", 2, "-m", 10, plain + "/two/5000", plain + "/two/chunked/40000", plain + "/two/fixed"),
                 self.h2load("--h1", "-c", 2, tls + "/two/500"),
                 self.h2load("--h1", "-c", 2, f"http://127.0.0.1:{self.tcp}/2000")]
        busy = [threading.Thread(target=each, daemon=True)
                for each in (self.reloads, self.deaths, self.rude, self.rude, self.resets, self.operators, self.curls)]
        for each in busy:
            each.start()
        said = [load.communicate(timeout=SECONDS + harness.PATIENCE)[0] for load in loads]
        self.stop.set()
        for each in busy:
            each.join(harness.PATIENCE)
        self.assertIsNone(self.proxy.poll(), "the proxy ended:\n" + harness.read_text(self.log, 200))
        time_to_end = time.monotonic()
        self.proxy.send_signal(signal.SIGTERM)
        code = self.proxy.wait(harness.PATIENCE)
        text = harness.read_text(self.log)
        self.assertNotRegex(text, REPORT, harness.read_text(self.log, 300))
        self.assertEqual(code, 0, harness.read_text(self.log, 100))
        self.assertLess(time.monotonic() - time_to_end, 40)
        for one in said:
            counts = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded", one)
            self.assertIsNotNone(counts, one)
            done, succeeded = int(counts[2]), int(counts[3])
            self.assertGreater(succeeded, 0, one)
            self.assertGreaterEqual(succeeded, done * 0.9, one)


if __name__ == "__main__":
    unittest.main()
