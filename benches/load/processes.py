"""Programs that the comparison starts: each is stopped by its own pid, whatever happens."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_PATIENCE = 20.0
STOP_PATIENCE = 15.0


class Failed(Exception):
    """The comparison cannot go on; the text says why."""


def run(name, main):
    """Runs a driver: told to stop it cleans up, and what ends it early is one line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except Failed as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


class Process:
    """A program that runs."""

    def __init__(self, popen, log):
        self._popen = popen
        self.log = log
        self.pid = popen.pid

    def cpu_seconds(self):
        """User and system time of all its threads so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            # The name in parentheses may hold spaces: count from behind it.
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def resident_mib(self):
        """Memory that is resident now."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def check_alive(self):
        """Raises `Failed` with the end of its log when it has ended."""
        if self._popen.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise Failed(f"{self._popen.args[0]} ended with {self._popen.returncode}:\n{tail}")

    def wait_for_port(self, port):
        """Waits until it accepts connections."""
        deadline = time.monotonic() + START_PATIENCE
        while time.monotonic() < deadline:
            self.check_alive()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise Failed(f"{self._popen.args[0]} does not listen on port {port}")

    def stop(self):
        """Asks it to end, and ends it when it does not."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(STOP_PATIENCE)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        self._popen.wait()


@contextlib.contextmanager
def running(command, log, env=None, cwd=None):
    """Runs a program; stops it in the end.

    In a session of its own, so that ctrl-C reaches the driver alone, which then stops it here.
    """
    with open(log, "ab") as out:
        popen = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    process = Process(popen, log)
    try:
        yield process
    finally:
        process.stop()


def free_port():
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client:
    """A connection for preparing and looking; the load comes from wrk."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, method, path, expected, body=None, cookie=None):
        """The answer's body and the cookie it sets (`name=value`, or `None`)."""
        headers = {"Content-Type": "application/json"} if body else {}
        if cookie:
            headers["Cookie"] = cookie
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != expected:
            raise Failed(f"{method} {path} answered {answer.status}: {text[:200]!r}")
        set_cookie = answer.getheader("Set-Cookie")
        return text, set_cookie and set_cookie.split(";")[0]

    def close(self):
        self._connection.close()
