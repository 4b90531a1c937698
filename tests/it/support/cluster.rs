//! A real cluster of Redis servers, started by the test that needs one.

use std::{
    net::TcpListener,
    ops::Deref,
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use countersign::store::{
    RedisServers, RedisServersAre,
    redis::{SHARDS, shard_of},
};
use parking_lot::{Condvar, Mutex};

use super::{PATIENCE, RedisServer};

/// Which of three primaries has what has this name, in the beginning. The slot of a shard is about in the
/// middle of its part of all.
pub(crate) fn primary_of(name: &[u8]) -> usize {
    (2 * shard_of(name) + 1) * 3 / (2 * SHARDS)
}

/// Primaries with equal parts of the slots, and perhaps a replica of each. They end with this value.
pub(crate) struct RedisCluster {
    /// First the primaries, as they were in the beginning.
    pub(crate) nodes: Vec<RedisServer>,
    primaries: usize,
}

impl RedisCluster {
    pub(crate) fn start(primaries: usize, has_replicas: bool) -> Self {
        let count = if has_replicas { 2 * primaries } else { primaries };
        let starting: Vec<_> = (0..count).map(|_| thread::spawn(node)).collect();
        let nodes: Vec<(RedisServer, String)> =
            starting.into_iter().map(|node| node.join().unwrap()).collect();
        for (n, (node, _)) in nodes[..primaries].iter().enumerate() {
            let slots = |part: usize| part * 16_384 / primaries;
            let (first, last) = (slots(n).to_string(), (slots(n + 1) - 1).to_string());
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            // So that no two have the same and one has to give way.
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
        }
        let (first, others) = nodes.split_first().unwrap();
        for (other, bus) in others {
            let port = other.port().to_string();
            first.0.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
        }
        let cluster = Self { nodes: nodes.into_iter().map(|(node, _)| node).collect(), primaries };
        let known = format!("cluster_known_nodes:{count}");
        cluster.wait(|info| info.contains(&known));
        if has_replicas {
            for n in 0..primaries {
                let id = cluster.nodes[n].ask(&["CLUSTER", "MYID"]);
                let replica = &cluster.nodes[primaries + n];
                eventually("it follows", || {
                    let done = replica.try_ask(&["CLUSTER", "REPLICATE", id.trim()]);
                    done.is_ok_and(|done| done.trim() == "OK")
                });
            }
            for replica in &cluster.nodes[primaries..] {
                eventually("the replica has all", || {
                    replica.ask(&["INFO", "replication"]).contains("master_link_status:up")
                });
            }
        }
        cluster.wait(|info| info.contains("cluster_state:ok"));
        cluster
    }

    fn wait(&self, is_so: impl Fn(&str) -> bool) {
        for node in &self.nodes {
            eventually("the cluster comes together", || is_so(&node.ask(&["CLUSTER", "INFO"])));
        }
    }

    /// Where it is: every node that runs may be asked.
    pub(crate) fn servers(&self) -> RedisServers {
        let named = self.nodes.iter().map(RedisServer::url).collect();
        RedisServers { named, are: RedisServersAre::Cluster }
    }

    /// The same, as a configuration has it.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Nothing is in it any more.
    pub(crate) fn clear(&self) {
        for node in &self.nodes[..self.primaries] {
            node.ask(&["FLUSHALL"]);
        }
    }
}

fn node() -> (RedisServer, String) {
    // Somebody may take the port before the server does; then it is started with another.
    let bus = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let server = RedisServer::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "2000",
        // While one part is away, the others go on.
        "--cluster-require-full-coverage",
        "no",
        "--repl-diskless-sync-delay",
        "0",
    ]);
    (server, bus)
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A cluster that is one test's after the other's.
pub(crate) struct SharedCluster(Arc<Shared>);

struct Shared {
    cluster: RedisCluster,
    is_taken: Mutex<bool>,
    given_back: Condvar,
}

impl SharedCluster {
    /// An empty one. It ends when nobody has it and nobody waits for it.
    pub(crate) fn take() -> Self {
        static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
        let shared = {
            let mut shared = SHARED.lock();
            shared.upgrade().unwrap_or_else(|| {
                let cluster = RedisCluster::start(3, false);
                let new =
                    Shared { cluster, is_taken: Mutex::default(), given_back: Condvar::new() };
                let new = Arc::new(new);
                *shared = Arc::downgrade(&new);
                new
            })
        };
        let mut is_taken = shared.is_taken.lock();
        shared.given_back.wait_while(&mut is_taken, |is_taken| *is_taken);
        *is_taken = true;
        drop(is_taken);
        shared.cluster.clear();
        Self(shared)
    }
}

impl Deref for SharedCluster {
    type Target = RedisCluster;

    fn deref(&self) -> &RedisCluster {
        &self.0.cluster
    }
}

impl Drop for SharedCluster {
    fn drop(&mut self) {
        *self.0.is_taken.lock() = false;
        self.0.given_back.notify_one();
    }
}
