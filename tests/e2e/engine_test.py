"""The backup engine's verbs alone, as a person would use them: no proxy, no configuration. Messages name the thing and the
remedy; exit codes are 0 done, 1 failed, 2 usage, 3 refused; killed anywhere, the next run puts it right."""
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

import harness


def write_tree(root, seed=1, files=40):
    """Odd names, kinds, modes, a sparse file, links, a database: what directories hold."""
    luck = random.Random(seed)
    root.mkdir(parents=True, exist_ok=True)
    for i in range(files):
        folder = root / f"folder-{i % 5}"
        folder.mkdir(exist_ok=True)
        (folder / f"file {i}.bin").write_bytes(luck.randbytes(luck.randrange(0, 60000)))
    (root / "empty").touch()
    (root / "empty-folder").mkdir(exist_ok=True)
    (root / "quote'\"\n\tünïcode").write_text("odd")
    with open(root / os.fsdecode(b"\xff\xfe-not-utf8"), "w") as file:
        file.write("odder")
    (root / "secret").write_text("mine")
    (root / "secret").chmod(0o600)
    (root / "link").symlink_to("folder-0/file 0.bin")
    (root / "dangling").symlink_to("/nowhere/at/all")
    os.link(root / "folder-1/file 1.bin", root / "hard")
    with open(root / "sparse", "wb") as file:
        file.truncate(50_000_000)
        file.seek(20_000_000)
        file.write(b"in the middle")
    with sqlite3.connect(root / "notes.db") as database:
        database.execute("create table if not exists notes (text)")
        database.execute("insert into notes values ('kept')")
    database.close()
    os.utime(root / "empty", ns=(10**18, 10**18 + 123456789))


def same_tree(one, other):
    """Differences of content, kind, mode, time and hard links; empty when there are none."""
    def listing(root):
        seen = {}
        for folder, folders, files in os.walk(os.fsencode(root)):
            for name in folders + files:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                content = os.readlink(path) if os.path.islink(path) else None
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        content = file.read()
                seen[os.path.relpath(path, os.fsencode(root))] = (oct(status.st_mode), status.st_mtime_ns, status.st_nlink, content)
        return seen
    a, b = listing(one), listing(other)
    different = sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name) and name != b"notes.db")
    return [(name, [x and x[:3] for x in (a.get(name), b.get(name))]) for name in different]


