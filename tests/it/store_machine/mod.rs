//! Every store against a plain model of it: the same operations on both, one after the other, in
//! orders nobody thought of. After each, the answers are the same, and so is everything that can
//! be seen.
//!
//! A series that fails is cut down to a short one that still does, and printed.
//! `PROPTEST_CASES=10000 cargo test --test it store_machine` tries longer. Another backend is a
//! [`Backend`] here and a line in `prop_state_machine!`.
//!
//! | file | what it holds |
//! |---|---|
//! | `operation` | the operations as values |
//! | `model` | what is right |
//! | `transition` | what may happen next |
//! | `reach` | that all of it does happen |

pub(crate) mod model;
pub(crate) mod operation;
mod reach;
mod transition;

use std::{fs::File, io, marker::PhantomData, path::Path, sync::Arc};

use countersign::{
    model::Timestamp,
    store::{
        AuditBounds, Durability, MemoryStore, SledOptions, SledStore, Store, StoreError,
        SweepCursor, sled::Disk,
    },
};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use self::{
    model::{Model, Place},
    operation::{Answer, Operation},
    transition::Transition,
};
use crate::{
    store_world::{LOCAL, account, at, open_redis, open_redis_with, open_shards, opened},
    support::{RedisServer, SharedCluster, redis::redis_works},
};

prop_state_machine! {
    #![proptest_config(cases(128))]
    #[test]
    fn the_store_in_memory_does_what_the_model_does(sequential 1..80 => Machine<Memory>);
}

prop_state_machine! {
    #![proptest_config(cases(24))]
    #[test]
    fn the_embedded_store_does_what_the_model_does(sequential 1..80 => Machine<Sled>);

    #[test]
    fn with_visits_answered_first_it_does_so_too(sequential 1..80 => Machine<SledVisitsFirst>);
}

prop_state_machine! {
    #![proptest_config(cases(if redis_works() { 24 } else { 0 }))]
    #[test]
    fn the_store_in_redis_does_what_the_model_does(sequential 1..80 => Machine<Redis>);

    #[test]
    fn with_checks_from_memory_it_does_so_too(sequential 1..80 => Machine<RedisLocal>);
}

prop_state_machine! {
    #![proptest_config(cases(if redis_works() { 16 } else { 0 }))]
    #[test]
    fn the_store_in_shards_does_what_the_model_does(sequential 1..80 => Machine<Shards>);
}

prop_state_machine! {
    #![proptest_config(cases(if redis_works() { 8 } else { 0 }))]
    #[test]
    fn the_store_in_a_cluster_does_what_the_model_does(sequential 1..80 => Machine<Cluster>);
}

/// So many series, unless `PROPTEST_CASES` says how many.
fn cases(quick: u32) -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { quick };
    // Cutting down to a short series is what makes a failure readable, and happens only then.
    ProptestConfig { cases, max_shrink_iters: 5_000, ..config }
}

/// The model, the time, and what the model answered last.
#[derive(Clone, Debug)]
struct State {
    model: Model,
    now: Timestamp,
    /// Where the next sweep goes on.
    cursor: Option<Place>,
    expected: Expected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum Expected {
    Nothing,
    Answer(Answer),
    /// How many were removed, and whether there is more to sweep.
    Swept(u64, bool),
}

impl ReferenceStateMachine for State {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        let model = Model::with_events();
        // Midnight is near.
        let now = at(35_200 - 120);
        let state = Self { model, now, cursor: None, expected: Expected::Nothing };
        Just(state).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Transition> {
        transition::next(state).boxed()
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        state.expected = match transition {
            Transition::Ask(operation) => Expected::Answer(state.model.answer(operation)),
            Transition::Sweep { start_over, budget, now } => {
                let from = state.cursor.filter(|_| !start_over);
                let (removed, next) = state.model.sweep(from, *budget, *now);
                state.cursor = next;
                Expected::Swept(removed, next.is_some())
            }
            Transition::Wait(time) => {
                state.now += *time;
                Expected::Nothing
            }
            Transition::Reopen => Expected::Nothing,
        };
        state
    }
}

/// The same, of a store in shards.
struct InShards;

impl ReferenceStateMachine for InShards {
    type State = State;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<State> {
        let begun = |state| State { model: Model::in_shards(), ..state };
        <State as ReferenceStateMachine>::init_state().prop_map(begun).boxed()
    }

    fn transitions(state: &State) -> BoxedStrategy<Transition> {
        State::transitions(state)
    }

    fn apply(state: State, transition: &Transition) -> State {
        <State as ReferenceStateMachine>::apply(state, transition)
    }
}

/// A kind of store, and how to open it.
trait Backend {
    /// What is right for it.
    type Reference: ReferenceStateMachine<State = State, Transition = Transition>;

    /// Whether it forgets everything when it is closed.
    const FORGETS: bool = false;

    /// The server that it is in, if it is in one.
    fn server() -> Server {
        Server::None
    }

