"""TLS as clients and backends see it: openssl, curl and Python's ssl against the proxy; backends whose certificates are right
or wrong; a reload that swaps certificates under open connections; testssl.sh, which must find nothing."""
import hashlib
import http.server
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import unittest
from pathlib import Path

import harness
from harness import wait_for


class Certificates:
    """An authority and what it signs, P-256, made by the openssl command."""

    def __init__(self, directory):
        self.dir = directory
        self.authority("ca")

    def openssl(self, *argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, cwd=self.dir, timeout=harness.PATIENCE)

    def pem(self, name):
        return str(self.dir / f"{name}.pem")

    def key(self, name):
        return str(self.dir / f"{name}.key")

    def authority(self, name):
        self.openssl("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", 30, "-subj", f"/CN={name}",
                     "-keyout", self.key(name), "-out", self.pem(name))

    def leaf(self, name, alternatives, ca="ca", days=30):
        self.openssl("req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/O=Example, Inc./CN={name}",
                     "-keyout", self.key(name), "-out", f"{name}.csr")
        (self.dir / f"{name}.ext").write_text(f"subjectAltName={alternatives}\n")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", self.pem(ca), "-CAkey", self.key(ca), "-CAcreateserial", "-days", days,
                     "-extfile", f"{name}.ext", "-out", self.pem(name))
        return {"certificate": self.pem(name), "key": self.key(name)}


