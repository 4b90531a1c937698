//! A generation that is built beside the one in force, and put in its place when it is whole: how a
//! backup is restored. Nodes that run meanwhile see the old one until the last step, and the new one
//! from then on; in a cluster they see [none in between](super::cluster).

use ::redis::{Cmd, Value};
use futures_util::future::{join_all, try_join_all};
use uuid::Uuid;

use super::{
    ClusterStore, Functions, ROOT, RedisOptions, RedisServers, RedisServersAre, RedisStore, codec,
    open,
};
use crate::store::{OpenError, Result, Store, StoreError, records::damaged};

/// How many keys are looked at in one step while a generation is removed.
const STEP: u32 = 1_000;

/// Why a store was not replaced. Unless it says otherwise, the old one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RedisReplacementError {
    /// The server cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is something in the old one.
    #[error("the store in Redis is not empty")]
    NotEmpty,
    /// It was interrupted in the middle. Of several shards, some are closed now.
    #[error(
        "the store was half replaced, and what is not answers 503 now: {0}; run it again with \
         --replace"
    )]
    Interrupted(StoreError),
    /// It did not answer, or found something amiss.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A new, empty generation beside the one in force.
pub struct RedisReplacement {
    store: Box<dyn Store>,
    /// Its shards; where there is one server, it is one.
    shards: Vec<Functions>,
    must_be_empty: bool,
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
        let store = RedisStore::on(&finder, options, ROOT, name());
        let shards = vec![store.functions.clone()];
        Self { store: Box::new(store), shards, must_be_empty }.looked_at().await
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
        let store = ClusterStore::on(&finder, options, &name());
        let shards = store.functions().cloned().collect();
        Self { store: Box::new(store), shards, must_be_empty }.looked_at().await
    }

    async fn looked_at(self) -> Result<Self, RedisReplacementError> {
        if self.must_be_empty && self.all("is_empty", &[]).await?.contains(&0) {
            return Err(RedisReplacementError::NotEmpty);
        }
        Ok(self)
    }

    /// The new store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Puts the new store in the place of the old one, which is then removed.
    ///
    /// Of one server in one step. Of several shards, all are closed first, so that nothing of either is
    /// served while they are switched.
    ///
    /// # Errors
    /// [`RedisReplacementError`]
    pub async fn finish(self) -> Result<(), RedisReplacementError> {
        if self.shards.len() > 1 {
            match self.all("close_generation", &[u8::from(self.must_be_empty)]).await {
                Ok(closed) if !closed.contains(&0) => {}
                failed => {
                    if let Err(error) = self.all("reopen_generation", &[]).await {
                        return Err(RedisReplacementError::Interrupted(error));
                    }
                    failed?;
                    self.discard().await?;
                    return Err(RedisReplacementError::NotEmpty);
                }
            }
        }
        let replaced = self.shards.iter().map(|functions| async {
            let mut command = functions.change("replace");
            // Several were found empty when they were closed.
            let must_be_empty = self.must_be_empty && self.shards.len() == 1;
            command.arg(&functions.generation).arg(u8::from(must_be_empty));
            functions.ask(&command).await
        });
        let mut old = Vec::new();
        for replaced in join_all(replaced).await {
            match replaced {
                Ok(Value::Nil) => {
                    self.discard().await?;
                    return Err(RedisReplacementError::NotEmpty);
                }
                Ok(names) => old.push(names),
                Err(error) if self.shards.len() > 1 => {
                    return Err(RedisReplacementError::Interrupted(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        // The new one is in force: what is left of the old one is in nobody's way.
        let removed = self.shards.iter().zip(old).map(|(shard, old)| remove_old(shard, old));
        if let Err(error) = try_join_all(removed).await {
            tracing::warn!(event = "redis_left_over", %error, "the old store was not all removed");
        }
        Ok(())
    }

    /// Removes the new store again.
    ///
    /// # Errors
    /// [`RedisReplacementError`]
    pub async fn discard(self) -> Result<(), RedisReplacementError> {
        let removed = self.shards.iter().map(|shard| remove(shard, &shard.generation));
        try_join_all(removed).await?;
        Ok(())
    }

    /// Asks all shards for a number, of the generation that is in force.
    async fn all(&self, function: &str, args: &[u8]) -> Result<Vec<u64>> {
        let asked = self.shards.iter().map(|shard| async {
            let in_force = Functions { generation: String::new(), ..shard.clone() };
            let mut command = in_force.change(function);
            for arg in args {
                command.arg(*arg);
            }
            codec::count("store", &in_force.ask(&command).await?)
        });
        join_all(asked).await.into_iter().collect()
    }
}

/// Removes the generations that were in force.
async fn remove_old(functions: &Functions, old: Value) -> Result<()> {
    for name in codec::Parts::of("store", old)?.rest() {
        let name = String::from_utf8(codec::bytes("store", name)?);
        let name = name.map_err(|error| damaged("store", error))?;
        remove(functions, &name).await?;
        let mut forget = functions.change("forget_generation");
        forget.arg(&name);
        functions.ask(&forget).await?;
    }
    Ok(())
}

/// Of a generation that nobody made before.
fn name() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Removes a generation, some keys at a time.
async fn remove(functions: &Functions, generation: &str) -> Result<()> {
    // Braces mean themselves in a pattern; a generation is letters and digits.
    let pattern = format!("{}:{generation}:*", functions.root);
    let mut cursor = b"0".to_vec();
    loop {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
        let mut parts = codec::Parts::of("store", functions.ask(&scan).await?)?;
        cursor = parts.bytes()?;
        let mut unlink: Cmd = ::redis::cmd("UNLINK");
        let mut keys = 0;
        for key in codec::Parts::of("store", parts.next())?.rest() {
            unlink.arg(codec::bytes("store", key)?);
            keys += 1;
        }
        if keys > 0 {
            functions.ask(&unlink).await?;
        }
        if cursor == b"0" {
            return Ok(());
        }
    }
}
