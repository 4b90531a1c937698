"""Clients that others' generators make from openapi/, each against a running server. `just clients [NAME...]`.

A client is a folder beside this file with a story: sign up, be refused because the address is taken; log in by bearer
and by cookie, count three visits each; list the sessions, end the other one, which is refused from then on; log out,
be refused. And one in examples/clients, which is what the documents show. What is generated, installed and built is in
target/clients. A new client is a method of `Clients`, its story and its example."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCUMENT = ROOT / "openapi/countersign.json"
EXAMPLES = ROOT / "examples/clients"
BUILT = ROOT / "target/clients"

PASSWORD = "quartz lantern 7 vow drift"
# What a story must come to say: it can be wrong about nothing else and end well.
STEPS = [
    *("signed up", "refused with email_taken", "logged in by bearer", "counted 1 2 3", "logged in by cookie"),
    *("counted 1 2 3", "listed 2 sessions", "ended the other one", "refused with not_signed_in", "logged out"),
    *("refused with not_signed_in", "logged in by cookie", "logged out", "refused with not_signed_in", "done"),
]

# Nothing here may take longer, downloads included.
SECONDS = 300


class Failed(Exception):
    pass


class Clients:
    """How each is generated and built: gives the commands of its story and of its example."""

    def typescript(self, folder):
        copy(HERE / "typescript", folder)
        shutil.copy(EXAMPLES / "typescript.ts", folder / "example.ts")
        shutil.copy(DOCUMENT, folder)
        run("npm", "ci", "--no-audit", "--no-fund", at=folder)
        run("npm", "run", "generate", at=folder)
        run("npm", "run", "build", at=folder)
        return ["node", folder / "built/story.js"], ["node", folder / "built/example.js"]

    def python(self, folder):
        python = virtual_environment(folder, HERE / "python/requirements.txt")
        client = folder / "client/countersign_client"
        generate = [python.parent / "openapi-python-client", "generate", "--path", DOCUMENT, "--overwrite"]
        # A warning is about something that the document says and the client does not know. The generator has its
        # formatter, which was installed with it, on the path.
        path = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
        run(*generate, "--meta", "none", "--output-path", client, "--fail-on-warning", at=folder, env=path)
        program = ["env", f"PYTHONPATH={client.parent}", python]
        return [*program, HERE / "python/story.py"], [*program, EXAMPLES / "python.py"]

    def rust(self, folder):
        manifest = HERE / "rust/Cargo.toml"
        run("cargo", "build", "--locked", "--manifest-path", manifest, "--target-dir", folder, at=ROOT)
        return [folder / "debug/story"], [folder / "debug/example"]

    def go(self, folder):
        python = virtual_environment(folder, HERE / "go/requirements.txt")
        module = folder / "module"
        shutil.rmtree(module, ignore_errors=True)
        for program in ("story", "example"):
            (module / program).mkdir(parents=True)
        shutil.copy(HERE / "go/go.mod", module)
        shutil.copy(HERE / "go/story.go", module / "story")
        shutil.copy(EXAMPLES / "go.go", module / "example")
        generate = [python.parent / "openapi-generator-cli", "generate", "-g", "go", "-i", DOCUMENT]
        properties = "packageName=countersign,withGoMod=false,disallowAdditionalPropertiesIfNotPresent=false"
        parts = "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
        run(*generate, "-o", module / "countersign", "--additional-properties", properties, "--global-property", parts, at=folder)
        go = python.parent / "go"
        # Its standard library is all it needs: nothing is fetched.
        alone = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(folder / "cache")}
        run(go, "vet", "./...", at=module, env=alone)
        run(go, "build", "-o", f"{folder}/built/", "./story", "./example", at=module, env=alone)
        return [folder / "built/story"], [folder / "built/example"]


def main(names) -> int:
    known = [name for name in vars(Clients) if not name.startswith("_")]
    folders = sorted(path.name for path in HERE.iterdir() if path.is_dir())
    if folders != sorted(known) or not set(names) <= set(known):
        print(f"the clients are {', '.join(known)}; the folders {', '.join(folders)}", file=sys.stderr)
        return 2
    failed = [name for name in names or known if not told(name)]
    print(f"failed: {', '.join(failed)}" if failed else "all clients told their story")
    return 1 if failed else 0


def told(name) -> bool:
    """Whether the client could be made, and said what it had to."""
    folder = BUILT / name
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        story, example = getattr(Clients(), name)(folder)
        print(f"{name}: generated and built in {time.monotonic() - start:.0f} s", flush=True)
        with server() as url:
            person = {"BASE_URL": url, "EMAIL": f"{name}@example.com", "PASSWORD": PASSWORD}
            said = run(*story, at=folder, env=person).splitlines()
            print("\n".join(f"{name}: {step}" for step in said), flush=True)
            expect(STEPS, said)
            expect(["visit number 1"], run(*example, at=folder, env=person).splitlines())
            print(f"{name}: the example counted, too", flush=True)
    except (Failed, OSError, subprocess.TimeoutExpired) as error:
        print(f"{name}: FAILED: {error}", flush=True)
        return False
    return True


def expect(expected, actual):
    if actual != expected:
        raise Failed(f"expected {expected}, and it said {actual}")


@contextlib.contextmanager
def server():
    with tempfile.TemporaryDirectory() as directory:
        command = [ROOT / "target/debug/countersign", "serve", "--listen", "127.0.0.1:0"]
        with open(f"{directory}/log", "w") as log:
            running = subprocess.Popen(command, cwd=directory, env={}, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            first = running.stdout.readline()
            if not first.startswith("listening on "):
                raise Failed(pathlib.Path(directory, "log").read_text() or "the server did not start")
            yield first.strip().removeprefix("listening on ").rstrip("/")
        finally:
            running.terminate()
            running.wait(timeout=30)


def run(*command, at, env=None) -> str:
    """What the command printed; all of it is the error when it failed."""
    ran = subprocess.run(
        command, cwd=at, env=os.environ | (env or {}), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if ran.returncode:
        words = " ".join(map(str, command))
        raise Failed(f"{words}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def copy(source, folder):
    for file in source.iterdir():
        shutil.copy(file, folder)


def virtual_environment(folder, requirements):
    python = folder / "venv/bin/python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder / "venv", at=folder)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements, at=folder)
    return python


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
