"""What outside tools rely on: /stats, /metrics, /events, /healthz, /readyz, the texts of status and why, the access log and
the audit log. One world, after one recovery, seen from all sides."""
import hashlib
import http.client
import json
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import harness
from harness import Store, parse_time, wait_for

STATES = {"starting", "up", "suspect", "down", "draining", "maintenance", "restoring", "warming"}
SPARE_STATES = {"free", "claimed", "in_use", "dirty", "quarantined", "lost"}


class Surface(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = harness.World(app=Store)
        try:
            cls.shared.start_with_items()
            cls.shared.crash()
            cls.recovery = cls.shared.wait_recovered()
            cls.shared.put("after")
        except BaseException as error:
            error.add_note(cls.shared.story())
            cls.shared.end()
            raise
        cls.addClassCleanup(cls.shared.end)

    def setUp(self):
        super().setUp()
        self.worlds.append(self.shared)

    def has(self, value, kinds):
        """`kinds`: name -> type(s), or a dict for an object within."""
        for name, kind in kinds.items():
            self.assertIn(name, value)
            if isinstance(kind, dict):
                self.has(value[name], kind)
            else:
                self.assertIsInstance(value[name], kind, name)

    def test_stats_has_every_field_of_the_contract(self):
        number, text, maybe = (int, float), str, (int, float, type(None))
        stats = self.shared.stats()
        self.has(stats, {"version": text, "generation": int, "uptime_s": number, "workers": int, "listeners": list, "pools": dict,
                         "repositories": dict})
        self.has(stats["listeners"][0], {"listen": text, "connections": int, "requests": int, "tls": (bool, dict, type(None))})
        pool = stats["pools"]["wiki"]
        self.has(pool, {"state": text, "held": int, "requests": int, "errors": int, "retries": int, "backends": list, "spares": list,
                        "backup": dict, "recovery": (dict, type(None)), "recoveries": list})
        self.assertIn(pool["state"], ("up", "degraded", "down"))
        for backend in pool["backends"]:
            self.has(backend, {"name": text, "state": text, "server": text, "address": text, "epoch": int, "since": text, "reason": text,
                               "in_flight": int, "requests": int, "errors": int,
                               "latency_ms": {"p50": number, "p90": number, "p99": number},
                               "check": {"last": text, "result": text, "took_ms": number, "rise": int, "fall": int}})
            self.assertIn(backend["state"], STATES)
            self.assertIsNotNone(parse_time(backend["since"]).tzinfo)
        for spare in pool["spares"]:
            self.has(spare, {"name": text, "address": text, "state": text})
            self.assertIn(spare["state"], SPARE_STATES)
        self.has(pool["backup"], {"snapshots": int, "rpo_s": maybe, "rto_estimate_s": maybe, "last_drill": (str, dict, type(None)),
                                  "latest": {"id": text, "time": text, "type": text, "bytes": int, "verified": bool}})
        self.has(pool["recoveries"][0], {"id": text, "backend": text, "from": text, "to": text, "result": text, "lost_s": number,
                                         "down_s": number, "steps": list})
        self.has(pool["recoveries"][0]["steps"][0], {"step": text, "took_ms": number})
        self.assertEqual([s["step"] for s in pool["recoveries"][0]["steps"]],
                         ["suspect", "decide", "fence", "choose", "restore", "verify", "start", "warm", "protect"])
        self.has(stats["repositories"]["main"], {"reachable": bool, "snapshots": int, "bytes": int, "free_bytes": int})
        self.assertIs(stats["repositories"]["main"]["reachable"], True)

    def test_a_recovery_under_way_has_every_field(self):
        world = self.world(app=Store, recovery={"mode": "approve"}).start_with_items()
        world.crash()
        held = world.wait_held("approval")
        self.has(held, {"id": str, "backend": str, "spare": (str, type(None)), "state": str, "since": str,
                        "progress": (int, float, type(None)), "snapshot": (str, type(None))})
        self.assertEqual(held["backend"], "wiki-1")
        self.assertEqual(world.get("/readyz").status, 503)
        self.assertIn("wiki", world.get("/readyz").text)
        self.assertEqual(world.get("/healthz").status, 200)
        self.assertEqual(world.stats()["pools"]["wiki"]["state"], "down")
        self.assertIn(held["id"], world.cli("status").stdout)
        self.assertIn("approve", world.cli("why", "wiki/wiki-1").stdout)
        self.alerts_fire(world.get("/metrics").text, {'regrow_pool_state{state="down"} == 1', 'regrow_recovery_state{state="held"} == 1'})

    def alerts_fire(self, exposition, wanted):
        """Of the alerts that docs/observability.md recommends, those and no others fire."""
        document = (harness.TREE / "docs/observability.md").read_text()
        listed = document.split("Alerts worth having:")[1].split("\n## ")[0]
        alerts = [line.split(" # ")[0].strip() for line in listed.splitlines() if line.startswith("    ")]
        self.assertGreaterEqual(len(alerts), 6)
        self.assertLessEqual(wanted, set(alerts))
        samples = [line.rsplit(" ", 1) for line in exposition.splitlines() if line and not line.startswith("#")]
        for name in set(re.findall(r"regrow_\w+", " ".join(alerts))):
            self.assertTrue(any(series.split("{")[0] == name for series, _ in samples), f"nothing is exposed as {name}")
        tests = [{"expr": f"count({alert}) or vector(0)", "eval_time": "0m", "exp_samples": [{"labels": "{}", "value": int(alert in wanted)}]}
                 for alert in alerts]
        file = self.directory() / "alerts.yaml"
        file.write_text(json.dumps({"tests": [{"interval": "1m", "input_series": [{"series": s, "values": v} for s, v in samples],
                                               "promql_expr_test": tests}]}))
        self.assertTrue(shutil.which("promtool"), "promtool is not installed; script/test installs it")
        checked = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_a_quiet_log_still_tells_of_death_and_of_what_waits_for_a_person(self):
        world = self.world(app=Store, recovery={"mode": "approve"}, proxy={"log": {"level": "warn"}}).start_with_items()
        self.assertNotIn("wiki-1: up", world.log())
        world.crash()
        world.wait_held("approval")
        wait_for(lambda: "waiting for `regrow approve" in world.log(), "the log to tell")
        self.assertRegex(world.log(), r"warn\w* +health wiki/wiki-1: .*down")
        self.assertRegex(world.log(), r"warn\w* +recovery wiki/wiki-1: .*held")

    def test_a_repository_that_cannot_be_read_is_named_by_what_waits_for_it(self):
        world = self.world(app=Store, proxy={"log": {"level": "warn"}})
        (world.dir / "backups").write_text("a file")
        world.start(ready=False)
        reason = wait_for(lambda: (lambda r: "for repository main: " in r and r)(world.backend()["reason"]), "the reason")
        self.assertEqual(world.backend()["state"], "starting")
        self.assertIn("key_file", reason)
        self.assertIn(reason, world.cli("status").stdout)
        self.assertRegex(world.log(), r"warn\w* +backup: repository main does not answer")

    def test_an_emptied_audit_log_is_reported_once(self):
        world = self.world(app=Store).start()
        journal = world.state_dir / "journal"
        wait_for(lambda: b"event_seq" in journal.read_bytes(), "the journal to know of events")
        world.stop_proxy()
        (world.state_dir / "audit.log").write_bytes(b"")
        world.start()
        said = [e for e in world.events() if e["kind"] == "audit"]
        self.assertEqual(len(said), 1, said)
        self.assertIn("were written", said[0]["text"])
        self.assertIn(said[0]["text"], world.log())
        world.stop_proxy()
        world.start()
        self.assertEqual(len([e for e in world.events() if e["kind"] == "audit"]), 1)

    def test_metrics_pass_promtool(self):
        answer = self.shared.get("/metrics")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
        self.assertTrue(shutil.which("promtool"), "promtool is not installed; script/test installs it")
        checked = subprocess.run(["promtool", "check", "metrics"], input=answer.text, capture_output=True, text=True, timeout=60)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
        names = {line.split("{")[0].split()[0] for line in answer.text.splitlines() if line and not line.startswith("#")}
        self.assertTrue(all(name.startswith("regrow_") for name in names))
        for name in ("regrow_build_info", "regrow_pool_state", "regrow_backend_state", "regrow_backend_requests_total",
                     "regrow_backup_rpo_seconds", "regrow_recoveries_total", "regrow_repository_reachable",
                     "regrow_listener_requests_total"):
            self.assertIn(name, names)
        self.assertRegex(answer.text, r'regrow_backend_state\{[^}]*state="up"[^}]*\} 1\n')

    def test_health(self):
        self.assertEqual(self.shared.get("/healthz").status, 200)
        self.assertEqual(self.shared.get("/readyz").status, 200)

    def test_the_page(self):
        answer = self.shared.get("/")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/html"))
        self.assertNotRegex(answer.text, r'(src|href)="https?://', "the page needs nothing from elsewhere")

    def test_unknown_paths_and_methods(self):
        self.assertEqual(self.shared.get("/nothing").status, 404)
        self.assertIn(self.shared.post("/stats").status, (404, 405))
        self.assertIn(self.shared.get("/api/pause").status, (404, 405))
        self.assertEqual(self.shared.post("/api/pools/wiki/backends/wiki-9/drain").status, 404)
        self.assertEqual(self.shared.post("/api/pools/wiki/backends/wiki-spare-1/release").status in (404, 409), True)

    def read_events(self, stream, enough):
        """Events from a stream until `enough(events)`."""
        events, current = [], {}
        while not enough(events):
            line = stream.readline().decode().rstrip("\n").rstrip("\r")
            if line.startswith("id:"):
                current["id"] = int(line[3:])
            elif line.startswith("data:"):
                current["data"] = json.loads(line[5:])
            elif not line and "data" in current:
                events.append(current)
                current = {}
        return events

    def test_events_stream(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.shared.admin, timeout=harness.PATIENCE)
        self.addCleanup(connection.close)
        connection.request("GET", "/events?since=0")
        stream = connection.getresponse()
        self.assertTrue(stream.headers["Content-Type"].startswith("text/event-stream"))
        told = self.read_events(stream, lambda events: any("protect → done" in e["data"]["text"] for e in events))
        self.assertTrue(all(e["id"] == e["data"]["seq"] for e in told))
        sequence = [e["data"]["seq"] for e in told]
        self.assertEqual(sequence, sorted(set(sequence)))
        for event in told:
            self.has(event["data"], {"seq": int, "time": str, "kind": str, "text": str})
        # What happens now arrives on the open stream, and only there where it belongs.
        self.shared.cli("drain", "wiki/wiki-1")
        self.shared.cli("undrain", "wiki/wiki-1")
        self.read_events(stream, lambda events: any("drained" in e["data"]["text"] for e in events))
        # Who comes back with the last id misses nothing and sees nothing twice.
        again = http.client.HTTPConnection("127.0.0.1", self.shared.admin, timeout=harness.PATIENCE)
        self.addCleanup(again.close)
        again.request("GET", "/events", headers={"Last-Event-ID": str(sequence[-1])})
        later = self.read_events(again.getresponse(), lambda events: len(events) >= 1)
        self.assertGreater(later[0]["id"], sequence[-1])

    def test_status_for_people(self):
        said = self.shared.cli("status").stdout
        for word in ("regrow", "wiki", "wiki-1", "wiki-spare-1", "up", "quarantined", "RPO", "RTO", self.recovery["id"], "main"):
            self.assertIn(word, said)
        self.assertNotIn("\x1b", said, "no colours into a pipe")
        self.assertEqual(json.loads(self.shared.cli("status", "--json").stdout)["pools"].keys(), {"wiki"})

    def test_why_tells_the_story_in_order(self):
        said = self.shared.cli("why", "wiki/wiki-1").stdout
        places = [said.find(word) for word in ("started wiki-1", "SIGKILL", "→ fence", "epoch 2", "→ restore", "→ verify", "→ start", "→ done")]
        self.assertNotIn(-1, places, said)
        self.assertEqual(places, sorted(places), said)
        self.assertIn("wiki-9", self.shared.cli("why", "wiki/wiki-9", code=1).stderr)
        self.shared.cli("why", "nonsense", code=2)
        self.assertIsInstance(json.loads(self.shared.cli("why", "wiki/wiki-1", "--json").stdout)["events"], list)

    def test_snapshots_and_restore_of_a_running_proxy(self):
        listed = self.shared.cli("snapshots", "wiki/wiki-1").stdout
        self.assertIn("wiki/wiki-1", listed)
        to = self.directory() / "copy"
        self.ran("restore", "wiki/wiki-1", "--to", to, "-c", self.shared.config_file)
        self.assertEqual((to / "first-0").read_text(), "content of first-0")
        self.ran("verify", "-c", self.shared.config_file)

    def test_a_proxy_that_is_not_there(self):
        port = harness.free_port()
        for verb in (["status"], ["why", "a/b"], ["pause"]):
            gone = self.ran(*verb, "-a", f"127.0.0.1:{port}", code=1)
            self.assertIn(f"127.0.0.1:{port}", gone.stderr)

    def test_access_log(self):
        log = self.shared.dir / "access.log"
        wait_for(lambda: "/after" in log.read_text(), "the line of the last request")
        line = re.compile(r'^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "[A-Z]+ \S+ HTTP/1\.[01]" \d{3} \d+ "[^"]*" "[^"]*"')
        for text in log.read_text().splitlines():
            self.assertRegex(text, line)
        self.assertTrue(any('"PUT /first-0 HTTP/1.1" 201' in text and "wiki/wiki-1" in text for text in log.read_text().splitlines()))

    def test_access_log_as_json(self):
        world = self.world(app=Store, proxy={"access_log": {"path": str(self.directory() / "access.log"), "format": "json"}}).start()
        world.ask("GET", '/odd', headers={"User-Agent": 'quo"te\\back'})
        log = Path(world.config["access_log"]["path"])
        entry = json.loads(wait_for(lambda: log.read_text(), "a line").splitlines()[0])
        self.assertEqual((entry["method"], entry["status"]), ("GET", 404))

    def test_audit_log_is_a_chain(self):
        self.shared.cli("pause")
        self.shared.cli("resume")
        log = self.shared.state_dir / "audit.log"
        wait_for(lambda: "recoveries go on" in log.read_text(), "the last call")
        lines = log.read_bytes().splitlines()
        entries = [json.loads(line) for line in lines]
        self.assertGreater(len(entries), 10)
        for before, line, entry in zip([None, *lines], lines, entries):
            if before is not None:
                self.assertEqual(entry["prev"], hashlib.sha256(before).hexdigest(), line.decode())
        told = " ".join(entry["text"] for entry in entries)
        for word in ("fence", "epoch 2 is durable", "restore", "done", "paused"):
            self.assertIn(word, told)
        self.assertTrue(any(entry.get("details", {}).get("by") for entry in entries if entry["kind"] == "admin"))

    def test_a_token_is_needed_when_there_is_one(self):
        world = self.world(app=Store)
        token = world.dir / "token"
        token.write_text("0123456789abcdef0123\n")
        token.chmod(0o600)
        world.config["admin"]["token_file"] = str(token)
        world.start()
        self.assertEqual(world.post("/api/pause").status, 401)
        self.assertEqual(world.post("/api/pause", headers={"Authorization": "Bearer wrong-wrong-wrong-wrong"}).status, 401)
        self.assertIs(world.stats()["paused"], False)
        self.assertEqual(world.post("/api/pause", headers={"Authorization": "Bearer 0123456789abcdef0123"}).status, 200)
        self.ran("resume", "-c", world.config_file)
        self.assertIs(world.stats()["paused"], False)
        self.assertNotIn("0123456789abcdef0123", world.log())


if __name__ == "__main__":
    unittest.main()
