//! The store that several nodes share: a Redis or Valkey server, 7.0 or later.
//!
//! Each operation is one function that runs in the server ([`library`]), atomic, in one round trip:
//! a check is one, a visit is one, a log-in is one, each with its audit event. No node keeps
//! anything that another could make untrue, so a session that was ended on one is refused by all
//! from that moment on; unless it is told to [answer checks from memory](RedisChecks::Local).
//! Functions mirror the [steps](super::steps) of the other stores, and the contract's suites run on
//! them unchanged.
//!
//! # Keys
//! All begin with `countersign:{store}:` and the name of a generation, and lie in one slot:
//!
//! | key | what is there |
//! |---|---|
//! | `countersign:{store}` | the generation in force; without it `0`. A restored backup is another one |
//! | `countersign:{store}:keys` | a hash, of no generation: the signing keys, sealed, and their revision |
//! | `countersign:{store}:beside` | the generations that are not in force: those of restores that are under way, and those that are to be removed |
//! | `a` account | a hash: the account, and the visits over all its sessions |
//! | `s` account | a hash: its sessions, by their ids |
//! | `v` account, session | a hash: the variables that an app keeps in the session |
//! | `e` | a sorted set: e-mails with their accounts, in the order of the addresses |
//! | `i` | a sorted set: accounts in the order of their ids |
//! | `t` two bytes, `u` | attempts at passwords: a place of their table; the places there are |
//! | `l` trail, `l` trail `:` number, `o` trail | audit events: which pages, a page, the latest |
//! | `epoch`, `ping` | as their names say |
//! | `ends` | a stream: the accounts whose sessions ended lately |
//! | `x`, `x` export | exports that are under way, and what changed since they began |
//! | `c`, `z` | in a cluster: claims to e-mails; exports that nobody may claim beside |
//!
//! **One slot where there is one primary.** The contract has sentences that no two slots keep
//! together: every session of every account ends in one step; a trail has the order in which things
//! happened; an export shows one moment. In one slot they hold as they do on a disk, an e-mail is
//! claimed in the same step as its account is made, and nothing has to repair itself. The price is
//! that one primary does the work for all: some 9 microseconds of its one thread a visit, and as many
//! sessions as its memory has room for. That is several times what one node does.
//!
//! **32 slots in a cluster.** Each is such a store of its own, with everything of a 32nd of the
//! accounts, under a root of its own (`countersign:{store-07-27}`). What is done to an account is as
//! atomic as in one slot; what spans slots, and what is weaker for it, [`cluster`] says.
//!
//! # What is over
//! What is alive is decided by the moments that functions are given. Keys have a time to live beside
//! that, counted by Redis, an hour longer than what is in them: so what is over leaves the memory
//! without a sweep, and none [needs to run](RedisStore). Visits are counted in the account, too, and
//! so its total loses none with a session that nobody sees go.
//!
//! # What is recorded
//! With `appendonly yes` and `appendfsync always` an answer is given when it is on Redis's disk: what
//! was answered survives `kill -9` and power loss. With `everysec` up to two seconds of it do not,
//! also with `kill -9`: Redis puts off writing while the disk is busy. `docs/more-than-one-node.md`
//! says what is lost when.
//!
//! | file | what it holds |
//! |---|---|
//! | `open` | the start: all primaries are looked at |
//! | `trust` | what a server must be before it is trusted with sessions |
//! | `servers`, `finder` | which servers there are, and which of them is the primary |
//! | `link` | the connection: kept, given up, made again |
//! | `delivery` | what goes over it, how often, and what is known of the answer |
//! | `library`, `functions/` | the functions |
//! | `gather` | commands that come at the same time go together |
//! | `codec` | what they are given and what they answer |
//! | `record` | a session, as it is kept and answered |
//! | `operations` | the [`Store`](super::Store): one function each |
//! | `local` | checks that ask nobody |
//! | `remembered` | the sessions that they are answered from |
//! | `follower` | hears which sessions end |
//! | `events` | audit events, listed |
//! | `upkeep` | the sweep and the import |
//! | `keys` | the signing keys that all nodes share |
//! | `export` | everything, of one moment |
//! | `cluster/` | the store over 32 of these |
//! | `replacement`, `generation` | a generation built beside the one in force, and put in its place; one shard's part of that |
//!
//! A new operation is a function in the file of its subject, and a method in `operations`.

