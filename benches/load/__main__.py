"""`just bench`: Countersign under load, beside a handler that keeps nothing and beside its peers.

    python3 benches/load [--quick] [--only NAME]... [--list]

Every server runs alone, on a free port of the loopback and on fresh data, with 64 sessions, and is
loaded by wrk. The plain handler runs all the time and is measured between any two others: a
machine's speed drifts, and a ratio is only good between neighbours. It gets cookies of the usual
length and does not look at them. The report goes to `target/bench/`.

| file | what it holds |
|---|---|
| `servers` | who is compared, how each is started and asked |
| `load` | one measurement, and whether the counters add up |
| `logins` | people who log in meanwhile |
| `rotate.lua` | what wrk sends |
| `processes` | programs that run, stopped by their pid |
| `build` | what must be there before |
| `report` | medians and the table |
"""

import argparse
import contextlib
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import build
import load
import report
from processes import Failed, run
from servers import OUT, OURS, PEERS, PLAIN

SESSIONS = 64
LEVELS = (64, 256)
# What the plain handler gets: as many bytes as the others, which it does not look at.
STRANGE = [f"session={number:0600}" for number in range(SESSIONS)]
# No server is started after so many seconds of measuring; the report is made of what is there.
LIMIT = 20 * 60


def main():
    options = arguments()
    if options.list:
        print(*(server.name for server in (*OURS, *PEERS)), sep="\n")
        return
    servers = chosen(options)
    OUT.mkdir(parents=True, exist_ok=True)
    build.check_tools(servers)
    if not options.no_build:
        build.build((PLAIN, *servers))

    about = report.about_machine(servers)
    about["load before"] = "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg())
    rows, syncs, finished = [], [], False
    try:
        finished = measure_all(options, servers, rows, syncs)
    finally:
        if syncs:
            sync = statistics.median(syncs)
            about["fdatasync of a small append"] = f"median {sync:.0f} us in this run"
            about["rounds"] = f"{options.rounds} of {options.seconds} s each"
        if not finished:
            about["NOT FINISHED"] = f"stopped, after {LIMIT} s at the latest"
        if rows:
            print("\n" + report.write(rows, (PLAIN, *servers), about))


def arguments():
    parser = argparse.ArgumentParser(prog="just bench", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="1 round of 2 s, without the peers")
    parser.add_argument("--only", action="append", metavar="NAME", help="whose name has this part")
    parser.add_argument("--rounds", type=int, help="how often everything is measured [3]")
    parser.add_argument("--seconds", type=int, help="length of one measurement [5]")
    parser.add_argument("--no-build", action="store_true", help="what is built is up to date")
    parser.add_argument("--list", action="store_true", help="print the names")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (2 if options.quick else 5)
    return options


def chosen(options):
    servers = OURS if options.quick and not options.only else (*OURS, *PEERS)
    if options.only:
        servers = [s for s in servers if any(part in s.name for part in options.only)]
        if not servers:
            raise Failed(f"nobody is called {' or '.join(options.only)}; see --list")
    return servers


def measure_all(options, servers, rows, syncs):
    """Fills `rows` with a measurement for each cell, and `syncs` with times of the disk.

    Whether there was time for all of them.
    """
    plain_seconds = min(3, options.seconds)
    cells = sum(len(server.cells) + len(LEVELS) for server in servers)
    steps = options.rounds * (cells + len(LEVELS))
    progress = Progress(steps)
    with contextlib.ExitStack() as stack:
        data = Path(tempfile.mkdtemp(prefix="data-", dir=OUT))
        stack.callback(shutil.rmtree, data)
        plain = stack.enter_context(PLAIN.start(fresh(data, "plain")))

        def yardstick(number):
            measured = {}
            for connections in LEVELS:
                progress.step(f"{PLAIN.label} -c{connections}")
                got = load.measure(plain, "check", connections, plain_seconds, STRANGE)
                got |= {"rate_ratio": 1.0, "cpu_ratio": 1.0}
                rows.append(named(PLAIN, "plain", connections, number, got))
                measured[connections] = got
            return measured

        for number in range(1, options.rounds + 1):
            before = yardstick(number)
            for server in servers:
                if progress.seconds() > LIMIT:
                    return False
                directory = fresh(data, f"{server.name}-{number}")
                syncs.append(load.sync_micros(directory))
                mine = measure_one(server, directory, number, options.seconds, progress)
                shutil.rmtree(directory)
                after = yardstick(number)
                for row in mine:
                    level = row["connections"]
                    compare(row, before[level], after[level])
                rows.extend(mine)
                before = after
    return True


def measure_one(server, directory, number, seconds, progress):
    """All cells of one server in one round."""
    mine = []
    with server.start(directory) as running:
        cookies = running.sessions(SESSIONS)
        for work, connections in server.cells:
            progress.step(f"{server.label}: {work} -c{connections}")
            got = load.measure(running, work, connections, seconds, cookies)
            mine.append(named(server, work, connections, number, got))
    return mine


def named(server, work, connections, number, got):
    return {"server": server.name, "work": work, "connections": connections, "round": number, **got}


def compare(row, before, after):
    """The ratios to the yardstick of just before and after."""
    for name, ratio in (("rate", "rate_ratio"), ("cpu_us", "cpu_ratio")):
        row[ratio] = row[name] / statistics.mean((before[name], after[name]))


def fresh(data, name):
    directory = data / name
    directory.mkdir()
    return directory


class Progress:
    """A line for each step, with the time that is left."""

    def __init__(self, steps):
        self._steps = steps
        self._done = 0
        self._started = time.monotonic()

    def seconds(self):
        return time.monotonic() - self._started

    def step(self, what):
        left = ""
        if self._done:
            seconds = self.seconds() / self._done * (self._steps - self._done)
            left = f", {seconds // 60:.0f}:{seconds % 60:02.0f} left"
        self._done += 1
        print(f"[{self._done}/{self._steps}{left}] {what}", flush=True)


if __name__ == "__main__":
    run("bench", main)