class Backend(http.server.ThreadingHTTPServer):
    """Says what it was asked, and by whom; over TLS when it has a context."""
    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/until-close":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
                self.wfile.flush()
                self.close_connection = True
                if self.server.cuts:
                    self.connection.shutdown(socket.SHUT_RDWR)  # of the TCP connection: no close_notify
                else:
                    self.connection.unwrap()
                return
            size = int(self.path.rpartition("/")[2]) if self.path.startswith("/bytes/") else 0
            body = b"x" * size if size else json.dumps([list(pair) for pair in self.headers.items()]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Connection", str(self.client_address[1]))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.port, self.context, self.cuts = self.server_address[1], context, False
        self.names = []
        if context:
            context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        try:
            if self.context:
                request.settimeout(harness.PATIENCE)
                request = self.context.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
        except (OSError, ValueError):
            pass  # a check that went away, a client that did not like us
        finally:
            request.close()

    def handle_error(self, *_):
        pass

    def close(self):
        self.shutdown()
        self.server_close()


class Proxy:
    def __init__(self, test, tls=None, pool_tls=None, backend=None, **listener):
        self.dir = test.directory()
        self.port, self.admin, self.backend = harness.free_port(), harness.free_port(), backend or Backend()
        test.addCleanup(self.backend.close)
        self.config = {
            "workers": 1, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "log": {"level": "debug"}, "access_log": {"path": str(self.dir / "access.log"), "format": "json"},
            "listeners": [{"listen": f"127.0.0.1:{self.port}", "routes": [{"pool": "app"}], **listener}],
            "pools": {"app": {"data": "none", "check": {"http": "/", "every": "200ms", "timeout": "200ms"}, "hold": "off",
                              "backends": [{"name": "app-1", "address": f"127.0.0.1:{self.backend.port}"}]}}}
        if tls:
            self.config["listeners"][0]["tls"] = tls
        if pool_tls is not None:
            self.config["pools"]["app"]["tls"] = pool_tls
        self.file = self.dir / "regrow.yaml"
        self.write()
        self.log_file = open(self.dir / "log", "wb")
        self.process = subprocess.Popen([harness.REGROW, "run", "-c", str(self.file)], stderr=self.log_file)
        test.addCleanup(self.end)
        wait_for(lambda: harness.request(self.admin, "GET", "/healthz").status == 200, "the proxy to run")

    def write(self):
        self.file.write_text(json.dumps(self.config))  # which is YAML

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(harness.PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.log_file.close()

    def log(self):
        return harness.read_text(self.dir / "log")

    def stats(self):
        return harness.request(self.admin, "GET", "/stats").json()

    def metric(self, name):
        for line in harness.request(self.admin, "GET", "/metrics").text.splitlines():
            if line.startswith(name + "{") or line.startswith(name + " "):
                return float(line.split()[-1])
        return None

    def reload(self):
        self.write()
        generation = self.stats()["generation"]
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.stats()["generation"] > generation, "the new configuration")

    def up(self):
        wait_for(lambda: self.stats()["pools"]["app"]["backends"][0]["check"]["result"] == "ok", "a good check")
        return self


def trusting(ca, **options):
    context = ssl.create_default_context(cafile=ca)
    for name, value in options.items():
        setattr(context, name, value)
    return context


def head_and_body(stream):
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = stream.recv(65536)
        if not part:
            raise AssertionError(f"closed after {answer!r}")
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        part = stream.recv(65536)
        if not part:
            raise AssertionError(f"closed after {len(body)} of {length} bytes")
        body += part
    return head, body


class Tls(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.certificates = Certificates(self.directory())
        self.a = self.certificates.leaf("a.test", "DNS:a.test,DNS:*.a.test,IP:127.0.0.1")
        self.ca = self.certificates.pem("ca")

    def connect(self, proxy, context=None, name="a.test", **options):
        raw = socket.create_connection(("127.0.0.1", proxy.port), timeout=harness.PATIENCE)
        stream = (context or trusting(self.ca)).wrap_socket(raw, server_hostname=name, **options)
        self.addCleanup(stream.close)
        return stream

    def ask(self, stream, path="/", fields=b""):
        stream.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a.test\r\n" + fields + b"\r\n")
        return head_and_body(stream)

    def fields(self, stream, sent=b""):
        """What the backend got, by lower-case name; a name that comes twice fails."""
        pairs = [(name.lower(), value) for name, value in json.loads(self.ask(stream, fields=sent)[1])]
        self.assertEqual(len(pairs), len(dict(pairs)), pairs)
        return dict(pairs)

    def curl(self, proxy, *argv, code=0, name="a.test"):
        ran = subprocess.run(["curl", "-sS", "--max-time", "30", "--cacert", self.ca, "--resolve", f"{name}:{proxy.port}:127.0.0.1", *argv],
                             capture_output=True, timeout=harness.PATIENCE)
        self.assertEqual(ran.returncode, code, f"{argv}: {ran.stderr} {ran.stdout[:200]}")
        return ran.stdout


class Clients(Tls):
    def test_versions_and_bodies_by_curl(self):
        proxy = Proxy(self, self.a)
        base = f"https://a.test:{proxy.port}"
        big = proxy.dir / "big"
        big.write_bytes(bytes(range(256)) * 8192)
        for version in ("1.2", "1.3"):
            with self.subTest(version):
                got = json.loads(self.curl(proxy, "--http1.1", f"--tlsv{version}", "--tls-max", version, base + "/"))
                self.assertIn(["X-Forwarded-Proto", "https"], got)
                self.assertTrue(any(name == "Forwarded" and "proto=https" in value for name, value in got), got)
                self.assertEqual(len(self.curl(proxy, "--http1.1", "--tls-max", version, base + "/bytes/5000000")), 5_000_000)
                self.assertEqual(self.curl(proxy, "--http1.1", "--tls-max", version, "--data-binary", f"@{big}", base + "/echo"), big.read_bytes())
        self.curl(proxy, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", base + "/", code=35)
        self.assertTrue(proxy.stats()["listeners"][0]["tls"])
        self.assertGreaterEqual(proxy.metric("regrow_listener_tls_handshakes_total"), 6)
        self.assertGreaterEqual(proxy.metric("regrow_listener_tls_failures_total"), 1)

    def test_1_3_only(self):
        proxy = Proxy(self, {**self.a, "min_version": "1.3"})
        self.curl(proxy, "--tls-max", "1.2", f"https://a.test:{proxy.port}/", code=35)
        self.curl(proxy, f"https://a.test:{proxy.port}/")

    def test_certificates_by_name(self):
        b = self.certificates.leaf("b.test", "DNS:b.test")
        proxy = Proxy(self, [self.a, b])
        for name, shown in (("a.test", "a.test"), ("x.a.test", "a.test"), ("b.test", "b.test"), ("B.Test", "b.test")):
            subject = dict(pair[0] for pair in self.connect(proxy, name=name).getpeercert()["subject"])
            self.assertEqual(subject["commonName"], shown)
        with self.assertRaisesRegex(ssl.SSLCertVerificationError, "Hostname mismatch"):
            self.connect(proxy, name="y.x.a.test")
        said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-noservername"], input=b"", capture_output=True,
                              timeout=harness.PATIENCE)
        self.assertIn(b"CN = a.test", said.stdout)

    def test_keep_alive_and_pipelining(self):
        proxy = Proxy(self, self.a)
        stream = self.connect(proxy)
        for _ in range(50):
            self.ask(stream)
        one = b"GET /bytes/10 HTTP/1.1\r\nHost: a.test\r\n\r\n"
        stream.sendall(one * 20)
        seen = b""
        while seen.count(b"x" * 10) < 20:
            part = stream.recv(65536)
            self.assertTrue(part)
            seen += part
        self.assertEqual(proxy.metric("regrow_listener_tls_handshakes_total"), 1)

    def test_byte_by_byte(self):
        """Handshake and request in single bytes, through a relay; nothing waits for more than it needs."""
        proxy = Proxy(self, self.a)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting(self.ca).wrap_bio(incoming, outgoing, server_hostname="a.test")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=harness.PATIENCE) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def until(action):
                while True:
                    try:
                        return action()
                    except ssl.SSLWantReadError:
                        for byte in outgoing.read():
                            raw.sendall(bytes([byte]))
                        incoming.write(raw.recv(1))
            until(tls.do_handshake)
            tls.write(b"GET /bytes/5 HTTP/1.1\r\nHost: a.test\r\n\r\n")
            answer = b""
            while not answer.endswith(b"xxxxx"):
                answer += until(lambda: tls.read(100))

    def test_resumption_across_a_reload(self):
        proxy = Proxy(self, self.a)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = trusting(self.ca, minimum_version=version, maximum_version=version)
            first = self.connect(proxy, context)
            self.ask(first)
            self.assertFalse(first.session_reused)
            proxy.reload()
            second = self.connect(proxy, context, session=first.session)
            self.assertTrue(second.session_reused, version)
            self.ask(second)
        self.assertEqual(proxy.metric("regrow_listener_tls_resumptions_total"), 2)

    def test_plain_text_on_the_port(self):
        proxy = Proxy(self, self.a, timeouts={"header": "1s"})
        answer = harness.request(proxy.port, "GET", "/")
        self.assertEqual(answer.status, 400)
        self.assertIn("https://", answer.text)
        for said in (b"", b"\x16", b"\x16\x03\x01\x02\x00" + b"x" * 50):  # silence, half a hello: until the deadline
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=harness.PATIENCE) as raw:
                raw.sendall(said)
                while raw.recv(1000):
                    pass
        self.ask(self.connect(proxy))
        self.assertGreaterEqual(proxy.metric("regrow_listener_tls_failures_total"), 4)

    def test_a_clean_end_is_told(self):
        """Until-close to an HTTP/1.0 client: the end is a close_notify, or somebody could have cut the answer."""
        proxy = Proxy(self, self.a)
        stream = self.connect(proxy, trusting(self.ca), suppress_ragged_eofs=False)
        stream.sendall(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        answer = b""
        while part := stream.recv(65536):  # a bare end raises
            answer += part
        self.assertTrue(answer.endswith(b"]"), answer)

    def test_alpn(self):
        proxy = Proxy(self, self.a)
        context = trusting(self.ca)
        context.set_alpn_protocols(["http/1.1"])
        self.assertEqual(self.connect(proxy, context).selected_alpn_protocol(), "http/1.1")
        context.set_alpn_protocols(["http/1.1", "h2"])
        self.assertEqual(self.connect(proxy, context).selected_alpn_protocol(), "h2", "ours is the better order")
        context.set_alpn_protocols(["ftp"])
        with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
            self.connect(proxy, context)

    def test_http2(self):
        proxy = Proxy(self, self.a)
        url = f"https://a.test:{proxy.port}"
        self.assertEqual(self.curl(proxy, "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", url + "/"), b"200 2")
        self.assertEqual(self.curl(proxy, "--http2", url + "/bytes/3000000"), b"x" * 3_000_000)
        fields = {name.lower(): value for name, value in json.loads(self.curl(proxy, "--http2", url + "/"))}
        self.assertEqual((fields["x-forwarded-proto"], fields["via"]), ("https", "2.0 regrow"))


class ClientCertificates(Tls):
    FORGED = b"X-Client-Cert-Verify: SUCCESS\r\nX-Client-Cert-Subject: CN=root\r\nClient-Cert: :abc:\r\nX_Client_Cert_Sha256: 00\r\n"

    def client(self, name, ca="ca"):
        shown = self.certificates.leaf(name, f"DNS:{name}", ca)
        context = trusting(self.ca)
        context.load_cert_chain(shown["certificate"], shown["key"])
        return context

    def fingerprint(self, name):
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(self.certificates.pem(name)).read_text())).hexdigest()

    def refused(self, proxy, context):
        with self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
            self.ask(self.connect(proxy, context))

    def test_required(self):
        proxy = Proxy(self, {**self.a, "client_ca": self.ca})
        got = self.fields(self.connect(proxy, self.client("alice")), self.FORGED)
        self.assertEqual({name: value for name, value in got.items() if "cert" in name},
                         {"x-client-cert-verify": "SUCCESS", "x-client-cert-subject": "CN=alice,O=Example\\, Inc.",
                          "x-client-cert-sha256": self.fingerprint("alice")})
        self.refused(proxy, trusting(self.ca))
        self.certificates.authority("strange")
        self.refused(proxy, self.client("mallory", "strange"))

    def test_optional(self):
        proxy = Proxy(self, {**self.a, "client_ca": self.ca, "client_certificate": "optional"})
        self.assertEqual(self.fields(self.connect(proxy, self.client("alice")))["x-client-cert-verify"], "SUCCESS")
        got = self.fields(self.connect(proxy), self.FORGED)
        self.assertEqual({name: value for name, value in got.items() if "cert" in name}, {"x-client-cert-verify": "NONE"})

    def test_identity_survives_resumption_but_not_other_rules(self):
        self.certificates.authority("other")
        proxy = Proxy(self, {**self.a, "client_ca": self.ca})
        context = self.client("alice")
        first = self.connect(proxy, context)
        self.ask(first)
        second = self.connect(proxy, context, session=first.session)
        self.assertTrue(second.session_reused)
        self.assertEqual(self.fields(second)["x-client-cert-subject"], "CN=alice,O=Example\\, Inc.")
        proxy.config["listeners"][0]["tls"]["client_ca"] = self.certificates.pem("other")
        proxy.reload()
        with self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
            self.ask(self.connect(proxy, context, session=first.session))

    def test_nobody_is_believed_without(self):
        proxy = Proxy(self, self.a)
        got = self.fields(self.connect(proxy), self.FORGED)
        self.assertEqual({name for name in got if "cert" in name}, set())


