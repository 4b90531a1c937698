//! A generation that is built beside the one in force, and put in its place when it is whole: how a
//! backup is restored. Nodes that run meanwhile see the old one until the last step, and the new one
//! from then on.

use ::redis::{Cmd, Value};
use uuid::Uuid;

use super::{Functions, ROOT, RedisOptions, RedisServers, RedisStore, codec};
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
    /// It did not answer, or found something amiss.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A new, empty generation beside the one in force.
pub struct RedisReplacement {
    store: RedisStore,
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
        let generation = Uuid::new_v4().simple().to_string();
        let store = RedisStore::open_generation(&servers.into(), options, generation)?;
        let in_force = Functions { generation: String::new(), ..store.functions.clone() };
        let is_empty = codec::count("store", &in_force.ask(&in_force.read("is_empty")).await?)?;
        if must_be_empty && is_empty == 0 {
            return Err(RedisReplacementError::NotEmpty);
        }
        Ok(Self { store, must_be_empty })
    }

    /// The new store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &self.store
    }

    /// Puts the new store in the place of the old one, which is then removed.
    ///
    /// # Errors
    /// [`RedisReplacementError`]
    pub async fn finish(self) -> Result<(), RedisReplacementError> {
        let functions = &self.store.functions;
        let mut command = functions.change("replace");
        command.arg(&functions.generation).arg(u8::from(self.must_be_empty));
        let Value::BulkString(old) = functions.ask(&command).await? else {
            self.discard().await?;
            return Err(RedisReplacementError::NotEmpty);
        };
        let old = String::from_utf8(old).map_err(|error| damaged("store", error))?;
        // The new one is in force: what is left of the old one is in nobody's way.
        if let Err(error) = remove(functions, &old).await {
            tracing::warn!(event = "redis_left_over", %error, "the old store was not all removed");
        }
        Ok(())
    }

    /// Removes the new store again.
    ///
    /// # Errors
    /// [`RedisReplacementError`]
    pub async fn discard(self) -> Result<(), RedisReplacementError> {
        let functions = &self.store.functions;
        Ok(remove(functions, &functions.generation).await?)
    }
}

/// Removes a generation, some keys at a time.
async fn remove(functions: &Functions, generation: &str) -> Result<()> {
    // Braces mean themselves in a pattern; a generation is letters and digits.
    let pattern = format!("{ROOT}:{generation}:*");
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
