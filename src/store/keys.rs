//! Where the signing keys are that several nodes share. The embedded store has none: its keys are
//! files beside it.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Result;

/// Signing keys, as a store keeps them: sealed, so that who reads the store can do nothing with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptKeys {
    /// Grows with every change; 0 where there never was one.
    pub revision: u64,
    /// What each is sealed in, by its id.
    pub keys: BTreeMap<String, String>,
}

/// Keeps the signing keys of all nodes. It opens none, and knows nothing of what is in them.
#[async_trait]
pub trait KeyVault: Send + Sync {
    /// What the store calls itself, which seals are bound to: the same for all nodes. One that is alone
    /// in a Redis has another name than one in a cluster; two servers are not told apart by it.
    fn name(&self) -> &str;

    /// All keys that are there.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError)
    async fn keys(&self) -> Result<KeptKeys>;

    /// Puts `keys` in the place of all that are there, in one step, unless they changed since
    /// `revision`. Returns whether it did: of two nodes that change them at once, one has to read
    /// again.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError); whether it was done is not known then.
    async fn put(&self, keys: &BTreeMap<String, String>, revision: u64) -> Result<bool>;
}
