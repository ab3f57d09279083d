"""A backend dies in every way; its data comes back on a spare, while a client writes. The oracle after each: what was
acknowledged before the declared snapshot is there, and with a rescue snapshot everything is."""
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

import harness
from harness import Radicale, Store, Writer, wait_for


class Moody(Store):
    """moody_server.py: slow, or with one page that hangs."""

    @staticmethod
    def argv(port, data):
        return [sys.executable, "-S", "-E", str(Path(__file__).resolve().parent / "moody_server.py"), "--port", str(port),
                "--data", data]

    @staticmethod
    def mood(world, mood, *servers):
        for server in servers:
            path = Path(f"{world.data(server)}.mood")
            part = path.with_suffix(".part")
            part.write_text(mood)
            part.rename(path)


class Dying(harness.TestCase):
    """How a backend may die."""

    def test_crash_with_rescue_loses_nothing(self):
        world = self.world().start_with_items()
        with Writer(world) as client:
            client.wait_more(20)
            world.crash()
            past = world.wait_recovered()
            client.wait_more(10)
        self.assertEqual(client.failures, [], "a request failed; it should have been slow")
        world.assert_kept()
        self.assertEqual(past["lost_s"], 0)
        self.assertEqual((past["from"], past["to"]), ("wiki-1", "wiki-spare-1"))
        backend = world.backend()
        self.assertEqual((backend["state"], backend["server"], backend["epoch"]), ("up", "wiki-spare-1", 2))
        self.assertEqual(world.spare()["state"], "in_use")
        self.assertEqual(world.spare("wiki-1")["state"], "quarantined")
        self.assertGreater(world.pool_stats()["held_total"], 0)
        self.assertTrue(Radicale.file(world.data("wiki-1"), "first-0").exists(), "the old data is kept")
        self.assertEqual(world.server_pids("wiki-1"), [])
        self.assertFalse(list(world.data("wiki-1").parent.glob("*.regrow-staging-*")), "staging is left")

    def test_host_loss_keeps_what_the_snapshot_promised(self):
        world = self.world().start_with_items()
        with Writer(world) as client:
            client.wait_more(20)
            world.snapshot()
            client.wait_more(10)
            world.lose_host()
            past = world.wait_recovered()
            client.wait_more(10)
        self.assertEqual(client.failures, [])
        world.assert_kept_since(past)
        self.assertGreaterEqual(past["lost_s"], 0)
        self.assertGreater(past["restored_bytes"], 0)
        self.assertEqual(list(world.data("wiki-1").iterdir()), [], "something set up the wiped directory anew")

    def test_a_stopped_process_is_dead(self):
        world = self.world().start_with_items()
        with Writer(world) as client:
            client.wait_more(10)
            world.snapshot()
            pid = world.pid()
            os.killpg(pid, signal.SIGSTOP)
            past = world.wait_recovered()
            client.wait_more(10)
        self.assertEqual(client.failures, [])
        world.assert_kept_since(past)
        self.assertFalse(harness.alive(pid), "the stopped process was not fenced")
        self.assertEqual(world.backend()["server"], "wiki-spare-1")

    def test_a_server_that_ends_by_itself_is_restarted_in_place_once(self):
        world = self.world(restart=1).start_with_items()
        with Writer(world) as client:
            client.wait_more(10)
            old = world.crash()
            wait_for(lambda: world.backend().get("pid") not in (0, None, old) and world.backend()["state"] == "up", "the restart")
            client.wait_more(10)
            self.assertEqual(client.failures, [])
            world.assert_kept()
            self.assertEqual(world.backend()["server"], "wiki-1")
            self.assertEqual(world.spare()["state"], "free", "a spare was spent")
            # The second death within minutes is not answered by a second restart.
            wait_for(lambda: not world.pool_stats()["recovery"], "the first one's end")
            world.crash()
            past = world.wait_recovered(count=len(world.recoveries()) + 1)
            client.wait_more(10)
        self.assertEqual(past["to"], "wiki-spare-1")
        self.assertEqual(client.failures, [])
        world.assert_kept()

    def test_wiped_data_is_never_restarted_empty(self):
        world = self.world(restart=1).start_with_items()
        world.lose_host()
        past = world.wait_recovered()
        self.assertEqual(past["to"], "wiki-spare-1")
        world.assert_kept_since(past)
        self.assertTrue(world.told("not restarted in place"), [e["text"] for e in world.events()])
        self.assertEqual(list(world.data("wiki-1").iterdir()), [])

    def test_the_replacement_dies_too(self):
        world = self.world(spares=2).start_with_items()
        with Writer(world) as client:
            client.wait_more(10)
            world.crash()
            world.wait_recovered()
            world.crash()
            held = world.wait_held("flapping")  # it died a moment after it was recovered
            world.cli("approve", held["id"])
            past = world.wait_recovered(2)
            client.wait_more(10)
        self.assertEqual((past["from"], past["to"]), ("wiki-spare-1", "wiki-spare-2"))
        self.assertEqual(world.backend()["epoch"], 3)
        self.assertEqual(client.failures, [])
        world.assert_kept()

    def test_the_replacement_dies_before_it_is_protected(self):
        """While its first snapshot is being taken a recovery has ended in all but name; a death is news all the same."""
        slow_to_rise = {"check": {**Store.check, "rise": 8}}
        world = self.world(app=Store, spares=2, pool=slow_to_rise, recovery={"rescue": False}).start_with_items()
        away = world.dir / "away"
        world.lose_host()
        wait_for(lambda: world.told("verify → start"), "the data to be back")
        (world.dir / "backups").rename(away)  # so that protecting takes long
        wait_for(lambda: world.under_way() == "protect" and world.told("not protected yet"), "a first snapshot to fail")
        world.crash()
        wait_for(lambda: world.told("died before its first snapshot was proven"), "its death to be noticed")
        away.rename(world.dir / "backups")
        world.wait_held("flapping")  # for the second time in a moment: a person is asked
        world.cli("approve", world.pool_stats()["recovery"]["id"])
        world.wait_recovered(2)
        world.wait_state("up")
        world.assert_kept()

    def test_traffic_moves_to_the_other_backend(self):
        world = self.world(app=Store, backends=2).start()
        failures, stop = [], threading.Event()

        def visit():
            while not stop.is_set():
                try:
                    answer = world.ask("GET", "/health")
                    if answer.status != 200:
                        failures.append(f"{answer.status} {answer.text}")
                except OSError as error:
                    failures.append(repr(error))
        for name in ("wiki-1", "wiki-2"):
            wait_for(lambda name=name: world.snapshots(f"wiki/{name}"), f"a snapshot of {name}")
        visitors = [threading.Thread(target=visit) for _ in range(3)]
        for visitor in visitors:
            visitor.start()
        try:
            wait_for(lambda: min(world.backend(b)["requests"] for b in ("wiki-1", "wiki-2")) > 20, "traffic on both")
            before = world.backend("wiki-2")
            world.lose_host("wiki-1")
            wait_for(lambda: world.backend("wiki-2")["requests"] > before["requests"] + 20, "traffic on the other")
            past = world.wait_recovered()
            requests = world.backend("wiki-1")["requests"]
            wait_for(lambda: world.backend("wiki-1")["requests"] > requests + 20, "traffic on the restored one")
        finally:
            stop.set()
            for visitor in visitors:
                visitor.join()
        self.assertEqual(failures, [])
        after = world.backend("wiki-2")
        self.assertEqual((after["errors"], after["epoch"], after["server"]), (before["errors"], 1, "wiki-2"))
        self.assertEqual(past["backend"], "wiki-1")


