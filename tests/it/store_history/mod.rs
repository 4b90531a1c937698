//! Many at once against the embedded store, and against several nodes on one Redis: what they were
//! answered could have been answered one after the other.
//!
//! Each history is short: a few tasks, each with a few operations on the same few sessions, of
//! which is noted when they were called, when they returned and what was answered. What the tasks
//! do comes from a seed, which is printed when a history has no explanation;
//! `COUNTERSIGN_HISTORY_SEED` repeats its plan in every history, as often as there are histories
//! (`COUNTERSIGN_HISTORIES`), for how the tasks meet is up to the machine.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan` | what the tasks do |
//! | `search` | whether there is an order that explains a history |
//! | `verdicts` | that the search tells right from wrong |

mod plan;
mod search;
mod verdicts;

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign::{
    model::{AccountId, AuditEvent, AuditKind},
    store::{AuditBounds, Created, Durability, SledOptions, SledStore, Store, sled::Disk},
};
use tempfile::TempDir;
use tokio::{sync::Barrier, task::JoinSet};

use self::{
    plan::{Step, Steps},
    search::Event,
};
use crate::{
    store_machine::{
        model::Model,
        operation::{self, Answer, Operation},
    },
    store_world::{LOCAL, at, open_redis, open_redis_with, open_shards, open_shards_with},
    support::{RedisServer, SharedCluster, redis::redis_works},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_answered_at_once_could_be_answered_in_a_row() {
    histories(Durability::Commit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_it_could_with_visits_answered_first() {
    histories(Durability::Interval(Duration::from_millis(1))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_it_could_by_several_nodes_on_one_redis() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let nodes = [(); 3].map(|()| open_redis(&server, AuditBounds::default()));
    let nodes = nodes.map(|node| Arc::new(node) as Arc<dyn Store>);
    all_histories(&nodes, "Redis", 250, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_it_could_by_several_nodes_on_shards() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let nodes = [(); 3].map(|()| open_shards(&server.url(), AuditBounds::default()));
    let nodes = nodes.map(|node| Arc::new(node) as Arc<dyn Store>);
    all_histories(&nodes, "shards", 100, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_it_could_by_several_nodes_on_a_cluster() {
    if !redis_works() {
        return;
    }
    let cluster = SharedCluster::take();
    let nodes = [(); 3].map(|()| open_shards(cluster.servers(), AuditBounds::default()));
    let nodes = nodes.map(|node| Arc::new(node) as Arc<dyn Store>);
    all_histories(&nodes, "cluster", 100, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_it_could_by_one_node_that_answers_checks_from_memory() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let node = Arc::new(open_redis_with(&server, AuditBounds::default(), LOCAL));
    all_histories(&[node], "Redis, local", 250, false).await;
    let node = Arc::new(open_shards_with(&server.url(), AuditBounds::default(), LOCAL));
    all_histories(&[node], "shards, local", 100, true).await;
}

async fn histories(durability: Durability) {
    let dir = TempDir::new().unwrap();
    let options = SledOptions { durability, disk: Arc::new(Brief), ..SledOptions::default() };
    let store: Arc<dyn Store> = Arc::new(SledStore::open(dir.path(), options).unwrap());
    all_histories(&[store], &format!("{durability:?}"), 250, false).await;
}

/// The tasks of a history are spread over the nodes, which are one store, perhaps in shards.
async fn all_histories(nodes: &[Arc<dyn Store>], what: &str, count: u64, in_shards: bool) {
    let repeated = number("COUNTERSIGN_HISTORY_SEED");
    let random = uuid::Uuid::new_v4().as_u64_pair().1;
    let store = &*nodes[0];
    for index in 0..number("COUNTERSIGN_HISTORIES").unwrap_or(count) {
        let seed = repeated.unwrap_or_else(|| random.wrapping_add(index));
        let plan = plan::plan(seed, index);
        let mut model = Model::default();
        for operation in &plan.first {
            assert_eq!(operation.ask(store).await, model.answer(operation), "{operation:?}");
        }
        let mut history = run(nodes, plan.tasks.clone()).await;
        if in_shards {
            history =
                history.into_iter().flat_map(|event| each_account(event, &plan.people)).collect();
        }
        if let Err(unexplained) = search::explain(&model, &history) {
            panic!("COUNTERSIGN_HISTORY_SEED={seed}, {what}\n{unexplained}");
        }
        written_down(store, &plan, &history).await;
    }
    for node in nodes {
        node.close().await.unwrap();
    }
}

/// In shards the sessions of everybody end in one step of each, which is one for each account.
fn each_account(event: Event, people: &[AccountId]) -> Vec<Event> {
    if !matches!(event.operation, Operation::RevokeAll) {
        return vec![event];
    }
    let of = |id: &AccountId| Event { operation: Operation::RevokeAllOf(*id), ..event.clone() };
    people.iter().map(of).collect()
}

/// Sees that each change has its event, and each event its change. Whether a state that was set
/// changed something, no answer tells.
async fn written_down(store: &dyn Store, plan: &plan::Plan, history: &[Event]) {
    let is_told = |event: &AuditEvent| {
        ![AuditKind::AccountEnabled, AuditKind::AccountDisabled].contains(&event.what)
    };
    let mut expected: Vec<_> =
        history.iter().filter_map(|it| it.operation.event(&it.answer)).collect();
    let mut seen = Vec::new();
    for id in &plan.people {
        seen.extend(operation::list(store, Some(*id), 100, at(0)).await.unwrap());
    }
    for operation in &plan.first {
        let done = match operation {
            Operation::CreateAccount(_) => Answer::WhetherDone(true),
            Operation::CreateSession { session, .. } => {
                let session = session.clone();
                Answer::Created(Created::Added { session, ended: Vec::new() })
            }
            other => panic!("{other:?}"),
        };
        expected.extend(operation.event(&done));
    }
    expected.retain(|event| is_told(event) && event.account.is_some());
    seen.retain(is_told);
    let in_order = |events: &mut Vec<AuditEvent>| events.sort_by_key(|event| format!("{event:?}"));
    in_order(&mut expected);
    in_order(&mut seen);
    assert_eq!(seen, expected);
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Lets all tasks of a plan go, and returns what they saw.
async fn run(nodes: &[Arc<dyn Store>], plan: Vec<Steps>) -> Vec<Event> {
    let clock = Arc::new(AtomicU64::new(0));
    let start = Arc::new(Barrier::new(plan.len()));
    let mut tasks = JoinSet::new();
    for (task, steps) in plan.into_iter().enumerate() {
        let store = Arc::clone(&nodes[task % nodes.len()]);
        let (clock, start) = (Arc::clone(&clock), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            work(&*store, task, steps, &clock).await
        });
    }
    // sled has been seen to hang: a history that does fails.
    let seen = tokio::time::timeout(Duration::from_secs(60), tasks.join_all()).await;
    seen.expect("no operation hangs").concat()
}

async fn work(store: &dyn Store, task: usize, steps: Steps, clock: &AtomicU64) -> Vec<Event> {
    let mut seen = Vec::new();
    for step in steps {
        match step {
            Step::Ask(operation) => {
                let called = clock.fetch_add(1, Ordering::SeqCst);
                let answer = operation.ask(store).await;
                let returned = clock.fetch_add(1, Ordering::SeqCst);
                seen.push(Event { task, called, returned, operation, answer });
            }
            // At the beginning nobody is over by time: it takes away only what ended by an epoch.
            Step::Sweep => drop(store.sweep(None, 1_000, at(0)).await.unwrap()),
            Step::Yield(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    seen
}

/// A disk on which a sync takes a moment, and no longer: as long as a commit is under way, others
/// read and queue; and no process is killed here.
#[derive(Debug)]
struct Brief;

impl Disk for Brief {
    fn sync(&self, _: &File) -> io::Result<()> {
        std::thread::sleep(Duration::from_micros(100));
        Ok(())
    }

    fn reserve(&self, _: &Path, _: u64) -> io::Result<()> {
        Ok(())
    }
}
