"""A backend by name whose address changes while it is in use. The proxy has an /etc/hosts of its own (a mount namespace)."""
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
from http.client import HTTPConnection
from pathlib import Path

import harness
from harness import free_port, wait_for

NAME = "app.regrow.test"


class Origin(http.server.ThreadingHTTPServer):
    """Says which address it has; below /gated when the gate opens."""
    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/gated":
                self.server.gated.set()
                self.server.gate.wait(harness.PATIENCE)
            body = self.server.server_address[0].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def __init__(self, ip, port):
        self.gate, self.gated = threading.Event(), threading.Event()
        super().__init__((ip, port), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def can_unshare():
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(os.environ.get("REGROW_TEST_ALL") or can_unshare(), "no mount namespaces here")
class Names(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = Path(tempfile.mkdtemp(prefix="regrow-names-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.backend, self.port, self.admin = free_port(), free_port(), free_port()
        self.origins = [Origin(f"127.0.0.{i}", self.backend) for i in (1, 2)]
        for origin in self.origins:
            self.addCleanup(origin.server_close)
            self.addCleanup(origin.shutdown)
        self.name_is("127.0.0.1")
        config = {"workers": 1, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
                  "listeners": [{"listen": f"127.0.0.1:{self.port}", "routes": [{"pool": "app"}]}],
                  "pools": {"app": {"data": "none", "slow_start": "off", "hold": "off", "retry": {"attempts": 1},
                                    "backends": [{"name": "one", "address": f"{NAME}:{self.backend}"}]}}}
        (self.dir / "regrow.json").write_text(json.dumps(config))
        with open(self.dir / "log", "wb") as log:
            self.proxy = subprocess.Popen(["unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh",
                                           self.dir / "hosts", harness.REGROW, "run", "-c", self.dir / "regrow.json"],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(self.proxy.wait, harness.PATIENCE)
        self.addCleanup(self.proxy.terminate)
        wait_for(lambda: self.ask().text == "127.0.0.1", "the first address")

    def name_is(self, ip):
        (self.dir / "hosts").write_text(f"{ip} {NAME}\n" if ip else "")

    def look_again(self):
        self.proxy.send_signal(signal.SIGHUP)

    def ask(self, path="/"):
        return harness.request(self.port, "GET", path)

    def events(self):
        return harness.request(self.admin, "GET", "/events").text

    def test_the_address_changes_and_nothing_is_lost(self):
        slow = HTTPConnection("127.0.0.1", self.port, timeout=harness.PATIENCE)
        slow.request("GET", "/gated")
        self.assertTrue(self.origins[0].gated.wait(harness.PATIENCE))
        self.name_is("127.0.0.2")
        self.look_again()
        seen = []
        wait_for(lambda: seen.append(self.ask()) or seen[-1].text == "127.0.0.2", "the second address")
        self.assertEqual({a.status for a in seen}, {200})
        self.assertEqual({self.ask().text for _ in range(5)}, {"127.0.0.2"})
        self.origins[0].gate.set()
        self.addCleanup(slow.close)
        self.assertEqual(slow.getresponse().read(), b"127.0.0.1")  # what was under way there went on

    def fails(self):
        self.name_is(None)
        self.look_again()
        wait_for(lambda: "127.0.0.1:" in self.log() and "stays in use" in self.log(), "the failure to be told")
        self.assertEqual(self.ask().text, "127.0.0.1")

    def test_the_last_good_address_stays_until_the_name_is_found_again(self):
        self.fails()
        self.name_is("127.0.0.1")
        wait_for(lambda: "is found again" in self.log(), "the name to be found")

    def test_another_address_is_found_without_being_told(self):
        self.fails()
        self.name_is("127.0.0.2")
        wait_for(lambda: self.ask().text == "127.0.0.2", "the second address")

    def log(self):
        return harness.read_text(self.dir / "log")


if __name__ == "__main__":
    unittest.main()
