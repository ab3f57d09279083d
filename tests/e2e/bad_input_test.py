"""What people get wrong, and what backends and clients do that they should not: each a clear error that names the thing and
the remedy; nothing is overwritten, nothing hangs, and whoever is innocent is served."""
import shutil
import signal
import socket
import threading
import unittest

import harness
from harness import Store, wait_for

LEAST = """\
state_dir: {dir}/state
admin: {{listen: 127.0.0.1:{admin}}}
listeners:
  - listen: 127.0.0.1:{port}
    routes: [{{pool: app}}]
pools:
  app:
    backends: [{{name: app-1, address: "127.0.0.1:{backend}"}}]
"""


class Files(harness.TestCase):
    """A configuration that cannot be used."""

    def setUp(self):
        super().setUp()
        self.dir = self.directory()
        self.file = self.dir / "regrow.yaml"

    def refused(self, text, *words, verbs=("check", "run")):
        self.file.write_text(text)
        for verb in verbs:
            ran = self.ran(verb, "-c", self.file, code=1)
            for word in words:
                self.assertIn(word, ran.stderr, f"regrow {verb} said: {ran.stderr}")
        self.assertFalse((self.dir / "state").exists(), "a refused configuration made a state directory")
        return ran.stderr

    def least(self):
        return LEAST.format(dir=self.dir, admin=harness.free_port(), port=harness.free_port(), backend=harness.free_port())

    def test_every_problem_at_once_with_its_place(self):
        text = (self.least().replace("balance", "").replace("    backends:", "    balanse: round_robin\n    slow_start: 10 parsecs\n    backends:")
                + "colour: blue\n")
        said = self.refused(text, "balanse", "balance", "10 parsecs", "colour")
        lines = text.split("\n")
        for word in ("balanse", "slow_start", "colour"):
            number = next(i for i, line in enumerate(lines, 1) if word in line)
            self.assertRegex(said, rf"{self.file}:{number}:\d+: ")
        self.assertEqual(len(said.strip().split("\n")), 3, said)

    def test_broken_yaml(self):
        self.refused(self.least() + "pools: [unclosed\n", f"{self.file}:")
        self.refused("", f"{self.file}")
        self.refused("\tlisteners: x\n", f"{self.file}:1:")
        self.refused("- just\n- a list\n", f"{self.file}:1:")
        self.file.write_bytes(b"\xff\xfe\x00")
        self.assertIn(str(self.file), self.ran("check", "-c", self.file, code=1).stderr)

    def test_unbuilt_keys_are_refused_by_name(self):
        for more, word in (("coordination: {etcd: {endpoints: [http://127.0.0.1:2379]}}\n", "coordination"),
                           ("agents: {host-b: {address: 127.0.0.1:9902}}\n", "agents")):
            with self.subTest(word):
                self.refused(self.least() + more, word, "not")
        for key, value in (("cache", "{size: 1MiB}"), ("data", "replica")):
            with self.subTest(key):
                self.refused(self.least().replace("    backends:", f"    {key}: {value}\n    backends:"), key)

    def test_a_file_that_is_not_there(self):
        for verb in ("check", "run"):
            self.assertIn(str(self.dir / "nothing.yaml"), self.ran(verb, "-c", self.dir / "nothing.yaml", code=1).stderr)
        self.ran("run", code=2)

    def test_defaults_are_a_configuration_for_people(self):
        self.assertIn("balance", self.ran("config", "defaults").stdout)
        self.file.write_text(self.least())
        self.ran("check", "-c", self.file)