class Reload(Tls):
    def test_certificates_are_swapped_and_connections_stay(self):
        proxy = Proxy(self, self.a)
        old = self.connect(proxy)
        self.ask(old)
        new = self.certificates.leaf("new.test", "DNS:a.test")
        for kind, file in new.items():
            shutil.copy(file, self.a[kind])
        proxy.reload()
        subject = dict(pair[0] for pair in self.connect(proxy).getpeercert()["subject"])
        self.assertEqual(subject["commonName"], "new.test")
        self.ask(old)

    def test_a_bad_certificate_keeps_the_old(self):
        proxy = Proxy(self, self.a)
        other = self.certificates.leaf("other", "DNS:other")
        good = Path(self.a["key"]).read_text()
        shutil.copy(other["key"], self.a["key"])
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "nothing was changed" in proxy.log(), "the log to say so")
        self.assertRegex(proxy.log(), rf"{proxy.file}:1:\d+: listeners\[0\].tls.key: {self.a['key']} does not belong to the certificate in ")
        self.ask(self.connect(proxy))
        Path(self.a["key"]).write_text(good)
        proxy.reload()
        self.ask(self.connect(proxy))

    def test_check_reads_the_files(self):
        proxy = Proxy(self, self.a)
        self.ran("check", "-c", proxy.file)
        proxy.config["listeners"][0]["tls"] = {"certificate": "/nowhere/c.pem", "key": self.a["key"]}
        proxy.config["pools"]["app"]["tls"] = {"ca": self.a["key"]}
        proxy.write()
        said = self.ran("check", "-c", proxy.file, code=1).stderr
        self.assertRegex(said, rf"{proxy.file}:1:\d+: listeners\[0\].tls.certificate: cannot be read: /nowhere/c.pem: No such file")
        self.assertRegex(said, rf"{proxy.file}:1:\d+: pools.app.tls.ca: {self.a['key']} holds no certificate in PEM form")

    def test_an_expired_certificate_is_served_and_said(self):
        old = self.certificates.leaf("old", "DNS:a.test", days=-1)
        proxy = Proxy(self, old)
        self.assertIn(f"{old['certificate']} expired on 20", proxy.log())
        said = self.ran("check", "-c", proxy.file)
        self.assertIn(f"{old['certificate']} expired on 20", said.stderr)
        with self.assertRaisesRegex(ssl.SSLCertVerificationError, "expired"):
            self.connect(proxy)


