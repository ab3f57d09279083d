"""The proxy is killed in the middle of a recovery, at every step of its journal and at random instants; started again it
carries on, and ends where it would have ended.

The steps are found by tracing: strace lets the N-th fdatasync of the control loop's thread kill the process, which is
after a record was written and before anything it stands for was done. N grows until a recovery gets through.
"""
import concurrent.futures
import fcntl
import os
import random
import shutil
import signal
import subprocess
import time
import unittest

import harness
from harness import PATIENCE, Store, Writer, wait_for

MOST_STEPS = 60
AT_ONCE = 2


class DiesAtSync:
    """Kills the proxy at the n-th fdatasync from now."""

    def __init__(self, pid, n):
        self.tracer = subprocess.Popen(
            ["strace", "-p", str(pid), "-o", "/dev/null", "-e", "trace=fdatasync", "-e", f"inject=fdatasync:signal=SIGKILL:when={n}"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self.tracer.stderr.readline()
        if "attached" not in said:
            self.end()
            raise AssertionError(f"strace cannot attach: {said}")

    def end(self):
        if self.tracer.poll() is None:
            self.tracer.terminate()
        self.tracer.wait(PATIENCE)
        self.tracer.stderr.close()


class Killed(harness.TestCase):
    def recovering_world(self, fault, **options):
        """A world at the point just before its fault, and the fault."""
        world = harness.World(app=Store, spares=2, **options)
        try:
            world.start_with_items()
        except BaseException as error:
            story = world.story()
            world.end()
            raise AssertionError(f"{error}\n\n{story}") from error
        strike = world.lose_host if fault == "host-loss" else world.crash
        return world, strike

    def check_end(self, world, fault):
        """The recovery ended as if nobody had been killed."""
        def ended():
            pool = world.pool_stats()
            return pool["recoveries"] or (fault == "crash" and not pool["recovery"] and pool["state"] == "up")
        wait_for(ended, "the recovery, or a plain start, to end")
        if not world.recoveries() and not world.pool_stats()["recovery"]:
            # Killed before the death was on record: the server does not run, its data is as it was, so it is started.
            world.assert_kept()
            self.assertEqual((world.backend()["server"], world.spare()["state"]), ("wiki-1", "free"))
            return
        past = world.wait_recovered()
        if fault == "crash":
            world.assert_kept()
        else:
            world.assert_kept_since(past)
        backend = world.backend()
        problems = []

        def expect(good, what):
            if not good:
                problems.append(what)
        expect(len(world.recoveries()) == 1, f"one recovery, not {world.recoveries()}")
        expect(backend["state"] == "up", f"up, not {backend['state']}")
        expect(backend["server"].startswith("wiki-spare"), f"a spare serves, not {backend['server']}")
        expect(backend["epoch"] >= 2, f"the epoch grew: {backend['epoch']}")
        epochs = [(event["seq"], int(event["text"].split("epoch ")[1].split()[0])) for event in world.events() if "is durable" in event["text"]]
        expect(epochs == sorted(epochs) and all(epoch <= backend["epoch"] for _, epoch in epochs), f"epochs only grow: {epochs}")
        states = {spare["name"]: spare["state"] for spare in world.pool_stats()["spares"]}
        expect(states.pop(backend["server"]) == "in_use", f"the one that serves is in use: {states}")
        expect(states.pop("wiki-1") == "quarantined", f"the old one is quarantined: {states}")
        expect(set(states.values()) <= {"free", "dirty"}, f"no other spare is bound: {states}")
        running = [name for name in world.addresses if world.server_pids(name)]
        expect(running == [backend["server"]], f"exactly the serving server runs, not {running}")
        left = [path.name for path in (world.dir / "data").iterdir() if "staging" in path.name]
        expect(not left or "dirty" in states.values(), f"no staging directory is left: {left}")
        expect((world.data(backend["server"]) / ".regrow").exists(), "the restored data carries its marker")
        if fault == "crash":
            expect((world.data("wiki-1") / "first-0").exists(), "the old data is kept")
        else:
            expect(not any(world.data("wiki-1").iterdir()), "nobody set up the wiped directory anew")
        world.put("afterwards")
        expect(world.has("afterwards"), "it takes writes")
        if problems:
            raise AssertionError("; ".join(problems))

    def attempt(self, fault, n):
        """False when the recovery got through without dying."""
        world, strike = self.recovering_world(fault)
        try:
            trap = DiesAtSync(world.proxy.pid, n)
            try:
                strike()
                wait_for(lambda: world.proxy.poll() is not None or (world.recoveries() and not world.pool_stats()["recovery"]),
                         "the proxy to die or the recovery to end")
            finally:
                trap.end()
            died = world.proxy.poll() is not None
            if died:
                world.start(ready=False)
            self.check_end(world, fault)
            return died
        except BaseException as error:
            raise AssertionError(f"{fault}, killed at step {n}: {error}\n\n{world.story()}") from error
        finally:
            world.end()

    def each_step(self, fault):
        self.assertTrue(shutil.which("strace"), "strace is not installed; script/test installs it")
        survived = None
        failures = []
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for first in range(1, MOST_STEPS, AT_ONCE):
                attempts = {n: pool.submit(self.attempt, fault, n) for n in range(first, first + AT_ONCE)}
                for n, attempt in attempts.items():
                    try:
                        if not attempt.result() and survived is None:
                            survived = n
                    except AssertionError as error:
                        failures.append(error)
                if survived or len(failures) >= 3:
                    break
        if failures:
            raise AssertionError("\n\n".join(str(failure) for failure in failures))
        self.assertIsNotNone(survived, f"still dying at step {MOST_STEPS}")
        self.assertGreater(survived, 8, "the journal has more steps than that; was the right thread traced?")

    def test_at_each_journal_step_of_a_host_loss(self):
        self.each_step("host-loss")

    def test_at_each_journal_step_of_a_crash_with_rescue(self):
        self.each_step("crash")

    def at_random(self, seed):
        """Once or twice, anywhere between the fault and a little after the end."""
        luck = random.Random(seed)
        fault = luck.choice(["host-loss", "crash"])
        world, strike = self.recovering_world(fault)
        moments = []
        try:
            strike()
            for _ in range(luck.randint(1, 2)):
                moments.append(luck.uniform(0, 1.2))
                time.sleep(moments[-1])  # the instant is what is tested
                world.kill_proxy()
                world.start(ready=False)
            self.check_end(world, fault)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {fault}, killed after {moments} s: {error}\n\n{world.story()}") from error
        finally:
            world.end()

    def test_at_random_instants(self):
        failures = []
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for attempt in [pool.submit(self.at_random, seed) for seed in range(20)]:
                try:
                    attempt.result()
                except AssertionError as error:
                    failures.append(str(error))
        self.assertEqual(failures[:3], [], f"{len(failures)} of 20 seeds failed:\n" + "\n\n".join(failures[:3]))


class Restarted(harness.TestCase):
    """The proxy ends, its servers do not."""

    def test_servers_survive_kill_9_and_are_adopted(self):
        world = self.world().start_with_items()
        pid = world.pid()
        world.kill_proxy()
        self.assertTrue(harness.alive(pid))
        world.start()
        self.assertEqual(world.pid(), pid, "the server was not adopted")
        self.assertEqual((world.backend()["server"], world.backend()["epoch"], world.recoveries()), ("wiki-1", 1, []))
        world.assert_kept()
        world.crash()  # and its end is seen, though it is no child any more
        world.wait_recovered()
        world.assert_kept()

    def test_a_lock_that_outlives_its_holder_for_a_moment(self):
        """A child of the dead proxy that is between fork and exec still holds the lock."""
        world = self.world(app=Store).start_with_items()
        world.kill_proxy()
        with open(str(world.state_dir / "lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            proxy = world.launch()

            def wants_it():
                self.assertIsNone(proxy.poll(), "it did not wait")
                return any(os.readlink(fd.path) == lock.name for fd in os.scandir(f"/proc/{proxy.pid}/fd"))
            wait_for(wants_it, "the proxy to ask for the lock")
        wait_for(lambda: world.get("/readyz").status == 200, "the proxy to be ready")
        world.assert_kept()

    def test_servers_survive_sigterm(self):
        world = self.world(app=Store).start_with_items()
        pid = world.pid()
        self.assertEqual(world.stop_proxy(), 0, world.log())
        self.assertTrue(harness.alive(pid))
        world.start()
        self.assertEqual(world.pid(), pid)
        world.assert_kept()

    def test_counters_survive_to_the_checkpoint(self):
        world = self.world(app=Store, every="1h").start_with_items()
        for i in range(30):
            world.put(f"counted-{i}")
        seen = world.backend()["requests"]
        self.assertGreaterEqual(seen, 30)
        journal = world.state_dir / "journal"
        measured = time.time()
        wait_for(lambda: journal.stat().st_mtime > measured, "a checkpoint")
        world.kill_proxy()
        world.start()
        self.assertGreaterEqual(world.backend()["requests"], seen)
        self.assertGreaterEqual(world.pool_stats()["requests"], seen)

    def test_a_server_that_crashed_while_the_proxy_was_away(self):
        world = self.world().start_with_items()
        pid = world.pid()
        world.kill_proxy()
        os.killpg(pid, signal.SIGKILL)
        world.start(ready=False)
        wait_for(lambda: world.get("/readyz").status == 200 and not world.pool_stats()["recovery"], "the service to be back")
        world.assert_kept()

    def test_a_host_that_was_lost_while_the_proxy_was_away(self):
        world = self.world(app=Store).start_with_items()
        pid = world.pid()
        world.kill_proxy()
        os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(world.data("wiki-1"))
        world.start(ready=False)
        past = world.wait_recovered()
        world.assert_kept_since(past)
        self.assertFalse((world.data("wiki-1") / "first-0").exists())
        self.assertEqual(world.backend()["server"], "wiki-spare-1")

    def test_a_lost_state_dir_starts_nothing_empty(self):
        """The markers on the disks still know who it was, and epochs do not turn back."""
        world = self.world(app=Store).start_with_items()
        world.crash()
        world.wait_recovered()
        self.assertEqual(world.backend()["epoch"], 2)
        with Writer(world) as client:
            client.wait_more(3)
        world.snapshot()
        pids = world.server_pids()
        world.kill_proxy()
        harness.kill_all(pids)
        shutil.rmtree(world.state_dir)
        shutil.rmtree(world.data("wiki-1"))
        # The file says wiki-1, whose data is gone; what was written lies on the spare, whose marker has the highest epoch.
        world.start(ready=False)
        wait_for(lambda: world.get("/readyz").status == 200, "the service to be back")
        world.assert_kept()
        self.assertEqual((world.backend()["server"], world.backend()["epoch"]), ("wiki-spare-1", 2))
        self.assertEqual(list(world.data("wiki-1").parent.glob("wiki-1")), [], "an empty wiki-1 was set up")


if __name__ == "__main__":
    unittest.main()
