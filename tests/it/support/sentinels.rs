//! A primary, two replicas, and three Sentinels that put a replica in the primary's place when that
//! is gone.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{PATIENCE, RedisServer, Wire, port};

/// What the Sentinels call the primary.
const NAME: &str = "sessions";

/// How many of the Sentinels must find the primary gone.
const QUORUM: usize = 2;

/// Those three servers and their Sentinels. They end with this value, also when the test fails.
pub(crate) struct Sentinels {
    /// The first is the primary at the beginning.
    servers: Vec<RedisServer>,
    /// The port that everybody knows each server by.
    ports: Vec<u16>,
    watchers: Vec<Sentinel>,
    /// The way to the first server, where there is one: replicas and Sentinels come from
    /// 127.0.0.[`GROUP`](Self::GROUP).
    pub(crate) wire: Option<Wire>,
}

struct Sentinel {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sentinels {
    /// Where replicas and Sentinels connect from, so that a wire can tell them from nodes.
    pub(crate) const GROUP: u8 = 2;

    /// Starts all of them, with more arguments for each server, and waits until they know each other.
    pub(crate) async fn start(more: &[&str]) -> Self {
        Self::begin(more, false).await
    }

    /// The same, with a wire before the first primary.
    pub(crate) async fn behind_a_wire(more: &[&str]) -> Self {
        Self::begin(more, true).await
    }

    async fn begin(more: &[&str], has_wire: bool) -> Self {
        let source = format!("127.0.0.{}", Self::GROUP);
        // A replica follows a new primary at once; and that address is none that is thought to be here.
        let common = [
            "--repl-diskless-sync-delay",
            "0",
            "--bind-source-addr",
            &source,
            "--replica-announce-ip",
            "127.0.0.1",
            "--protected-mode",
            "no",
        ];
        let arguments = [&common[..], more].concat();
        let primary = RedisServer::with(&arguments);
        let wire = if has_wire { Some(Wire::to(primary.port()).await) } else { None };
        let known = wire.as_ref().map_or(primary.port(), Wire::port);
        let replica_of = format!("127.0.0.1 {known}");
        let arguments = [&arguments[..], &["--replicaof", &replica_of]].concat();
        let mut servers = vec![primary];
        servers.extend([1, 2].map(|_| RedisServer::with(&arguments)));
        let ports = vec![known, servers[1].port(), servers[2].port()];
        let mut this = Self { servers, ports, watchers: Vec::new(), wire };
        this.wait("the replicas follow", || {
            this.servers[1..].iter().all(|replica| {
                replica.ask(&["INFO", "replication"]).contains("master_link_status:up")
            })
        })
        .await;
        // They look for replicas at once, and then every ten seconds.
        this.watchers = (0..3).map(|_| sentinel(known, &source)).collect();
        this.wait("the Sentinels know everybody", || {
            this.watchers.iter().all(|sentinel| {
                let said = sentinel.ask(&["SENTINEL", "MASTER", NAME]);
                let said: Vec<_> = said.lines().collect();
                let number = |name: &str| {
                    let at = said.iter().position(|word| *word == name).expect("a field");
                    said[at + 1].parse::<usize>().expect("a number")
                };
                // With no further flag, such as that it is down.
                let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", NAME]);
                let well = replicas.matches("flags\nslave\n").count();
                (well, number("num-other-sentinels")) == (2, 2)
            })
        })
        .await;
        this
    }

    /// For `store.url`.
    pub(crate) fn url(&self) -> String {
        let named = self.watchers.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        format!("redis+sentinel://{}/{NAME}", named.collect::<Vec<_>>().join(","))
    }

    /// A server, by its number.
    pub(crate) fn server(&mut self, number: usize) -> &mut RedisServer {
        &mut self.servers[number]
    }

    /// The number of the primary that the most Sentinels name.
    pub(crate) fn primary(&self) -> Option<usize> {
        let named: Vec<_> = self.watchers.iter().map(Sentinel::primary).collect();
        let number = |port: u16| self.ports.iter().position(|known| *known == port);
        let is_named = |number: &usize| {
            let votes = named.iter().filter(|port| **port == Some(self.ports[*number]));
            votes.count() >= QUORUM
        };
        named.iter().flatten().filter_map(|port| number(*port)).find(is_named)
    }

    /// Waits until another server than this one is the primary, and takes writes. Gives its number.
    pub(crate) async fn until_another_than(&self, old: usize) -> usize {
        let mut new = old;
        self.wait("another primary", || {
            new = self.primary().unwrap_or(old);
            new != old && self.servers[new].ask(&["ROLE"]).starts_with("master")
        })
        .await;
        new
    }

    /// Waits until a server that was the primary follows the new one.
    pub(crate) async fn until_follows(&self, number: usize) {
        self.wait("the old primary follows the new one", || {
            let said = self.servers[number].ask(&["INFO", "replication"]);
            said.contains("role:slave") && said.contains("master_link_status:up")
        })
        .await;
    }

    /// Waits until all others follow the primary and have everything, whichever that is by then: on a busy
    /// machine Sentinels may take a living one for dead.
    pub(crate) async fn until_whole(&self) {
        let said = |number: usize| self.servers[number].ask(&["INFO", "replication"]);
        self.wait("all others follow the primary", || {
            self.primary().is_some_and(|primary| {
                let others = self.servers.len() - 1;
                said(primary).matches("state=online").count() == others
            })
        })
        .await;
    }

    /// These Sentinels go on to be there and say nothing any more.
    pub(crate) fn freeze(&self, numbers: &[usize]) {
        for number in numbers {
            signal(&self.watchers[*number].child, "-STOP");
        }
    }

    /// They go on.
    pub(crate) fn thaw(&self, numbers: &[usize]) {
        for number in numbers {
            signal(&self.watchers[*number].child, "-CONT");
        }
    }

    async fn wait(&self, what: &str, mut is: impl FnMut() -> bool) {
        let started = Instant::now();
        while !is() {
            assert!(started.elapsed() < PATIENCE, "{what}: not yet");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn signal(to: &Child, signal: &str) {
    let pid = to.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

fn sentinel(primary: u16, source: &str) -> Sentinel {
    let dir = TempDir::new().unwrap();
    let port = port::free();
    let configuration = format!(
        "port {port}\nprotected-mode no\nbind 127.0.0.1\nbind-source-addr {source}\nsentinel announce-ip 127.0.0.1\n\
         sentinel monitor {NAME} 127.0.0.1 {primary} {QUORUM}\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 5000\n"
    );
    // It writes into the file what it learns.
    let file = dir.path().join("sentinel.conf");
    fs::write(&file, configuration).unwrap();
    let child = run(&file);
    let sentinel = Sentinel { port, child, _dir: dir };
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < PATIENCE, "the Sentinel does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    sentinel
}

fn run(configuration: &Path) -> Child {
    Command::new("redis-sentinel")
        .arg(configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-sentinel runs")
}

impl Sentinel {
    fn ask(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The port of the primary that it names.
    fn primary(&self) -> Option<u16> {
        let said = self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        said.lines().nth(1).and_then(|port| port.parse().ok())
    }
}
