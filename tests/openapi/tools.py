"""The tools that look at the OpenAPI document: installed as the lock file says, in target/openapi, and asked for JSON."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OPENAPI = ROOT / "openapi"
DOCUMENT = OPENAPI / "countersign.json"
TOOLS = ROOT / "target/openapi"

# They would report home.
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "SCARF_ANALYTICS": "false"}


def install():
    TOOLS.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, TOOLS)
    command = ["npm", "ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=TOOLS, check=True, timeout=300)


def ask(tool, *arguments):
    """What the tool answers. Its exit code says what the answer says, too."""
    command = [TOOLS / "node_modules/.bin" / tool, *arguments, "--format", "json"]
    environment = os.environ | QUIET
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    try:
        return json.loads(ran.stdout)
    except ValueError:
        sys.exit(f"{tool} did not do its work: {ran.stdout}{ran.stderr}")


def changed(name, change, of=DOCUMENT) -> pathlib.Path:
    """A document with a change, as a file."""
    document = json.loads(of.read_text())
    change(document)
    path = TOOLS / f"{name}.json"
    path.write_text(json.dumps(document, indent=2))
    return path