class Slow(harness.TestCase):
    """Slow is not dead, and one broken page is neither."""

    def stays_alive(self, mood, backends):
        names = [f"wiki-{i + 1}" for i in range(backends)]
        world = self.world(app=Moody, backends=backends, pool={"hold": {"wait": "1s", "requests": 100}}).start()
        if backends == 1:
            world.put("first-0")
        pids = {name: world.pid(name) for name in names}
        stop = threading.Event()

        def visit():
            while not stop.wait(0.02):
                try:
                    world.ask("GET", "/first-0")
                except OSError:
                    pass  # what it is answered is not the question here
        visitor = threading.Thread(target=visit)
        visitor.start()
        try:
            wait_for(lambda: all(world.backend(name)["requests"] > 5 for name in names), "traffic")
            Moody.mood(world, mood, *names)
            for name in names:
                world.wait_state("down", name)
            time.sleep(6)  # nothing is to happen: longer than a stopped process needs to be confirmed dead and fenced
            for name in names:
                self.assertEqual((world.backend(name)["state"], world.backend(name)["epoch"]), ("down", 1))
                self.assertEqual(world.backend(name).get("pid"), pids[name])
                self.assertTrue(harness.alive(pids[name]), f"{name} was killed")
            self.assertEqual(world.spare()["state"], "free")
            self.assertEqual([p for p in world.recoveries() if p["result"] != "ejected"], [])
            Moody.mood(world, "0", *names)
            for name in names:
                world.wait_state("up", name)
        finally:
            stop.set()
            visitor.join()
        # A death is still a death.
        os.killpg(pids["wiki-1"], signal.SIGSTOP)
        wait_for(lambda: world.recoveries() and world.recoveries()[-1]["result"] == "done", "the recovery")
        self.assertFalse(harness.alive(pids["wiki-1"]))

    def test_a_server_whose_check_hangs_is_not_killed(self):
        self.stays_alive("health", 1)

    def test_a_server_that_answers_late_is_not_killed(self):
        self.stays_alive("0.6", 1)

    def test_one_broken_check_on_every_backend_starts_nothing(self):
        self.stays_alive("health", 2)