mod cluster;
mod codec;
mod delivery;
mod events;
mod export;
mod finder;
mod follower;
mod gather;
mod generation;
mod keys;
mod library;
mod link;
mod local;
mod open;
mod operations;
mod record;
mod remembered;
mod replacement;
mod servers;
mod trust;
mod upkeep;

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{Cmd, Value};
use parking_lot::Mutex;

pub use self::{
    cluster::{ClusterStore, SHARDS, shard_of},
    keys::RedisKeys,
    local::RedisChecks,
    replacement::{RedisReplacement, RedisReplacementError},
    servers::{RedisServers, RedisServersAre},
};
use self::{
    finder::Finder,
    gather::{Gather, Together},
    link::Link,
    local::Local,
    remembered::Changing,
};
use super::{AuditBounds, OpenError, Result};
use crate::model::{AccountId, AuditEvent, Cause};

/// The root of a store that is alone, and the slot of all its keys.
const ROOT: &str = "countersign:{store}";

/// How to use a Redis.
#[derive(Debug)]
pub struct RedisOptions {
    /// How long it may take to be connected to, and to answer.
    pub patience: Duration,
    /// Whether one without an append-only file is refused. Otherwise it is only warned of.
    pub must_append: bool,
    /// How many replicas must have what ends sessions before that is answered.
    pub replicas: u64,
    /// How checks of sessions are answered.
    pub checks: RedisChecks,
    /// How many audit events are kept, and for how long.
    pub audit: AuditBounds,
    /// What is let go of when the store is closed: the lock of a data directory.
    pub lock: Option<File>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(1),
            must_append: true,
            replicas: 0,
            checks: RedisChecks::Strict,
            audit: AuditBounds::default(),
            lock: None,
        }
    }
}

/// A [`Store`](super::Store) on a Redis or Valkey server, which any number of nodes may use at once.
///
/// Its [sweep](super::Store::sweep) walks through everything as that of another store does, but needs
/// not be called: Redis clears away what is over by itself.
pub struct RedisStore {
    functions: Functions,
    /// Where what ends sessions goes.
    waiting: Option<Waiting>,
    /// Counts the ends of sessions that were asked for here.
    ends: AtomicU64,
    /// Where checks are answered from memory.
    local: Option<Local>,
    audit: AuditBounds,
    lock: Mutex<Option<File>>,
}

impl RedisStore {
    /// Looks whether the server is one that can be trusted with sessions, and loads the functions.
    /// Waits for the server; the connection for requests is made with the first of them.
    ///
    /// # Errors
    /// [`OpenError::Redis`]; nothing was changed.
    pub fn open(
        servers: impl Into<RedisServers>,
        options: RedisOptions,
    ) -> Result<Self, OpenError> {
        let finder = open::open(&servers.into(), &options)?;
        Ok(Self::on(&finder, options, ROOT, ""))
    }

    /// The store in one slot of servers that were looked at.
    fn on(
        finder: &Arc<Finder>,
        options: RedisOptions,
        root: &'static str,
        generation: &str,
    ) -> Self {
        let link = || Link::new(Arc::clone(finder), root);
        // Each with what it gathers of its own: that goes over one link.
        let functions = || Functions {
            link: Arc::new(link()),
            gather: Arc::default(),
            root,
            generation: generation.to_owned(),
        };
        Self {
            waiting: (options.replicas > 0).then(|| (link(), options.replicas)),
            functions: functions(),
            ends: AtomicU64::new(0),
            local: match options.checks {
                RedisChecks::Strict => None,
                RedisChecks::Local { max_lag, most } => {
                    Some(Local::new(functions(), options.patience, max_lag, most))
                }
            },
            audit: options.audit,
            lock: Mutex::new(options.lock),
        }
    }

    /// The beginning of a call of a function that changes something.
    fn change(&self, function: &str) -> Cmd {
        self.functions.change(function)
    }

    /// The beginning of a call of a function that changes nothing.
    fn read(&self, function: &str) -> Cmd {
        self.functions.read(function)
    }

    async fn ask(&self, command: &Cmd) -> Result<Value> {
        self.functions.ask(command).await
    }

