"""`just bench-redis-size`: the memory that accounts and sessions take in Redis.

    python3 benches/size/in_redis.py [--accounts N] [--no-build]

Restores backups of the same accounts, without sessions and with one and five each, into a Redis of
its own, with and without `hash-max-listpack-value 256`; what is between them is what a session takes.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

# How programs are started and described is the same as in `just bench`.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "load"))

import build
from processes import Failed, free_port, run, running
from servers import OUT, ROOT, redis_command

FILL = ROOT / "target/release/examples/fill"
COUNTERSIGN = ROOT / "target/release/countersign"
EACH = (0, 1, 5)


def main():
    parser = argparse.ArgumentParser(prog="just bench-redis-size")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--no-build", action="store_true", help="what is built is up to date")
    options = parser.parse_args()
    if not options.no_build:
        build.run("cargo", "build", "--release", "--locked", "--bin", "countersign")
        build.run("cargo", "build", "--release", "--locked", "--example", "fill")
    OUT.mkdir(parents=True, exist_ok=True)
    print("| bytes | Redis's defaults | `hash-max-listpack-value 256` |", "|---|---|---|", sep="\n")
    columns = [sizes(options.accounts, more) for more in ((), ("--hash-max-listpack-value", 256))]
    for name, *row in zip(("an account", "its first session", "each further one"), *columns):
        print(f"| {name} | {' | '.join(f'{size:.0f}' for size in row)} |")


def sizes(accounts, settings):
    """What an account takes, its first session, and each further one."""
    none, one, five = (memory(accounts, each, settings) / accounts for each in EACH)
    return none, one - none, (five - one) / (EACH[2] - EACH[1])


def memory(accounts, each, settings):
    """What a Redis takes for these, beside what an empty one does."""
    with tempfile.TemporaryDirectory(dir=OUT) as data:
        data, port = pathlib.Path(data), free_port()
        command = (*redis_command(port, "memory", data), *settings)
        with running(command, data / "redis.log") as redis:
            redis.wait_for_port(port)
            before = used(port)
            restore(accounts, each, port, data)
            return used(port) - before


def used(port):
    info = subprocess.run(
        ("redis-cli", "-p", str(port), "info", "memory"), capture_output=True, text=True
    )
    line = next(line for line in info.stdout.splitlines() if line.startswith("used_memory:"))
    return int(line.partition(":")[2])


def restore(accounts, each, port, data):
    now = int(time.time() * 1000)
    size = ("--accounts", accounts, "--each", each, "--now", now)
    fill = [str(part) for part in (FILL, *size, "backup")]
    env = {
        "COUNTERSIGN_STORE__URL": f"redis://127.0.0.1:{port}",
        "COUNTERSIGN_STORE__REDIS__MUST_APPEND": "false",
        "COUNTERSIGN_TOKEN__SECRET": "what seals the keys of this measurement, if there are any",
        "COUNTERSIGN_DATA_DIR": str(data / "data"),
    }
    with subprocess.Popen(fill, stdout=subprocess.PIPE) as backup:
        done = subprocess.run(
            (COUNTERSIGN, "restore", "-"), stdin=backup.stdout, capture_output=True, env=env
        )
    if done.returncode:
        raise Failed(f"restore failed: {done.stderr.decode(errors='replace')}")


if __name__ == "__main__":
    run("bench-redis-size", main)
