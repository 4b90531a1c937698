"""What has to be there before anything can be measured: tools, and programs built in release."""

import os
import shutil
import subprocess

from processes import Failed
from servers import EXPRESS, OUT, ROOT

CRATES = ("poem-peer", "actix-peer", "tower-peer")
PACKAGES = {"wrk": "wrk", "redis-server": "redis-server", "node": "nodejs", "npm": "npm"}


def check_tools(servers):
    """Raises `Failed` with how to install what is missing."""
    needed = ["wrk"]
    if any(server.redis for server in servers):
        needed.append("redis-server")
    if any("node" in server.command for server in servers):
        needed += ["node", "npm"]
    missing = [PACKAGES[tool] for tool in needed if not shutil.which(tool)]
    if missing:
        raise Failed(
            f"missing: {', '.join(missing)}. On Debian and Ubuntu:\n"
            f"  apt-get install -y --no-install-recommends {' '.join(missing)}"
        )


def build(servers):
    """Builds the product and those peers that are wanted."""
    run("cargo", "build", "--release", "--locked", "--bin", "countersign")
    programs = {os.path.basename(server.command[0]) for server in servers}
    # One by one: built together, the features that one peer asks of a crate reach the others.
    for crate in ("plain", *CRATES):
        if crate in programs:
            manifest = ROOT / "benches/peers/Cargo.toml"
            run(
                *("cargo", "build", "--release", "--locked", "--manifest-path", manifest),
                *("--target-dir", OUT / "peers", "-p", crate),
            )
    if "node" in programs:
        run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=EXPRESS)


def run(*command, cwd=ROOT):
    command = [str(part) for part in command]
    if subprocess.run(command, cwd=cwd).returncode:
        raise Failed(f"{' '.join(command)} failed")
