"""Routes as a configuration has them: what the client says and hears, what the backend hears, and a reload in between."""
import json
import signal
import socket
import subprocess
import threading
import unittest

import harness
from harness import wait_for

# "secret", hashed by crypt(3)'s SHA-512 with the fewest rounds there are.
USERS = ("anna:$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/\n")
ANNA = "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n"


class Origin(threading.Thread):
    """Answers every request with 200 and remembers what it heard. Bodies have a Content-Length."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.heard = []
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            while True:
                head = read_head(lines)
                if not head:
                    return
                lines.read(length_of(head))
                self.heard.append(head)
                connection.sendall(b"HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Length: 2\r\n\r\nok")


def read_head(lines):
    head = ""
    while not head.endswith("\r\n\r\n"):
        line = lines.readline()
        if not line:
            return ""
        head += line.decode("latin-1")
    return head


def length_of(head):
    sizes = [line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length:")]
    return int(sizes[0]) if sizes else 0


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=harness.PATIENCE)
        self.lines = self.socket.makefile("rb")

    def ask(self, target, fields="", method="GET", host="wiki.example.org"):
        self.socket.sendall(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode())
        head = read_head(self.lines)
        return head, self.lines.read(length_of(head)).decode()

    def close(self):
        self.lines.close()
        self.socket.close()


class Routing(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = self.directory()
        self.port, self.admin = harness.free_port(), harness.free_port()
        self.origin = Origin()
        self.addCleanup(self.origin.socket.close)

    def write(self, routes, **listener):
        self.file = self.dir / "regrow.yaml"
        self.file.write_text(json.dumps({
            "workers": 1, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "listeners": [{"listen": f"127.0.0.1:{self.port}", "routes": routes, **listener}],
            "pools": {"app": {"backends": [{"name": "app-1", "address": f"127.0.0.1:{self.origin.port}"}]},
                      "gone": {"hold": "off", "backends": [{"name": "gone-1", "address": f"127.0.0.1:{harness.free_port()}"}]}}}))

    def start(self):
        with (self.dir / "log").open("w") as log:
            self.proxy = subprocess.Popen([harness.REGROW, "run", "-c", self.file], stderr=log)
        self.addCleanup(self.stop)
        wait_for(lambda: harness.request(self.admin, "GET", "/healthz").status == 200, "the proxy")
        client = Client(self.port)
        self.addCleanup(client.close)
        return client

    def stop(self):
        self.proxy.kill()
        self.proxy.wait()

    def reload(self):
        before = self.generation()
        self.proxy.send_signal(signal.SIGHUP)
        wait_for(lambda: self.generation() > before, "the reload")

    def generation(self):
        return harness.request(self.admin, "GET", "/stats").json()["generation"]

    def test_every_action_over_one_connection(self):
        (self.dir / "users").write_text(USERS)
        (self.dir / "down.html").write_text("<p>down</p>")
        self.write([
            {"exact": "/robots.txt", "respond": {"body": "none"}},
            {"host": "old.example.org", "redirect": {"to": "https://wiki.example.org{path}{query}", "status": 308}},
            {"path": "/app/", "pool": "app", "rewrite": {"prefix": "/"}, "request_headers": {"set": {"X-Forwarded-Prefix": "/app"}},
             "response_headers": {"remove": ["Server"]}},
            {"path": "/private/", "pool": "app", "basic_auth": {"users_file": str(self.dir / "users")}},
            {"path": "/inside/", "pool": "app", "allow": ["10.0.0.0/8"]},
            {"path": "/down/", "pool": "gone"},
            {"method": "PUT", "pool": "app", "max_body": "1KiB"},
            {"host": "*.example.org", "header": {"X-Beta": "*"}, "respond": {"status": 410}},
            {"host": "*.example.org", "pool": "app"},
        ], error_pages={"5xx": str(self.dir / "down.html")})
        client = self.start()
        self.assertEqual(client.ask("/robots.txt")[1], "none")
        self.assertIn("\r\nLocation: https://wiki.example.org/a?b=c\r\n", client.ask("/a?b=c", host="old.example.org")[0])

        head, body = client.ask("/app/x?y")
        self.assertEqual(body, "ok")
        self.assertNotIn("Server:", head)
        self.assertTrue(self.origin.heard[-1].startswith("GET /x?y HTTP/1.1\r\n"), self.origin.heard[-1])
        self.assertIn("\r\nX-Forwarded-Prefix: /app\r\n", self.origin.heard[-1])

        self.assertIn("\r\nWWW-Authenticate: Basic realm=", client.ask("/private/")[0])
        self.assertEqual(client.ask("/private/", ANNA)[1], "ok")
        self.assertNotIn("Authorization", self.origin.heard[-1])

        heard = len(self.origin.heard)
        self.assertTrue(client.ask("/inside/")[0].startswith("HTTP/1.1 403 "))
        self.assertEqual(client.ask("/down/")[1], "<p>down</p>")
        self.assertTrue(client.ask("/", "X-Beta: 1\r\n")[0].startswith("HTTP/1.1 410 "))
        self.assertTrue(client.ask("/", host="example.net")[0].startswith("HTTP/1.1 404 "))
        self.assertEqual(len(self.origin.heard), heard)
        self.assertEqual(client.ask("/", host="a.b.example.org")[1], "ok")
        self.assertTrue(client.ask("/", "Content-Length: 1025\r\n", method="PUT")[0].startswith("HTTP/1.1 413 "))

    def test_a_reload_changes_routes_and_keeps_connections(self):
        self.write([{"pool": "app"}])
        client = self.start()
        self.assertEqual(client.ask("/x")[1], "ok")
        self.write([{"path": "/x", "respond": {"body": "mine"}}, {"pool": "app"}])
        self.reload()
        self.assertEqual(client.ask("/x")[1], "mine")
        self.assertEqual(client.ask("/y")[1], "ok")
        # One that cannot be used changes nothing.
        self.write([{"pool": "app", "basic_auth": {"users_file": str(self.dir / "nobody")}}])
        self.proxy.send_signal(signal.SIGHUP)
        wait_for(lambda: "users_file cannot be used" in (self.dir / "log").read_text(), "the refusal")
        self.assertEqual(client.ask("/x")[1], "mine")


if __name__ == "__main__":
    unittest.main()
