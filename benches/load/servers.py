"""The servers that are compared: how each is started, logged in to and asked.

To add one, append a `Server` to `PEERS` (and its build to `build.py`).
"""

import contextlib
import dataclasses
import json
import pathlib

from processes import Client, Failed, free_port, running

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "target" / "bench"
PEER_BIN = OUT / "peers" / "release"
EXPRESS = ROOT / "benches" / "peers" / "express"

PASSWORD = "correct horse battery"


@dataclasses.dataclass(frozen=True)
class Server:
    """One row of the comparison."""

    name: str  # for --only
    label: str
    command: tuple = ()  # {port} and {redis} are filled in
    redis: str | None = None  # None, "memory" or "always" (appendfsync)
    nodes: int = 1  # how many of it share that Redis; all are loaded alike
    durable: bool = False  # a counted visit that was answered survives a power failure
    exact: bool = False  # every visit is counted, also those of one session at the same time
    env: tuple = ()
    check: tuple = ("GET", "/check")
    visit: tuple | None = ("POST", "/visit")
    # What is measured: the kind of work, and how many connections ask at once.
    cells: tuple = (("check", 64), ("visit", 64), ("visit", 256))

    @property
    def counts(self):
        return self.visit is not None

    @property
    def ours(self):
        return self.name.startswith("countersign")

    @contextlib.contextmanager
    def start(self, data):
        """Runs it on fresh data, with its Redis if it has one."""
        with contextlib.ExitStack() as stack:
            redis_port, redis = None, None
            if self.redis:
                redis_port = free_port()
                redis = stack.enter_context(
                    running(redis_command(redis_port, self.redis, data), data / "redis.log")
                )
                redis.wait_for_port(redis_port)
            nodes = []
            for number in range(self.nodes):
                directory = data / f"node-{number}"
                directory.mkdir(exist_ok=True)
                port = free_port()
                places = {"port": port, "redis": f"redis://127.0.0.1:{redis_port}"}
                command = [str(part).format(**places) for part in self.command]
                env = {name: value.format(**places) for name, value in self.env}
                process = running(command, data / f"node-{number}.log", env, directory)
                nodes.append(Node(stack.enter_context(process), port))
                nodes[-1].process.wait_for_port(port)
            yield Running(self, nodes, redis)

    def log_in(self, client, number):
        """The cookie of a new session."""
        if not self.counts:
            # Nobody logs in; the cookie is as large as a token's.
            return f"session={number:03}" + "x" * 500
        if not self.ours:
            return client.ask("POST", "/login", 200)[1]
        account = {"email": f"bench-{number:02}@example.com", "password": PASSWORD}
        body = json.dumps(account)
        client.ask("POST", "/api/v1/accounts", 201, body)
        return client.ask("POST", "/api/v1/session", 201, body)[1]


@dataclasses.dataclass
class Node:
    """One program of a server, and where it listens."""

    process: object
    port: int


@dataclasses.dataclass
class Running:
    """A server that runs."""

    server: Server
    nodes: list
    redis: object

    @property
    def port(self):
        """Where people log in and are looked at."""
        return self.nodes[0].port

    @property
    def process(self):
        """The first node, or the only one."""
        return self.nodes[0].process

    def cpu_seconds(self):
        return sum(node.process.cpu_seconds() for node in self.nodes)

    def resident_mib(self):
        return max(node.process.resident_mib() for node in self.nodes)

    def check_alive(self):
        for node in self.nodes:
            node.process.check_alive()

    def sessions(self, count):
        """Logs in so many times; the cookies."""
        client = Client(self.port)
        try:
            cookies = [self.server.log_in(client, number) for number in range(count)]
        finally:
            client.close()
        if not all(cookies) or len(set(cookies)) != count:
            raise Failed(f"{self.server.label}: {count} log-ins gave {len(set(cookies))} cookies")
        return cookies

    def visits(self, cookies):
        """The visits counted in all the sessions. Each has to answer 200."""
        client = Client(self.port)
        try:
            method, path = self.server.check
            answers = [client.ask(method, path, 200, cookie=cookie)[0] for cookie in cookies]
        finally:
            client.close()
        return sum(json.loads(answer)["visits"] for answer in answers)


def redis_command(port, mode, data):
    """Redis without snapshots; `always` syncs every write before it is answered."""
    append = ("yes", "always") if mode == "always" else ("no", "everysec")
    return (
        *("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", data),
        *("--save", "", "--appendonly", append[0], "--appendfsync", append[1]),
    )


