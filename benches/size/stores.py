"""A data directory with a store: filled, measured, served."""

import json
import re
import subprocess
import time
import urllib.request

from processes import Client, Failed
from servers import OURS, PASSWORD, ROOT, Running

# The store is what is measured here: the cheapest tokens leave it the largest part.
SERVER = next(server for server in OURS if server.name == "countersign-hs256")
FILL = ROOT / "target/release/examples/fill"


class Store:
    """`each` sessions of every one of `accounts` accounts, in `directory`."""

    def __init__(self, directory, accounts, each):
        self.directory = directory
        # Where its server, a single node, runs.
        self.data = directory / "node-0/data"
        self.accounts = accounts
        self.each = each
        self._facts = directory / "facts.json"

    @property
    def facts(self):
        """What was measured when it was filled; `None` before."""
        return json.loads(self._facts.read_text()) if self._facts.exists() else None

    def fill(self, *, revoke=True):
        """Fills it, unless that is done."""
        if self.facts:
            return self.facts
        self.data.parent.mkdir(parents=True, exist_ok=True)
        now = int(time.time() * 1000)
        with subprocess.Popen(self.command(now, "backup"), stdout=subprocess.PIPE) as backup:
            started = time.monotonic()
            restore = [SERVER.command[0], "restore", "--replace", "--data-dir", self.data, "-"]
            done = subprocess.run(restore, stdin=backup.stdout, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"restore failed: {done.stderr}")
        facts = {"now": now, "restore_seconds": time.monotonic() - started, "bytes": self.size()}
        if revoke:
            facts["revoked"] = self.tool(now, "revoke", self.data)
            facts["bytes_revoked"] = self.size()
        self._facts.write_text(json.dumps(facts))
        return facts

    def spent(self):
        """It is not what it was: the next run fills it anew."""
        self._facts.unlink()

    def tool(self, now, *command):
        """What `fill` prints."""
        done = subprocess.run(self.command(now, *command), capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"fill {command[0]} failed: {done.stderr[-2000:]}")
        return done.stdout.strip()

    def command(self, now, *command):
        """How `fill` is called for it."""
        size = ("--accounts", self.accounts, "--each", self.each, "--now", now)
        return [str(part) for part in (FILL, *size, *command)]

    def size(self):
        """What its files take on the disk, in bytes."""
        files = (self.data / "store").rglob("*")
        return sum(path.stat().st_blocks * 512 for path in files if path.is_file())

    def serve(self):
        """Runs a server on it."""
        return SERVER.start(self.directory)

    def log_in(self, running: Running, count):
        """So many cookies of new sessions of accounts of their own, made if they are not there."""
        client = Client(running.port)
        cookies = []
        try:
            for number in range(count):
                account = {"email": f"bench-{number:02}@example.com", "password": PASSWORD}
                body = json.dumps(account)
                try:
                    client.ask("POST", "/api/v1/accounts", 201, body)
                except Failed as error:
                    if "409" not in str(error):
                        raise
                cookies.append(client.ask("POST", "/api/v1/session", 201, body)[1])
        finally:
            client.close()
        return cookies

    def metric(self, name):
        """The value of a metric of the running server."""
        admin = json.loads((self.data / "admin.json").read_text())
        text = urllib.request.urlopen(admin["url"].rstrip("/") + "/metrics").read().decode()
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0
