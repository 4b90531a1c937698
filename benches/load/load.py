"""One measurement: wrk on a running server, and whether its counters add up."""

import concurrent.futures
import contextlib
import json
import os
import statistics
import subprocess
import time

import logins
from processes import Failed
from servers import OUT, ROOT

SCRIPT = ROOT / "benches" / "load" / "rotate.lua"
COOKIES = OUT / "cookies.txt"

# Seconds between two looks at whether the requests that were under way when wrk hung up are done.
SETTLE = 0.3


def wrk(running, connections, seconds, request, cookies):
    """Loads all nodes of the server alike; what `rotate.lua` reports, of all of them together."""
    COOKIES.write_text("\n".join(cookies) + "\n")
    share = connections // len(running.nodes)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = pool.map(
            lambda node: one_wrk(node.port, share, seconds, request), running.nodes
        )
        results = list(results)
    summed = ("requests", "bytes", "refused", "broken")
    return {
        name: (sum if name in summed else max)(result[name] for result in results)
        for name in results[0]
    }


def one_wrk(port, connections, seconds, request):
    method, path = request
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT)]
    command += [f"http://127.0.0.1:{port}", "--", method, path, str(COOKIES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise Failed(f"wrk failed:\n{done.stdout}{done.stderr}")


def measure(running, work, connections, seconds, cookies):
    """One cell: `work` is `check`, `visit`, or `logins`: checks while people log in.

    A warm-up of a second comes first, but for the plain handler, which runs all the time.
    """
    server = running.server
    request = server.visit if work == "visit" else server.check
    if server.counts:
        wrk(running, connections, 1, request, cookies)
    counted_before = settled(running, cookies)
    beside = logins.steadily(running) if work == "logins" else contextlib.nullcontext([])
    with beside as log_ins:
        since = time.monotonic()
        cpu, redis_cpu = running.cpu_seconds(), redis_seconds(running)
        result = wrk(running, connections, seconds, request, cookies)
        cpu = running.cpu_seconds() - cpu
        redis_cpu = redis_seconds(running) - redis_cpu
        log_in_rate = logins.rate(log_ins, since, time.monotonic())
    running.check_alive()
    counted = settled(running, cookies) - counted_before

    requests = result["requests"]
    where = f"{server.label}, {work} -c{connections}"
    if not requests or result["refused"] or result["broken"]:
        raise Failed(f"{where}: not every request was answered well: {result}")
    expected = (requests, requests + connections) if work == "visit" else (0, 0)
    if server.exact and not expected[0] <= counted <= expected[1]:
        raise Failed(f"{where}: {requests} visits were answered, {counted} were counted")
    return {
        "requests": requests,
        "rate": requests / (result["micros"] / 1e6),
        "p50_ms": result["p50"] / 1e3,
        "p99_ms": result["p99"] / 1e3,
        "cpu_us": cpu / requests * 1e6,
        "redis_cpu_us": redis_cpu / requests * 1e6 if running.redis else None,
        "bytes": result["bytes"] / requests,
        # Of the visits answered, how many are in the counters in the end.
        "counted": min(counted / requests, 1.0) if work == "visit" else None,
        "log_ins": log_in_rate if work == "logins" else None,
        "resident_mib": running.resident_mib(),
    }


def settled(running, cookies):
    """The visits counted, when they do not become more: a disk may hold the last ones up."""
    time.sleep(SETTLE)
    if not running.server.counts:
        return 0
    before, counted = None, running.visits(cookies)
    while counted != before:
        time.sleep(SETTLE)
        before, counted = counted, running.visits(cookies)
    return counted


def redis_seconds(running):
    return running.redis.cpu_seconds() if running.redis else 0.0


def sync_micros(directory, times=100):
    """How long `fdatasync` takes after a small append: the median, in microseconds."""
    path = directory / "sync-probe"
    taken = []
    with open(path, "ab", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 256)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    path.unlink()
    return statistics.median(taken) * 1e6