class Backends(Tls):
    def backend(self, alternatives="DNS:app.internal,IP:127.0.0.1", **options):
        shown = self.certificates.leaf("backend", alternatives)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown["certificate"], shown["key"])
        for name, value in options.items():
            setattr(context, name, value)
        return Backend(context)

    def get(self, proxy, path="/"):
        return harness.request(proxy.port, "GET", path)

    def test_verified_by_name_or_address(self):
        for name in ("app.internal", "127.0.0.1", None):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(name=name, version=version):
                    backend = self.backend(minimum_version=version, maximum_version=version)
                    proxy = Proxy(self, pool_tls={"ca": self.ca, **({"name": name} if name else {})}, backend=backend).up()
                    self.assertEqual(len(self.get(proxy, "/bytes/3000000").body), 3_000_000)
                    self.assertEqual(set(backend.names), {"app.internal"} if name == "app.internal" else {None})
                    first, second = (self.get(proxy).headers["X-Connection"] for _ in range(2))
                    self.assertEqual(first, second, "the connection was not used again")

    def test_a_wrong_name_and_a_stranger_get_nothing(self):
        self.certificates.authority("strange")
        for tls, why in (({"ca": self.ca, "name": "other.internal"}, "hostname mismatch"),
                         ({"ca": self.certificates.pem("strange"), "name": "app.internal"}, "unable to get local issuer certificate"),
                         ({"name": "app.internal"}, "unable to get local issuer certificate")):
            with self.subTest(why):
                proxy = Proxy(self, pool_tls=tls, backend=self.backend())
                wait_for(lambda: proxy.stats()["pools"]["app"]["backends"][0]["state"] == "down", "the check to fail")
                self.assertEqual(proxy.stats()["pools"]["app"]["backends"][0]["check"]["result"], f"TLS: {why}")
                self.assertEqual(self.get(proxy).status, 503)

    def test_traffic_alone_finds_out(self):
        proxy = Proxy(self, pool_tls={"ca": self.ca, "name": "other.internal"}, backend=self.backend())
        proxy.config["pools"]["app"]["check"] = {"command": ["/bin/true"]}
        proxy.reload()
        wait_for(lambda: self.get(proxy).status == 502, "a request that reaches the backend")
        wait_for(lambda: self.get(proxy) and "hostname mismatch" in json.dumps(proxy.stats()) + proxy.log(), "the reason to be said")

    def test_unverified(self):
        proxy = Proxy(self, pool_tls={"verify": False}, backend=self.backend("DNS:whatever")).up()
        self.assertEqual(self.get(proxy).status, 200)

    def test_a_backend_that_asks_who_we_are(self):
        ours = self.certificates.leaf("proxy", "DNS:proxy")
        backend = self.backend(verify_mode=ssl.CERT_REQUIRED)
        backend.context.load_verify_locations(self.ca)
        proxy = Proxy(self, pool_tls={"ca": self.ca, **ours}, backend=backend).up()
        self.assertEqual(self.get(proxy).status, 200)
        proxy.config["pools"]["app"]["tls"] = {"ca": self.ca}
        proxy.reload()
        wait_for(lambda: self.get(proxy).status in (502, 503), "the connection with the old certificate not to be used")

    def test_an_unchanged_reload_keeps_connections(self):
        proxy = Proxy(self, pool_tls={"ca": self.ca}, backend=self.backend()).up()
        first = self.get(proxy).headers["X-Connection"]
        proxy.reload()
        self.assertEqual(self.get(proxy).headers["X-Connection"], first)
        proxy.config["pools"]["app"]["tls"]["name"] = "app.internal"
        proxy.reload()
        self.assertNotEqual(self.get(proxy).headers["X-Connection"], first)

    def test_a_truncated_answer_is_not_a_whole_one(self):
        backend = self.backend()
        proxy = Proxy(self, pool_tls={"ca": self.ca}, backend=backend).up()
        ask = ["curl", "-sS", "--max-time", "30", "--http1.1", f"http://127.0.0.1:{proxy.port}/until-close"]
        whole = subprocess.run(ask, capture_output=True, timeout=harness.PATIENCE)
        self.assertEqual((whole.returncode, whole.stdout), (0, b"half of it"), whole.stderr)
        backend.cuts = True
        cut = subprocess.run(ask, capture_output=True, timeout=harness.PATIENCE)
        self.assertNotEqual(cut.returncode, 0)

    def test_a_backend_that_speaks_plain_text(self):
        proxy = Proxy(self, pool_tls={"ca": self.ca}, backend=Backend())
        wait_for(lambda: proxy.stats()["pools"]["app"]["backends"][0]["state"] == "down", "the check to fail")
        self.assertIn("TLS: ", proxy.stats()["pools"]["app"]["backends"][0]["check"]["result"])


