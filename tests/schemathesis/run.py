"""Compares the running server with its OpenAPI document: what it answers to requests that fit the document, and to
those that do not. `just schemathesis`, with schemathesis's own flags after it."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# Not the password of the document's examples: whoever sends those must not be able to change it.
PERSON = {"EMAIL": "schemathesis@example.com", "PASSWORD": "quartz lantern 7 vow drift"}


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [ROOT / "target/debug/countersign", "serve", "--listen", "127.0.0.1:0"],
            cwd=directory,
            # Cheap hashes: there is a log-in for every request.
            env={"COUNTERSIGN_PASSWORD__MEMORY_KIB": "8", "COUNTERSIGN_PASSWORD__PASSES": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            url = server.stdout.readline().strip().removeprefix("listening on ").rstrip("/")
            sign_up(url)
            return check(url, directory)
        finally:
            server.terminate()
            server.wait(timeout=30)


def sign_up(url: str) -> None:
    account = {"email": PERSON["EMAIL"], "password": PERSON["PASSWORD"]}
    request = urllib.request.Request(
        f"{url}/api/v1/accounts", data=json.dumps(account).encode(), headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def check(url: str, directory: str) -> int:
    environment = os.environ | PERSON | {"BASE_URL": url, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")}
    command = ["schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json"]
    return subprocess.run([*command, *sys.argv[1:]], cwd=directory, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
