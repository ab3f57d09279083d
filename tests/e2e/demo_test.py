"""`regrow demo`, every scenario: what it prints, what it exits with, and that it leaves no process, but a configuration that runs."""
import base64
import json
import os
import signal
import socket
import subprocess
import unittest

import harness

FIELDS = {"scenario", "requests", "failed", "held", "detected_ms", "restored_bytes", "restore_ms", "rto_ms", "rpo_ms", "acknowledged",
          "lost", "lost_allowed", "ok", "configuration"}
DEMO_PATIENCE = 180


class Demo(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.temp = self.directory()  # the demo makes its own directory in here
        self.listen, self.admin = f"127.0.0.1:{harness.free_port()}", f"127.0.0.1:{harness.free_port()}"
        self.addCleanup(self.sweep)

    def sweep(self):
        harness.kill_all(harness.pids_mentioning(str(self.temp)))

    def argv(self, *more):
        return ["demo", "--listen", self.listen, "--admin", self.admin, *more]

    def environment(self):
        return {**os.environ, "TMPDIR": str(self.temp)}

    def assert_nothing_left(self):
        self.assertEqual(list(self.temp.iterdir()), [], "directories are left")
        self.assert_no_process_left()

    def assert_no_process_left(self):
        self.assertEqual(harness.pids_mentioning(str(self.temp)), [], "processes are left")
        for address in (self.listen, self.admin):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", int(address.split(":")[1])))  # raises when somebody still has it

    def left(self):
        """The configuration that the demo left."""
        found = list(self.temp.glob("regrow-demo-*/regrow.yaml"))
        self.assertEqual(len(found), 1, list(self.temp.iterdir()))
        return found[0]

    def calendar(self, method, path, body=None):
        headers = {"Authorization": "Basic " + base64.b64encode(b"demo:").decode(), "Content-Type": "text/calendar"}
        return harness.request(int(self.listen.split(":")[1]), method, "/demo/calendar/" + path, body, headers)

    def assert_it_goes_on(self):
        """`regrow run` with what the demo left serves the data that was in it, and takes more."""
        config, output = self.left(), self.directory() / "output"
        self.ran("check", "-c", config)
        with open(output, "wb") as file:
            proxy = subprocess.Popen([harness.REGROW, "run", "-c", config], stdout=file, stderr=file, env=self.environment())
        self.addCleanup(lambda: (proxy.kill(), proxy.wait()))

        def ready():
            self.assertIsNone(proxy.poll(), output.read_text())
            try:
                return harness.request(int(self.admin.split(":")[1]), "GET", "/readyz").status == 200
            except OSError:
                return False
        try:
            harness.wait_for(ready, "the proxy to serve what the demo left", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{output.read_text()}") from None
        item = self.calendar("GET", "item-1.ics")
        self.assertEqual(item.status, 200, output.read_text())
        self.assertIn("SUMMARY:appointment number 1\r\n", item.text)
        self.assertEqual(self.calendar("PUT", "item-99999.ics", item.text.replace("item-1", "item-99999").encode()).status, 201)
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(DEMO_PATIENCE), 0, output.read_text())
        self.sweep()

    def scenario(self, name):
        ran = harness.run(*self.argv("--scenario", name, "--json"), patience=DEMO_PATIENCE, env=self.environment())
        story = f"stdout: {ran.stdout}\nstderr: {ran.stderr}"
        self.assertEqual(ran.returncode, 0, story)
        report = json.loads(ran.stdout.rstrip("\n").split("\n")[-1])
        self.assertLessEqual(FIELDS, report.keys(), story)
        self.assertEqual(report["scenario"], name)
        self.assertIs(report["ok"], True, story)
        self.assertGreater(report["requests"], 0, story)
        self.assertGreater(report["acknowledged"], 0, story)
        self.assertLessEqual(report["lost"], report["lost_allowed"], story)
        self.assertLessEqual(report["lost_allowed"], report["acknowledged"], story)
        self.assertEqual(report["configuration"], str(self.left()))
        self.assert_no_process_left()
        self.assert_it_goes_on()
        return report, story

    def test_crash_loses_nothing_and_fails_no_request(self):
        report, story = self.scenario("crash")
        self.assertEqual(report["failed"], 0, story)
        self.assertEqual(report["lost"], 0, story)
        self.assertEqual(report["rpo_ms"], 0, story)
        self.assertGreater(report["held"], 0, story)
        self.assertGreater(report["restored_bytes"], 0, story)

    def test_host_loss_fails_no_request(self):
        report, story = self.scenario("host-loss")
        self.assertEqual(report["failed"], 0, story)
        self.assertGreater(report["held"], 0, story)
        self.assertGreater(report["restored_bytes"], 0, story)
        self.assertGreater(report["rto_ms"], 0, story)

    def test_hang_fails_no_request(self):
        report, story = self.scenario("hang")
        self.assertEqual(report["failed"], 0, story)
        self.assertGreater(report["restored_bytes"], 0, story)

    def test_flap(self):
        self.scenario("flap")

    def test_corrupt_backup_declares_the_loss(self):
        report, story = self.scenario("corrupt-backup")
        self.assertGreater(report["restored_bytes"], 0, story)
        self.assertGreater(report["lost_allowed"], 0, story)

    def test_timeline_for_people(self):
        ran = harness.run(*self.argv(), patience=DEMO_PATIENCE, env=self.environment())
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        for word in ("killed with SIGKILL", "wiped", "recovery", "restore", "requests", "RTO", "RPO", "read back"):
            self.assertIn(word, ran.stdout)
        self.assertIn(f" run -c {self.left()}", ran.stdout)
        self.assert_no_process_left()

    def test_a_taken_port_is_named_with_its_remedy(self):
        for option, address in (("--listen", self.listen), ("--admin", self.admin)):
            with self.subTest(option), socket.socket() as holder:
                holder.bind(("127.0.0.1", int(address.split(":")[1])))
                holder.listen()
                ran = harness.run(*self.argv("--json"), env=self.environment())
                self.assertNotEqual(ran.returncode, 0)
                self.assertIn(address, ran.stderr)
                self.assertIn(option, ran.stderr)
            self.assert_nothing_left()

    def test_ports_that_cannot_be_are_usage_errors(self):
        for option, other in (("--listen", "--admin"), ("--admin", "--listen")):
            for address in ("127.0.0.1:0", "0", "nowhere"):
                with self.subTest(option=option, address=address):
                    ran = harness.run("demo", option, address, other, self.admin, env=self.environment())
                    self.assertEqual(ran.returncode, 2, ran.stdout + ran.stderr)
                    self.assertIn(option, ran.stderr)
        for listen in (self.admin, self.admin.replace("127.0.0.1", "0.0.0.0")):
            ran = harness.run("demo", "--listen", listen, "--admin", self.admin, env=self.environment())
            self.assertEqual(ran.returncode, 2, ran.stdout + ran.stderr)
            self.assertIn("--admin", ran.stderr)
        self.assert_nothing_left()

    def never_up(self):
        """An environment in which the calendar server starts and never answers."""
        tools = self.directory()
        (tools / "radicale").write_text("#!/bin/sh\nwhile :; do sleep 0.2; done\n")
        (tools / "radicale").chmod(0o755)
        return {**self.environment(), "PATH": f"{tools}:{os.environ['PATH']}"}

    def test_a_demo_that_fails_leaves_no_process(self):
        ran = harness.run(*self.argv(), patience=DEMO_PATIENCE, env=self.never_up())
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn(str(self.left().parent / "regrow.log"), ran.stderr)
        self.assert_no_process_left()

    def test_told_to_end_while_it_waits_it_ends(self):
        output = self.directory() / "output"
        with open(output, "wb") as file:
            demo = subprocess.Popen([harness.REGROW, *self.argv()], stdout=file, stderr=file, env=self.never_up())
        self.addCleanup(demo.kill)
        harness.wait_for(lambda: len(harness.pids_mentioning(str(self.temp))) > 1, "its servers to run")
        demo.send_signal(signal.SIGTERM)
        self.assertEqual(demo.wait(15), 1, output.read_text())  # half of what it would have waited
        self.assert_no_process_left()

    def test_an_unknown_scenario_is_a_usage_error(self):
        ran = harness.run(*self.argv("--scenario", "earthquake"), env=self.environment())
        self.assertEqual(ran.returncode, 2, ran.stdout + ran.stderr)
        self.assertIn("earthquake", ran.stderr)
        self.assert_nothing_left()

    def interrupted_once(self, ready, *more):
        """Starts the demo, sends SIGINT when its output has `ready`, and returns all it said."""
        output = self.directory() / "output"
        with open(output, "wb") as file:
            demo = subprocess.Popen([harness.REGROW, *self.argv(*more)], stdout=file, stderr=file, env=self.environment())
        self.addCleanup(demo.kill)
        harness.wait_for(lambda: ready in output.read_text() or demo.poll() is not None, f"the demo to say {ready!r}", DEMO_PATIENCE)
        self.assertIsNone(demo.poll(), output.read_text())
        demo.send_signal(signal.SIGINT)
        code = demo.wait(DEMO_PATIENCE)
        self.assert_no_process_left()
        self.assertIn(f" run -c {self.left()}", output.read_text())
        self.assert_it_goes_on()
        return code, output.read_text()

    def test_interrupted_in_the_middle_it_ends_every_process(self):
        code, said = self.interrupted_once("***")
        self.assertNotEqual(code, 0, said)

    def test_kept_it_runs_until_interrupted(self):
        code, said = self.interrupted_once("Ctrl-C ends it.", "--scenario", "crash", "--keep")
        self.assertEqual(code, 0, said)


if __name__ == "__main__":
    unittest.main()
