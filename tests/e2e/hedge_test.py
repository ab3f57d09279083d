"""A backend that is stopped (its kernel still takes connections and data) while requests keep coming."""
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import harness
from harness import wait_for

SERVER = r"""
import http.server, sys
log = open(sys.argv[2], "a", buffering=1)
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        log.write(self.path + "\n")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


class Hedge(unittest.TestCase):
    POOL, ROUTE = "{hedge: true}", "{}"

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="hedge-"))
        (self.dir / "server.py").write_text(SERVER)
        self.ports = [harness.free_port() for _ in range(3)]
        self.servers = [subprocess.Popen([sys.executable, self.dir / "server.py", str(p), self.dir / f"{p}.log"]) for p in self.ports]
        self.port, self.admin = harness.free_port(), harness.free_port()
        backends = ", ".join(f"{{name: b-{i}, address: '127.0.0.1:{p}'}}" for i, p in enumerate(self.ports))
        (self.dir / "regrow.yaml").write_text(f"""
state_dir: {self.dir}/state
workers: 1
admin: {{listen: '127.0.0.1:{self.admin}'}}
listeners:
  - listen: '127.0.0.1:{self.port}'
    routes: [{{pool: app, retry: {self.ROUTE}}}]
pools:
  app:
    data: none
    balance: round_robin
    retry: {self.POOL}
    slow_start: off
    backends: [{backends}]
""")
        self.log = open(self.dir / "log", "w")
        self.proxy = subprocess.Popen([harness.REGROW, "run", "--config", self.dir / "regrow.yaml"], stdout=self.log, stderr=self.log)
        self.addCleanup(self.end)
        wait_for(self.answers, "the proxy and its servers")

    def end(self):
        for p in [self.proxy, *self.servers]:
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.kill()
            p.wait()
        self.log.close()

    def answers(self):
        try:
            return harness.request(self.port, "GET", "/ready").status == 200
        except OSError:
            return False

    def heard(self, i):
        path = self.dir / f"{self.ports[i]}.log"
        return path.read_text().splitlines() if path.exists() else []

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{"))

    def test_nothing_fails_and_nothing_new_goes_to_a_stopped_server(self):
        failed, done, stop = [], [], threading.Event()

        def load(worker):
            connection, n = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20), 0
            while not stop.wait(0.004):
                n += 1
                path = f"/{worker}/{n}"
                try:
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    if answer.read() != b"ok" or answer.status != 200:
                        failed.append((path, answer.status))
                except OSError as e:
                    failed.append((path, repr(e)))
                    connection.close()
                done.append(path)
            connection.close()
        threads = [threading.Thread(target=load, args=(w,)) for w in range(8)]
        for t in threads:
            t.start()
        try:
            wait_for(lambda: min(len(self.heard(i)) for i in range(3)) > 100, "load on all servers")
            stopped = self.servers[1]
            os.kill(stopped.pid, signal.SIGSTOP)
            wait_for(lambda: "has fallen silent" in (self.dir / "log").read_text(), "it to be noticed")
            wait_for(lambda: self.metric("regrow_pool_hedges_won_total") > 0, "a hedge")
            mark = len(done)
            after = set()
            wait_for(lambda: len(done) > mark + 500, "more load")
            after.update(done[mark + 50:mark + 500])
            os.kill(stopped.pid, signal.SIGCONT)
            known = len(self.heard(1))
            wait_for(lambda: len(self.heard(1)) > known + 100, "it to be taken again")
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.assertEqual(failed, [])
        self.assertEqual(after & set(self.heard(1)), set(), "new requests went to a silent server")


class HedgeByRoute(Hedge):
    POOL, ROUTE = "{}", "{hedge: true}"


if __name__ == "__main__":
    unittest.main()
