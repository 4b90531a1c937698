//! A generation that is built beside the one in force, and put in its place when it is whole: how a
//! backup is restored. Nodes that run meanwhile see the old one until the last step, and the new one
//! from then on; in a cluster they see [none in between](super::cluster).
//!
//! On one server the last step is one. Of several shards, all are closed; then each is looked at
//! whether it is closed by this restore and no later one; then all are switched. What a root holds
//! meanwhile, and who may change it, is said in `functions/generations.lua`.
//!
//! **Shards that are served are of one generation**, whoever dies, and however many restores run at
//! once. A restore switches shards only when it was seen in front in each, after all were closed by it.
//! Of two of which this is true, one had closed its last shard first. Then the other one looked later,
//! and was in front everywhere: so what the first had switched until then the other had closed again,
//! and the first can switch nothing more. And what a restore has closed opens again with what was there
//! only when that restore gave up, which it does while nothing of it is in force. Each step waits for
//! the replicas that [`RedisOptions::replicas`] asks for; with none of them, a primary that dies may take
//! with it that it was closed.
//!
//! **Nothing stays behind.** Each shard keeps a list of the generations that are not in force. What was
//! given up, has been replaced, or is not heard of for a minute, because its restore was killed, is
//! removed by the next restore, when it begins and when it is done.

use futures_util::future::{join_all, try_join_all};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    ClusterStore, ROOT, RedisOptions, RedisServers, RedisServersAre, RedisStore,
    generation::{Came, Generation, keep_hold},
    open,
};
use crate::store::{OpenError, Result, Store, StoreError};

/// Why a store was not replaced. Unless it says otherwise, the old one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RedisReplacementError {
    /// The server cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is something in the old one.
    #[error("the store in Redis is not empty")]
    NotEmpty,
    /// Another replacement came later, and what is in force is up to it.
    #[error(
        "another restore puts its own backup in the place of the store, and this one was given up; \
         if that one fails, too, run it again with --replace"
    )]
    TakenOver,
    /// It was interrupted in the middle. Of several shards, some may be closed now, and others have
    /// the new one.
    #[error(
        "the store was not replaced in all its parts, and those that were left closed answer 503: \
         {0}; run it again with --replace"
    )]
    Interrupted(StoreError),
    /// The new one is in force, and was when this happened; the old one is left to the next
    /// replacement to be removed.
    #[error("the backup is in force, but: {0}")]
    InForce(StoreError),
    /// Nobody knows whether the new one is in force.
    #[error(
        "whether the backup is in force is not known: {0}; if it is not, run it again with --replace"
    )]
    Unknown(StoreError),
    /// It did not answer, or found something amiss.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A new, empty generation beside the one in force. Where this is dropped, it is left over.
pub struct RedisReplacement {
    store: Box<dyn Store>,
    /// Its shards; where there is one server, it is one.
    shards: Vec<Generation>,
    must_be_empty: bool,
    /// Says that it is being built, until this is dropped.
    _holding: JoinSet<()>,
}

impl RedisReplacement {
    /// Makes the new generation.
    ///
    /// # Errors
    /// [`RedisReplacementError`]
    pub async fn begin(
        servers: impl Into<RedisServers>,
        options: RedisOptions,
        must_be_empty: bool,
    ) -> Result<Self, RedisReplacementError> {
        let servers = servers.into();
        if servers.are == RedisServersAre::Cluster {
            return Self::begin_in_shards(servers, options, must_be_empty).await;
        }
        let finder = open::open(&servers, &options)?;
        let (options, replicas) = unwaited(options);
        let store = RedisStore::on(&finder, options, ROOT, &name());
        let shards = vec![Generation::new(&store.functions, replicas)];
        Self::begun(Box::new(store), shards, must_be_empty).await
    }

    /// Makes the new generation of a store in shards, as it is in a cluster.
    ///
    /// # Errors
    /// [`RedisReplacementError`]
    pub async fn begin_in_shards(
        servers: impl Into<RedisServers>,
        options: RedisOptions,
        must_be_empty: bool,
    ) -> Result<Self, RedisReplacementError> {
        let finder = open::open(&servers.into(), &options)?;
        let (options, replicas) = unwaited(options);
        let store = ClusterStore::on(&finder, options, &name());
        let shards = store.functions().map(|shard| Generation::new(shard, replicas)).collect();
        Self::begun(Box::new(store), shards, must_be_empty).await
    }

    async fn begun(
        store: Box<dyn Store>,
        shards: Vec<Generation>,
        must_be_empty: bool,
    ) -> Result<Self, RedisReplacementError> {
        if must_be_empty {
            let are_empty = try_join_all(shards.iter().map(Generation::is_empty)).await?;
            if are_empty.contains(&false) {
                return Err(RedisReplacementError::NotEmpty);
            }
        }
        let left = done(join_all(shards.iter().map(Generation::begin)).await)?;
        remove(&shards, &left).await;
        Ok(Self { store, _holding: keep_hold(&shards), shards, must_be_empty })
    }

