"""The measurements. Each yields rows: what was measured, and the outcome in words."""

import os
import shutil
import signal
import statistics
import subprocess
import threading
import time

import load
from stores import SERVER, Store

SESSIONS = 64
SPREAD = 100_000
SECONDS = 5
# A store that is behind on a busy machine counts a little longer than in `just bench`.
load.SETTLE = 2.0
# The longest that one waits for the sweep.
PATIENCE = 30 * 60


def large(options):
    return Store(options.data / "large", options.accounts, options.each)


def small(options):
    return Store(options.data / "small", 100, 10)


def fill(options):
    store = large(options)
    facts = store.fill()
    small(options).fill(revoke=False)
    count = options.accounts * options.each
    alive = count - options.accounts
    seconds = facts["restore_seconds"]
    yield "restore", f"{count:,} sessions in {seconds:.0f} s, {count / seconds:,.0f}/s"
    yield "disk after it", f"{mib(facts['bytes'])}, {facts['bytes'] / count:.0f} bytes a session"
    yield "sessions ended through the store", facts["revoked"]
    size = facts["bytes_revoked"]
    yield f"disk with {alive:,} sessions left", f"{mib(size)}, {size / alive:.0f} bytes a session"
    accounts = Store(options.data / "accounts", options.accounts, 0)
    size = accounts.fill(revoke=False)["bytes"]
    yield "disk with the accounts alone", mib(size)


def start(options):
    store = large(options)
    store.fill()
    for which in ("first start", "start after a clean stop"):
        with timed_start(store) as (running, seconds):
            memory = running.process.resident_mib()
        yield which, f"ready after {seconds:.2f} s, {memory:.0f} MiB resident"
    with timed_start(store) as (running, _):
        cookies = store.log_in(running, SESSIONS)
        for _ in range(6):
            load.wrk(running, 64, 10, SERVER.visit, cookies)
        os.kill(running.process.pid, signal.SIGKILL)
    with timed_start(store) as (running, seconds):
        yield "start after a minute of visits and kill -9", f"ready after {seconds:.2f} s"
        time.sleep(60)
        yield "memory after a minute without requests", mib(memory_of(running))


def work(options):
    stores = {"large": large(options), "small": small(options)}
    rates = {}
    for store in stores.values():
        store.fill(revoke=store.accounts == options.accounts)
    with stores["large"].serve() as big, stores["small"].serve() as little:
        running = {"large": big, "small": little}
        cookies = {name: stores[name].log_in(running[name], SESSIONS) for name in stores}
        for what, connections in (("check", 64), ("visit", 64), ("visit", 256)):
            for number in range(options.rounds):
                # In turns, and each first as often as second.
                for name in sorted(stores, reverse=number % 2 == 0):
                    got = load.measure(running[name], what, connections, SECONDS, cookies[name])
                    rates.setdefault((what, connections, name), []).append(got["rate"])
            pair = [rates[what, connections, name] for name in ("large", "small")]
            ratio = statistics.median(a / b for a, b in zip(*pair))
            text = "{:,.0f} against {:,.0f} requests/s, ratio".format(*map(statistics.median, pair))
            yield f"{what} -c{connections}, large against small", f"{text} {ratio:.2f}"
        count = min(SPREAD, options.accounts)
        now = stores["large"].facts["now"]
        spread = stores["large"].tool(now, "tokens", stores["large"].data, count).splitlines()
        for what in ("check", "visit"):
            for turn in ("first", "second"):
                # Its counters are of other sessions than those of the measurement.
                latest = load.wrk(big, 64, 10, getattr(SERVER, what), spread)
                rate = latest["requests"] / latest["micros"] * 1e6
                bad = latest["refused"] + latest["broken"]
                yield (
                    f"{what} with {count:,} tokens of all over the large store, {turn} 10 s",
                    f"{rate:,.0f} requests/s, p99 {latest['p99'] / 1e3:.1f} ms, {bad} refused",
                )
        yield "memory under load", mib(memory_of(big))