class Starting(harness.TestCase):
    """A configuration that is right, in a world that is not."""

    def ended(self, world, *words):
        code = world.launch().wait(harness.PATIENCE)
        self.assertEqual(code, 1, world.log())
        for word in words:
            self.assertIn(str(word), world.log())
        self.assertEqual(world.server_pids(), [], "a server was started")

    def test_a_missing_key_file(self):
        world = self.world(app=Store)
        world.make_key = lambda: None
        self.ended(world, world.dir / "backup.key", "regrow key new")
        self.assertFalse((world.dir / "backups").exists())

    def flagged(self, world, *words):
        """The proxy runs, nothing is backed up and nobody can overlook why."""
        world.start(ready=False)
        wait_for(lambda: all(str(word) in world.cli("status").stdout for word in words), f"status to name {words}")
        self.assertIs(world.stats()["repositories"]["main"]["reachable"], False)
        for word in words:
            self.assertIn(str(word), world.log())
        self.assertEqual(world.snapshots(), [])

    def test_a_key_file_that_is_no_key(self):
        world = self.world(app=Store)
        (world.dir / "backup.key").write_text("regrow-key-1 12345\n")
        self.flagged(world, world.dir / "backup.key")
        self.assertFalse((world.dir / "backups").exists())

    def test_a_repository_of_another_key(self):
        world = self.world(app=Store)
        other = world.dir / "other.key"
        self.ran("key", "new", other)
        self.ran("repo", "init", "--repo", world.dir / "backups", "--key-file", other)
        before = harness.tree_digest(world.dir / "backups")
        self.flagged(world, world.dir / "backups", world.dir / "backup.key")
        self.assertEqual(harness.tree_digest(world.dir / "backups"), before)

    def test_a_repository_path_that_is_a_file(self):
        world = self.world(app=Store)
        (world.dir / "backups").write_text("not a directory")
        self.flagged(world, world.dir / "backups")
        self.assertEqual((world.dir / "backups").read_text(), "not a directory")

    def test_a_repository_directory_of_somebody_else(self):
        world = self.world(app=Store)
        (world.dir / "backups").mkdir()
        (world.dir / "backups/letter").write_text("mine")
        self.flagged(world, world.dir / "backups")
        self.assertEqual([p.name for p in (world.dir / "backups").iterdir()], ["letter"])

    def test_a_recorded_repository_found_empty(self):
        world = self.world(app=Store).start_with_items()
        world.stop_proxy()
        shutil.rmtree(world.dir / "backups")
        (world.dir / "backups").mkdir()
        self.flagged(world, world.dir / "backups")
        self.assertEqual(list((world.dir / "backups").iterdir()), [], "a new repository was made over the loss")
        world.assert_kept()  # who has no backup is served all the same

    def test_a_repository_that_goes_away_while_it_runs(self):
        world = self.world(app=Store).start_with_items()
        (world.dir / "backups").rename(world.dir / "unplugged")
        wait_for(lambda: world.stats()["repositories"]["main"]["reachable"] is False, "the repository to be missed")
        self.assertIn(str(world.dir / "backups"), world.cli("status").stdout)
        world.put("meanwhile")
        world.crash()
        wait_for(lambda: (world.under_way() or "").startswith("held"), "the recovery to be held")
        (world.dir / "unplugged").rename(world.dir / "backups")
        world.wait_recovered()
        world.assert_kept_since(world.recoveries()[-1])

    def test_a_taken_port(self):
        for which in ("port", "admin"):
            with self.subTest(which), socket.socket() as holder:
                world = self.world(app=Store)
                holder.bind(("127.0.0.1", getattr(world, which)))
                holder.listen()
                self.ended(world, f"127.0.0.1:{getattr(world, which)}")

    def test_a_state_dir_in_use(self):
        world = self.world(app=Store).start_with_items()
        second = self.world(app=Store)
        second.config["state_dir"] = str(world.state_dir)
        code = second.launch().wait(harness.PATIENCE)
        self.assertEqual(code, 1)
        self.assertIn(str(world.state_dir), second.log())
        self.assertIn(str(world.proxy.pid), second.log())
        world.assert_kept()

    def test_a_state_dir_that_cannot_be_made(self):
        world = self.world(app=Store)
        (world.dir / "file").write_text("")
        world.config["state_dir"] = str(world.dir / "file/state")
        self.ended(world, world.dir / "file/state")

    def test_a_program_that_is_not_there(self):
        world = self.world(app=Store)
        world.pool["backends"][0]["service"]["run"] = ["/usr/bin/no-such-program"]
        world.start(ready=False)
        wait_for(lambda: "/usr/bin/no-such-program" in world.log(), "the program to be named")
        self.assertNotEqual(world.backend()["state"], "up")

    def test_data_that_regrow_did_not_put_there(self):
        """A first start over existing data takes it as it is and loses nothing of it."""
        world = self.world(app=Store)
        data = world.data("wiki-1")
        data.mkdir(parents=True)
        (data / "old").write_text("content of old")
        world.start()
        self.assertTrue(world.has("old"))
        world.snapshot()
        world.lose_host()
        world.wait_recovered()
        self.assertTrue(world.has("old"))