    /// The new store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Puts the new store in the place of the old one, which is then removed.
    ///
    /// # Errors
    /// [`RedisReplacementError`]
    pub async fn finish(self) -> Result<(), RedisReplacementError> {
        // Replicas may be far behind with what was imported. While that is waited for, the old one is
        // served.
        if let Err(error) = done(self.all(Generation::hold).await) {
            self.dropped().await;
            return Err(error);
        }
        let left = match self.shards.as_slice() {
            [alone] => self.replace_at_once(alone).await?,
            _ => self.switch().await?,
        };
        remove(&self.shards, &left).await;
        Ok(())
    }

    async fn replace_at_once(
        &self,
        alone: &Generation,
    ) -> Result<Vec<Vec<String>>, RedisReplacementError> {
        let error = match alone.replace_at_once(self.must_be_empty).await {
            Err(error) => error,
            Ok(came) => {
                let replaced = done(vec![Ok(came)]);
                if replaced.is_err() {
                    self.dropped().await;
                }
                return replaced;
            }
        };
        match alone.give_up().await {
            Ok(Came::Done(_)) => Err(RedisReplacementError::InForce(error)),
            Ok(_) => {
                self.dropped().await;
                Err(error.into())
            }
            Err(_) => Err(RedisReplacementError::Unknown(error)),
        }
    }

    async fn switch(&self) -> Result<Vec<Vec<String>>, RedisReplacementError> {
        if let Err(error) = self.close().await {
            if let Err(error) = self.give_up().await {
                return Err(RedisReplacementError::Interrupted(error));
            }
            self.dropped().await;
            return Err(error);
        }
        let replaced = self.all(Generation::replace).await;
        if replaced.iter().all(|came| matches!(came, Ok(Came::GivenUp))) {
            // Nothing of it is in force.
            self.dropped().await;
        }
        done(replaced).map_err(|error| match error {
            RedisReplacementError::Store(error) => RedisReplacementError::Interrupted(error),
            error => error,
        })
    }

    /// Closes all shards, and sees that no later one closed any.
    async fn close(&self) -> Result<(), RedisReplacementError> {
        let must_be_empty = self.must_be_empty;
        done(self.all(|shard| shard.close(must_be_empty)).await)?;
        done(self.all(Generation::is_closed_by_it).await).map(drop)
    }

    /// Removes the new store again.
    ///
    /// # Errors
    /// [`RedisReplacementError`]
    pub async fn discard(self) -> Result<(), RedisReplacementError> {
        Ok(self.removed().await?)
    }

    async fn removed(&self) -> Result<()> {
        self.give_up().await?;
        try_join_all(self.shards.iter().map(Generation::remove_it)).await.map(drop)
    }

    /// The same, where there is another error to tell.
    async fn dropped(&self) {
        left_over(self.removed().await);
    }

    async fn give_up(&self) -> Result<()> {
        self.all(Generation::give_up).await.into_iter().try_for_each(|came| came.map(drop))
    }

    async fn all<'a, F>(&'a self, ask: impl Fn(&'a Generation) -> F) -> Vec<Result<Came>>
    where
        F: Future<Output = Result<Came>>,
    {
        join_all(self.shards.iter().map(ask)).await
    }
}

/// What is to be removed in each shard, if it was done in all.
fn done(came: Vec<Result<Came>>) -> Result<Vec<Vec<String>>, RedisReplacementError> {
    let of_shard = |came| match came? {
        Came::Done(left) => Ok(left),
        Came::GivenUp => Err(RedisReplacementError::TakenOver),
        Came::NotEmpty => Err(RedisReplacementError::NotEmpty),
    };
    came.into_iter().map(of_shard).collect()
}

/// Removes what is in nobody's way.
async fn remove(shards: &[Generation], left: &[Vec<String>]) {
    let removed = shards.iter().zip(left).map(|(shard, names)| shard.remove(names));
    left_over(try_join_all(removed).await.map(drop));
}

fn left_over(removed: Result<()>) {
    if let Err(error) = removed {
        tracing::warn!(event = "redis_left_over", %error, "what is not in force was not all removed");
    }
}

/// How many replicas are waited for, and the options of a store that does not wait by itself: it is
/// waited for when it is whole.
fn unwaited(options: RedisOptions) -> (RedisOptions, u64) {
    let replicas = options.replicas;
    (RedisOptions { replicas: 0, ..options }, replicas)
}

/// Of a generation that nobody made before.
fn name() -> String {
    Uuid::new_v4().simple().to_string()
}
