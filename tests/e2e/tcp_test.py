"""Listeners in TCP mode, the PROXY protocol on both sides, unix sockets, backends by name, and the user to become: as
dialogues, both sides asserted."""
import json
import os
import pwd
import shutil
import socket
import struct
import subprocess
import threading
import unittest
from pathlib import Path

import harness
from harness import REGROW, Store, free_port, wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Origin:
    """A backend that is told what to do with each connection."""

    def __init__(self, address=None):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address or ("127.0.0.1", 0))
        self.socket.listen(64)
        self.socket.settimeout(harness.PATIENCE)
        self.accepted = []
        self.address = address or "%s:%d" % self.socket.getsockname()

    def accept(self):
        connection, _ = self.socket.accept()
        connection.settimeout(harness.PATIENCE)
        self.accepted.append(connection)
        return connection

    def close(self):
        for each in (self.socket, *self.accepted):
            each.close()


def receive(connection, size):
    got = b""
    while len(got) < size:
        piece = connection.recv(size - len(got))
        if not piece:
            break
        got += piece
    return got


def ended(connection):
    """End of file or reset."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


class Edge(harness.TestCase):
    CHECK = {"command": ["/bin/true"], "every": "1h", "timeout": "1s"}

    def setUp(self):
        super().setUp()
        self.dir = self.directory()
        self.port, self.admin = free_port(), free_port()

    def origin(self, address=None):
        origin = Origin(address)
        self.addCleanup(origin.close)
        return origin

    def start(self, backend, listener=None, pool=None, top=None, good=True):
        listener = {"listen": f"127.0.0.1:{self.port}", "mode": "tcp", "pool": "app", **(listener or {})}
        if listener["mode"] == "http":
            listener["routes"] = [{"pool": listener.pop("pool")}]
        config = {"workers": 1, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
                  "access_log": {"path": str(self.dir / "access.log"), "format": "json"}, "listeners": [listener],
                  "pools": {"app": {"data": "none", "check": self.CHECK, "hold": {"wait": "30s"},
                                    "backends": [{"name": "app-1", "address": backend}], **(pool or {})}}, **(top or {})}
        file = self.dir / "regrow.yaml"
        file.write_text(json.dumps(config))
        self.errors = self.dir / "errors"
        with open(self.errors, "wb") as errors:
            self.proxy = subprocess.Popen([REGROW, "run", "-c", str(file)], stderr=errors)
        self.addCleanup(self.proxy.wait)
        self.addCleanup(self.proxy.kill)
        if good:
            wait_for(lambda: harness.request(self.admin, "GET", "/healthz").status == 200, "the proxy to answer")

    def client(self, address=None):
        client = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        client.settimeout(harness.PATIENCE)
        client.connect(address or ("127.0.0.1", self.port))
        self.addCleanup(client.close)
        return client

    def access(self, lines=1):
        def read():
            text = (self.dir / "access.log").read_text().splitlines()
            return len(text) >= lines and [json.loads(line) for line in text]
        return wait_for(read, "the access log")

    def stats(self):
        return harness.request(self.admin, "GET", "/stats").json()


class Tcp(Edge):
    def connected(self, origin):
        """A client and its backend. A byte goes through first: a reset that meets a connection the proxy has not yet
        heard was made is rightly tried elsewhere."""
        client = self.client()
        backend = origin.accept()
        client.sendall(b"x")
        self.assertEqual(backend.recv(1), b"x")
        return [client, backend]

    def test_bytes_both_ways_and_half_closed(self):
        origin = self.origin()
        self.start(origin.address)
        client = self.client()
        backend = origin.accept()
        backend.sendall(b"220 hello\r\n")  # who speaks first is not the proxy's business
        self.assertEqual(receive(client, 11), b"220 hello\r\n")
        client.sendall(b"\0\xff request")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(receive(backend, 100), b"\0\xff request")
        backend.sendall(b"after your end")
        backend.close()
        self.assertEqual(receive(client, 100), b"after your end")
        line = self.access()[0]
        self.assertEqual((line["method"], line["bytes"], line["received"], line["backend"], line["why"]), ("TCP", 25, 10, "app-1", "-"))

    def test_a_slow_reader_stops_the_sender_and_loses_nothing(self):
        origin = self.origin()
        self.start(origin.address)
        client, data = self.client(), os.urandom(1 << 20) * 24
        backend = origin.accept()
        backend.setblocking(False)
        sent = 0
        try:
            while sent < len(data):
                sent += backend.send(data[sent:])
        except BlockingIOError:
            pass
        self.assertLess(sent, len(data))
        backend.settimeout(harness.PATIENCE)
        threading.Thread(target=lambda: (backend.sendall(data[sent:]), backend.close()), daemon=True).start()
        self.assertEqual(receive(client, len(data) + 1), data)

    def test_resets_pass_on(self):
        origin = self.origin()
        self.start(origin.address)
        for leaves, sees in ((0, 1), (1, 0)):
            pair = self.connected(origin)
            pair[leaves].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            pair[leaves].close()
            with self.assertRaises(ConnectionResetError):
                pair[sees].recv(1)
        self.assertEqual([line["why"] for line in self.access(2)], ["client", "backend-reset"])

    def test_a_reset_right_behind_bytes_passes_on(self):
        """The kernel may tell of both at once, and there is no second telling."""
        origin = self.origin()
        self.start(origin.address)
        for leaves, sees in ((0, 1), (1, 0)) * 10:
            pair = self.connected(origin)
            pair[leaves].sendall(b"last words")
            pair[leaves].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            pair[leaves].close()
            with self.assertRaises(ConnectionResetError):
                while pair[sees].recv(100):
                    pass

    def test_refused_goes_elsewhere_and_silence_ends(self):
        origin = self.origin()
        dead = f"127.0.0.1:{free_port()}"
        self.start(dead, pool={"balance": "round_robin", "timeouts": {"tunnel": "300ms"}, "backends": [
            {"name": "app-1", "address": dead}, {"name": "app-2", "address": origin.address}]})
        for _ in range(4):
            client = self.client()
            backend = origin.accept()
            client.sendall(b"x")
            self.assertEqual(backend.recv(1), b"x")
            self.assertTrue(ended(client))
        self.assertIn("silent for timeouts.tunnel", [line["detail"] for line in self.access(4)])

    def test_held_no_longer_than_hold_wait(self):
        self.start(f"127.0.0.1:{free_port()}", pool={"hold": {"wait": "300ms"}})
        self.assertTrue(ended(self.client()))
        self.assertEqual(self.access()[0]["why"], "held-expired")

    def test_who_leaves_while_held_frees_its_place(self):
        self.start(f"127.0.0.1:{free_port()}")
        client = self.client()
        wait_for(lambda: self.stats()["pools"]["app"]["held"] == 1, "the client to be held")
        client.close()
        wait_for(lambda: self.stats()["pools"]["app"]["held"] == 0, "its place to be free")

    def test_a_recovery_behind_a_tcp_listener(self):
        world = self.world(app=Store)
        world.config["listeners"] = [{"listen": f"127.0.0.1:{world.port}", "mode": "tcp", "pool": "wiki"}]
        world.start_with_items()
        world.crash()
        # Before anybody has noticed a connection may still be taken by the dying server, and is reset with it.
        wait_for(lambda: world.get("/stats").json()["pools"]["wiki"]["backends"][0]["epoch"] > 1, "the fence")
        client = socket.create_connection(("127.0.0.1", world.port), timeout=harness.PATIENCE)
        self.addCleanup(client.close)
        client.sendall(b"GET /first-0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertIn(Store.content("first-0"), receive(client, 1 << 16))
        world.wait_recovered()


class ProxyProtocol(Edge):
    def test_the_header_names_the_client(self):
        origin = self.origin()
        self.start(origin.address, {"mode": "http", "proxy_protocol": "any", "trusted_proxies": ["127.0.0.0/8"]})
        inet = socket.inet_aton("192.0.2.9") + socket.inet_aton("198.51.100.7") + struct.pack(">HH", 5000, 80)
        for header, ip in ((b"PROXY TCP4 192.0.2.9 198.51.100.7 5000 80\r\n", b"192.0.2.9"), (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
                           (SIGNATURE + b"\x21\x11" + struct.pack(">H", 12) + inet, b"192.0.2.9"),
                           (SIGNATURE + b"\x20\x00\0\0", b"127.0.0.1")):
            client = self.client()
            client.sendall(header[:7])
            client.sendall(header[7:] + b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: close\r\n\r\n")
            backend = origin.accept()
            head = backend.recv(1 << 16).lower()
            backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            backend.close()
            self.assertIn(b"200", client.recv(100))
            self.assertRegex(head, rb"x-forwarded-for: [^\r]*" + ip)
        self.assertEqual({line["client"] for line in self.access(4)}, {"192.0.2.9", "127.0.0.1"})

    def test_no_header_a_wrong_one_or_a_stranger_is_closed(self):
        origin = self.origin()
        self.start(origin.address, {"proxy_protocol": "v2", "trusted_proxies": ["127.0.0.0/8"], "timeouts": {"header": "300ms"}})
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", SIGNATURE + b"\x22\x11\0\0", SIGNATURE[:5]):
            client = self.client()
            client.sendall(said)
            self.assertTrue(ended(client), said)

    def test_strangers_are_not_believed(self):
        self.start(self.origin().address, {"proxy_protocol": "v1", "trusted_proxies": ["192.0.2.0/24"]})
        client = self.client()
        self.assertTrue(ended(client))
        self.assertIn("is not in trusted_proxies", self.errors.read_text())

    def test_backends_are_told_on_every_connection(self):
        origin = self.origin()
        self.start(origin.address, {"mode": "http"}, {"proxy_protocol": "v1"})
        client = self.client()
        source = client.getsockname()[1]
        for _ in range(2):  # one request a connection: the second client must not be taken for the first
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            backend = origin.accept()
            line = f"PROXY TCP4 127.0.0.1 127.0.0.1 {source} {self.port}\r\n".encode()
            said = receive(backend, len(line) + 3)
            self.assertEqual(said, line + b"GET")
            backend.recv(1 << 16)
            backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.assertIn(b"200", client.recv(1000))
            self.assertTrue(ended(backend))

    def test_what_came_in_goes_out_through_tcp(self):
        origin = self.origin()
        self.start(origin.address, {"proxy_protocol": "any", "trusted_proxies": ["127.0.0.1"]}, {"proxy_protocol": "v2"})
        client = self.client()
        client.sendall(b"PROXY TCP6 2001:db8::9 2001:db8::7 5000 80\r\nand this")
        v6 = lambda text: socket.inet_pton(socket.AF_INET6, text)
        header = SIGNATURE + b"\x21\x21\0\x24" + v6("2001:db8::9") + v6("2001:db8::7") + struct.pack(">HH", 5000, 80)
        self.assertEqual(receive(origin.accept(), len(header) + 8), header + b"and this")

    def test_checks_speak_for_themselves(self):
        origin = self.origin()
        self.start(origin.address, pool={"proxy_protocol": "v2", "check": {"http": "/", "every": "200ms", "timeout": "200ms"}})
        self.assertEqual(receive(origin.accept(), 19), SIGNATURE + b"\x20\x00\0\0GET")

    @unittest.skipUnless(shutil.which("curl"), "curl is not here")
    def test_curl(self):
        origin = self.origin()
        self.start(origin.address, {"mode": "http", "proxy_protocol": "v1", "trusted_proxies": ["127.0.0.1"]})

        def answer():
            backend = origin.accept()
            backend.recv(1 << 16)
            backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        threading.Thread(target=answer, daemon=True).start()
        said = subprocess.run(["curl", "-s", "--haproxy-protocol", f"http://127.0.0.1:{self.port}/"], capture_output=True, timeout=30)
        self.assertEqual(said.stdout, b"ok")


class Places(Edge):
    def test_unix_sockets_both_ways(self):
        origin = self.origin(str(self.dir / "backend.sock"))
        path = str(self.dir / "front.sock")
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()
        self.start("unix:" + origin.address, {"listen": f"unix:{path}", "unix_mode": "0606"})
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o606)
        client = self.client(path)
        client.sendall(b"over two paths")
        self.assertEqual(receive(origin.accept(), 14), b"over two paths")
        self.proxy.terminate()
        self.proxy.wait(harness.PATIENCE)
        self.assertFalse(os.path.exists(path))

    def test_a_file_in_the_way_is_left_alone(self):
        path = self.dir / "front.sock"
        path.write_text("precious")
        self.start("127.0.0.1:1", {"listen": f"unix:{path}"}, good=False)
        self.assertEqual(self.proxy.wait(harness.PATIENCE), 1)
        self.assertIn("is not a socket", self.errors.read_text())
        self.assertEqual(path.read_text(), "precious")

    def test_a_backend_by_name(self):
        origin = self.origin()
        port = origin.address.split(":")[1]
        self.start(f"localhost:{port}")
        client = self.client()
        client.sendall(b"by name")
        self.assertEqual(receive(origin.accept(), 7), b"by name")
        self.assertEqual(self.stats()["pools"]["app"]["backends"][0]["address"], origin.address)

    def test_a_name_that_nobody_knows_holds_and_is_said(self):
        self.start("no-such-host.invalid:80", pool={"hold": {"wait": "300ms"}})
        wait_for(lambda: "no-such-host" in self.errors.read_text(), "the warning")
        self.assertTrue(ended(self.client()))
        pool = self.stats()["pools"]["app"]
        self.assertEqual(pool["recovery"], None)
        self.assertEqual(pool["backends"][0]["resolved"]["name"], "no-such-host.invalid:80")
        self.assertIn("cannot be looked up", pool["backends"][0]["resolved"]["error"])


@unittest.skipUnless(os.geteuid() == 0, "only root can become somebody")
class User(Edge):
    def test_becomes_the_user_and_still_binds_low_ports(self):
        origin = self.origin()
        nobody = pwd.getpwnam("nobody")
        self.dir.chmod(0o755)
        (self.dir / "state").mkdir(mode=0o700)
        os.chown(self.dir / "state", nobody.pw_uid, nobody.pw_gid)
        (self.dir / "access.log").touch()
        os.chown(self.dir / "access.log", nobody.pw_uid, nobody.pw_gid)
        self.port = next(p for p in range(700, 1000) if not self.taken(p))
        self.start(origin.address, top={"user": "nobody"})
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{self.proxy.pid}/status").read_text().splitlines() if ":\t" in line)
        self.assertEqual(set(status["Uid"].split()), {str(nobody.pw_uid)})
        self.assertEqual(set(status["Gid"].split()), {str(nobody.pw_gid)})
        self.assertEqual(int(status["CapEff"], 16), 1 << 10)  # CAP_NET_BIND_SERVICE
        client = self.client()
        client.sendall(b"x")
        self.assertEqual(origin.accept().recv(1), b"x")

    @staticmethod
    def taken(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def test_what_it_cannot_write_is_an_error_at_start(self):
        self.dir.chmod(0o755)
        self.start("127.0.0.1:1", top={"user": "nobody"}, good=False)
        self.assertEqual(self.proxy.wait(harness.PATIENCE), 1)
        self.assertIn("the user 'nobody' cannot write to", self.errors.read_text())

    def test_nobody_of_that_name(self):
        self.start("127.0.0.1:1", top={"user": "no-such-user"}, good=False)
        self.assertEqual(self.proxy.wait(harness.PATIENCE), 1)
        self.assertIn("no user 'no-such-user'", self.errors.read_text())


if __name__ == "__main__":
    unittest.main()
