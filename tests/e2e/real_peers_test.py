"""Clients and servers that others wrote: curl, nginx, Node, Python's http.server, each with regrow between."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

import harness
from harness import free_port, wait_for

NODE = """
const http = require('http'), crypto = require('crypto');
http.createServer((request, response) => {
  const hash = crypto.createHash('sha256');
  let size = 0;
  request.on('data', part => { size += part.length; hash.update(part); });
  request.on('end', () => {
    if (request.url === '/early') response.writeEarlyHints({link: '</a.css>; rel=preload'});
    response.setHeader('Content-Type', 'application/json');
    response.setHeader('Trailer', 'X-Sum');
    response.write(JSON.stringify({size, sum: hash.digest('hex'), host: request.headers.host, url: request.url}));
    response.addTrailers({'X-Sum': 'node'});
    response.end();
  });
}).listen(+process.argv[1] || +process.argv[2], '127.0.0.1');
"""


class Peers(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = self.directory()
        os.chmod(self.dir, 0o755)
        (self.dir / "www").mkdir()
        self.content = os.urandom(3_000_000)
        (self.dir / "www/file.bin").write_bytes(self.content)
        self.text = b"a line of text that shrinks\n" * 20_000
        (self.dir / "www/file.txt").write_bytes(self.text)

    def run_server(self, *argv):
        if not shutil.which(str(argv[0])):
            if os.environ.get("REGROW_TEST_ALL"):
                self.fail(f"{argv[0]} is not installed")
            self.skipTest(f"{argv[0]} is not installed")
        with open(self.dir / "server.log", "ab") as log:
            process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir / "www")
        self.addCleanup(process.wait, harness.PATIENCE)
        self.addCleanup(process.terminate)

    def start(self, backend):
        self.port, self.tls, admin = free_port(), free_port(), free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-keyout", self.dir / "key.pem", "-out", self.dir / "cert.pem"], check=True, capture_output=True)
        tls = {"certificate": str(self.dir / "cert.pem"), "key": str(self.dir / "key.pem")}
        config = {"workers": 2, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{admin}"},
                  "listeners": [{"listen": f"127.0.0.1:{self.port}", "h2c": True, "routes": [{"pool": "app"}]},
                                {"listen": f"127.0.0.1:{self.tls}", "tls": tls, "routes": [{"pool": "app"}]}],
                  "pools": {"app": {"data": "none", "check": {"tcp": True, "every": "200ms", "timeout": "200ms", "rise": 1, "fall": 2},
                                    "slow_start": "off", "backends": [{"name": "one", "address": f"127.0.0.1:{backend}"}]}}}
        (self.dir / "regrow.json").write_text(json.dumps(config))
        with open(self.dir / "log", "wb") as log:
            proxy = subprocess.Popen([harness.REGROW, "run", "-c", str(self.dir / "regrow.json")], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(proxy.wait, harness.PATIENCE)
        self.addCleanup(proxy.kill)
        wait_for(lambda: harness.request(admin, "GET", "/stats").json()["pools"]["app"]["backends"][0]["state"] == "up", "the backend to be up")

    def ways(self):
        yield "HTTP/1.1", ["--http1.1"], f"http://127.0.0.1:{self.port}"
        yield "h2c", ["--http2-prior-knowledge"], f"http://127.0.0.1:{self.port}"
        yield "TLS, HTTP/1.1", ["-k", "--http1.1"], f"https://127.0.0.1:{self.tls}"
        yield "TLS, HTTP/2", ["-k", "--http2"], f"https://127.0.0.1:{self.tls}"

    def curl(self, *argv):
        ran = subprocess.run(["curl", "-sS", "-m", "30", *map(str, argv)], capture_output=True, timeout=harness.PATIENCE)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran.stdout

    def test_nginx(self):
        port = free_port()
        (self.dir / "nginx.conf").write_text(
            f"daemon off; master_process off; error_log stderr; pid {self.dir}/nginx.pid; events {{}}\n"
            f"http {{ access_log off; gzip on; gzip_types text/plain; gzip_proxied any; absolute_redirect off; types {{ text/plain txt; }} default_type application/octet-stream;\n"
            f"client_body_temp_path {self.dir}/b; proxy_temp_path {self.dir}/p; fastcgi_temp_path {self.dir}/f; uwsgi_temp_path {self.dir}/u;\n"
            f"scgi_temp_path {self.dir}/s;\n"
            f"server {{ listen 127.0.0.1:{port}; root {self.dir}/www; location /moved {{ return 302 /file.txt; }} }} }}\n")
        self.run_server("nginx", "-c", self.dir / "nginx.conf", "-p", self.dir)
        self.start(port)
        for name, options, url in self.ways():
            with self.subTest(name):
                self.assertTrue(self.curl(*options, url + "/file.bin") == self.content)
                self.assertTrue(self.curl(*options, "-r", "1000-1999", url + "/file.bin") == self.content[1000:2000])
                self.assertTrue(self.curl(*options, "--compressed", url + "/file.txt") == self.text)
                head = self.curl(*options, "-I", url + "/file.bin").decode().lower()
                self.assertIn("content-length: 3000000\r\n", head)
                etag = re.search(r"etag: (.*)\r", head)[1]
                self.assertEqual(self.curl(*options, "-H", f"If-None-Match: {etag}", "-w", "%{http_code}", url + "/file.bin"), b"304")
                self.assertEqual(self.curl(*options, "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", url + "/file.bin"), b"405")
                if name == "h2c":  # curl 7.88 says its preface again with the second request, to nginx alone too
                    continue
                self.assertTrue(self.curl(*options, "-L", url + "/moved") == self.text)
                several = self.curl(*options, *[f"{url}/file.txt"] * 20, "-o", "/dev/null", "-w", "%{num_connects} ")
                self.assertGreaterEqual(len(several), len(self.text))

    def test_node(self):
        port = free_port()
        self.run_server("node", "-e", NODE, port)
        self.start(port)
        upload = self.dir / "www/file.bin"
        for name, options, url in self.ways():
            with self.subTest(name):
                for how in (["-T", upload], ["-T", "-"], ["--data-binary", f"@{upload}"]):
                    with open(upload, "rb") as content:
                        ran = subprocess.run(["curl", "-sS", "-m", "30", *options, *map(str, how), url + "/up?x=%2F"], stdin=content,
                                             capture_output=True, timeout=harness.PATIENCE)
                    answer = json.loads(ran.stdout)
                    self.assertEqual((answer["size"], answer["sum"], answer["url"]),
                                     (len(self.content), hashlib.sha256(self.content).hexdigest(), "/up?x=%2F"))
                said = self.curl(*options, "-i", url + "/early").decode()
                self.assertRegex(said.split("\r\n")[0], r"^HTTP/\S+ 103")
                self.assertIn("link: </a.css>; rel=preload", said.lower())

    def python(self, protocol):
        port = free_port()
        self.run_server(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--protocol", protocol, port)
        self.start(port)
        for name, options, url in self.ways():
            with self.subTest(name):
                self.assertTrue(self.curl(*options, url + "/file.bin") == self.content)
                self.assertIn(b"file.txt", self.curl(*options, url + "/"))
                self.assertEqual(self.curl(*options, "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", url + "/"), b"501")

    def test_python_that_closes(self):
        self.python("HTTP/1.0")

    def test_python_that_stays(self):
        self.python("HTTP/1.1")


if __name__ == "__main__":
    unittest.main()
