"""What one client, or all of them together, may take: everybody else goes on, and so do recoveries."""
import errno
import resource
import socket
import threading
import unittest
from unittest import mock

import harness
from harness import Store, wait_for

SOFT, HARD = 256, 700  # descriptors of the proxy


class Limits(harness.TestCase):

    def flooded(self, count):
        """So many connections that say nothing: as many as get in, and the rest in the backlog or not even there."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < count + 200:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 200), hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        hanging = []
        for _ in range(count):
            s = socket.socket()
            s.setblocking(False)
            self.addCleanup(s.close)
            self.assertIn(s.connect_ex(("127.0.0.1", self.world_.port)), (0, errno.EINPROGRESS))
            hanging.append(s)
        return hanging

    def test_a_recovery_works_while_ten_thousand_clients_hang(self):
        self.world_ = world = self.world(app=Store)
        world.config["listeners"][0]["timeouts"] = {"header": "10m"}
        wrapper = world.dir / "few-descriptors"
        wrapper.write_text(f"#!/bin/sh\nulimit -Sn {SOFT}\nulimit -Hn {HARD}\nexec {harness.REGROW} \"$@\"\n")
        wrapper.chmod(0o700)
        with mock.patch.object(harness, "REGROW", str(wrapper)):
            world.start_with_items()
        limits = harness.read_text(f"/proc/{world.proxy.pid}/limits")
        self.assertRegex(limits, rf"Max open files +{HARD} +{HARD}")
        server = harness.read_text(f"/proc/{world.pid()}/limits")
        self.assertRegex(server, rf"Max open files +{SOFT} +{HARD}", "a server did not get the limit regrow was started with")

        hanging = self.flooded(10_000)
        def full():
            listener = world.stats()["listeners"][0]
            return listener["open"] if listener["open"] >= 200 else None
        taken = wait_for(full, "the proxy to be full")
        self.assertLess(taken, HARD - 128)
        world.crash()
        world.wait_recovered()
        self.assertNotIn("Too many open files", world.log())
        for s in hanging:
            s.close()
        wait_for(lambda: world.stats()["listeners"][0]["open"] < 50, "the clients to be gone")
        world.assert_kept_since(world.recoveries()[-1])

    def test_a_flood_from_one_address_is_refused_and_a_quiet_one_served(self):
        self.world_ = world = self.world(app=Store)
        world.config["listeners"][0].update({
            "trusted_proxies": ["127.0.0.0/8"],
            "accept": {"requests_per_second": 5, "burst": 10, "deny": ["192.0.2.66"]}})
        world.start()

        def ask(client):
            return harness.request(world.port, "GET", "/none", headers={"X-Forwarded-For": client, **Store.headers}).status
        refused = []

        def flood():
            for _ in range(150):
                refused.append(ask("192.0.2.1") == 429)
        threads = [threading.Thread(target=flood) for _ in range(4)]
        for t in threads:
            t.start()
        quiet = [ask(f"198.51.100.{i}") for i in range(1, 60)]
        for t in threads:
            t.join()
        self.assertNotIn(429, quiet)
        self.assertGreater(sum(refused), 400)
        self.assertEqual(ask("192.0.2.66"), 403)
        wait_for(lambda: world.stats()["listeners"][0]["refused"]["rate"] == sum(refused), "/stats to count them")
        self.assertEqual(world.stats()["listeners"][0]["refused"]["address"], 1)
        metrics = harness.request(world.admin, "GET", "/metrics").text
        self.assertIn(f'regrow_listener_refused_total{{listen="127.0.0.1:{world.port}",reason="rate"}} {sum(refused)}', metrics)
        wait_for(lambda: " 429 " in harness.read_text(world.dir / "access.log") and
                 "why=limit " in harness.read_text(world.dir / "access.log"), "the access log to say why")


if __name__ == "__main__":
    unittest.main()
