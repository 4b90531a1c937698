//! The store over a cluster: 32 [shards](shard), each a whole [`RedisStore`] in a slot of its own.
//!
//! Everything of an account lies in one shard, which follows from its id. So what is done to an account
//! or its sessions, which is nearly everything, is one function on one primary, as atomic as where
//! there is one server. Its audit events are written there in the same step.
//!
//! # E-mails
//! What spans shards is that an e-mail is one account's. The truth is in the accounts: whoever has an
//! e-mail has it from the moment at which the function in the account's shard wrote it there. Beside it
//! each e-mail has a **claim**, in the shard of the e-mail, which says which account may have it. All
//! rests on one sentence: *an account that has an e-mail is the one that its claim names.*
//!
//! - Whoever wants an e-mail first claims it. A claim says until when somebody is at it (10 s, by the
//!   clock of its server) and has a mark that no other has. Until then nobody takes it over, not even
//!   for the same account, so at most one change is under way for an e-mail.
//! - Then the account is changed, with a deadline 5 s before the end of the claim, which the function
//!   compares with its own server's clock. So a claim that is over cannot come true any more, as long
//!   as the clocks of two primaries differ by less than 5 s.
//! - Then the claim is settled: it stays, with nobody at it, or it goes.
//! - A claim that nobody is at (settled or over) and whose account, *looked at after the claim*, does
//!   not have the e-mail, is of nobody. It is removed or taken over by comparing all of it, with its
//!   mark: if anybody did anything with it since it was looked at, it is another one.
//!
//! A claim leaves an account only so, and then the account does not have the e-mail and cannot get it
//! by what was under way: the sentence holds. Whoever looks for an e-mail reads the claim, then the
//! account. If there is no claim, nobody had the e-mail at that moment. If the account does not have it,
//! nobody had it either, then or at the moment in between when the claim went to another. If it has it,
//! that is the answer of the moment at which the account was read. Each is an answer of a moment between
//! call and return, and so is "taken", so that what is answered at once could have been answered in a
//! row. A node that dies on the way leaves a claim that the next one who wants the e-mail takes over,
//! and that a sweep removes.
//!
//! **When a replica takes over**, its shard goes back to what it had heard of. Three things keep the
//! sentence then, where replicas are waited for: the account is changed when enough of them have its
//! claim; a claim leaves an account when enough of them have that it is without the e-mail, as it was
//! seen; and what else is lost is an account, or the end of a claim, which leaves claims of nobody.
//! Where they are not waited for, an account may have an e-mail without a claim, or that of another.
//! A log-in by that e-mail finds nobody: to look through all shards for each unknown e-mail would cost
//! 32 commands, tell by its time who has an account, and need every primary. So a sweep looks for it
//! instead, and claims the e-mail for the account as that would itself. If two have it, it can only
//! say so.
//!
//! # What is weaker than in one slot
//! [`Store`](super::super::Store) says it where it promises it: all sessions of everybody end in one
//! step of each shard; audit events of different shards are in the order of their times; a backup shows
//! each shard at one moment, and those lie some milliseconds apart, in which nobody can claim an e-mail,
//! so that it has no e-mail twice.
//!
//! # The replacement by a backup
//! The name of the generation in force is each shard's own. So that no half of a backup is served
//! without a word, all shards are closed first, which answers everything 503, and then given the new
//! generation. Where that is interrupted, what was not switched stays closed until a restore is run
//! again and ends well. [`replacement`](super::replacement) says why no two ever mix.
//!
//! | file | what it holds |
//! |---|---|
//! | `shard` | which shard something is in |
//! | `claims` | who has which e-mail |
//! | `operations` | the [`Store`](super::super::Store) |
//! | `mend` | claims that are of nobody, and e-mails without one |
//! | `listing` | accounts of all shards, merged |
//! | `export` | all shards at one moment |
//! | `upkeep` | the sweep and the import |

mod claims;
mod export;
mod listing;
mod mend;
mod operations;
mod shard;
mod upkeep;

use std::{fs::File, sync::Arc, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;

use self::shard::ROOTS;
pub use self::shard::{SHARDS, shard_of};
use super::{Finder, Functions, RedisKeys, RedisOptions, RedisServers, RedisStore, open};
use crate::{
    model::AccountId,
    store::{AuditBounds, OpenError, Result},
};

/// A [`Store`](super::super::Store) on a cluster of Redis or Valkey servers, which any number of nodes
/// may use at once.
///
/// Its [sweep](super::super::Store::sweep) removes claims to e-mails that nobody has, which only nodes
/// that died in the middle of a change leave, and puts back those that a failover lost; Redis clears away
/// everything else that is over by itself.
pub struct ClusterStore {
    shards: Box<[RedisStore]>,
    patience: Duration,
    lock: Mutex<Option<File>>,
}

impl ClusterStore {
    /// Looks whether the servers can be trusted with sessions, and loads the functions. A server that
    /// is no cluster is taken, too: then it has all shards.
    ///
    /// # Errors
    /// [`OpenError::Redis`]; nothing was changed.
    pub fn open(
        servers: impl Into<RedisServers>,
        options: RedisOptions,
    ) -> Result<Self, OpenError> {
        let finder = open::open(&servers.into(), &options)?;
        Ok(Self::on(&finder, options, ""))
    }

    /// The store on servers that were looked at.
    pub(super) fn on(finder: &Arc<Finder>, options: RedisOptions, generation: &str) -> Self {
        let RedisOptions { patience, must_append, replicas, checks, audit, lock } = options;
        let most = audit.most / SHARDS as u64;
        let shards = ROOTS.map(|root| {
            let audit = AuditBounds { most, ..audit };
            let checks = checks.of_one_in(SHARDS);
            let options =
                RedisOptions { patience, must_append, replicas, checks, audit, lock: None };
            RedisStore::on(finder, options, root, generation)
        });
        Self { shards: Box::new(shards), patience, lock: Mutex::new(lock) }
    }

    /// The signing keys in it: they lie in the first shard.
    #[must_use]
    pub fn keys(&self) -> RedisKeys {
        self.of_nobody().keys()
    }

    /// The functions of each shard.
    pub(super) fn functions(&self) -> impl Iterator<Item = &Functions> {
        self.shards.iter().map(|shard| &shard.functions)
    }

    /// The shard of an account.
    fn of(&self, id: AccountId) -> &RedisStore {
        &self.shards[shard::of_account(id)]
    }

    /// The shard of what is about nobody.
    fn of_nobody(&self) -> &RedisStore {
        &self.shards[0]
    }

    /// Asks all shards at once, and waits for all, also when one fails.
    async fn all<'a, T, F>(&'a self, ask: impl Fn(&'a RedisStore) -> F) -> Result<Vec<T>>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        join_all(self.shards.iter().map(ask)).await.into_iter().collect()
    }
}
