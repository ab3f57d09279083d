"""Servers that somebody else runs: an init system through start, stop and status actions, or nobody that Regrow knows."""
import os
import signal
import subprocess
import unittest

import harness
from harness import Store, Writer, wait_for

# start|stop|status PIDFILE COMMAND...: an init system in few lines.
UNIT = """
verb=$1; pidfile=$2; shift 2
running() { [ -s "$pidfile" ] && grep -qs '^State:.[^ZX]' "/proc/$(cat "$pidfile")/status"; }
case $verb in
  start) running || { setsid "$@" </dev/null >/dev/null 2>&1 & echo $! >"$pidfile"; } ;;
  stop) running && kill -9 "$(cat "$pidfile")"; while running; do sleep 0.01; done ;;
  status) if [ -e "$pidfile.unknown" ]; then exit 4; fi; if running; then exit 0; else exit 3; fi ;;
esac
"""


class Foreign(harness.TestCase):
    def foreign_world(self, service=True, **options):
        """The servers are not below the proxy; without `service` it knows no actions for the first one."""
        world = self.world(app=Store, **options)
        self.commands = {}
        for server in world.pool["backends"] + world.pool["spares"]:
            command = server.pop("service")["run"]
            unit = lambda verb, name=server["name"], command=command: [
                "sh", "-c", UNIT, "unit", verb, str(world.dir / f"{name}.pid"), *command]
            self.commands[server["name"]] = unit
            if service or "spare" in server["name"]:
                server["service"] = {verb: unit(verb) for verb in ("start", "stop", "status")}
        return world

    def unit(self, name, verb):
        return subprocess.run(self.commands[name](verb), stdin=subprocess.DEVNULL, timeout=harness.PATIENCE).returncode

    def kill(self, world, name):
        os.kill(int((world.dir / f"{name}.pid").read_text()), signal.SIGKILL)

    def begin(self, world):
        world.data("wiki-1").mkdir(parents=True)
        self.unit("wiki-1", "start")
        world.start_with_items()

    def test_a_service_that_died_is_restored_and_started_by_its_actions(self):
        world = self.foreign_world()
        self.begin(world)
        with Writer(world) as client:
            client.wait_more(10)
            self.kill(world, "wiki-1")
            past = world.wait_recovered()
            client.wait_more(10)
        self.assertEqual(client.failures, [])
        self.assertEqual((past["to"], past["lost_s"]), ("wiki-spare-1", 0))
        self.assertEqual(self.unit("wiki-spare-1", "status"), 0, "the spare's start action was not run")
        world.assert_kept()

    def test_a_service_that_comes_back_on_an_empty_disk_is_found_out(self):
        """Its init system restarts it on a disk that is not the one it had, before anybody judged it dead."""
        nobody_judges = {"check": {**Store.check, "fall": 100}, "observe": "off"}
        world = self.foreign_world(pool=nobody_judges)
        self.begin(world)
        with Writer(world) as client:
            client.wait_more(10)
            self.kill(world, "wiki-1")
            world.data("wiki-1").rename(world.dir / "burnt")
            world.data("wiki-1").mkdir()
            self.unit("wiki-1", "start")
            past = world.wait_recovered()
            client.wait_more(10)
        self.assertEqual(client.failures, [])
        self.assertEqual(past["to"], "wiki-spare-1")
        world.assert_kept_since(past)
        self.assertTrue(world.told("its marker (.regrow) is gone"), [e["text"] for e in world.events()])

    def test_a_status_that_cannot_tell_fences_nobody(self):
        world = self.foreign_world()
        self.begin(world)
        (world.dir / "wiki-1.pid.unknown").touch()
        self.kill(world, "wiki-1")
        held = world.wait_held("unfenced")
        self.assertIn("wiki-1", held["reason"])
        self.assertEqual(world.spare()["state"], "free")
        world.cli("approve", held["id"])
        past = world.wait_recovered()
        world.assert_kept_since(past)

    def test_a_server_that_comes_back_with_its_data_gets_its_place_back(self):
        """Nobody could say that it was gone, so nothing was started in its place; it has every write."""
        world = self.foreign_world(service=False)
        self.begin(world)
        with Writer(world) as client:
            client.wait_more(10)
            self.kill(world, "wiki-1")
            world.wait_held("unfenced")
            self.unit("wiki-1", "start")
            past = world.wait_recovered(result="reinstated")
            client.wait_more(10)
        self.assertEqual(client.failures, [], "requests are held meanwhile")
        self.assertEqual((past["from"], past["to"], past["lost_s"]), ("wiki-1", "wiki-1", 0))
        backend = world.backend()
        self.assertEqual((backend["server"], backend["state"]), ("wiki-1", "up"))
        self.assertGreater(backend["epoch"], 2, "one for the fence, one for the return")
        self.assertEqual(world.spare()["state"], "free")
        world.assert_kept()
        world.snapshot()  # and it is protected as before

    def test_a_server_that_comes_back_without_its_data_is_quarantined(self):
        world = self.foreign_world(service=False)
        self.begin(world)
        self.kill(world, "wiki-1")
        world.wait_held("unfenced")
        world.data("wiki-1").rename(world.dir / "burnt")
        world.data("wiki-1").mkdir()
        self.unit("wiki-1", "start")
        wait_for(lambda: world.spare("wiki-1")["state"] == "quarantined", "its quarantine")
        self.assertEqual(world.under_way(), "held(unfenced)", "an empty server got the place")
        self.assertTrue(world.told("came back"), [e["text"] for e in world.events()])


if __name__ == "__main__":
    unittest.main()