class Spares(harness.TestCase):
    """What may be written to, and by whom."""

    def soil(self, world, server):
        directory = world.data(server)
        (directory / "letters").mkdir(parents=True)
        (directory / "letters/love.txt").write_text("not regrow's")
        (directory / "link").symlink_to("letters/love.txt")
        return harness.tree_digest(directory)

    def test_an_unclean_spare_is_refused_and_untouched(self):
        world = self.world()
        before = self.soil(world, "wiki-spare-1")
        world.start_with_items()
        with Writer(world) as client:
            client.wait_more(10)
            world.crash()
            held = world.wait_held("no_spare")
            self.assertIn(str(world.data("wiki-spare-1")), held["reason"])
            self.assertEqual(harness.tree_digest(world.data("wiki-spare-1")), before)
            world.cli("approve", held["id"], code=3)  # nobody's word makes it clean
            world.data("wiki-spare-1").rename(world.dir / "letters")  # the remedy the message names; it is looked at again
            world.wait_recovered()
            client.wait_more(5)
        self.assertEqual(client.failures, [])
        world.assert_kept()

    def test_a_clean_spare_is_used_beside_an_unclean_one(self):
        world = self.world(spares=2)
        before = self.soil(world, "wiki-spare-1")
        world.start_with_items()
        world.crash()
        self.assertEqual(world.wait_recovered()["to"], "wiki-spare-2")
        self.assertEqual(harness.tree_digest(world.data("wiki-spare-1")), before)
        world.assert_kept()

    def test_a_spare_that_cannot_start_costs_no_write(self):
        world = self.world(app=Store, spares=2, every="1h")
        world.pool["spares"][0]["service"]["run"] = ["/nonexistent/server"]
        world.start_with_items()
        world.put("after-the-snapshot")
        world.crash()
        past = world.wait_recovered()
        self.assertEqual((past["to"], past["lost_s"]), ("wiki-spare-2", 0))
        self.assertEqual(world.spare()["state"], "dirty")
        self.assertTrue(world.told("/nonexistent/server"))
        world.assert_kept()

    def test_a_taken_address_costs_no_write(self):
        world = self.world(app=Store, every="1h").start_with_items()
        world.put("after-the-snapshot")
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", int(world.addresses["wiki-spare-1"].split(":")[1])))
            taken.listen()
            world.crash()
            held = world.wait_held("no_spare")
            self.assertIn("already taken", held["reason"])
        past = world.wait_recovered()
        self.assertEqual((past["to"], past["lost_s"]), ("wiki-spare-1", 0))
        world.assert_kept()

    def test_a_repository_that_was_away_costs_no_write(self):
        world = self.world(app=Store, every="1h").start_with_items()
        world.put("after-the-snapshot")
        (world.dir / "backups").rename(world.dir / "away")
        world.crash()
        world.wait_held("repository")
        (world.dir / "away").rename(world.dir / "backups")
        past = world.wait_recovered()
        self.assertEqual((past["to"], past["lost_s"]), ("wiki-spare-1", 0))
        world.assert_kept()

    def test_no_spare_until_one_is_released(self):
        world = self.world().start_with_items()
        world.cli("quarantine", "wiki/wiki-spare-1")
        self.assertEqual(world.spare()["state"], "quarantined")
        with Writer(world) as client:
            client.wait_more(10)
            world.crash()
            world.wait_held("no_spare")
            self.assertEqual(client.failures, [], "held requests wait while a person is needed")
            world.cli("release", "wiki/wiki-spare-1")
            past = world.wait_recovered()
            client.wait_more(5)
        self.assertEqual(past["to"], "wiki-spare-1")
        self.assertEqual(client.failures, [])
        world.assert_kept()

    def test_the_replaced_server_gets_no_traffic_when_it_returns(self):
        world = self.world(app=Store).start_with_items()
        world.crash()
        world.wait_recovered()
        world.assert_kept()
        address = world.addresses["wiki-1"]
        before = harness.tree_digest(world.data("wiki-1"))
        returned = subprocess.Popen(Store.argv(address.split(":")[1], str(world.data("wiki-1"))))
        self.addCleanup(lambda: (returned.kill(), returned.wait()))
        port = int(address.split(":")[1])
        wait_for(lambda: harness.request(port, "GET", "/health").status == 200, "the old server to be back")
        with Writer(world) as client:
            client.wait_more(30)
            # Neither does a proxy that is started anew give it any.
            world.kill_proxy()
            client.stopping.set()
        world.start()
        with Writer(world, prefix="later") as later:
            later.wait_more(30)
        self.assertEqual(later.failures, [])
        self.assertEqual(harness.tree_digest(world.data("wiki-1")), before, "the quarantined server was written to")
        self.assertEqual(world.spare("wiki-1")["state"], "quarantined")
        self.assertEqual(world.backend()["server"], "wiki-spare-1")
        world.cli("release", "wiki/wiki-spare-1", code=3)  # it fills the place
        world.assert_kept()

    def test_a_replaced_server_is_used_as_a_spare_again(self):
        world = self.world().start_with_items()
        with Writer(world) as client:
            client.wait_more(10)
            world.crash()
            world.wait_recovered()
            world.cli("release", "wiki/wiki-1")
            self.assertEqual(world.spare("wiki-1")["state"], "free")
            client.wait_more(5)
            world.cli("recover", "wiki/wiki-1")
            past = world.wait_recovered(2)
            client.wait_more(5)
        self.assertEqual((past["from"], past["to"]), ("wiki-spare-1", "wiki-1"))
        self.assertEqual(client.failures, [])
        self.assertEqual(world.backend()["epoch"], 3)
        world.assert_kept()
        world.cli("release", "wiki/wiki-spare-1")
        world.cli("recover", "wiki/wiki-1")
        self.assertEqual(world.wait_recovered(3)["to"], "wiki-spare-1")
        world.assert_kept()


