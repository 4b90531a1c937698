"""`just bench-size`: Countersign with millions of sessions, beside one with a thousand.

    python3 benches/size [--accounts N] [--each N] [--part NAME]... [--data DIR] [--no-build]

The large store is filled by `countersign restore`; then one session of every account is ended, in
no order, through the store. It stays in the directory of data, and the next run takes
it as it is, unless the sweep has emptied it. The report goes to `target/bench/size.md`.

| part | what it measures |
|---|---|
| `fill` | the restore, and the store's size on the disk |
| `start` | from the start of the process until it accepts a connection, and its memory |
| `load` | looking at sessions and counting visits, large and small store in turns |
| `sweep` | every session ended at once: how long until they are gone, who waits meanwhile, what stays |
| `cycles` | log-ins and log-outs with a thousand sessions alive |

| file | what it holds |
|---|---|
| `stores` | a data directory: filled, measured, served |
| `parts` | the measurements |
| `fill.rs`, `people.rs` | what is in a store, written with the library |
| `in_redis` | `just bench-redis-size`: the same in Redis |
"""

import argparse
import pathlib
import sys

# How programs are started, loaded and described is the same as in `just bench`.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "load"))

import build
import parts
import report
from processes import run
from servers import OUT


def main():
    options = arguments()
    options.data.mkdir(parents=True, exist_ok=True)
    if not options.no_build:
        build.check_tools(())
        build.run("cargo", "build", "--release", "--locked", "--bin", "countersign")
        build.run("cargo", "build", "--release", "--locked", "--example", "fill")
    rows = []
    for name, measure in parts.PARTS.items():
        if not options.part or name in options.part:
            print(f"[{name}]", flush=True)
            for row in measure(options):
                print("  {}: {}".format(*row), flush=True)
                rows.append(row)
    about = report.about_machine(())
    about["sessions"] = f"{options.accounts:,} accounts with {options.each} sessions each"
    lines = [f"- {name}: {value}" for name, value in about.items()]
    lines += ["", "| measured | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows]
    (OUT / "size.md").write_text("\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


def arguments():
    parser = argparse.ArgumentParser(prog="just bench-size", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--each", type=int, default=11, help="sessions; one of them is ended [11]")
    parser.add_argument("--cycles", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="of the load [5]")
    parser.add_argument("--part", action="append", choices=parts.PARTS)
    parser.add_argument("--data", type=pathlib.Path, default=OUT / "size", help="gigabytes")
    parser.add_argument("--no-build", action="store_true", help="what is built is up to date")
    return parser.parse_args()


if __name__ == "__main__":
    run("bench-size", main)