@unittest.skipUnless(shutil.which("testssl"), "testssl.sh is not installed")
class Judged(Tls):
    """By testssl.sh: nothing that it would call MEDIUM or worse, but for what is said of our own authority."""
    OURS = ("cert_trust", "cert_chain_of_trust", "cert_revocation", "cert_caIssuers", "DNS_CAArecord", "cert_notAfter", "cert_extlifeSpan",
            "cert_expirationStatus", "overall_grade", "final_score",
            "security_headers",  # which are the application's to send
            # Its openssl s_client leaves at the end of its input, one time in four before the ticket of TLS 1.3 is there:
            # without a ticket there is nothing to resume. test_resumption_across_a_reload waits for one.
            "sessionresumption_ticket",
            "engine_problem")  # what the openssl it calls cannot do

    def test_nothing_is_found(self):
        proxy = Proxy(self, self.a)
        report = proxy.dir / "report.json"
        subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1", "--jsonfile", str(report),
                        f"a.test:{proxy.port}"], capture_output=True, timeout=600, stdin=subprocess.DEVNULL)
        findings = json.loads(report.read_text())
        self.assertGreater(len(findings), 80, "testssl.sh gave up")
        bad = [f"{f['id']}: {f['severity']} {f['finding']}" for f in findings
               if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL") and not f["id"].startswith(self.OURS)]
        self.assertEqual(bad, [])


if __name__ == "__main__":
    unittest.main()
