"""A site behind the proxy in a real headless Chromium: HTTP/2 by ALPN, and a WebSocket on the same connection (RFC 8441)."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import harness
from harness import free_port, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parent / "browser"))
import look  # noqa: E402

SITE = """
import asyncio, http, sys, websockets
PAGE = b'''<!doctype html><title>site</title><script>
(async () => {
  const text = await (await fetch('/text')).text();
  const protocol = performance.getEntriesByName(new URL('/text', location).href)[0].nextHopProtocol;
  const socket = new WebSocket('wss://' + location.host + '/ws');
  socket.onopen = () => socket.send('x'.repeat(200000));
  socket.onmessage = (m) => { window.told = [protocol, text, m.data.length]; socket.close(); };
  socket.onerror = () => { window.told = ['the WebSocket failed']; };
})();
</script>'''

async def answer(path, headers):
    if path == '/ws':
        return None
    html = path == '/'
    return http.HTTPStatus.OK, [('Content-Type', 'text/html' if html else 'text/plain')], PAGE if html else b'text'

async def echo(socket):
    async for message in socket:
        await socket.send(message)

async def main():
    async with websockets.serve(echo, '127.0.0.1', int(sys.argv[1]), process_request=answer):
        await asyncio.Future()
asyncio.run(main())
"""


class Site(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if not self.chromium:
            if os.environ.get("REGROW_TEST_ALL"):
                self.fail("chromium is missing: apt-get install chromium")
            self.skipTest("chromium is not installed")
        self.dir = Path(tempfile.mkdtemp(prefix="regrow-site-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def run_program(self, name, *argv):
        with open(self.dir / name, "wb") as log:
            process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(process.wait, harness.PATIENCE)
        self.addCleanup(process.kill)

    def start(self):
        site, self.port, admin = free_port(), free_port(), free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.dir / "key.pem", "-out", self.dir / "cert.pem"],
                       check=True, capture_output=True)
        config = {"workers": 1, "state_dir": str(self.dir / "state"), "admin": {"listen": f"127.0.0.1:{admin}"},
                  "access_log": {"path": str(self.dir / "access.log"), "format": "json"},
                  "listeners": [{"listen": f"127.0.0.1:{self.port}", "routes": [{"pool": "app"}],
                                 "tls": {"certificate": str(self.dir / "cert.pem"), "key": str(self.dir / "key.pem")}}],
                  "pools": {"app": {"data": "none", "slow_start": "off", "backends": [{"name": "one", "address": f"127.0.0.1:{site}"}]}}}
        (self.dir / "regrow.json").write_text(json.dumps(config))
        self.run_program("site.log", "/usr/bin/python3", "-c", SITE, site)
        self.run_program("log", harness.REGROW, "run", "-c", self.dir / "regrow.json")
        wait_for(lambda: harness.request(admin, "GET", "/stats").json()["pools"]["app"]["backends"][0]["state"] == "up", "the site to be up")

    def logged(self):
        return [json.loads(line) for line in harness.read_text(self.dir / "access.log").splitlines()]

    def test_pages_and_websockets(self):
        self.start()
        browser = look.Browser(self.chromium, str(self.dir / "profile"), "--ignore-certificate-errors")
        self.addCleanup(browser.stop)
        target = browser.call("Target.createTarget", url=f"https://localhost:{self.port}/")["targetId"]
        session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.wait_for(session, "window.told !== undefined", "the page does not come to its end")
        told = browser.call("Runtime.evaluate", session, expression="JSON.stringify(window.told)")["result"]["value"]
        self.assertEqual(json.loads(told), ["h2", "text", 200_000])
        tunnels = wait_for(lambda: [line for line in self.logged() if line["target"] == "/ws"], "the WebSocket to be logged")
        self.assertEqual([(t["version"], t["status"]) for t in tunnels], [("HTTP/2.0", 101)])


if __name__ == "__main__":
    unittest.main()