class Engine(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = self.directory()
        self.key, self.repo, self.data = self.dir / "key", self.dir / "repo", self.dir / "data"
        self.where = ["--repo", self.repo, "--key-file", self.key]

    def make(self, files=40):
        self.ran("key", "new", self.key)
        self.ran("repo", "init", *self.where)
        write_tree(self.data, files=files)

    def result(self, *argv, code=0):
        lines = self.ran(*argv, "--json", code=code).stdout.strip().split("\n")
        return json.loads(lines[-1])

    def backup(self, *more):
        return self.result("backup", *self.where, "--name", "mine", self.data, *more)

    def snapshots(self):
        return self.result("snapshots", *self.where)["snapshots"]

    def restore(self, to, *more, code=0):
        return self.result("restore", *self.where, "--name", "mine", "--to", to, *more, code=code)

    def packs(self):
        return sorted((p for p in (self.repo / "packs").rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime_ns)

    def test_there_and_back_again(self):
        self.make()
        first = self.backup()["snapshot"]
        self.assertEqual((first["type"], first["proven"], first["incomplete"]), ("full", True, False))
        self.restore(self.dir / "back")
        self.assertEqual(same_tree(self.data, self.dir / "back"), [])
        self.assertLess((self.dir / "back/sparse").stat().st_blocks * 512, 5_000_000, "holes are holes again")
        with sqlite3.connect(self.dir / "back/notes.db") as database:
            self.assertEqual(database.execute("select text from notes").fetchall(), [("kept",)])
        database.close()
        self.assertIs(self.result("verify", *self.where)["ok"], True)
        for place in (p for p in self.repo.rglob("*") if p.is_file()):
            self.assertNotIn(b"in the middle", place.read_bytes(), f"{place} is not encrypted")

    def test_incremental_snapshots_and_times(self):
        self.make()
        first = self.backup()["snapshot"]
        self.assertIs(self.backup()["unchanged"], True)
        self.assertEqual(len(self.snapshots()), 1, "nothing changed, nothing written")
        (self.data / "new").write_text("new")
        (self.data / "empty").unlink()
        second = self.backup()["snapshot"]
        self.assertEqual(second["type"], "incremental")
        self.assertLess(second["new_bytes"], 100_000)
        full = self.backup("--full")
        self.assertIn(full["snapshot"]["type"], ("full",))
        self.restore(self.dir / "older", "--at", first["id"])
        self.assertTrue((self.dir / "older/empty").exists())
        self.assertFalse((self.dir / "older/new").exists())
        self.restore(self.dir / "by-time", "--at", first["time"])
        self.assertEqual(same_tree(self.dir / "older", self.dir / "by-time"), [])
        self.restore(self.dir / "newest")
        self.assertEqual(same_tree(self.data, self.dir / "newest"), [])
        listed = self.ran("snapshots", *self.where).stdout
        self.assertIn(first["short_id"], listed)

    def test_onto_changes_only_what_differs(self):
        self.make()
        self.backup()
        kept = (self.data / "folder-0/file 0.bin").stat().st_ino
        (self.data / "folder-2/file 2.bin").write_bytes(b"scribbled over")
        (self.data / "folder-3/file 3.bin").unlink()
        (self.data / "stranger").write_text("remove me")
        (self.data / "link").unlink()
        (self.data / "link").write_text("was a link")
        restored = self.restore(self.data, "--onto")
        self.assertFalse((self.data / "stranger").exists())
        self.assertEqual((self.data / "folder-0/file 0.bin").stat().st_ino, kept, "an unchanged file was rewritten")
        self.assertLess(restored["written_bytes"], 200_000)
        self.restore(self.dir / "fresh")
        self.assertEqual(same_tree(self.dir / "fresh", self.data), [])

    def test_single_paths_come_back_where_they_were(self):
        self.make()
        self.backup()
        kept = (self.data / "folder-1/file 6.bin").read_bytes()
        shutil.rmtree(self.data / "folder-1")
        (self.data / "folder-2/file 2.bin").write_text("newer than the snapshot")
        self.restore(self.data, "--onto", "--include", "/folder-1")
        self.assertEqual((self.data / "folder-1/file 6.bin").read_bytes(), kept)
        self.assertEqual((self.data / "folder-2/file 2.bin").read_text(), "newer than the snapshot")
        self.restore(self.dir / "some", "--include", "file 6.bin", "--include", "secret")
        self.assertEqual(sorted(os.listdir(self.dir / "some")), ["folder-1", "secret"])
        self.assertEqual(os.listdir(self.dir / "some/folder-1"), ["file 6.bin"])
        missing = self.ran("restore", *self.where, "--name", "mine", "--to", self.dir / "none", "--include", "no such name", code=1)
        self.assertIn('"no such name"', missing.stderr)

    def test_a_tar_stream_on_standard_output(self):
        self.make()
        self.backup()
        restore = [harness.REGROW, "restore", *self.where, "--name", "mine", "--to", "-"]
        (self.dir / "out").mkdir()
        with open(self.dir / "said", "wb") as said, subprocess.Popen(restore, stdout=subprocess.PIPE, stderr=said) as regrow:
            tar = subprocess.run(["tar", "-x", "-p", "-C", self.dir / "out"], stdin=regrow.stdout, capture_output=True)
        self.assertEqual((regrow.returncode, tar.returncode), (0, 0), tar.stderr)
        self.assertEqual(same_tree(self.data, self.dir / "out"), [])
        self.assertIn(b"as a tar stream", (self.dir / "said").read_bytes())
        with subprocess.Popen(restore, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as regrow:
            regrow.stdout.close()  # a reader that goes away
            self.assertIn(b"Broken pipe", regrow.stderr.read())
        self.assertEqual(regrow.returncode, 1)
        self.ran(*restore[1:], "--onto", code=2)

    def test_what_is_in_a_snapshot_and_what_changed_since(self):
        self.make()
        first = self.backup()["snapshot"]
        name = ["--name", "mine"]
        listed = self.ran("ls", *self.where, *name, "--include", "folder-0", "-l").stdout
        self.assertRegex(listed, r"-rw-r--r-- +\S+ +\S+ +\d+ \d{4}-\d\d-\d\dT[\d:]+ folder-0/file 0\.bin\n")
        self.assertNotIn("folder-1", listed)
        (self.data / "new").write_text("new")
        (self.data / "empty").unlink()
        (self.data / "secret").write_text("other")
        second = self.backup()["snapshot"]
        told = self.ran("diff", *self.where, *name, first["id"], "latest").stdout.splitlines()
        self.assertEqual(told[:-1], ["-  empty", "+  new", "M  secret"])
        lines = [json.loads(line) for line in self.ran("diff", *self.where, *name, first["id"], second["id"], "--json").stdout.splitlines()]
        self.assertEqual([line.get("modifier") for line in lines], ["-", "+", "M", None])
        self.assertEqual((lines[-1]["added"], lines[-1]["removed"], lines[-1]["modified"]), (1, 1, 1))
        self.assertIn("no snapshot", self.ran("diff", *self.where, *name, first["id"], "ffff", code=1).stderr)

    def test_refusals(self):
        self.make()
        self.backup()
        before = harness.tree_digest(self.data)
        refused = self.ran("restore", *self.where, "--name", "mine", "--to", self.data, code=3)
        self.assertIn(str(self.data), refused.stderr)
        self.assertIn("--onto", refused.stderr)
        self.assertEqual(harness.tree_digest(self.data), before)
        refused = self.ran("key", "new", self.key, code=3)
        self.assertIn(str(self.key), refused.stderr)
        refused = self.ran("repo", "init", *self.where, code=3)
        self.assertIn(str(self.repo), refused.stderr)
        self.assertEqual(len(self.snapshots()), 1)
        stranger = self.dir / "stranger"
        stranger.mkdir()
        (stranger / "letter").write_text("mine")
        self.assertIn(str(stranger), self.ran("repo", "init", "--repo", stranger, "--key-file", self.key, code=3).stderr)
        self.assertEqual([p.name for p in stranger.iterdir()], ["letter"])

    def test_a_restore_never_removes_its_own_repository_or_key(self):
        self.make()
        self.backup()
        alias, beside = self.dir / "alias", self.dir / "beside"
        alias.symlink_to(self.dir)
        beside.mkdir()
        (self.dir / "keys").mkdir()
        linked = self.dir / "keys/linked"
        linked.symlink_to(self.key)
        before = harness.tree_digest(self.dir)
        for target in (self.dir, self.repo, alias, alias / "repo", beside / "../repo", self.repo / "packs", self.repo / "new"):
            for onto in ([], ["--onto"]):
                with self.subTest(target=str(target), onto=onto):
                    said = self.ran("restore", *self.where, "--name", "mine", "--to", target, *onto, code=3).stderr
                    self.assertIn(str(target), said)
                    self.assertIn(str(self.repo), said)
                    self.assertEqual(harness.tree_digest(self.dir), before)
        apart = ["--repo", self.repo, "--key-file", linked]
        said = self.ran("restore", *apart, "--name", "mine", "--to", self.dir / "keys", "--onto", code=3).stderr
        self.assertIn(str(linked), said)
        self.assertEqual(harness.tree_digest(self.dir), before)
        self.restore(self.data, "--onto")

    def test_a_backup_never_saves_its_own_repository_or_key(self):
        self.make()
        inner, key = self.data / "backups/repo", self.data / "secret.key"
        self.ran("key", "new", key)
        inside = ["--repo", inner, "--key-file", self.key, "--name", "mine"]
        self.ran("repo", "init", "--repo", inner, "--key-file", self.key)
        link = self.dir / "link"
        link.symlink_to(self.data)
        for path in (inner, inner / "packs"):
            self.assertIn(str(inner), self.ran("backup", *inside, path, code=3).stderr)
        for path in (self.data, link, self.data / "backups"):
            said = self.ran("backup", *inside, path, code=3).stderr
            self.assertIn(str(inner), said)
            self.assertIn("--exclude", said)
        self.assertEqual(list((inner / "packs").rglob("*")), [], "something was written")
        self.ran("backup", *inside, self.data, "--exclude", "/backups/")
        outside = ["--repo", self.repo, "--key-file", key, "--name", "mine"]
        self.repo.rename(self.dir / "old-repo")
        self.ran("repo", "init", "--repo", self.repo, "--key-file", key)
        said = self.ran("backup", *outside, self.data, code=3).stderr
        self.assertIn(str(key), said)
        self.ran("backup", *outside, self.data, "--exclude", "/secret.key")

    def test_failures_name_the_thing(self):
        self.make()
        self.backup()
        other = self.dir / "other-key"
        self.ran("key", "new", other)
        gone, missing = self.dir / "gone", self.dir / "missing"
        cases = [
            (["snapshots", "--repo", self.repo, "--key-file", other], 1, [str(other)]),
            (["snapshots", "--repo", self.repo, "--key-file", missing], 1, [str(missing)]),
            (["snapshots", "--repo", gone, "--key-file", self.key], 1, [str(gone)]),
            (["backup", *self.where, "--name", "other", gone], 1, [str(gone)]),
            (["backup", *self.where, "--name", "mine", gone], 3, [str(gone), "mounted"]),  # known, and now it is not there
            (["restore", *self.where, "--name", "nobody", "--to", gone], 1, ["nobody"]),
            (["restore", *self.where, "--name", "mine", "--at", "2001-01-01T00:00:00Z", "--to", gone], 1, ["2001"]),
            (["restore", *self.where, "--name", "mine", "--at", "rubbish", "--to", gone], 2, ["rubbish"]),
            (["backup", *self.where, self.data], 2, ["--name"]),
            (["restore", *self.where, "--name", "mine"], 2, ["--to"]),
            (["snapshots", "--repo", self.repo], 2, ["--key-file"]),
            (["backup", "--nonsense"], 2, ["--nonsense"]),
            (["frobnicate"], 2, ["frobnicate"]),
            ([], 2, ["demo"]),
        ]
        for argv, code, words in cases:
            with self.subTest(argv=[str(a) for a in argv]):
                ran = self.ran(*argv, code=code)
                for word in words:
                    self.assertIn(word, ran.stderr + (ran.stdout if not argv else ""))
                self.assertFalse(gone.exists())
        bad_key = self.dir / "bad-key"
        for content in ("this is no key\n", "<!DOCTYPE html>\n<html>404</html>\n", "\ufeff" + self.key.read_text(),
                        "   " + self.key.read_text().splitlines()[-1]):
            bad_key.write_text(content)
            self.assertIn(str(bad_key), self.ran("snapshots", "--repo", self.repo, "--key-file", bad_key, code=1).stderr)
            self.assertIn(str(bad_key), self.ran("repo", "init", "--repo", gone, "--key-file", bad_key, code=1).stderr)
            self.assertFalse(gone.exists(), "a repository was made under a key that is none")
        self.assertEqual(self.ran("version").stdout.split()[0], "regrow")

    def test_a_key_is_for_its_owner_only(self):
        self.make()
        self.assertEqual(self.key.stat().st_mode & 0o077, 0)

    def flip_a_byte(self, victim):
        victim.chmod(0o600)
        with open(victim, "r+b") as file:
            file.seek(victim.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1]))

    def test_a_damaged_tree_says_from_where_to_where(self):
        self.ran("key", "new", self.key)
        self.ran("repo", "init", *self.where)
        self.data.mkdir()
        for i in range(3000):  # no content, so every pack is of the tree
            (self.data / f"name-{i:04}").touch()
        self.backup()
        trees = self.packs()
        for tree in trees:
            self.flip_a_byte(tree)
        said = self.ran("verify", *self.where, code=1).stdout
        for tree in trees:
            self.assertIn(tree.name, said)
        self.assertRegex(said, r"lost with snapshot [0-9a-f]{12}: everything")
        lost = [f for damage in self.result("verify", *self.where, code=1)["damaged"] for f in damage["files"]]
        self.assertTrue(any("until" in range for range in lost), lost)

    def test_a_flipped_byte_is_found_and_named(self):
        self.make()
        self.backup()
        older = set(self.packs())
        subprocess.run(["cp", "-a", self.data, self.dir / "as-it-was"], check=True)
        (self.data / "recent").write_bytes(random.Random(7).randbytes(300_000))
        self.backup()
        victim = max((p for p in self.packs() if p not in older), key=lambda p: p.stat().st_size)  # the others hold trees
        self.flip_a_byte(victim)
        verified = self.ran("verify", *self.where, code=1)
        self.assertIn(victim.name, verified.stdout + verified.stderr)
        self.assertIn("recent", verified.stdout + verified.stderr)
        report = self.result("verify", *self.where, code=1)
        self.assertTrue(any(victim.name in damage["object"] for damage in report["damaged"]), report)
        failed = self.restore(self.dir / "broken", code=1)
        self.assertEqual(failed["type"], "error")
        first, second = self.snapshots()[:2]
        self.restore(self.dir / "previous", "--at", first["id"])
        self.assertFalse((self.dir / "previous/recent").exists())
        self.assertEqual((self.dir / "previous/folder-0/file 0.bin").read_bytes(), (self.data / "folder-0/file 0.bin").read_bytes())
        self.assertEqual(same_tree(self.dir / "as-it-was", self.dir / "previous"), [])
        # What is still alive is stored again by the next backup.
        self.backup("--full")
        self.restore(self.dir / "whole")
        self.assertEqual(same_tree(self.data, self.dir / "whole"), [])

    def killed(self, argv, ready):
        """Runs the verb, kills it when ready() says so. False when it ended before that."""
        child = subprocess.Popen([harness.REGROW, *map(str, argv)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            while child.poll() is None and not ready():
                time.sleep(0.001)
            killed = child.poll() is None
            child.send_signal(signal.SIGKILL) if killed else None
            error = child.stderr.read().decode()
            self.assertIn(child.wait(), (0, -signal.SIGKILL), error)
            return killed
        finally:
            child.stderr.close()

    def test_killed_during_a_backup(self):
        self.make(files=400)
        (self.data / "big").write_bytes(random.Random(3).randbytes(40_000_000))
        self.backup()
        first = self.snapshots()[0]
        kills = 0
        for seed in range(8):
            (self.data / f"more-{seed}").write_bytes(random.Random(seed + 10).randbytes(20_000_000))
            before = sum(p.stat().st_size for p in self.repo.rglob("*") if p.is_file())

            def grown(limit=seed * 2_500_000):
                try:
                    return sum(p.stat().st_size for p in self.repo.rglob("*") if p.is_file()) > before + limit
                except FileNotFoundError:
                    return False
            kills += self.killed(["backup", *self.where, "--name", "mine", self.data], grown)
            self.assertTrue(any(s["id"] == first["id"] for s in self.snapshots()))
        self.assertGreater(kills, 3, "it was hardly ever killed")
        self.assertIs(self.result("verify", *self.where)["ok"], True)
        self.backup()
        self.restore(self.dir / "back")
        self.assertEqual(same_tree(self.data, self.dir / "back"), [])

    def test_killed_during_a_restore(self):
        self.make(files=400)
        (self.data / "big").write_bytes(random.Random(3).randbytes(60_000_000))
        self.backup()
        target = self.dir / "back"
        argv = ["restore", *self.where, "--name", "mine", "--to", target]

        def written(limit):
            def look():
                try:
                    return sum(p.lstat().st_blocks * 512 for p in self.dir.rglob("*") if "data/" not in str(p)) > base + limit
                except FileNotFoundError:
                    return False
            return look
        base = sum(p.lstat().st_blocks * 512 for p in self.dir.rglob("*") if "data/" not in str(p))
        kills = sum(self.killed(argv, written(limit)) for limit in (0, 5_000_000, 20_000_000, 40_000_000))
        self.assertGreater(kills, 0, "it was never killed")
        if not (target / "secret").exists() or same_tree(self.data, target):
            self.restore(target)
        self.assertEqual(same_tree(self.data, target), [])

    def test_two_at_once(self):
        self.make()
        both = [subprocess.Popen([harness.REGROW, "backup", *map(str, self.where), "--name", name, str(self.data)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in ("mine", "yours")]
        for child in both:
            out, error = child.communicate(timeout=harness.PATIENCE)
            self.assertEqual(child.returncode, 0, out + error)
        self.assertEqual({s["name"] for s in self.snapshots()}, {"mine", "yours"})
        self.assertIs(self.result("verify", *self.where)["ok"], True)

    def test_an_unreadable_file_is_said(self):
        if os.geteuid() == 0:
            self.skipTest("root reads everything")
        self.make()
        (self.data / "secret").chmod(0)
        taken = self.backup()["snapshot"]
        self.assertIs(taken["incomplete"], True)
        self.assertTrue(any("secret" in problem for problem in taken["problems"]))

    def test_a_damaged_database_is_kept_and_said(self):
        self.make()
        with sqlite3.connect(self.data / "big.db") as database:
            database.execute("create table rows (text)")
            database.executemany("insert into rows values (?)", [("x" * 900,) for _ in range(500)])
        database.close()
        raw = bytearray((self.data / "big.db").read_bytes())
        raw[5 * 4096:30 * 4096] = b"\x55" * (25 * 4096)
        (self.data / "big.db").write_bytes(raw)
        taken = self.backup()["snapshot"]
        self.assertIs(taken["incomplete"], True)
        self.assertTrue(any("big.db" in problem and "damaged" in problem for problem in taken["problems"]), taken)
        said = self.ran("restore", *self.where, "--name", "mine", "--to", self.dir / "back").stderr
        self.assertIn("big.db", said)
        self.assertEqual((self.dir / "back/big.db").read_bytes(), bytes(raw))
        self.assertEqual(same_tree(self.data, self.dir / "back"), [])

    def test_progress_is_json_lines(self):
        self.make()
        lines = self.ran("backup", *self.where, "--name", "mine", self.data, "--json").stdout.strip().split("\n")
        kinds = [json.loads(line)["type"] for line in lines]
        self.assertEqual(kinds[-1], "result")
        self.assertLessEqual(set(kinds[:-1]), {"progress"})


if __name__ == "__main__":
    unittest.main()