class Nonsense(threading.Thread):
    """A backend that accepts, reads a head and answers with whatever it is given."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        with peer:
            try:
                while peer.recv(65536):
                    peer.sendall(self.answer)
                    if b"keep" not in self.answer:
                        return
            except OSError:
                pass

    def close(self):
        self.socket.close()


class Wire(harness.TestCase):
    """Garbage on the wire, from either side."""

    def stateless(self, backends, **pool):
        world = self.world(app=Store)
        world.config["pools"]["wiki"] = {"data": "none", "check": "tcp", "hold": "off", "backends": backends, "retry": {"attempts": 1}, **pool}
        del world.config["repositories"]
        return world

    def test_a_backend_that_answers_nonsense(self):
        for answer in (b"HELLO WORLD\r\n\r\n", b"HTTP/1.1 banana\r\n\r\n", b"\x00\x01\x02" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", b""):
            with self.subTest(answer=answer[:40]):
                backend = Nonsense(answer)
                self.addCleanup(backend.close)
                world = self.stateless([{"name": "wiki-1", "address": f"127.0.0.1:{backend.port}"}], observe="off").start()
                self.assertEqual(world.ask("POST", "/x", b"body").status, 502)
                self.assertEqual(world.ask("GET", "/x").status, 502)
                wait_for(lambda: '"GET /x HTTP/1.1" 502' in harness.read_text(world.dir / "access.log"), "the access log to say so")
                self.assertGreater(world.backend()["errors"], 0)
                world.end()

    def test_the_other_backend_serves(self):
        bad = Nonsense(b"I am not HTTP\r\n\r\n")
        self.addCleanup(bad.close)
        good = Nonsense(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\ngood")
        self.addCleanup(good.close)
        world = self.stateless([{"name": "wiki-1", "address": f"127.0.0.1:{bad.port}"},
                                {"name": "wiki-2", "address": f"127.0.0.1:{good.port}"}], balance="round_robin").start()
        answers = []

        def ejected():
            answers.append(world.ask("GET", "/").status)
            return world.backend("wiki-1")["state"] == "suspect"
        wait_for(ejected, "errors in a row to eject the bad one")
        self.assertLessEqual(set(answers), {200, 502})
        self.assertEqual(world.ask("GET", "/").body, b"good")
        self.assertEqual((world.backend("wiki-2")["state"], world.backend("wiki-2")["errors"]), ("up", 0))
        self.assertEqual(world.pool_stats()["state"], "degraded")

    def talk(self, world, data):
        """All that is answered to these bytes until the proxy closes, or has answered one head."""
        with socket.create_connection(("127.0.0.1", world.port), timeout=harness.PATIENCE) as peer:
            peer.sendall(data)
            answer = b""
            try:
                while b"\r\n\r\n" not in answer:
                    part = peer.recv(65536)
                    if not part:
                        break
                    answer += part
            except ConnectionResetError:
                pass
            return answer

    def test_clients_that_send_garbage(self):
        world = self.world(app=Store).start()
        host = b"Host: x\r\n"
        for data in (b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
                     b"GET /\r\n\r\n" + b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                     b"POST / HTTP/1.1\r\n" + host + b"Content-Length: nine\r\n\r\n",
                     b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                     b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + host + b"A: \x00\r\n\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"GET  / HTTP/1.1\r\n" + host + b"\r\n"):
            with self.subTest(data=data[:60]):
                self.assertTrue(self.talk(world, data).startswith(b"HTTP/1.1 400 "), self.talk(world, data))
        long = self.talk(world, b"GET / HTTP/1.1\r\n" + host + b"X: " + b"a" * 2_000_000 + b"\r\n\r\n")
        self.assertRegex(long[:12], rb"^HTTP/1.1 4(00|31)|^$")
        wait_for(lambda: any(line.startswith("regrow_listener_bad_requests_total") and float(line.split()[-1]) >= 12
                             for line in world.get("/metrics").text.splitlines()), "bad requests to be counted")
        self.assertEqual((world.backend()["state"], world.backend()["errors"]), ("up", 0))
        world.put("still-served")

    def test_a_host_nobody_serves(self):
        world = self.world(app=Store)
        world.config["listeners"][0]["routes"] = [{"host": "wiki.example.org", "pool": "wiki"}]
        world.start()
        self.assertEqual(world.ask("GET", "/health", headers={"Host": "other.example.org"}).status, 404)
        self.assertEqual(world.ask("GET", "/health", headers={"Host": "wiki.example.org"}).status, 200)


class Reloading(harness.TestCase):
    def reloaded(self, world, generation):
        wait_for(lambda: world.stats()["generation"] > generation, "the new configuration")

    def test_an_error_changes_nothing(self):
        world = self.world(app=Store).start_with_items()
        before = world.stats()
        text = world.config_file.read_text()
        world.config_file.write_text(text.replace('"balance"', '"balans"').replace('"backends"', '"backens"', 1))
        refused = world.cli("reload", code=1)
        self.assertIn("backens", refused.stderr)
        self.assertIn(f"{world.config_file}:", refused.stderr)
        world.proxy.send_signal(signal.SIGHUP)
        wait_for(lambda: world.log().count("backens") >= 1, "the log to name it")
        after = world.stats()
        self.assertEqual(after["generation"], before["generation"])
        self.assertEqual(world.backend()["pid"], before["pools"]["wiki"]["backends"][0]["pid"])
        world.put("still-served")
        world.assert_kept()

    def test_a_pool_is_added(self):
        world = self.world(app=Store).start_with_items()
        generation, pid = world.stats()["generation"], world.pid()
        world.config["pools"]["tea"] = {"check": dict(Store.check), "backends": [world.server("tea-1")]}
        world.config["listeners"][0]["routes"].insert(0, {"host": "tea.example.org", "pool": "tea"})
        world.write_config()
        world.proxy.send_signal(signal.SIGHUP)
        self.reloaded(world, generation)
        wait_for(lambda: world.ask("PUT", "/green", b"hot", {"Host": "tea.example.org"}).status == 201, "the new pool to serve")
        self.assertFalse(world.has("green"), "the old pool got the new one's item")
        self.assertEqual(world.pid(), pid, "the old pool's server was restarted")
        world.assert_kept()

    def test_pools_and_spares_go(self):
        world = self.world(app=Store).start_with_items()
        generation, pid = world.stats()["generation"], world.pid()
        del world.pool["spares"]
        world.write_config()
        world.cli("reload")
        self.reloaded(world, generation)
        self.assertEqual(world.pool_stats()["spares"], [])
        self.assertEqual(world.pid(), pid)
        world.assert_kept()

    def test_a_taken_port_at_reload_changes_nothing(self):
        world = self.world(app=Store).start_with_items()
        before = world.stats()["generation"]
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", harness.free_port()))
            holder.listen()
            address = f"127.0.0.1:{holder.getsockname()[1]}"
            world.config["listeners"].append({"listen": address, "routes": [{"pool": "wiki"}]})
            world.write_config()
            self.assertIn(address, world.cli("reload", code=1).stderr)
        self.assertEqual(world.stats()["generation"], before)
        world.put("still-served")


if __name__ == "__main__":
    unittest.main()
