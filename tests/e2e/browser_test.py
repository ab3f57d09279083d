"""The page as a person sees it, in a real headless Chromium: at rest, while a recovery waits for approval and after it, on a
wide screen and on a phone. With REGROW_PICTURES=FOLDER it leaves pictures of what it saw."""
import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import harness
from harness import Store

sys.path.insert(0, str(Path(__file__).resolve().parent / "browser"))
import look  # noqa: E402

SCREENS = {"wide": (1280, 900, "light"), "phone": (390, 800, "dark")}
# Boxes whose content sticks out, the page itself among them. What a screen reader alone sees lies outside on purpose.
STICKING_OUT = """[document.documentElement, ...document.querySelectorAll('.card, .card div, .card li, .card p, .timeline')]
    .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline')
    .map((e) => e.tagName + '.' + e.className + ' ' + e.scrollWidth + ' > ' + e.clientWidth + ': ' + e.textContent.slice(0, 60))"""
APPROVE = "[...document.querySelectorAll('.recovery button')].find((b) => b.textContent === 'Approve')"


class Page(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if not program:
            if os.environ.get("REGROW_TEST_ALL"):
                raise AssertionError("chromium is missing: apt-get install chromium")
            raise unittest.SkipTest("chromium is not installed")
        cls.pictures = Path(os.environ["REGROW_PICTURES"]) if "REGROW_PICTURES" in os.environ else None
        if cls.pictures:
            cls.pictures.mkdir(parents=True, exist_ok=True)
        profile = tempfile.mkdtemp(prefix="regrow-chromium-")
        cls.addClassCleanup(shutil.rmtree, profile, ignore_errors=True)
        cls.browser = look.Browser(program, profile)
        cls.addClassCleanup(cls.browser.stop)

    def setUp(self):
        super().setUp()
        self.browser.complaints.clear()

    def open(self, world, screen):
        width, height, scheme = SCREENS[screen]
        target, session = self.browser.open(f"http://127.0.0.1:{world.admin}/", width, height, scheme)
        self.addCleanup(self.browser.call, "Target.closeTarget", targetId=target)
        self.until(session, "document.querySelectorAll('#events li').length > 0", "an event to be shown")
        return session

    def until(self, session, expression, what):
        self.browser.wait_for(session, expression, f"waited in vain for {what}")

    def value(self, session, expression):
        answer = self.browser.call("Runtime.evaluate", session, expression=expression, returnByValue=True)
        self.assertNotIn("exceptionDetails", answer, expression)
        return answer["result"].get("value")

    def look(self, session, name, screen):
        """It fits, and nothing was complained about."""
        if self.pictures:
            self.browser.picture(session, self.pictures / f"{name}-{screen}.png")
        self.assertEqual(self.value(session, STICKING_OUT), [], f"{name} on the {screen} screen")
        self.assertEqual(self.browser.complaints, [])

    def test_from_rest_through_a_recovery_that_is_approved(self):
        world = self.world(app=Store, recovery={"mode": "approve"}).start_with_items()
        sessions = {screen: self.open(world, screen) for screen in SCREENS}
        for screen, session in sessions.items():
            self.until(session, "document.getElementById('overall').textContent === 'all up'", "the headline")
            self.look(session, "rest", screen)
        world.crash()
        recovery = world.wait_held("approval")
        for screen, session in sessions.items():
            self.until(session, f"{APPROVE} && !{APPROVE}.hidden", "the button that approves")
            self.assertEqual(self.value(session, "document.querySelector('.recovery h2').textContent"), "Recovery waits: wiki/wiki-1")
            self.assertTrue(self.value(session, "document.querySelector('.recovery').classList.contains('held')"))
            self.look(session, "held", screen)
        # Everything that a recovery shows, at its longest: a snapshot's whole id, and a word that cannot be broken.
        for screen, session in sessions.items():
            shown = {**recovery, "pool": "wiki", "snapshot": "5f" * 32, "reason": "verified (" + "b3" * 48 + ")", "spare": "s" * 60}
            self.value(session, f"(updateRecovery(nowViews.get({json.dumps(recovery['id'])}), {json.dumps(shown)}), 1)")
            self.look(session, "longest", screen)
        self.value(sessions["wide"], f"{APPROVE}.click()")
        self.assertEqual(world.wait_recovered()["result"], "done")
        for screen, session in sessions.items():
            self.until(session, "document.getElementById('overall').textContent === 'all up' && !document.querySelector('.recovery')",
                       "the recovery to be over")
            self.until(session, "document.querySelector('.past') !== null", "the past recovery")
            self.value(session, "(document.querySelector('.past').open = true, 1)")
            self.look(session, "recovered", screen)
            self.assertIn("tree verified", self.value(session, "document.getElementById('events').textContent"))

    def test_buttons_ask_first_and_do_what_they_say(self):
        world = self.world(app=Store).start()
        session = self.open(world, "phone")
        pause = "document.getElementById('pause')"
        self.value(session, f"{pause}.click()")
        self.until(session, f"{pause}.textContent.startsWith('Resume')", "recoveries to be paused")
        self.assertIs(world.stats()["paused"], True)
        self.value(session, f"{pause}.click()")
        self.until(session, f"{pause}.textContent.startsWith('Pause')", "recoveries to go on")
        self.value(session, "[...document.querySelectorAll('button')].find((b) => b.textContent === 'Drain' && !b.hidden).click()")
        self.until(session, "document.getElementById('confirm-dialog').open", "the question")
        self.look(session, "question", "phone")
        self.value(session, "document.getElementById('confirm-cancel').click()")
        self.until(session, "!document.getElementById('confirm-dialog').open", "the answer to be taken")
        self.assertNotEqual(world.backend()["state"], "draining")
        # What the page makes of states that pass too quickly, or come too rarely, to be met above.
        backend = {"name": "wiki-1", "server": "", "address": "", "epoch": 2, "state": "restoring", "since": "2026-01-01T00:00:00Z",
                   "latency_ms": {"p50": 0, "p99": 0}}
        shown = "(() => { const v = makeBackend('wiki'); updateBackend(v, %s, true); return v.where.textContent; })()"
        self.assertEqual(self.value(session, shown % json.dumps(backend)), "no server \u00b7 epoch 2")
        self.assertEqual(self.value(session, shown % json.dumps({**backend, "server": "s-1", "address": "127.0.0.1:1"})),
                         "s-1 \u00b7 127.0.0.1:1 \u00b7 epoch 2")
        hidden = "(() => { const v = makeSpare('wiki'); updateSpare(v, {name: 's', address: 'a', state: '%s'}); return v.release.hidden; })()"
        self.assertEqual({state: self.value(session, hidden % state) for state in ("free", "claimed", "in_use", "dirty", "quarantined", "lost")},
                         {"free": True, "claimed": True, "in_use": True, "dirty": False, "quarantined": False, "lost": False})
        hidden = ("(() => { const r = {id: 'r', pool: 'p', backend: 'b', since: '', state: '%s'}, v = makeRecovery(r); updateRecovery(v, r);"
                  " return v.approve.hidden; })()")
        self.assertEqual({state: self.value(session, hidden % state) for state in ("restore", "held(budget)", "held(unfenced)", "held(no_spare)")},
                         {"restore": True, "held(budget)": False, "held(unfenced)": False, "held(no_spare)": True})
        self.assertEqual(self.value(session, "kKindTone.alarm"), "bad")


if __name__ == "__main__":
    unittest.main()