    /// To be held while something of an account, or of all, is asked to change that a check tells.
    fn changing(&self, account: Option<AccountId>) -> Option<Changing<'_>> {
        self.local.as_ref().map(|local| local.remembered.changing(account))
    }

    /// Asks for something that ends sessions of an account, or of all: it is answered when enough
    /// replicas have it.
    async fn ask_end(&self, account: Option<AccountId>, command: &Cmd) -> Result<Value> {
        let _changing = self.changing(account);
        let answer = self.ask_replicated(command).await;
        // Also where there was no answer: it may have been done.
        self.ended_some();
        answer
    }

    /// Asks for what is answered when enough replicas have it, and all that was before it.
    async fn ask_replicated(&self, command: &Cmd) -> Result<Value> {
        self.functions.ask_replicated(self.waiting.as_ref(), command).await
    }

    /// To be called when sessions have ended by something that seldom ends any, before that is
    /// answered: when enough replicas have it. `at` is the run of Redis that says so. What is waited
    /// for goes over another connection, which may be to another primary, where nothing ended.
    async fn some_ended(&self, at: Value) -> Result<()> {
        self.ended_some();
        let Some((link, replicas)) = &self.waiting else {
            return Ok(());
        };
        let mark = self.change(delivery::MARK);
        let mut here = mark.clone();
        here.arg(codec::bytes("session", at)?);
        link.ask_replicated(&here, &mark, *replicas).await.map(drop)
    }

    fn ended_some(&self) {
        self.ends.fetch_add(1, Ordering::SeqCst);
    }

    /// Asks for a count.
    async fn count(&self, kind: &'static str, command: &Cmd) -> Result<u64> {
        codec::count(kind, &self.ask(command).await?)
    }

    /// Ends sessions of an account: how many, or nothing if there is no such account.
    async fn end_of_account(&self, id: AccountId, command: &Cmd) -> Result<Option<u64>> {
        match self.ask_end(Some(id), command).await? {
            Value::Nil => Ok(None),
            answer => codec::count("account", &answer).map(Some),
        }
    }

    /// Adds the event that a change is written down as.
    fn add_event(
        &self,
        command: &mut Cmd,
        cause: &Cause,
        event: impl FnOnce(&Cause) -> AuditEvent,
    ) -> Result<()> {
        codec::add_event(command, &event(cause), self.audit)
    }
}

/// The link of what waits for replicas, and how many it waits for.
type Waiting = (Link, u64);

/// Calls functions on one generation of the store.
#[derive(Clone)]
struct Functions {
    link: Arc<Link>,
    gather: Arc<Gather>,
    /// What all keys begin with.
    root: &'static str,
    /// Empty: the one in force.
    generation: String,
}

impl Functions {
    fn change(&self, function: &str) -> Cmd {
        self.call("FCALL", function)
    }

    fn read(&self, function: &str) -> Cmd {
        self.call("FCALL_RO", function)
    }

    fn call(&self, how: &str, function: &str) -> Cmd {
        let mut command = ::redis::cmd(how);
        command.arg(library::function(function)).arg(1).arg(self.root).arg(&self.generation);
        command
    }

    async fn ask(&self, command: &Cmd) -> Result<Value> {
        self.gather.ask(&self.link, command.clone()).await
    }

    /// Asks for what is answered when enough replicas have it, and all that was before it, where any are
    /// waited for.
    async fn ask_replicated(&self, waiting: Option<&Waiting>, command: &Cmd) -> Result<Value> {
        match waiting {
            Some((link, replicas)) => {
                link.ask_replicated(command, &self.change(delivery::MARK), *replicas).await
            }
            None => self.ask(command).await,
        }
    }

    /// Looks a session up, together with others.
    async fn ask_check(&self, item: &[u8]) -> Result<Value> {
        let begin = || self.read("session");
        self.gather.ask_item(&self.link, Together::Check, begin, item).await
    }

    /// Counts a visit, together with others.
    async fn ask_visit(&self, item: &[u8], audit: AuditBounds) -> Result<Value> {
        let begin = || {
            let mut command = self.change("visit");
            codec::add_trail_of_copies(&mut command, audit);
            command
        };
        self.gather.ask_item(&self.link, Together::Visit, begin, item).await
    }
}
