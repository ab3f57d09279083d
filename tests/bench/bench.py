"""CPU time a request, of Regrow and its peers, side by side: the proxy alone on one core, load and origin on the other. Rounds go
A B C A B C, so that what disturbs the machine disturbs all; figures are medians, and only their ratios mean something elsewhere."""
import argparse
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import load
import proxies

PORT = 18700


def versions():
    def first(*command):
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        return (said.stdout + said.stderr).strip().splitlines()[0]
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "unknown")
    return [f"{platform.system()} {platform.release()}, {cpu}", first(proxies.Regrow.program, "version"), first("nginx", "-v"), first("haproxy", "-v")]


def wait_for(process, deadline=10):
    end = time.monotonic() + deadline
    while time.monotonic() < end and process.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", process.port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    ended = process.process.poll()
    what = "listens on no port" if ended is None else f"ended with code {ended}"
    raise SystemExit(f"{process.name} {what} (wanted: {process.port}). The end of {process.log}:\n{process.last_words()}")


def certificate(work):
    pem = Path(work) / "pem"
    pem.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                    "-keyout", pem / "key.pem", "-out", pem / "cert.pem"], check=True, capture_output=True)


def measure(case, peer, seconds):
    case.run(peer.port, 1, 1)  # warm: connections, caches
    before = peer.cpu_seconds()
    done, failed = case.run(peer.port, 1, seconds)
    if failed or not done:
        raise RuntimeError(f"{peer.name}, {case.name}: {failed} of {done} requests failed")
    return (peer.cpu_seconds() - before) / done * 1e6, done / seconds


def table(results, names):
    peers = [n for n in names if n != "regrow"]
    head = ["case"] + [f"{n} µs" for n in names] + [f"regrow : {n}" for n in peers]
    rows = [head, ["---"] * len(head)]
    for case, figures in results.items():
        cost = {n: statistics.median(f[0] for f in figures[n]) if figures[n] else None for n in names}
        ratio = [f"{cost['regrow'] / cost[n]:.2f}" if cost.get("regrow") and cost[n] else "–" for n in peers]
        rows.append([case.says] + [f"{cost[n]:.1f}" if cost[n] else "–" for n in names] + ratio)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=3, help="of each measurement")
    arguments.add_argument("--cases", default=",".join(c.name for c in load.CASES))
    arguments.add_argument("--peers", default=",".join(proxies.PEERS))
    wanted = arguments.parse_args()
    names = wanted.peers.split(",")
    cases = [c for c in load.CASES if c.name in wanted.cases.split(",")]
    work = tempfile.mkdtemp(prefix="regrow-bench-")
    Path(work).chmod(0o711)  # started by root, nginx's workers are somebody else
    certificate(work)
    origin = proxies.Origin(work, PORT, 0, 1)
    peers = [proxies.PEERS[n](work, PORT + 20 * (i + 1), PORT, 0) for i, n in enumerate(names)]
    results = {case: {n: [] for n in names} for case in cases}
    done = False
    try:
        for process in [origin, *peers]:
            process.start()
            wait_for(process)
        for number in range(wanted.rounds):
            for case in cases:
                for peer in peers:
                    try:
                        results[case][peer.name].append(measure(case, peer, wanted.seconds))
                    except (RuntimeError, subprocess.CalledProcessError, AttributeError) as error:
                        print(f"left out: {error}", file=sys.stderr)
            print(f"round {number + 1} of {wanted.rounds} done", file=sys.stderr)
        done = True
    finally:
        for process in [*peers, origin]:
            process.stop()
        if done:
            shutil.rmtree(work, ignore_errors=True)
    print("\n".join(versions()), "", table(results, names), sep="\n")


if __name__ == "__main__":
    main()
