//! Several nodes on one Redis, under load, while one thing after the other dies.
//!
//! Real nodes, a real Redis, real balancers and Sentinels, each a process of its own; and a crowd of
//! clients that keep books. What was answered holds afterwards, nobody is logged out, and no node is
//! started again for it.
//!
//! | file | what dies |
//! |---|---|
//! | `node` | one of two nodes behind HAProxy and behind nginx |
//! | `redis` | Redis, killed and started again from its file, and frozen |
//! | `network` | what is between a node and Redis: cut, held, slow, forgotten |
//! | `failover` | the primary, whose place a replica takes |
//! | `split` | the way between the primary and everybody but a node: two primaries for a while |
//! | `loss` | whatever may lose what was answered: how much that is, for `just failover-loss` |
//! | `deployed` | nothing: the files of `packaging/two-nodes` are started as they are |
//! | `crowd`, `wishes` | the clients and their books |
//!
//! `COUNTERSIGN_SURVIVAL_ROUNDS` sets how often things die.

mod crowd;
mod deployed;
mod failover;
mod loss;
mod network;
mod node;
mod redis;
mod split;
mod wishes;

use std::time::{Duration, Instant};

use self::crowd::{Lost, Outcome};
use crate::support::{PATIENCE, Process, User, number, port};

/// The longest that anybody in a crowd waits for an answer, good or not: many times what is promised,
/// and much less than for ever.
const BOUND: Duration = Duration::from_secs(20);

/// How often things die.
fn rounds() -> u64 {
    number("COUNTERSIGN_SURVIVAL_ROUNDS").unwrap_or(3)
}

/// Two nodes with the same keys on the store of this URL, each on a port that it keeps.
fn two_nodes(store: &str, more: &[(&str, &str)]) -> [Process; 2] {
    let variables = [
        ("COUNTERSIGN_STORE__URL", store),
        ("COUNTERSIGN_LOG__FILTER", "warn"),
        ("COUNTERSIGN_ADMIN__LISTEN", "127.0.0.1:0"),
        // Old passwords are tried in the end, all from one address.
        ("COUNTERSIGN_LOGIN__ATTEMPTS", "1000000"),
        ("COUNTERSIGN_LOGIN__ATTEMPTS_PER_ACCOUNT", "1000000"),
        ("COUNTERSIGN_LOGIN__ATTEMPTS_PER_ADDRESS", "1000000"),
    ];
    let first = Process::with(&[&variables[..], more].concat());
    let second = first.beside();
    [first, second].map(|mut node| {
        assert!(node.terminate().success());
        node.configure("COUNTERSIGN_LISTEN", &format!("127.0.0.1:{}", port::free()));
        node.restart();
        node
    })
}

/// Waits until a node, or what is before it, is ready again.
async fn until_ready(anonymous: &User) {
    let started = Instant::now();
    loop {
        let answer = anonymous.request(reqwest::Method::GET, "/readyz").try_send().await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Nothing was lost of what was answered, there was something to lose, and nobody waited for ever.
#[track_caller]
fn assert_all_holds(outcome: &Outcome) {
    println!("{outcome:?}");
    assert_eq!(outcome.lost, Lost::default());
    let answered = outcome.answered;
    for some in [answered.visits, answered.log_ins, answered.log_outs, answered.passwords] {
        assert!(some > 0, "too little happened: {answered:?}");
    }
    assert!(outcome.met.longest < BOUND, "{:?}", outcome.met);
}

/// Nodes went on, each in one life, without a panic.
#[track_caller]
fn assert_well(nodes: &mut [Process]) {
    for node in nodes {
        assert!(node.terminate().success());
        assert!(!node.output().contains("panic"), "{}", node.output());
    }
}
