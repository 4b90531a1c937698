//! The signing keys that all nodes share: sealed, in one hash beside the generations, so that a
//! restored backup leaves them as they are.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{Functions, RedisStore, codec, link::Link};
use crate::store::{KeptKeys, KeyVault, Result};

/// What errors call a key.
const KIND: &str = "signing key";

/// The field that is no key.
const REVISION: &[u8] = b"revision";

/// The [`KeyVault`] of a [`RedisStore`].
pub struct RedisKeys {
    functions: Functions,
}

impl RedisStore {
    /// The signing keys in it, over the same connection.
    #[must_use]
    pub fn keys(&self) -> RedisKeys {
        RedisKeys { functions: self.functions.clone() }
    }
}

impl RedisKeys {
    /// The same keys over a connection of its own: one that is made in a Tokio runtime ends with
    /// that.
    #[must_use]
    pub fn anew(&self) -> Self {
        let link: Link = self.functions.link.another();
        Self { functions: Functions { link: Arc::new(link), ..self.functions.clone() } }
    }
}

#[async_trait]
impl KeyVault for RedisKeys {
    fn name(&self) -> &str {
        self.functions.root
    }

    async fn keys(&self) -> Result<KeptKeys> {
        let answer = self.functions.ask(&self.functions.read("keys")).await?;
        let mut parts = codec::Parts::of(KIND, answer)?.rest();
        let mut kept = KeptKeys { revision: 0, keys: BTreeMap::new() };
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let name = codec::bytes(KIND, name)?;
            if name == REVISION {
                kept.revision = codec::count(KIND, &value)?;
            } else {
                // What is no text was sealed by nobody, and is found out when it is opened.
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                kept.keys.insert(text(name), text(codec::bytes(KIND, value)?));
            }
        }
        Ok(kept)
    }

    async fn put(&self, keys: &BTreeMap<String, String>, revision: u64) -> Result<bool> {
        let mut command = self.functions.change("put_keys");
        command.arg(revision);
        for (id, sealed) in keys {
            command.arg(id).arg(sealed);
        }
        let answer = self.functions.ask(&command).await?;
        Ok(codec::count(KIND, &answer)? == 1)
    }
}
