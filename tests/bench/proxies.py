"""The proxies under test, each as somebody who knows it would set it up for this: one worker on one core, keep-alive to the
origin, no access log, no body on disk. Equal work: the same listeners (plain, HTTP/2, TLS) and the same single origin."""
import os
import signal
import subprocess
import time
from pathlib import Path


class Proxy:
    """A process pinned to `cpu` that listens on `port` (HTTP/1.1), `port + 1` (HTTP/2 without TLS), `port + 2` (TLS)."""
    name = ""
    program = ""

    def __init__(self, work, port, origin, cpu):
        self.work, self.port, self.origin, self.cpu = Path(work) / self.name, port, origin, cpu
        self.pem = Path(work) / "pem"
        self.log = self.work / "out.log"
        self.process = None

    def start(self):
        self.work.mkdir(parents=True, exist_ok=True)
        command = ["taskset", "-c", str(self.cpu), *self.command()]
        self.process = subprocess.Popen(command, stdout=self.log.open("wb"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                        start_new_session=True)

    def stop(self):
        if not self.process:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def last_words(self, lines=10):
        return "\n".join("    " + line for line in self.log.read_text(errors="replace").splitlines()[-lines:]) or "    (empty)"

    def cpu_seconds(self):
        """Run time of every thread of it and of its children, from the scheduler's own count."""
        return sum(run_time(pid) for pid in family(self.process.pid)) / 1e9

    def write(self, name, text):
        path = self.work / name
        path.write_text(text)
        return str(path)


def family(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid] + [p for child in children for p in family(int(child))]


def run_time(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total


class Regrow(Proxy):
    name, program = "regrow", os.environ.get("REGROW", "build/release/regrow")

    def command(self):
        listeners = f"""
  - {{listen: "127.0.0.1:{self.port}", routes: [{{pool: origin}}]}}
  - {{listen: "127.0.0.1:{self.port + 1}", h2c: true, routes: [{{pool: origin}}]}}
  - listen: "127.0.0.1:{self.port + 2}"
    tls: {{certificate: {self.pem}/cert.pem, key: {self.pem}/key.pem}}
    routes: [{{pool: origin}}]"""
        return [os.path.abspath(self.program), "run", "-c", self.write("regrow.yaml", f"""
workers: 1
state_dir: {self.work}/state
admin: {{listen: "127.0.0.1:{self.port + 9}"}}
log: {{level: warn}}
listeners: {listeners}
pools:
  origin:
    data: none
    check: {{tcp: true, every: 2s}}
    backends: [{{name: origin, address: "127.0.0.1:{self.origin}"}}]
""")]


class Nginx(Proxy):
    name, program = "nginx", "/usr/sbin/nginx"

    def command(self):
        return [self.program, "-p", str(self.work), "-c", self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 300s; client_body_temp_path b; proxy_temp_path p;
    fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; proxy_max_temp_file_size 0;
    proxy_buffer_size 8k; proxy_buffers 16 32k; proxy_busy_buffers_size 128k;
    upstream origin {{ server 127.0.0.1:{self.origin}; keepalive 512; keepalive_requests 100000000; }}
    ssl_certificate {self.pem}/cert.pem; ssl_certificate_key {self.pem}/key.pem; ssl_protocols TLSv1.3;
    server {{
        listen 127.0.0.1:{self.port} reuseport; listen 127.0.0.1:{self.port + 1} http2; listen 127.0.0.1:{self.port + 2} ssl http2;
        location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}
    }}
}}
""")]


class Haproxy(Proxy):
    name, program = "haproxy", "/usr/sbin/haproxy"

    # maxconn: haproxy refuses to start where it may not open twice as many descriptors.
    def command(self):
        pem = self.work / "both.pem"
        pem.write_text((self.pem / "cert.pem").read_text() + (self.pem / "key.pem").read_text())
        return [self.program, "-f", self.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 2048
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    http-reuse always
    option forwardfor
frontend f
    bind 127.0.0.1:{self.port}
    bind 127.0.0.1:{self.port + 1} proto h2
    bind 127.0.0.1:{self.port + 2} ssl crt {pem} alpn h2,http/1.1
    default_backend b
backend b
    server s 127.0.0.1:{self.origin}
""")]


class Origin(Proxy):
    """nginx again, answering from memory: what stands behind every proxy."""
    name, program = "origin", "/usr/sbin/nginx"
    sizes = {"128": 128, "16k": 16 << 10, "1m": 1 << 20}

    def command(self):
        root = self.work / "root"
        root.mkdir(exist_ok=True)
        for name, size in self.sizes.items():
            (root / name).write_bytes(os.urandom(size))
        small = "x" * 128
        return [self.program, "-p", str(self.work), "-c", self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 300s; sendfile on; open_file_cache max=10;
    client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    server {{ listen 127.0.0.1:{self.port} reuseport; root {root}; location = /128 {{ return 200 "{small}"; }} }}
}}
""")]


PEERS = {proxy.name: proxy for proxy in (Regrow, Nginx, Haproxy)}
