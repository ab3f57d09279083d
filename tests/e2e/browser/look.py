#!/usr/bin/env python3
"""Looks at the dashboard in a real headless Chromium (Debian package chromium) and takes pictures of it.

    look.py URL FOLDER            a running proxy: look.py http://127.0.0.1:9901/ pictures
    look.py TEST-BINARY FOLDER    serves the page with example data itself (proxy_tests, case "serve the page")

Fails when the page does not come alive, says anything on its console (a script error, a broken policy), or is wider
than the screen. Speaks the DevTools protocol over pipes, so it needs nothing but Python and Chromium.
"""

import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

ALIVE = "document.querySelectorAll('tbody tr').length > 0 && document.getElementById('overall').textContent !== 'connecting'"
VIEWS = [("desktop", 1280, 900, "light"), ("desktop-dark", 1280, 900, "dark"), ("phone", 390, 800, "light"), ("phone-dark", 390, 800, "dark")]


class Wrong(AssertionError):
    """The page is not as it should be."""


class Browser:
    def __init__(self, program, profile, *flags):
        ours_read, theirs_write = os.pipe()
        theirs_read, ours_write = os.pipe()
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--remote-debugging-pipe", f"--user-data-dir={profile}", *flags, "about:blank"]
        shell = f'exec "$@" 3<&{theirs_read} 4>&{theirs_write}'
        self.process = subprocess.Popen(["sh", "-c", shell, "sh", *command], pass_fds=(theirs_read, theirs_write),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(theirs_read), os.close(theirs_write)
        self.input, self.output, self.buffer, self.number, self.complaints = ours_write, ours_read, b"", 0, []

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.input, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 30
        while True:
            answer = self.read(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Wrong(f"{method}: {answer['error']}")
                return answer["result"]
            self.listen(answer)

    def read(self, deadline):
        while b"\0" not in self.buffer:
            if not select.select([self.output], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Wrong("Chromium does not answer")
            piece = os.read(self.output, 1 << 16)
            if not piece:
                raise Wrong("Chromium has gone")
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(line)

    def listen(self, event):
        if event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(json.dumps(event["params"])[:600])

    def open(self, url, width, height, scheme):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable", session)
        self.call("Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", session, url=url)
        self.wait_for(session, ALIVE, "the page did not come alive")
        return target, session

    def value(self, session, expression):
        return self.call("Runtime.evaluate", session, expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, session, expression, otherwise):
        deadline = time.monotonic() + 15
        while not self.value(session, expression):
            if time.monotonic() > deadline:
                raise Wrong(f"{otherwise}; {self.complaints}")
            time.sleep(0.1)

    def picture(self, session, path):
        image = self.call("Page.captureScreenshot", session, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(image))
        print(path)

    def stop(self):
        os.close(self.input)  # the end of its pipe ends it
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)


def look(browser, url, folder):
    for name, width, height, scheme in VIEWS:
        target, session = browser.open(url, width, height, scheme)
        browser.wait_for(session, "document.querySelectorAll('#events li').length > 0", "no event came")
        wide = browser.value(session, "document.documentElement.scrollWidth")
        if wide > width:
            raise Wrong(f"{name}: the page is {wide} px wide on a screen of {width}")
        browser.picture(session, folder / f"{name}.png")
        if name == "phone":
            use(browser, session, folder)
        browser.call("Target.closeTarget", targetId=target)
    if browser.complaints:
        raise Wrong("the page complained:\n" + "\n".join(browser.complaints))


# The buttons do what they say: Pause turns into Resume, a drain is confirmed first.
def use(browser, session, folder):
    browser.value(session, "document.getElementById('pause').click()")
    browser.wait_for(session, "document.getElementById('pause').textContent.startsWith('Resume')", "Pause does nothing")
    browser.value(session, "document.getElementById('pause').click()")
    browser.wait_for(session, "document.getElementById('pause').textContent.startsWith('Pause')", "Resume does nothing")
    browser.value(session, "[...document.querySelectorAll('button')].find((b) => b.textContent === 'Drain' && !b.hidden).click()")
    browser.wait_for(session, "document.getElementById('confirm-dialog').open", "Drain asks nothing")
    browser.picture(session, folder / "confirm.png")
    browser.value(session, "document.getElementById('confirm-cancel').click()")
    browser.wait_for(session, "!document.getElementById('confirm-dialog').open", "Cancel does not close")


def main(what, folder):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        raise SystemExit("look.py: no Chromium; apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    server = None
    if os.access(what, os.X_OK):
        server = subprocess.Popen([what, "serve the page"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = next((text for text in server.stdout if "listening on" in text), "")
        what = "http://" + line.split()[-1] + "/"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            look(browser, what, folder)
        finally:
            browser.stop()
            if server:
                server.communicate("")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    try:
        main(sys.argv[1], pathlib.Path(sys.argv[2]))
    except Wrong as wrong:
        raise SystemExit(str(wrong)) from None
