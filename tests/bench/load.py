"""The load: wrk for HTTP/1.1, h2load for HTTP/2, each pinned beside the origin. A run gives requests done and how many failed."""
import re
import subprocess


class Load:
    def __init__(self, name, says, tool, path, port_offset=0, options=()):
        self.name, self.says, self.tool, self.path, self.port_offset, self.options = name, says, tool, path, port_offset, options

    def run(self, port, cpu, seconds):
        where = f"{'https' if self.port_offset == 2 else 'http'}://127.0.0.1:{port + self.port_offset}{self.path}"
        command = {"wrk": ["wrk", "-t1", "-c64", f"-d{seconds}s", *self.options, where],
                   "h2load": ["h2load", "-t1", "-c64", "-m16", f"-D{seconds}", *self.options, where]}[self.tool]
        said = subprocess.run(["taskset", "-c", str(cpu), *command], capture_output=True, text=True, check=True).stdout
        return (read_wrk if self.tool == "wrk" else read_h2load)(said)


def read_wrk(said):
    done = int(re.search(r"(\d+) requests in", said).group(1))
    errors = sum(int(n) for line in re.findall(r"(?:Socket errors|Non-2xx or 3xx responses): (.*)", said) for n in re.findall(r"\d+", line))
    return done, errors


def read_h2load(said):
    numbers = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed", said)
    return int(numbers.group(3)), int(numbers.group(4))


CASES = [
    Load("keep-alive", "keep-alive, 128 B", "wrk", "/128"),
    Load("16k", "keep-alive, 16 KiB", "wrk", "/16k"),
    Load("1m", "keep-alive, 1 MiB", "wrk", "/1m"),
    Load("close", "a connection each request", "wrk", "/128", 0, ["-H", "Connection: close"]),
    Load("h2", "HTTP/2 in, HTTP/1.1 out, 128 B", "h2load", "/128", 1),
    Load("tls", "TLS 1.3, keep-alive, 128 B", "wrk", "/128", 2),
]
