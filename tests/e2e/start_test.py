"""What is started when the proxy starts, on which data, and what is not: memory lost, disks swapped, repositories away, first
starts that fail. And two deaths at once, with one spare."""
import json
import os
import shutil
import signal
import socket
import unittest

import harness
from harness import Store, wait_for


class Starting(harness.TestCase):
    def ended_world(self, **options):
        """Started, with items in a proven snapshot; then proxy and servers killed."""
        world = self.world(app=Store, **options).start_with_items()
        pids = world.server_pids()
        world.kill_proxy()
        harness.kill_all(pids)
        return world

    def test_the_server_with_the_newest_data_is_found_without_state_dir(self):
        """The file names wiki-1, which was replaced; only the markers on the disks know."""
        world = self.world(app=Store).start_with_items()
        world.crash()
        world.wait_recovered()
        world.put("after")
        pids = world.server_pids()
        world.kill_proxy()
        harness.kill_all(pids)
        shutil.rmtree(world.state_dir)
        world.start(ready=False)
        wait_for(lambda: world.get("/readyz").status == 200, "the service to be back")
        self.assertEqual(world.backend()["server"], "wiki-spare-1")
        self.assertGreaterEqual(world.backend()["epoch"], 2)
        self.assertEqual(world.spare("wiki-1")["state"], "quarantined")
        world.assert_kept()

    def test_data_older_than_the_repository_is_not_started(self):
        world = self.world(app=Store).start_with_items()
        world.crash()
        world.wait_recovered()
        world.snapshot()
        pids = world.server_pids()
        world.kill_proxy()
        harness.kill_all(pids)
        shutil.rmtree(world.state_dir)
        shutil.rmtree(world.data("wiki-spare-1"))
        world.start(ready=False)
        past = world.wait_recovered()
        self.assertEqual(past["to"], "wiki-spare-1")
        self.assertTrue(world.told("another server had replaced it"), [e["text"] for e in world.events()])
        world.assert_kept_since(past)
        self.assertGreater(world.backend()["epoch"], 2)

    def test_a_disk_with_another_marker_is_not_restarted(self):
        world = self.world(app=Store, restart=1).start_with_items()
        marker = world.data("wiki-1") / ".regrow"
        said = json.loads(marker.read_text())
        marker.write_text(json.dumps({**said, "lineage": "another"}))
        world.crash()
        past = world.wait_recovered()
        self.assertEqual(past["to"], "wiki-spare-1", "it was started on a disk of another lineage")
        world.assert_kept_since(past)

    def test_a_repository_that_is_away_delays_the_start_and_costs_nothing(self):
        world = self.ended_world(every="1h")
        self.assertTrue((world.data("wiki-1") / "first-0").exists())
        (world.data("wiki-1") / "late").write_text("content of late")  # newer than any snapshot
        world.acknowledged["late"] = harness.now()
        (world.dir / "backups").rename(world.dir / "away")
        world.start(ready=False)
        wait_for(lambda: "repository main" in world.backend()["reason"], "it to say what it waits for")
        self.assertIsNone(world.pool_stats()["recovery"])
        (world.dir / "away").rename(world.dir / "backups")
        wait_for(lambda: world.get("/readyz").status == 200, "the service to be back")
        self.assertEqual((world.backend()["server"], world.recoveries()), ("wiki-1", []))
        world.assert_kept()

    def test_snapshots_nobody_can_read_are_no_reason_to_begin_anew(self):
        world = self.ended_world()
        shutil.rmtree(world.state_dir)
        shutil.rmtree(world.data("wiki-1"))
        world.data("wiki-1").mkdir()
        for path in (world.dir / "backups/snapshots").rglob("*"):
            if path.is_file():
                content = bytearray(path.read_bytes())
                content[24] ^= 0xFF
                path.chmod(0o600)
                path.write_bytes(content)
        world.start(ready=False)
        world.wait_held("no_snapshot")
        self.assertEqual(list(world.data("wiki-1").iterdir()), [], "an empty service was set up")

    def test_a_first_start_that_fails_is_tried_again(self):
        """Nothing was ever there, so nothing is lost by it; what is wrong is said."""
        world = self.world(app=Store)
        port = int(world.addresses["wiki-1"].split(":")[1])
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            world.start(ready=False)
            wait_for(lambda: world.told("starting it again in"), "a second try to be announced")
            self.assertIsNone(world.under_way(), "a first start that failed became a recovery")
            self.assertNotEqual(world.backend()["reason"], "")
        wait_for(lambda: world.get("/readyz").status == 200, "the service to be up once the port is free")
        world.put("new")
        world.assert_kept()

    def test_one_spare_for_two_deaths_goes_to_one(self):
        world = self.world(app=Store, backends=5, recovery={"rescue": False}).start()
        names = [f"wiki-{i + 1}" for i in range(5)]
        for name in names:
            (world.data(name) / "who").write_text(f"content of {name}")
        for name in names[:2]:
            wait_for(lambda name=name: any(s["verified"] and s["bytes"] for s in world.snapshots(f"wiki/{name}")),
                     f"a snapshot of {name}")
        for pid in [world.pid(name) for name in names[:2]]:
            os.killpg(pid, signal.SIGKILL)
        past = world.wait_first_recovery()
        other = next(name for name in names[:2] if name != past["backend"])
        wait_for(lambda: world.backend(other)["state"] == "restoring" or "spare" in world.backend(other)["reason"],
                 "the other one to be held")
        self.assertEqual(world.backend(past["backend"])["server"], "wiki-spare-1")
        self.assertEqual((world.data("wiki-spare-1") / "who").read_text(), f"content of {past['backend']}")
        self.assertNotEqual(world.backend(other)["server"], "wiki-spare-1", "two places have one server")


if __name__ == "__main__":
    unittest.main()