class Operators(harness.TestCase):
    """What a person may say, by command and by the admin endpoint."""

    def test_recover_on_wish_loses_nothing(self):
        world = self.world().start_with_items()
        with Writer(world) as client:
            client.wait_more(10)
            old = world.pid()
            said = world.cli("recover", "wiki/wiki-1").stdout
            past = world.wait_recovered()
            client.wait_more(5)
        self.assertIn(past["id"], said)
        self.assertEqual(client.failures, [])
        world.assert_kept()
        self.assertFalse(harness.alive(old))

    def test_recover_to_a_snapshot(self):
        world = self.world(every="1h").start_with_items()
        wanted = world.snapshot()
        world.put("too-new")
        world.snapshot()
        world.cli("recover", "wiki/wiki-1", "--at", wanted)
        past = world.wait_recovered()
        self.assertEqual(past["snapshot"], wanted)
        self.assertFalse(world.has("too-new"))
        world.assert_kept_since(past)

    def test_recover_of_what_is_not_there(self):
        world = self.world().start_with_items()
        for argv in (["recover", "wiki/wiki-9"], ["recover", "tea/wiki-1"], ["recover", "wiki/wiki-1", "--at", "feed"],
                     ["approve", "r-none"], ["cancel", "r-none"], ["drain", "wiki/wiki-9"], ["release", "wiki/wiki-9"]):
            with self.subTest(argv):
                refused = world.cli(*argv, code=1)
                self.assertIn(argv[3] if len(argv) > 3 else argv[1].split("/")[-1 if argv[1].startswith("wiki") else 0], refused.stderr)
        self.assertEqual(world.recoveries(), [])
        self.assertEqual(world.backend()["state"], "up")

    def test_mode_approve_waits_for_a_person(self):
        world = self.world(recovery={"mode": "approve"}).start_with_items()
        with Writer(world) as client:
            client.wait_more(5)
            world.crash()
            held = world.wait_held("approval")
            self.assertIn(held["id"], held["reason"])
            self.assertEqual(world.spare()["state"], "free")
            world.cli("approve", held["id"])
            world.wait_recovered()
            client.wait_more(5)
        self.assertEqual(client.failures, [])
        world.assert_kept()

    def test_mode_off_does_nothing_until_told(self):
        world = self.world(recovery={"mode": "off"}).start_with_items()
        world.crash()
        held = world.wait_held("off")
        self.assertEqual(world.spare()["state"], "free")
        self.assertEqual(world.post(f"/api/recoveries/{held['id']}/approve").status, 200)
        world.wait_recovered()
        world.assert_kept()

    def test_pause_and_resume(self):
        world = self.world().start_with_items()
        world.cli("pause")
        self.assertIs(world.stats()["paused"], True)
        world.crash()
        world.wait_held("paused")
        # Neither is it forgotten over a restart of the proxy.
        world.kill_proxy()
        world.start(ready=False)
        world.wait_held("paused")
        self.assertEqual(world.spare()["state"], "free")
        world.cli("resume")
        world.wait_recovered()
        world.assert_kept()

    def test_cancel_and_recover_later(self):
        world = self.world(recovery={"mode": "approve"}).start_with_items()
        world.crash()
        held = world.wait_held("approval")
        world.cli("cancel", held["id"])
        world.wait_recovered(result="cancelled")
        self.assertEqual(world.backend()["state"], "down")
        self.assertEqual(world.spare()["state"], "free")
        world.cli("recover", "wiki/wiki-1")
        world.wait_recovered(2)
        world.assert_kept()

    def test_cancelled_after_the_fence_the_old_data_is_still_rescued(self):
        world = self.world(app=Store, every="1h").start_with_items()
        world.put("after-the-snapshot")
        (world.dir / "backups").rename(world.dir / "away")
        world.crash()
        held = world.wait_held("repository")
        world.cli("cancel", held["id"])
        world.wait_recovered(result="cancelled")
        self.assertEqual(world.spare("wiki-1")["state"], "quarantined")
        (world.dir / "away").rename(world.dir / "backups")
        world.cli("recover", "wiki/wiki-1")
        past = world.wait_recovered(2)
        self.assertEqual((past["from"], past["to"], past["lost_s"]), ("wiki-1", "wiki-spare-1", 0))
        world.assert_kept()
        world.cli("release", "wiki/wiki-1")
        self.assertEqual(world.spare("wiki-1")["state"], "free")

    def test_maintenance_recovers_nothing(self):
        world = self.world().start_with_items()
        world.cli("maintenance", "wiki/wiki-1")
        world.wait_state("maintenance")
        world.crash()
        wait_for(lambda: world.told("process exited"), "the death to be seen")
        self.assertIn(world.under_way(), (None, "held(maintenance)"))
        self.assertEqual(world.backend()["state"], "maintenance")
        self.assertEqual((world.recoveries(), world.spare()["state"]), ([], "free"))
        world.cli("undrain", "wiki/wiki-1")
        world.wait_recovered()
        world.assert_kept()

    def test_drain_and_undrain(self):
        world = self.world(app=Store, backends=2, pool={"balance": "round_robin"}).start()
        by_command = (lambda verb: world.cli(verb, "wiki/wiki-1"))

        def by_admin(verb):
            self.assertEqual(world.post(f"/api/pools/wiki/backends/wiki-1/{verb}").status, 200)
        for tell in (by_command, by_admin):
            tell("drain")
            world.wait_state("draining")
            before = world.backend("wiki-1")["requests"]
            for _ in range(10):
                self.assertEqual(world.ask("GET", "/health").status, 200)
            self.assertEqual(world.backend("wiki-1")["requests"], before)
            tell("undrain")
            world.wait_state("up")
            wait_for(lambda: world.ask("GET", "/health") and world.backend("wiki-1")["requests"] > before, "traffic again")
        # A drain outlives the proxy.
        by_command("drain")
        world.kill_proxy()
        world.start()
        self.assertEqual(world.backend("wiki-1")["state"], "draining")
        self.assertEqual(world.recoveries(), [])

    def test_the_budget_is_kept(self):
        world = self.world(app=Store, backends=2, spares=2, recovery={"budget": "1 per 1h"}).start()
        for name in ("wiki-1", "wiki-2"):
            wait_for(lambda name=name: world.snapshots(f"wiki/{name}"), f"a snapshot of {name}")
        world.crash("wiki-1")
        world.wait_recovered()
        world.crash("wiki-2")
        held = world.wait_held("budget")
        world.kill_proxy()  # it is not forgiven by a restart
        world.start()
        world.wait_held("budget")
        world.cli("approve", held["id"])
        self.assertEqual(world.wait_recovered(2)["backend"], "wiki-2")