    fn open(dir: &Path, server: &Server) -> Arc<dyn Store>;
}

/// What a store is in.
enum Server {
    None,
    Redis(RedisServer),
    Cluster(SharedCluster),
}

struct Memory;
struct Cluster;
struct Redis;
struct RedisLocal;
struct Shards;
struct Sled;
struct SledVisitsFirst;

impl Backend for Memory {
    type Reference = State;

    const FORGETS: bool = true;

    fn open(_: &Path, _: &Server) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

impl Backend for Redis {
    type Reference = State;

    fn server() -> Server {
        Server::Redis(RedisServer::start())
    }

    fn open(_: &Path, server: &Server) -> Arc<dyn Store> {
        let Server::Redis(server) = server else { panic!("its server") };
        Arc::new(open_redis(server, AuditBounds::default()))
    }
}

impl Backend for Shards {
    type Reference = InShards;

    fn server() -> Server {
        Server::Redis(RedisServer::start())
    }

    fn open(_: &Path, server: &Server) -> Arc<dyn Store> {
        let Server::Redis(server) = server else { panic!("its server") };
        Arc::new(open_shards(&server.url(), AuditBounds::default()))
    }
}

impl Backend for Cluster {
    type Reference = InShards;

    fn server() -> Server {
        Server::Cluster(SharedCluster::take())
    }

    fn open(_: &Path, server: &Server) -> Arc<dyn Store> {
        let Server::Cluster(cluster) = server else { panic!("its cluster") };
        Arc::new(open_shards(cluster.servers(), AuditBounds::default()))
    }
}

impl Backend for RedisLocal {
    type Reference = State;

    fn server() -> Server {
        Server::Redis(RedisServer::start())
    }

    fn open(_: &Path, server: &Server) -> Arc<dyn Store> {
        let Server::Redis(server) = server else { panic!("its server") };
        Arc::new(open_redis_with(server, AuditBounds::default(), LOCAL))
    }
}

impl Backend for Sled {
    type Reference = State;

    fn open(dir: &Path, _: &Server) -> Arc<dyn Store> {
        open_sled(dir, Durability::Commit)
    }
}

impl Backend for SledVisitsFirst {
    type Reference = State;

    fn open(dir: &Path, _: &Server) -> Arc<dyn Store> {
        open_sled(dir, Durability::Interval(Durability::LONGEST))
    }
}

fn open_sled(dir: &Path, durability: Durability) -> Arc<dyn Store> {
    let options = SledOptions { durability, disk: Arc::new(NoWait), ..SledOptions::default() };
    Arc::new(opened(|| SledStore::open(dir, options.clone())).unwrap())
}

/// A disk that is not waited for: no process is killed here, and there is more to try in the time.
#[derive(Debug)]
struct NoWait;

impl Disk for NoWait {
    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn reserve(&self, _: &Path, _: u64) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a store beside the model.
struct Machine<B>(PhantomData<B>);

/// The store that is tried.
struct Tried {
    store: Arc<dyn Store>,
    cursor: Option<SweepCursor>,
    runtime: Runtime,
    dir: TempDir,
    server: Server,
}

impl<B: Backend> StateMachineTest for Machine<B> {
    type SystemUnderTest = Tried;
    type Reference = B::Reference;

    fn init_test(_: &State) -> Tried {
        let dir = TempDir::new().unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let server = B::server();
        Tried { store: B::open(dir.path(), &server), cursor: None, runtime, dir, server }
    }

    fn apply(mut tried: Tried, state: &State, transition: Transition) -> Tried {
        let store = &*tried.store;
        let answered = match transition {
            Transition::Ask(operation) => {
                Expected::Answer(tried.runtime.block_on(operation.ask(store)))
            }
            Transition::Sweep { start_over, budget, now } => {
                let from = tried.cursor.take().filter(|_| !start_over);
                let swept = tried.runtime.block_on(store.sweep(from, budget, now)).unwrap();
                tried.cursor = swept.next;
                Expected::Swept(swept.removed, tried.cursor.is_some())
            }
            Transition::Wait(_) => Expected::Nothing,
            Transition::Reopen => {
                if !B::FORGETS {
                    tried.runtime.block_on(close(store));
                    if let Server::Redis(server) = &mut tried.server {
                        server.kill_hard();
                        server.restart();
                    }
                    tried.store = B::open(tried.dir.path(), &tried.server);
                }
                Expected::Nothing
            }
        };
        assert_eq!(answered, state.expected);
        tried
    }

    fn check_invariants(tried: &Tried, state: &State) {
        let mut model = state.model.clone();
        for look in transition::everything(state.now) {
            let seen = tried.runtime.block_on(look.ask(&*tried.store));
            assert_eq!(seen, model.answer(&look), "{look:?}");
        }
    }

    fn teardown(tried: Tried, _: State) {
        tried.runtime.block_on(close(&*tried.store));
    }
}

/// Closes the store and sees that it does nothing any more.
async fn close(store: &dyn Store) {
    store.close().await.unwrap();
    for operation in [Operation::CreateAccount(account("late")), Operation::RevokeAll] {
        let refused = operation.try_ask(store).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
}
