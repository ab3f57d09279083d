"""What the end-to-end tests share: a world of its own for each test (a directory, free ports, a proxy, real servers), a
client that writes and remembers what was acknowledged, waiting for conditions, and leaving nothing behind.

Every wait has a deadline, and the deadlines are long: they say that something hangs, not that it is slow.
"""
import functools
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
REGROW = str(Path(os.environ.get("REGROW", TREE / "build/release/regrow")).resolve())
PATIENCE = 60
STORE = [sys.executable, "-S", "-E", str(Path(__file__).resolve().parent / "store_server.py")]


def now():
    return datetime.now(timezone.utc)


def parse_time(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


_taken = set()
_ports = threading.Lock()


def free_port():
    """Below the range that the kernel gives to clients, so that nobody's outgoing connection takes it meanwhile."""
    with _ports:
        while True:
            port = random.randrange(12000, 32000)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in _taken:
                _taken.add(port)
                return port


def wait_for(condition, what, patience=PATIENCE, every=0.03):
    """The condition's first truthy value. Connection errors count as "not yet"."""
    until = time.monotonic() + patience
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (OSError, http.client.HTTPException) as error:
            last = error
        if time.monotonic() > until:
            raise AssertionError(f"waited {patience} s in vain for {what}; last: {last!r}")
        time.sleep(every)


def run(*argv, patience=PATIENCE, **options):
    """Runs the binary to its end. Result: returncode, stdout, stderr as text."""
    return subprocess.run([REGROW, *map(str, argv)], capture_output=True, text=True, timeout=patience, **options)


def read_text(path, last=None):
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError as error:
        return f"({error})"
    return "\n".join(lines[-last:] if last else lines)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def pids_with_token(token):
    """Processes whose environment carries REGROW_SERVER_TOKEN=token…"""
    wanted = b"REGROW_SERVER_TOKEN=" + token.encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if any(item.startswith(wanted) for item in environment.split(b"\0")) and alive(int(entry)):
            found.append(int(entry))
    return found


def pids_mentioning(text):
    """Processes with `text` in an argument, but for this one."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(entry) != os.getpid() and text.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
        except OSError:
            continue
    return [pid for pid in found if alive(pid)]


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def tree_digest(directory):
    """Every path with its kind, mode, time and content: equal before and after means untouched."""
    seen = {}
    for path in sorted(Path(directory).rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        seen[str(path.relative_to(directory))] = (status.st_mode, status.st_mtime_ns, content)
    return seen


def _with_story(method):
    @functools.wraps(method)
    def wrapped(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except unittest.SkipTest:
            raise
        except BaseException as error:
            for world in self.worlds:
                error.add_note(world.story())
            raise
    return wrapped


class TestCase(unittest.TestCase):
    """A failing test tells the story of its worlds; a world ends with its test."""
    maxDiff = 4000

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, member in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, _with_story(member))

    def setUp(self):
        self.worlds = []
        if not os.access(REGROW, os.X_OK):
            self.fail(f"{REGROW} is not there; build it, or name another in REGROW")

    def world(self, **options):
        world = World(**options)
        self.worlds.append(world)
        self.addCleanup(world.end)
        return world

    def directory(self):
        path = tempfile.mkdtemp(prefix="regrow-e2e-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    def ran(self, *argv, code=0, **options):
        result = run(*argv, **options)
        self.assertEqual(result.returncode, code,
                         f"regrow {' '.join(map(str, argv))}\nstdout: {result.stdout}\nstderr: {result.stderr}")
        return result


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)


def request(port, method, path, body=None, headers=None, patience=PATIENCE):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


class Radicale:
    """Debian's calendar server: one file an item, on disk."""
    check = {"http": "/.web/", "expect": "200-399", "every": "500ms", "timeout": "500ms", "rise": 2, "fall": 3}
    headers = {"Authorization": "Basic ZGVtbzo=", "Content-Type": "text/calendar"}

    @staticmethod
    def argv(port, data):
        return ["radicale", "--config", "", "--server-hosts", f"127.0.0.1:{port}", "--auth-type", "none", "--rights-type",
                "authenticated", "--storage-filesystem-folder", data, "--web-type", "internal"]

    @staticmethod
    def path(item):
        return f"/demo/calendar/{item}.ics"

    @staticmethod
    def content(item):
        return (f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//regrow//e2e//EN\r\nBEGIN:VEVENT\r\nUID:{item}\r\n"
                f"DTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nSUMMARY:content of {item}\r\nEND:VEVENT\r\n"
                "END:VCALENDAR\r\n").encode()

    @staticmethod
    def prepare(world):
        answer = request(world.port, "MKCALENDAR", "/demo/calendar/", headers=Radicale.headers)
        if answer.status not in (201, 405, 409):
            raise AssertionError(f"MKCALENDAR: {answer.status} {answer.text}")

    @staticmethod
    def file(data, item):
        return Path(data) / f"collection-root/demo/calendar/{item}.ics"


class Store:
    """store_server.py: starts in a moment."""
    check = {"http": "/health", "every": "300ms", "timeout": "300ms", "rise": 1, "fall": 3}
    headers = {}

    @staticmethod
    def argv(port, data):
        return [*STORE, "--port", str(port), "--data", data]

    @staticmethod
    def path(item):
        return f"/{item}"

    @staticmethod
    def content(item):
        return f"content of {item}".encode()

    @staticmethod
    def prepare(world):
        pass

    @staticmethod
    def file(data, item):
        return Path(data) / item


class World:
    """One proxy with one pool "wiki", its servers, a repository "main" and the client's memory of what was acknowledged.
    `config` may be changed before start() or reconfigure()."""

    def __init__(self, app=Radicale, backends=1, spares=1, restart="never", every="1s", pool=None, recovery=None, proxy=None):
        self.app = app
        self.dir = Path(tempfile.mkdtemp(prefix="regrow-e2e-"))
        self.port, self.admin = free_port(), free_port()
        self.proxy = None
        self.acknowledged = {}  # item -> when its answer came
        self.deleted = set()
        self.lock = threading.Lock()
        self.addresses = {}
        names = [f"wiki-{i + 1}" for i in range(backends)]
        spare_names = [f"wiki-spare-{i + 1}" for i in range(spares)]
        self.config = {
            "workers": 2,
            "state_dir": str(self.dir / "state"),
            "admin": {"listen": f"127.0.0.1:{self.admin}"},
            "log": {"level": "debug"},
            "access_log": {"path": str(self.dir / "access.log"), "format": "combined"},
            "listeners": [{"listen": f"127.0.0.1:{self.port}", "routes": [{"pool": "wiki"}]}],
            "pools": {"wiki": {
                "check": dict(app.check),
                "hold": {"wait": "60s", "requests": 10000},
                "slow_start": "off",
                "backends": [self.server(name, restart) for name in names],
                "spares": [self.server(name, restart) for name in spare_names],
                "backup": {"repository": "main", "every": every},
                "recovery": {"budget": "100 per 1h", **(recovery or {})},
                **(pool or {}),
            }},
            "repositories": {"main": {"path": str(self.dir / "backups"), "key_file": str(self.dir / "backup.key")}},
            **(proxy or {}),
        }

    def server(self, name, restart="never"):
        port = free_port()
        data = str(self.data(name))
        self.addresses[name] = f"127.0.0.1:{port}"
        return {"name": name, "address": f"127.0.0.1:{port}", "data": data,
                "service": {"run": self.app.argv(port, data), "restart": restart}}

    # The pool's parts of the configuration.
    @property
    def pool(self):
        return self.config["pools"]["wiki"]

    def data(self, server):
        return self.dir / "data" / server

    @property
    def config_file(self):
        return self.dir / "regrow.yaml"

    @property
    def state_dir(self):
        return self.dir / "state"

    def write_config(self):
        self.config_file.write_text(json.dumps(self.config, indent=1))  # JSON is YAML
        return self.config_file

    def make_key(self):
        if not (self.dir / "backup.key").exists():
            made = run("key", "new", self.dir / "backup.key")
            if made.returncode != 0:
                raise AssertionError(made.stderr)

    def launch(self):
        """Starts the proxy and does not wait."""
        self.make_key()
        self.write_config()
        (self.dir / "data").mkdir(exist_ok=True)
        log = open(self.dir / "proxy.log", "ab")
        log.write(f"--- started at {now().isoformat()}\n".encode())
        log.flush()
        with log:
            self.proxy = subprocess.Popen([REGROW, "run", "-c", str(self.config_file)], stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, cwd=self.dir)
        return self.proxy

    def start(self, ready=True):
        self.launch()

        def answering():
            if self.proxy.poll() is not None:
                raise AssertionError(f"the proxy ended with {self.proxy.returncode}")
            return self.get("/readyz" if ready else "/healthz").status == 200
        wait_for(answering, "the proxy to be ready")
        return self

    def start_with_items(self, count=5):
        """Started, with items written and a proven snapshot that has them all."""
        self.start()
        self.app.prepare(self)
        for i in range(count):
            self.put(f"first-{i}")
        self.snapshot()
        return self

    def log(self):
        return read_text(self.dir / "proxy.log")

    def kill_proxy(self):
        self.proxy.kill()
        self.proxy.wait(PATIENCE)

    def stop_proxy(self):
        self.proxy.terminate()
        return self.proxy.wait(PATIENCE)

    def token(self):
        try:
            return (self.state_dir / "instance").read_text().split("\n")[0]
        except OSError:
            return None

    def server_pids(self, name=None):
        token = self.token()
        return pids_with_token(f"{token}:wiki/{name}" if name else f"{token}:") if token else []

    def end(self):
        """Nothing of it is left."""
        if self.proxy and self.proxy.poll() is None:
            self.kill_proxy()
        until = time.monotonic() + 10
        while (left := self.server_pids() + pids_mentioning(str(self.dir))) and time.monotonic() < until:
            kill_all(left)
            time.sleep(0.02)
        if os.environ.get("REGROW_E2E_KEEP"):
            return
        shutil.rmtree(self.dir, ignore_errors=True)

    def story(self):
        parts = [f"world in {self.dir}"]
        try:
            parts.append("stats: " + json.dumps(self.get("/stats", patience=5).json()["pools"]))
        except Exception as error:  # the story is told as far as it goes
            parts.append(f"no stats: {error}")
        parts.append("proxy log, its end:\n" + read_text(self.dir / "proxy.log", 150))
        for log in sorted((self.state_dir / "logs").glob("*.log")) if (self.state_dir / "logs").exists() else []:
            parts.append(f"{log.name}, its end:\n" + read_text(log, 15))
        return "\n\n".join(parts)

    # Asking the proxy, as an operator does.
    def get(self, path, patience=10, **options):
        return request(self.admin, "GET", path, patience=patience, **options)

    def post(self, path, **options):
        return request(self.admin, "POST", path, body=b"", **options)

    def cli(self, *argv, code=0, patience=PATIENCE):
        result = run(*argv, "-a", f"127.0.0.1:{self.admin}", patience=patience)
        if result.returncode != code:
            raise AssertionError(f"regrow {' '.join(map(str, argv))} ended with {result.returncode}, not {code}:\n"
                                 f"{result.stdout}{result.stderr}")
        return result

    def stats(self):
        return self.get("/stats").json()

    def pool_stats(self):
        return self.stats()["pools"]["wiki"]

    def backend(self, name="wiki-1"):
        return next(b for b in self.pool_stats()["backends"] if b["name"] == name)

    def spare(self, name="wiki-spare-1"):
        return next(s for s in self.pool_stats()["spares"] if s["name"] == name)

    def recoveries(self):
        return self.pool_stats()["recoveries"]

    def under_way(self):
        recovery = self.pool_stats()["recovery"]
        return recovery["state"] if recovery else None

    def events(self, **query):
        path = "/api/events" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
        return self.get(path).json()["events"]

    def told(self, text):
        return any(text in event["text"] for event in self.events())

    def wait_state(self, state, backend="wiki-1"):
        return wait_for(lambda: self.backend(backend)["state"] == state, f"{backend} to be {state}")

    def wait_held(self, reason):
        wait_for(lambda: self.under_way() == f"held({reason})", f"held({reason})")
        return self.pool_stats()["recovery"]

    def wait_recovered(self, count=1, result="done", patience=PATIENCE):
        """The newest of `count` ended recoveries."""
        def ended():
            past = self.recoveries()
            return past[-1] if len(past) >= count and not self.pool_stats()["recovery"] else None
        past = wait_for(ended, f"recovery number {count} to end", patience)
        if past["result"] != result:
            raise AssertionError(f"the recovery ended as {past['result']}, not {result}: {past}")
        return past

    def wait_first_recovery(self):
        """The first one of the pool that ended; others may be under way."""
        return wait_for(self.recoveries, "a recovery to end")[0]

    def snapshots(self, name="wiki/wiki-1"):
        return self.get(f"/api/snapshots?name={name}").json()["snapshots"]

    def snapshot_time(self, snapshot):
        def listed():
            return [parse_time(s["time"]) for s in self.snapshots() if s["id"] == snapshot]
        return wait_for(listed, f"snapshot {snapshot} to be listed")[0]

    def snapshot(self, backend="wiki-1"):
        """The proven snapshot that has everything acknowledged before this call, and an item of its own (nothing new is
        taken of unchanged data). A capture on schedule may have it first; so the coverage is asked for, not the id."""
        self.put(f"mark-{now().timestamp()}")
        began = now()
        # Refused for a moment after it came up: its data is marked first.
        wait_for(lambda: run("backup", f"wiki/{backend}", "-a", f"127.0.0.1:{self.admin}").returncode == 0, "a capture to begin")

        def covered():
            asked = now()
            rpo = self.pool_stats()["backup"]["rpo_s"]
            return rpo is not None and asked - timedelta(seconds=rpo) >= began
        wait_for(covered, "the data to be covered by a proven snapshot")
        return [s for s in self.snapshots(f"wiki/{backend}") if s["verified"]][-1]["id"]

    # Being a client of the service.
    def ask(self, method, path, body=None, headers=None, patience=PATIENCE):
        return request(self.port, method, path, body, headers, patience)

    def put(self, item):
        answer = self.ask("PUT", self.app.path(item), self.app.content(item), self.app.headers)
        if not 200 <= answer.status < 300:
            raise AssertionError(f"PUT {item}: {answer.status} {answer.text}")
        with self.lock:
            self.acknowledged[item] = now()

    def has(self, item):
        answer = self.ask("GET", self.app.path(item), headers=self.app.headers)
        if answer.status == 404:
            return False
        if answer.status != 200 or f"content of {item}".encode() not in answer.body:
            raise AssertionError(f"GET {item}: {answer.status} {answer.text}")
        return True

    def missing(self):
        with self.lock:
            items = dict(self.acknowledged)
        return {item: when for item, when in items.items() if not self.has(item)}

    def assert_kept(self, until=None):
        """Every item acknowledged before `until` is there; without it every one. Items that are rightly gone are
        forgotten, so that the next question is about the rest."""
        gone = self.missing()
        wrong = {item: when for item, when in gone.items() if until is None or when <= until}
        if wrong:
            raise AssertionError(f"acknowledged before {until or 'now'} and lost: {wrong}")
        with self.lock:
            for item in gone:
                del self.acknowledged[item]

    def assert_kept_since(self, past):
        """The oracle of one recovery: what was acknowledged before its snapshot is there, and the snapshot is said."""
        self.assert_kept(self.snapshot_time(past["snapshot"]))

    # What goes wrong.
    def pid(self, backend="wiki-1"):
        return wait_for(lambda: self.backend(backend).get("pid"), f"{backend} to have a process")

    def crash(self, backend="wiki-1"):
        pid = self.pid(backend)
        os.killpg(pid, signal.SIGKILL)
        return pid

    def lose_host(self, backend="wiki-1"):
        """The process group and everything in its data directory are gone."""
        server = self.backend(backend)["server"]
        pid = self.pid(backend)
        # Renamed first: what a recovery looks at must not be half there.
        self.data(server).rename(self.dir / f"burnt-{server}-{pid}")
        self.data(server).mkdir()
        os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(self.dir / f"burnt-{server}-{pid}", ignore_errors=True)
        return pid


class Writer:
    """A client that writes and reads back one item after the other, until told to stop. Whatever is not a good answer is
    in `failures`."""

    def __init__(self, world, prefix="live", pause=0.02):
        self.world, self.prefix, self.pause = world, prefix, pause
        self.failures = []
        self.count = 0
        self.slowest = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(PATIENCE * 2)

    def work(self):
        while not self.stopping.wait(self.pause):
            item = f"{self.prefix}-{self.count}"
            began = time.monotonic()
            try:
                self.world.put(item)
            except (AssertionError, OSError, http.client.HTTPException) as error:
                self.failures.append(f"{item}: {error!r}")
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.count += 1

    def wait_more(self, count=5):
        """Until `count` further requests were answered."""
        goal = self.count + count
        wait_for(lambda: self.count >= goal, f"{count} more requests to be answered")
