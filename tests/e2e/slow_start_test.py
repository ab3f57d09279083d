"""A server that comes back gets its share little by little, whatever it was that kept it away."""
import json
import shutil
import subprocess
import tempfile
import unittest
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import harness
from harness import free_port, wait_for


class Server(ThreadingHTTPServer):
    daemon_threads = True

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.server.name.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def handle_error(self, *_):
        pass  # a check that closes with a reset

    def __init__(self, name, port):
        self.name = name
        super().__init__(("127.0.0.1", port), self.Handler)
        Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class SlowStart(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = Path(tempfile.mkdtemp(prefix="regrow-slow-start-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.port, self.admin = free_port(), free_port()
        self.servers = {name: Server(name, free_port()) for name in ("one", "two")}
        self.addCleanup(lambda: [s.stop() for s in self.servers.values()])

    def start(self):
        backends = [{"name": n, "address": f"127.0.0.1:{s.server_port}"} for n, s in self.servers.items()]
        config = {"workers": 1, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
                  "listeners": [{"listen": f"127.0.0.1:{self.port}", "routes": [{"pool": "app"}]}],
                  "pools": {"app": {"data": "none", "balance": "round_robin", "slow_start": "10m", "backends": backends,
                                    "check": {"tcp": True, "every": "100ms", "rise": 1, "fall": 1}}}}
        (self.dir / "regrow.json").write_text(json.dumps(config))
        with open(self.dir / "log", "wb") as log:
            self.proxy = subprocess.Popen([harness.REGROW, "run", "-c", self.dir / "regrow.json"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(self.proxy.wait, harness.PATIENCE)
        self.addCleanup(self.proxy.terminate)
        wait_for(lambda: self.states() == ["up", "up"], "both servers to be up")

    def states(self):
        return [b["state"] for b in harness.request(self.admin, "GET", "/stats").json()["pools"]["app"]["backends"]]

    def shares(self):
        return Counter(harness.request(self.port, "GET", "/").text for _ in range(60))

    def test_up_again_by_its_checks(self):
        self.start()
        self.assertEqual(self.shares()["two"], 30)  # nobody is held back when all begin
        server = self.servers["two"]
        server.stop()
        wait_for(lambda: self.states() == ["up", "down"], "it to be seen down")
        self.servers["two"] = Server("two", server.server_port)
        wait_for(lambda: self.states() == ["up", "up"], "it to be seen up")
        self.assertLess(self.shares()["two"], 12)

    def test_undrained(self):
        self.start()
        for verb in ("drain", "undrain"):
            done = subprocess.run([harness.REGROW, verb, "app/two", "-c", self.dir / "regrow.json"], capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(self.shares()["two"], range(1, 12))


if __name__ == "__main__":
    unittest.main()
