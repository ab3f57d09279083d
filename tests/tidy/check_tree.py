#!/usr/bin/env python3
"""The order of the house: fails, naming file and line, when an include runs against it.

    base | conf | health, backup | proxy          (health and backup do not know each other)
    inside proxy: http, net | balance | serve | recovery | control | admin | cli

Also: every header says #pragma once, a library that only one folder may know stays there, every
source is tracked below one of the rooms, and nothing names a path of the machine it was written on.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAY_USE = {
    "base": {"base"},
    "conf": {"base", "conf"},
    "health": {"base", "conf", "health"},
    "backup": {"base", "conf", "backup"},
    "proxy": {"base", "conf", "health", "backup", "proxy"},
}
PROXY_RANK = {"http": 0, "net": 0, "balance": 1, "serve": 2, "recovery": 3, "control": 4, "admin": 5, "cli": 6}
# Expensive or leaky headers, and the only places that may include them.
ONLY_IN = {"spdlog/": "base/log.cc", "yaml-cpp/": "conf/", "sqlite3.h": "backup/", "zstd.h": ("backup/", "proxy/serve/"),
           "curl/": ("base/", "proxy/cli/"), "CLI/": "proxy/cli/", "event2/http": "proxy/admin/"}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|home|root)/\w")


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, check=True, capture_output=True)
    return [pathlib.PurePosixPath(p) for p in out.stdout.decode().split("\0") if p and (ROOT / p).exists()]


def against_the_order(path, target):
    room, other = path.parts[0], pathlib.PurePosixPath(target).parts[0]
    if room not in MAY_USE or other not in MAY_USE:
        return None
    if other not in MAY_USE[room]:
        return f"{room}/ may not know {other}/"
    if room == other == "proxy" and len(path.parts) > 2:
        mine, theirs = path.parts[1], pathlib.PurePosixPath(target).parts[1]
        if PROXY_RANK.get(theirs, 99) > PROXY_RANK[mine]:
            return f"proxy/{mine} may not know proxy/{theirs}"
        if mine != theirs and PROXY_RANK[theirs] == PROXY_RANK[mine]:
            return f"proxy/{mine} and proxy/{theirs} do not know each other"
    return None


def out_of_its_room(path, target):
    for header, rooms in ONLY_IN.items():
        if target.startswith(header) and not str(path).startswith(rooms):
            return f"<{target}> belongs to {rooms}"
    return None


def problems():
    for path in tracked("*.cc", "*.h"):
        text = (ROOT / path).read_text(encoding="utf-8")
        if path.parts[0] not in (*MAY_USE, "tests"):
            yield f"{path}:1: sources live in {', '.join(MAY_USE)} or tests"
        if path.suffix == ".h" and "#pragma once" not in text:
            yield f"{path}:1: a header says #pragma once"
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if not match or path.parts[0] == "tests":
                continue
            kind, target = match.groups()
            wrong = against_the_order(path, target) if kind == '"' else out_of_its_room(path, target)
            if wrong:
                yield f"{path}:{number}: {wrong}"
            if kind == '"' and not (ROOT / target).exists():
                yield f"{path}:{number}: includes are written from the top of the tree: {target}"
    for path in tracked():
        if path.suffix in (".png", ".ico") or "corpus" in path.parts or "fixtures" in path.parts:
            continue
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATHS.search(line) and path.name != "check_tree.py":
                yield f"{path}:{number}: names a path of one machine"


if __name__ == "__main__":
    found = list(problems())
    print("\n".join(found))
    sys.exit(1 if found else 0)
