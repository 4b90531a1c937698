"""Compares the running server with its OpenAPI document: what it answers to requests that fit the document, and to
those that do not: everything as a member, and what is for administrators as one. `just schemathesis`, with
schemathesis's own flags after it."""

import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

BINARY = ROOT / "target/debug/countersign"

# Not the password of the document's examples: whoever sends those must not be able to change it.
PERSON = {"EMAIL": "schemathesis@example.com", "PASSWORD": "quartz lantern 7 vow drift"}

# Cheap hashes, as there is a log-in for every request; and limits that let all of them through.
LIMITS = [f"LOGIN__ATTEMPTS{of}" for of in ("", "_PER_ACCOUNT", "_PER_ADDRESS")]
LIMITS += ["SIGN_UP__ATTEMPTS", "SIGN_UP__ATTEMPTS_PER_ADDRESS"]
ENVIRONMENT = {f"COUNTERSIGN_{name}": "1000000" for name in LIMITS}
ENVIRONMENT |= {"COUNTERSIGN_PASSWORD__MEMORY_KIB": "8", "COUNTERSIGN_PASSWORD__PASSES": "1"}


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [BINARY, "serve", "--listen", "127.0.0.1:0"],
            cwd=directory,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            url = server.stdout.readline().strip().removeprefix("listening on ").rstrip("/")
            return check(url, directory)
        finally:
            server.terminate()
            server.wait(timeout=30)


def check(url: str, directory: str) -> int:
    environment = os.environ | PERSON | {"BASE_URL": url, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")}
    command = ["schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json", *sys.argv[1:]]
    as_member = subprocess.run(command, cwd=directory, env=environment, check=False).returncode
    environment |= {"EMAIL": "administrator@example.com", "ADMINISTRATOR": str(BINARY)}
    command += ["--include-tag", "administration"]
    as_administrator = subprocess.run(command, cwd=directory, env=environment, check=False).returncode
    return as_member or as_administrator


if __name__ == "__main__":
    sys.exit(main())
