"""`regrow demo`, every scenario: what it prints, what it exits with, and that it leaves nothing behind."""
import json
import os
import signal
import socket
import subprocess
import unittest
from pathlib import Path

import harness

FIELDS = {"scenario", "requests", "failed", "held", "detected_ms", "restored_bytes", "restore_ms", "rto_ms", "rpo_ms", "acknowledged",
          "lost", "lost_allowed", "ok"}
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
        self.assertEqual(harness.pids_mentioning(str(self.temp)), [], "processes are left")
        for address in (self.listen, self.admin):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", int(address.split(":")[1])))  # raises when somebody still has it

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
        self.assert_nothing_left()
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
        for word in ("regrow run -c", "killed with SIGKILL", "wiped", "recovery", "restore", "requests", "RTO", "RPO", "read back"):
            self.assertIn(word, ran.stdout)
        self.assert_nothing_left()

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
        self.assert_nothing_left()
        return code, output.read_text()

    def test_interrupted_in_the_middle_it_cleans_up(self):
        code, said = self.interrupted_once("***")
        self.assertNotEqual(code, 0, said)

    def test_kept_it_runs_until_interrupted(self):
        code, said = self.interrupted_once("Ctrl-C ends it", "--scenario", "crash", "--keep")
        self.assertEqual(code, 0, said)

    def test_its_configuration_is_a_working_example(self):
        output = self.directory() / "output"
        with open(output, "wb") as file:
            demo = subprocess.Popen([harness.REGROW, *self.argv("--keep")], stdout=file, stderr=file, env=self.environment())
        self.addCleanup(demo.kill)
        found = harness.wait_for(lambda: list(Path(self.temp).glob("*/regrow.yaml")), "the configuration")
        checked = harness.run("check", "-c", found[0])
        self.assertEqual(checked.returncode, 0, checked.stderr)
        demo.send_signal(signal.SIGINT)
        demo.wait(DEMO_PATIENCE)
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main()
