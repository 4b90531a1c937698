"""From measurements to one table."""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess

from logins import RATE
from servers import OUT, ROOT

HEAD = (
    "| server | requests/s | of plain | p50 ms | p99 ms | CPU us | of plain | Redis CPU us "
    "| durable | counted |"
)
WORKS = {
    "check": "Look at a session",
    "visit": "Count a visit",
    "logins": f"Look at a session, while {RATE} people a second log in",
}


def summary(rows, servers):
    """The medians of each cell, over its rounds."""
    cells = []
    wanted = {(row["work"], row["connections"]) for row in rows}
    for work, connections in sorted(wanted):
        for server in servers:
            rounds = [
                row
                for row in rows
                if (row["server"], row["work"], row["connections"])
                == (server.name, work, connections)
            ]
            if rounds:
                cell = {"server": server.name, "label": server.label, "work": work}
                cell |= {"connections": connections, "rounds": len(rounds)}
                cell |= {"durable": server.durable}
                cell |= {name: median(rounds, name) for name in NUMBERS}
                cells.append(cell)
    return cells


NUMBERS = (
    *("rate", "rate_ratio", "p50_ms", "p99_ms", "cpu_us", "cpu_ratio", "redis_cpu_us"),
    *("counted", "log_ins", "resident_mib", "bytes"),
)


def median(rounds, name):
    values = [row[name] for row in rounds if row.get(name) is not None]
    return statistics.median(values) if values else None


def markdown(cells, servers, about):
    """The report, as people read it."""
    lines = ["# Load comparison", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += [
        "",
        "Medians over the rounds. *Of plain*: each measurement through the mean of the plain",
        "handler's just before and after it, at the same concurrency. *CPU*: user and system time",
        "of the server's process for one request. *Counted*: the part of the answered visits that",
        "is in the counters in the end.",
    ]
    for work, title in WORKS.items():
        for connections in sorted({c["connections"] for c in cells if c["work"] == work}):
            lines += ["", f"## {title}, -c{connections}", "", HEAD, re.sub(r"[^|]+", "---", HEAD)]
            lines += [
                line(cell)
                for kind in ("plain", work)
                for cell in cells
                if (cell["work"], cell["connections"]) == (kind, connections)
            ]
    for cell in cells:
        if cell["work"] == "logins":
            lines += ["", beside_log_ins(cell, cells)]
    lines += beside_peers(cells, servers)
    return "\n".join(lines) + "\n"


def beside_log_ins(cell, cells):
    """What the log-ins did to the slowest hundredth of the others."""
    alone = next(
        c["p99_ms"] for c in cells if (c["server"], c["work"]) == (cell["server"], "check")
    )
    return (
        f"{cell['log_ins']:.0f} log-ins a second were answered meanwhile. p99 without them: "
        f"{alone:.2f} ms; with them {cell['p99_ms'] / alone:.1f} times that."
    )


def beside_peers(cells, servers):
    """Countersign on Redis through the fastest peer on a Redis that is set up the same way."""
    kinds = {server.name: server.redis for server in servers if server.redis}
    peers = {server.name for server in servers if not server.ours}
    lines = []
    for cell in cells:
        key = lambda c: (kinds.get(c["server"]), c["work"], c["connections"])
        same = [c for c in cells if c["server"] in peers and key(c) == key(cell)]
        if cell["server"] in peers or not kinds.get(cell["server"]) or not same:
            continue
        rival = max(same, key=lambda c: c["rate_ratio"])
        ratio = cell["rate_ratio"] / rival["rate_ratio"]
        columns = (cell["label"], cell["work"], f"-c{cell['connections']}", f"{ratio:.2f}")
        lines.append(f"| {' | '.join(columns)} | {rival['label']} |")
    if not lines:
        return []
    head = "| server | work | | of the fastest peer | which is |"
    title = ["", "## On Redis, beside the fastest peer on the same", ""]
    return [*title, head, re.sub(r"[^|]+", "---", head), *lines]


def line(cell):
    durable = "yes" if cell["durable"] else "no"
    columns = (
        cell["label"],
        f"{cell['rate']:,.0f}",
        f"{cell['rate_ratio']:.2f}",
        f"{cell['p50_ms']:.2f}",
        f"{cell['p99_ms']:.2f}",
        f"{cell['cpu_us']:.1f}",
        f"{cell['cpu_ratio']:.2f}",
        "" if cell["redis_cpu_us"] is None else f"{cell['redis_cpu_us']:.1f}",
        durable if cell["work"] == "visit" else "",
        "" if cell["counted"] is None else f"{cell['counted']:.1%}",
    )
    return f"| {' | '.join(columns)} |"


def about_machine(servers):
    """What the numbers depend on."""
    about = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} x {cpu_model()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "Countersign": output("git", "describe", "--always", "--dirty"),
        "rustc": output("rustc", "--version"),
        "wrk": output("wrk", "-v"),
    }
    if any(server.redis for server in servers):
        about["Redis"] = output("redis-server", "--version")
    if any("node" in server.command for server in servers):
        packages = json.loads((ROOT / "benches/peers/express/package.json").read_text())
        names = (f"{name} {version}" for name, version in packages["dependencies"].items())
        about["Node.js"] = f"{output('node', '--version')}, {', '.join(names)}"
    locked = (ROOT / "benches/peers/Cargo.lock").read_text()
    crates = ("poem", "actix-session", "tower-sessions", "tower-sessions-redis-store")
    versions = (re.search(rf'name = "{crate}"\nversion = "(.+)"', locked) for crate in crates)
    about["crates"] = ", ".join(f"{c} {v[1]}" for c, v in zip(crates, versions) if v)
    return about


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as cpus:
        models = (line.partition(":")[2].strip() for line in cpus if line.startswith("model name"))
        return next(models, platform.machine())


def output(*command):
    """The first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return next(iter((done.stdout + done.stderr).splitlines()), "unknown").strip()


def write(rows, servers, about):
    """Writes `report.md` and `report.json`; the report."""
    cells = summary(rows, servers)
    text = markdown(cells, servers, about)
    (OUT / "report.md").write_text(text)
    everything = {"about": about, "medians": cells, "measurements": rows}
    (OUT / "report.json").write_text(json.dumps(everything, indent=1) + "\n")
    return text