def sweep(options):
    store = large(options)
    store.fill()
    # What was filled in just now is written to the disk by and by, and who syncs waits for that.
    os.sync()
    with store.serve() as running:
        dead = options.accounts * (options.each - 1)
        cookies = store.log_in(running, SESSIONS)
        with Syncs(store.data) as syncs:
            yield "longest of the requests before", longest(running, cookies)[1]
        yield "longest sync of another file before", syncs.longest()
        swept = store.metric("countersign_sessions_swept_total")
        ended = [SERVER.command[0], "session", "revoke", "--all-accounts", "--data-dir", store.data]
        subprocess.run(ended, check=True, capture_output=True)
        started = time.monotonic()
        cookies = store.log_in(running, SESSIONS)
        worst = (0, "")
        with Syncs(store.data) as syncs:
            while time.monotonic() - started < PATIENCE:
                worst = max(worst, longest(running, cookies))
                gone = store.metric("countersign_sessions_swept_total") - swept
                if gone >= dead:
                    break
        seconds = time.monotonic() - started
        yield "all sessions ended at once: gone", f"{gone:,.0f} after {seconds:.0f} s"
        yield "longest of the requests meanwhile", worst[1]
        yield "longest sync of another file meanwhile", syncs.longest()
        yield "disk then", mib(store.size())
        yield "memory then", mib(memory_of(running))
        time.sleep(60)
        yield "disk a minute later", mib(store.size())
    store.spent()
    with timed_start(store) as (running, seconds):
        yield "start then", f"ready after {seconds:.2f} s, {mib(memory_of(running))} resident"
        yield "disk after it", mib(store.size())


class Syncs:
    """Syncs a file of its own all the time: what the disk alone makes others wait."""

    def __init__(self, directory):
        self._path = directory / "syncs"
        self._waits = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._path.unlink()

    def _run(self):
        with open(self._path, "wb", buffering=0) as file:
            while not self._stop.wait(0.002):
                file.write(b"0" * 200)
                started = time.monotonic()
                os.fdatasync(file.fileno())
                self._waits.append(time.monotonic() - started)

    def longest(self):
        median, most = (f(self._waits) * 1e3 for f in (statistics.median, max))
        return f"{most:.1f} ms (median {median:.2f})"


def longest(running, cookies):
    """The longest that one of a few clients waited, in both kinds of requests."""
    waits = {}
    for what in ("check", "visit"):
        got = load.wrk(running, 4, 5, getattr(SERVER, what), cookies)
        waits[what] = (got["max"] / 1e3, got["p99"] / 1e3)
    words = (f"{what} {most:.1f} ms (p99 {p99:.1f})" for what, (most, p99) in waits.items())
    return max(waits.values())[0], ", ".join(words)


def cycles(options):
    directory = options.data / "cycles"
    shutil.rmtree(directory, ignore_errors=True)
    store = Store(directory, 100, 10)
    now = store.fill(revoke=False)["now"]
    yield "disk with 1,000 sessions", mib(store.size())
    command = store.command(now, "cycles", store.data, options.cycles)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        most, memory = 0, 0
        while running.poll() is None:
            most = max(most, store.size())
            memory = max(memory, peak_of(running.pid) or 0)
            time.sleep(0.5)
        yield "log-ins and log-outs", running.stdout.read().strip()
    yield "largest on the disk meanwhile", mib(most)
    yield "largest in memory meanwhile", mib(memory)
    yield "disk after it", mib(store.size())
    yield "files in blobs/", str(len(list((store.data / "store/blobs").iterdir())))


class timed_start:
    """A server, and how long it took until it accepted a connection."""

    def __init__(self, store):
        self._context = store.serve()

    def __enter__(self):
        started = time.monotonic()
        running = self._context.__enter__()
        return running, time.monotonic() - started

    def __exit__(self, *error):
        return self._context.__exit__(*error)


def memory_of(running):
    return running.process.resident_mib() * (1 << 20)


def peak_of(pid):
    """The most that was resident, in bytes."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    return None


def mib(size):
    return f"{size / (1 << 20):,.0f} MiB"


PARTS = {"fill": fill, "start": start, "load": work, "sweep": sweep, "cycles": cycles}
