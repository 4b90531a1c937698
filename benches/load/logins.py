"""Log-ins at a steady rate beside a measurement: what password hashes do to everybody else."""

import contextlib
import json
import threading
import time

from processes import Client, Failed
from servers import PASSWORD

RATE = 50
# So many at once: a log-in that has to wait for others must not hold up the next.
CLIENTS = 25


@contextlib.contextmanager
def steadily(running):
    """Logs somebody in, `RATE` times a second; yields the moments of the answers."""
    stop, done, failures = threading.Event(), [], []
    # Not one of those who are measured: an account's oldest sessions end when it has too many.
    account = json.dumps({"email": "bench-in-and-out@example.com", "password": PASSWORD})
    preparing = Client(running.port)
    preparing.ask("POST", "/api/v1/accounts", 201, account)
    preparing.close()
    started = time.monotonic()

    def client(number):
        connection = Client(running.port)
        due = started + number / RATE
        try:
            while not stop.wait(max(0.0, due - time.monotonic())):
                connection.ask("POST", "/api/v1/session", 201, account)
                done.append(time.monotonic())
                due += CLIENTS / RATE
        except (Failed, OSError) as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise Failed(f"a log-in failed: {failures[0]}")


def rate(done, since, until):
    """The log-ins a second between two moments."""
    return sum(since <= moment < until for moment in done) / (until - since)