class Hooks(harness.TestCase):
    """The operator's programs within a recovery."""

    RECORD = ("import os, json, sys; open(sys.argv[1], 'a').write(json.dumps({k: v for k, v in os.environ.items() "
              "if k.startswith('REGROW_')}) + '\\n')")

    def recorded(self, path):
        import json
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def test_they_are_told_everything(self):
        world = self.world()
        record = world.dir / "hooks"
        hook = [sys.executable, "-c", self.RECORD, str(record)]
        world.pool["recovery"]["hooks"] = {"prepare": hook, "verify": {"run": hook, "timeout": "20s"}, "after": hook}
        world.start_with_items()
        world.crash()
        past = world.wait_recovered()
        wait_for(lambda: len(self.recorded(record)) == 3, "three hooks")
        told = {entry["REGROW_STEP"]: entry for entry in self.recorded(record)}
        self.assertEqual([entry["REGROW_STEP"] for entry in self.recorded(record)], ["verify", "prepare", "after"])
        for step, entry in told.items():
            self.assertEqual(entry["REGROW_POOL"], "wiki", step)
            self.assertEqual(entry["REGROW_BACKEND"], "wiki-1", step)
            self.assertEqual(entry["REGROW_RECOVERY"], past["id"], step)
            self.assertEqual(entry["REGROW_EPOCH"], "2", step)
            self.assertEqual(entry["REGROW_OLD_DATA"], str(world.data("wiki-1")), step)
            self.assertEqual(entry["REGROW_DATA"], str(world.data("wiki-spare-1")), step)
            self.assertEqual(entry["REGROW_ADDRESS"], world.addresses["wiki-spare-1"], step)
            self.assertEqual(entry["REGROW_SNAPSHOT"], past["snapshot"], step)
        self.assertTrue(told["verify"]["REGROW_STAGING"].startswith(str(world.data("wiki-spare-1"))))
        self.assertEqual(told["after"]["REGROW_RESULT"], "done")
        world.assert_kept()

    def test_a_verify_hook_that_says_no_means_an_older_snapshot(self):
        world = self.world(every="1h")
        flag = world.dir / "refused"
        refuse_once = ("import os, sys; path = sys.argv[1]\nif os.path.exists(path): sys.exit(0)\n"
                       "open(path, 'w').write(os.environ['REGROW_SNAPSHOT']); print('the articles are in Klingon'); sys.exit(1)")
        world.pool["recovery"]["hooks"] = {"verify": [sys.executable, "-c", refuse_once, str(flag)]}
        world.start_with_items()
        older = world.snapshot()
        world.put("between")
        newest = world.snapshot()
        world.lose_host()
        past = world.wait_recovered()
        self.assertEqual(flag.read_text(), newest)
        self.assertEqual(past["snapshot"], older)
        self.assertTrue(world.told("Klingon"), "what the hook said is told")
        self.assertGreater(past["lost_s"], 0, "the loss is declared")
        world.assert_kept_since(past)
        self.assertFalse(world.has("between"))

    def test_a_prepare_hook_may_write_into_the_data(self):
        world = self.world(app=Store)
        write = "import os; open(os.environ['REGROW_DATA'] + '/address', 'w').write('content of address')"
        world.pool["recovery"]["hooks"] = {"prepare": [sys.executable, "-c", write]}
        world.start_with_items()
        world.crash()
        world.wait_recovered()
        self.assertTrue(world.has("address"))
        world.assert_kept()

    def test_a_fence_hook_is_asked(self):
        world = self.world(app=Store)
        record = world.dir / "hooks"
        world.pool["recovery"]["hooks"] = {"fence": [sys.executable, "-c", self.RECORD, str(record)]}
        world.start_with_items()
        world.crash()
        world.wait_recovered()
        self.assertEqual([entry["REGROW_STEP"] for entry in self.recorded(record)], ["fence"])
        world.assert_kept()


if __name__ == "__main__":
    unittest.main()