# Log-ins are not measured here; they only have to be over soon.
CHEAP_HASHES = (
    ("COUNTERSIGN_PASSWORD__MEMORY_KIB", "64"),
    ("COUNTERSIGN_PASSWORD__PASSES", "1"),
)


def countersign(name, label, algorithm, durability="commit", hashes=CHEAP_HASHES):
    """The release binary, as an operator runs it but for the cost of a password's hash."""
    return Server(
        name=f"countersign-{name}",
        label=f"Countersign, {label}",
        command=(ROOT / "target/release/countersign", "serve", "--listen", "127.0.0.1:{port}"),
        durable=durability == "commit",
        exact=True,
        env=(
            ("COUNTERSIGN_DATA_DIR", "data"),
            ("COUNTERSIGN_ADMIN__LISTEN", "127.0.0.1:0"),
            ("COUNTERSIGN_LOG__FILTER", "warn"),
            ("COUNTERSIGN_TOKEN__ALGORITHM", algorithm),
            ("COUNTERSIGN_STORE__DURABILITY", durability),
            # Everybody here comes from one address.
            ("COUNTERSIGN_SIGN_UP__ATTEMPTS", "1000000"),
            ("COUNTERSIGN_SIGN_UP__ATTEMPTS_PER_ADDRESS", "1000000"),
            *hashes,
        ),
        check=("GET", "/api/v1/session"),
        visit=("POST", "/api/v1/session/visits"),
    )


def countersign_on_redis(name, label, redis, more=(), **others):
    """As a node of several: it keeps nothing. HS256, as cookies of peers are signed."""
    server = countersign(name, label, "HS256")
    env = (
        ("COUNTERSIGN_STORE__URL", "{redis}"),
        ("COUNTERSIGN_TOKEN__SECRET", "what all nodes of this comparison seal their keys with"),
        # The peers' Redis has no file either.
        ("COUNTERSIGN_STORE__REDIS__MUST_APPEND", str(redis == "always").lower()),
    )
    return dataclasses.replace(
        server, redis=redis, durable=redis == "always", env=(*server.env, *env, *more), **others
    )


def on_redis(name, label, program):
    """A peer on Redis, twice: in memory, and with every write synced."""
    command = (*program, "{redis}")
    return (
        Server(f"{name}-redis", f"{label} + Redis", command, redis="memory"),
        Server(
            f"{name}-redis-always",
            f"{label} + Redis, appendfsync always",
            command,
            redis="always",
            durable=True,
        ),
    )


ADDRESS = "127.0.0.1:{port}"
TOWER = (PEER_BIN / "tower-peer", ADDRESS)
NODE = ("node", EXPRESS / "server.js", "{port}")

PLAIN = Server("plain", "plain Poem handler", (PEER_BIN / "plain", ADDRESS), visit=None)
# What the headers of every answer of ours cost, the client's time to read them included.
HEADED = Server(
    "plain-headers",
    "plain Poem handler with Countersign's headers",
    PLAIN.command,
    check=("GET", "/secured"),
    visit=None,
    cells=(("check", 64),),
)
OURS = (
    HEADED,
    countersign("hs256", "HS256", "HS256"),
    countersign("eddsa", "EdDSA", "EdDSA"),
    countersign("interval", "HS256, durability interval", "HS256", "interval"),
    dataclasses.replace(
        countersign("hashing", "EdDSA, hashing as by default", "EdDSA", hashes=()),
        cells=(("check", 64), ("logins", 64)),
    ),
    countersign_on_redis("redis", "HS256 + Redis", "memory"),
    countersign_on_redis("redis-always", "HS256 + Redis, appendfsync always", "always"),
    countersign_on_redis(
        "redis-local",
        "HS256 + Redis, checks from memory",
        "memory",
        more=(("COUNTERSIGN_STORE__REDIS__CHECKS", "local"),),
        cells=(("check", 64),),
    ),
    countersign_on_redis(
        "redis-two-nodes", "two nodes, HS256 + Redis, appendfsync always", "always", nodes=2
    ),
)
PEERS = (
    *on_redis("poem", "poem ServerSession", (PEER_BIN / "poem-peer", ADDRESS)),
    *on_redis("actix", "actix-session", (PEER_BIN / "actix-peer", ADDRESS)),
    Server("tower-memory", "tower-sessions in memory", TOWER),
    *on_redis("tower", "tower-sessions", TOWER),
    Server("express-memory", "express-session in memory", NODE, env=(("NODE_ENV", "production"),)),
    *(
        dataclasses.replace(server, env=(("NODE_ENV", "production"),))
        for server in on_redis("express", "express-session", NODE)
    ),
)
