"""Retries help a few requests and must not make a bad day worse: with every backend failing, what they get stays under 1.2 times what
clients asked."""
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from http.client import HTTPConnection
from pathlib import Path

import harness
from harness import free_port, wait_for

CLIENTS, EACH = 50, 20


class Failing:
    """A server that counts the requests it gets and does the same thing with each."""

    def __init__(self, answer):
        self.answer, self.asked, self.lock = answer, 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, sock):
        with sock, contextlib.suppress(OSError):
            heard = b""
            while True:
                while b"\r\n\r\n" not in heard:
                    piece = sock.recv(65536)
                    if not piece:
                        return
                    heard += piece
                heard = heard.split(b"\r\n\r\n", 1)[1]
                with self.lock:
                    self.asked += 1
                if not self.answer:
                    return
                sock.sendall(self.answer)

    def close(self):
        self.listener.close()


class Storm(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = Path(tempfile.mkdtemp(prefix="regrow-retry-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def start(self, addresses, **pool):
        self.port, self.admin = free_port(), free_port()
        base = {"data": "none", "hold": "off", "retry": {"attempts": 3}, "slow_start": "off", "check": {"command": ["/bin/true"], "every": "1h"},
                "backends": [{"name": f"b{i}", "address": a} for i, a in enumerate(addresses)]}
        config = {"workers": 1, "state_dir": str(self.dir / f"state-{self.port}"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
                  "listeners": [{"listen": f"127.0.0.1:{self.port}", "routes": [{"pool": "app"}]}], "pools": {"app": {**base, **pool}}}
        (self.dir / "regrow.json").write_text(json.dumps(config))
        with open(self.dir / "log", "wb") as log:
            proxy = subprocess.Popen([harness.REGROW, "run", "-c", str(self.dir / "regrow.json")], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(proxy.wait)
        self.addCleanup(proxy.terminate)
        wait_for(lambda: harness.request(self.admin, "GET", "/readyz").status == 200, "the proxy to serve")

    def storm(self, clients, each):
        statuses, began = [], time.monotonic()

        def ask():
            for _ in range(each):
                connection = HTTPConnection("127.0.0.1", self.port, timeout=harness.PATIENCE)
                connection.request("GET", "/")
                statuses.append(connection.getresponse().status)
                connection.close()
        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.took = time.monotonic() - began
        self.assertEqual(len(statuses), clients * each)
        return statuses

    def assertWithinBudget(self, asked, statuses, credit=0):
        """A fifth more, what the budget begins with, and its floor of three a second: that fills while clients pause, and on a busy
        machine they do. (That it is no bonus beside steady requests is a unit test.)"""
        self.assertLess(asked, 1.2 * len(statuses) + 4 + credit + 3 * self.took)

    def failing(self, answer, count=3):
        servers = [Failing(answer) for _ in range(count)]
        for s in servers:
            self.addCleanup(s.close)
        return servers

    def judge(self, answer, status):
        for clients in (1, CLIENTS):
            with self.subTest(clients=clients):
                servers = self.failing(answer)
                self.start([s.address for s in servers], observe="off")
                statuses = self.storm(clients, CLIENTS * EACH // clients)
                self.assertEqual(set(statuses), {status})
                asked = sum(s.asked for s in servers)
                self.assertGreater(asked, len(statuses), "nothing was retried")
                self.assertWithinBudget(asked, statuses)
                self.assertEqual(harness.request(self.admin, "GET", "/stats").json()["pools"]["app"]["retries"], asked - len(statuses))

    def test_servers_that_answer_503(self):
        self.judge(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 503)

    def test_servers_that_close_instead_of_answering(self):
        self.judge(None, 502)

    def lone(self, clients, **pool):
        """How often the only server was asked by so many clients, and what they got."""
        server = self.failing(None, 1)[0]
        self.start([server.address], hold={"wait": "2s", "requests": 1000}, **pool)
        statuses = self.storm(clients, CLIENTS * EACH // clients)
        self.assertEqual(harness.request(self.admin, "GET", "/stats").json()["pools"]["app"]["held"], 0)
        return server.asked, statuses

    def test_the_only_server_closes_instead_of_answering(self):
        """It might be its death, for which requests wait: a few are sent again to see."""
        for clients in (1, CLIENTS):
            with self.subTest(clients=clients):
                asked, statuses = self.lone(clients, observe="off")
                self.assertEqual(set(statuses), {502})
                self.assertGreater(asked, len(statuses), "nothing was retried")
                self.assertWithinBudget(asked, statuses, credit=1)

    def test_the_only_server_fails_and_is_taken_out_by_health_now_and_then(self):
        asked, statuses = self.lone(CLIENTS)
        self.assertLessEqual(set(statuses), {502, 503})
        self.assertWithinBudget(asked, statuses, credit=1)

    def test_no_budget_is_no_retry(self):
        asked, statuses = self.lone(CLIENTS, observe="off", retry={"budget": "0%"})
        self.assertLess(asked, len(statuses) + 5 + 3 * self.took)  # three a second, for quiet pools

    def test_servers_that_refuse(self):
        """What was never sent goes to every other server at once, and health soon ends that."""
        self.start([f"127.0.0.1:{free_port()}" for _ in range(3)])
        statuses = self.storm(CLIENTS, EACH)
        self.assertLessEqual(set(statuses), {502, 503})
        backends = harness.request(self.admin, "GET", "/stats").json()["pools"]["app"]["backends"]
        self.assertLess(sum(b["failures"]["connect"] for b in backends), 1.2 * len(statuses))


if __name__ == "__main__":
    unittest.main()
