//! Reading the keys anew, beside everything else.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::sleep;
use tracing::{info, warn};

use super::EVERY;
use crate::{
    model::{Clock, Timestamp, clock::later},
    store::{KeptKeys, KeyVault, StoreError},
    token::{KeyError, KeyRing, Seal, Tokens},
};

/// How long after it could not read them it tries again: until it has, it may refuse a token of a new
/// key.
const AGAIN: Duration = Duration::from_millis(500);

/// Reads the keys anew, as long as the service runs.
pub(in crate::service) struct Keeper {
    vault: Arc<dyn KeyVault>,
    seal: Seal,
    /// By how much the nodes may differ in what they have read, and by their clocks.
    notice: SignedDuration,
    /// What was read last.
    kept: KeptKeys,
    /// When those of them are over that have an end.
    ends: BTreeMap<String, Timestamp>,
}

/// Why keys could not be read anew.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("they are gone from it, and cannot be put back: {0}")]
    Gone(StoreError),
}

impl Keeper {
    pub(super) fn new(
        vault: Arc<dyn KeyVault>,
        seal: Seal,
        notice: SignedDuration,
        kept: KeptKeys,
        ring: &KeyRing,
    ) -> Self {
        Self { vault, seal, notice, kept, ends: ring.ends() }
    }

    /// Does it for ever. What cannot be read leaves the keys as they are, and is said once.
    pub(in crate::service) async fn run(mut self, tokens: Arc<Tokens>, clock: Arc<dyn Clock>) {
        let (mut fails, mut keeps_what_is_over) = (false, false);
        loop {
            sleep(if fails { AGAIN } else { EVERY }).await;
            let read = self.read(&tokens, clock.now()).await;
            match &read {
                Ok(()) if fails => info!(event = "keys", "the signing keys were read again"),
                Err(error) if !fails => warn!(
                    event = "keys",
                    %error,
                    "the signing keys were not read anew: this node goes on with those it has"
                ),
                _ => {}
            }
            fails = read.is_err();
            if fails {
                continue;
            }
            // It does no harm to anybody, and there is time.
            let forgotten = self.forget(clock.now()).await;
            if let (Err(error), false) = (&forgotten, keeps_what_is_over) {
                warn!(event = "keys", %error, "signing keys that are over did not leave the store");
            }
            keeps_what_is_over = forgotten.is_err();
        }
    }

    async fn read(&mut self, tokens: &Tokens, now: Timestamp) -> Result<(), Unread> {
        let kept = self.vault.keys().await?;
        if kept.keys.is_empty() {
            // The store was emptied, or lost what it had. All nodes have these, so nobody is logged
            // out by it; a new one of each would be refused by the others.
            let put = self.vault.put(&self.kept.keys, kept.revision).await;
            if put.map_err(Unread::Gone)? {
                warn!(event = "keys", "the signing keys were gone from the store, and are back");
            }
            return Ok(());
        }
        if kept.keys != self.kept.keys {
            let ring = KeyRing::open(&kept.keys, &self.seal)?;
            let ends = ring.ends();
            tokens.replace_keys(ring.into_set(now)?, now)?;
            self.ends = ends;
            info!(event = "keys", "the signing keys changed: {} are in the store", kept.keys.len());
        }
        self.kept = kept;
        Ok(())
    }

    /// Takes those out of the store that are over, for every node by its own clock.
    async fn forget(&self, now: Timestamp) -> Result<(), StoreError> {
        let is_over =
            |kid: &String| self.ends.get(kid).is_some_and(|end| later(*end, self.notice) <= now);
        if !self.kept.keys.keys().any(is_over) {
            return Ok(());
        }
        let mut left = self.kept.keys.clone();
        left.retain(|kid, _| !is_over(kid));
        // If another node was quicker, it did the same.
        if self.vault.put(&left, self.kept.revision).await? {
            info!(event = "keys", "signing keys that are over left the store");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::SignedDuration;
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        model::{
            AccountId, Email, SessionId,
            clock::{ManualClock, from_millis},
        },
        service::{
            OpenError,
            keys::{notice, open, rotate_in, rule},
        },
        store::Result,
        token::{Algorithm, Grant, PUBLISHED_FOR, REMEMBERED, Rule},
    };

    const SECRET: &str = "a secret of thirty-two letters, and more";

    /// A vault in memory. The next `put` comes too late if `quicker` has keys: they are there first, and
    /// a minute later.
    struct Memory {
        kept: Mutex<KeptKeys>,
        quicker: Mutex<Option<BTreeMap<String, String>>>,
        is_away: Mutex<bool>,
        is_full: Mutex<bool>,
        clock: ManualClock,
    }

    impl Default for Memory {
        fn default() -> Self {
            Self {
                kept: Mutex::default(),
                quicker: Mutex::default(),
                is_away: Mutex::default(),
                is_full: Mutex::default(),
                clock: ManualClock::new(at(0)),
            }
        }
    }

    #[async_trait]
    impl KeyVault for Memory {
        fn name(&self) -> &'static str {
            "memory"
        }

        async fn keys(&self) -> Result<KeptKeys> {
            if *self.is_away.lock() {
                return Err(StoreError::Unavailable("away".into()));
            }
            Ok(self.kept.lock().clone())
        }

        async fn put(&self, keys: &BTreeMap<String, String>, revision: u64) -> Result<bool> {
            if *self.is_full.lock() {
                return Err(StoreError::Unavailable("full".into()));
            }
            let mut kept = self.kept.lock();
            if let Some(keys) = self.quicker.lock().take() {
                self.clock.advance(SignedDuration::from_mins(1));
                *kept = KeptKeys { revision: kept.revision + 1, keys };
            }
            let is_same = kept.revision == revision;
            if is_same {
                *kept = KeptKeys { revision: revision + 1, keys: keys.clone() };
            }
            Ok(is_same)
        }
    }

    fn at(seconds: i64) -> Timestamp {
        from_millis(1_790_000_000_000 + seconds * 1_000)
    }

    fn seal() -> Seal {
        Seal::new(SECRET, "memory").unwrap()
    }

    fn rule_of(algorithm: Algorithm) -> Rule {
        Rule { algorithm, ..rule(&crate::config::Config::default()) }
    }

    /// A node that starts, with no files.
    async fn start(vault: &Arc<Memory>, algorithm: Algorithm, now: Timestamp) -> (Tokens, Keeper) {
        let dir = tempfile::tempdir().unwrap();
        vault.clock.advance(vault.clock.now().duration_until(now));
        let rule = rule_of(algorithm);
        let (ring, kept) =
            open(&**vault, &seal(), &rule, &dir.path().join("keys"), &vault.clock).await.unwrap();
        let keeper = Keeper::new(Arc::clone(vault) as _, seal(), rule.notice, kept, &ring);
        let url = "https://login.example";
        (Tokens::new(ring.into_set(now).unwrap(), url.into(), url.into()), keeper)
    }

    fn issue(tokens: &Tokens, now: Timestamp) -> String {
        let email = Email::parse("ann@example.com").unwrap();
        let grant = Grant {
            account: AccountId::new(now),
            session: SessionId::new(now),
            email: &email,
            visits: 1,
            prev: 0,
            issued_at: now,
            expires_at: later(now, SignedDuration::from_mins(30)),
            authenticated_at: now,
        };
        tokens.issue(&grant).unwrap()
    }

    #[tokio::test]
    async fn of_two_that_start_at_once_one_makes_the_key() {
        let elsewhere = Arc::new(Memory::default());
        let (quicker, _) = start(&elsewhere, Algorithm::EdDsa, at(0)).await;
        let keys = elsewhere.kept.lock().keys.clone();
        let vault = Arc::new(Memory { quicker: Mutex::new(Some(keys)), ..Memory::default() });
        let (late, _) = start(&vault, Algorithm::EdDsa, at(0)).await;
        assert_eq!(vault.kept.lock().keys.len(), 1);
        assert!(late.verify(&issue(&quicker, at(0)), at(0)).is_ok());
        assert!(quicker.verify(&issue(&late, at(0)), at(0)).is_ok());
    }

    /// How long a key is announced with what Redis is given by default.
    fn noticed() -> i64 {
        let noticed = rule_of(Algorithm::EdDsa).notice.as_secs();
        assert_eq!(noticed, 21, "three readings of five seconds, and twice a second each");
        noticed
    }

    #[tokio::test]
    async fn a_node_learns_of_a_new_key_before_it_signs() {
        let vault = Arc::new(Memory::default());
        let (first, mut keeper) = start(&vault, Algorithm::EdDsa, at(0)).await;
        let (second, _) = start(&vault, Algorithm::Es256, at(100)).await;
        let signs = 100 + noticed();
        for seconds in 100..signs {
            let token = issue(&second, at(seconds));
            assert!(first.verify(&token, at(seconds)).is_ok(), "{seconds}: it does not sign yet");
        }
        let token = issue(&second, at(signs));
        assert!(first.verify(&token, at(signs)).is_err(), "the first did not read for so long");
        keeper.read(&first, at(signs)).await.unwrap();
        assert!(first.verify(&token, at(signs)).is_ok());
        assert!(second.verify(&issue(&first, at(signs)), at(signs)).is_ok());
    }

    /// Whoever asked a node for the public keys just before that read the new one.
    #[test]
    fn a_verifier_elsewhere_learns_of_a_new_key_before_it_signs() {
        for millis in [1, 100, 1_000, 60_000] {
            let patience = Duration::from_millis(millis);
            let reading = EVERY + 2 * patience;
            let last_old_answer_is_kept_until = reading + PUBLISHED_FOR;
            let notice = notice(patience).unsigned_abs();
            assert!(last_old_answer_is_kept_until <= notice, "{millis}");
            assert!(3 * reading <= notice, "{millis}");
        }
    }

    #[tokio::test]
    async fn the_notice_of_a_key_begins_when_it_is_put() {
        let vault = Arc::new(Memory::default());
        start(&vault, Algorithm::EdDsa, at(0)).await;
        // Somebody else changes the keys first, and that takes a minute.
        *vault.quicker.lock() = Some(vault.kept.lock().keys.clone());
        let (second, _) = start(&vault, Algorithm::Es256, at(100)).await;
        let algorithm = |seconds| {
            let keys = serde_json::to_value(second.jwks(at(seconds))).unwrap();
            keys["keys"][0]["alg"].as_str().unwrap().to_owned()
        };
        let signs = 100 + 60 + noticed();
        assert_eq!(algorithm(signs - 1), "EdDSA", "the signing one is the first");
        assert_eq!(algorithm(signs), "ES256");
    }

    #[tokio::test]
    async fn of_two_that_rotate_at_once_one_does_and_where_there_is_no_key_none() {
        let rotate = async |vault: &Memory| {
            rotate_in(vault, &seal(), &rule_of(Algorithm::EdDsa), &vault.clock).await
        };
        let vault = Arc::new(Memory::default());
        let nothing = rotate(&vault).await;
        assert!(matches!(nothing, Err(OpenError::Keys(KeyError::NoneYet))), "{nothing:?}");
        assert_eq!(*vault.kept.lock(), KeptKeys::default());

        let (tokens, mut keeper) = start(&vault, Algorithm::EdDsa, at(0)).await;
        let quicker = Memory { kept: Mutex::new(vault.kept.lock().clone()), ..Memory::default() };
        quicker.clock.advance(SignedDuration::from_mins(1));
        let keys = rotate(&quicker).await.unwrap();
        *vault.quicker.lock() = Some(quicker.kept.lock().keys.clone());
        let late = rotate(&vault).await;
        let Err(OpenError::Keys(KeyError::Announced { kid, from })) = late else {
            panic!("{late:?}")
        };
        assert_eq!((kid, from), (keys[1].kid.clone(), at(60 + noticed())));
        assert_eq!(vault.kept.lock().keys, quicker.kept.lock().keys);
        keeper.read(&tokens, at(60)).await.unwrap();
        assert_eq!(tokens.jwks(at(60)).keys.len(), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_read_changes_nothing_and_what_was_emptied_is_put_back() {
        let vault = Arc::new(Memory::default());
        let (tokens, mut keeper) = start(&vault, Algorithm::EdDsa, at(0)).await;
        let token = issue(&tokens, at(0));
        let kept = vault.kept.lock().clone();

        *vault.is_away.lock() = true;
        assert!(matches!(keeper.read(&tokens, at(5)).await, Err(Unread::Store(_))));
        *vault.is_away.lock() = false;
        for (kid, sealed) in &kept.keys {
            let damaged = sealed.replace("v1.", "v2.");
            vault.kept.lock().keys = [(kid.clone(), damaged)].into();
        }
        let read = keeper.read(&tokens, at(10)).await;
        assert!(matches!(read, Err(Unread::Keys(KeyError::Sealed { .. }))), "{read:?}");
        assert!(tokens.verify(&token, at(10)).is_ok());

        *vault.kept.lock() = KeptKeys::default();
        keeper.read(&tokens, at(15)).await.unwrap();
        assert_eq!(vault.kept.lock().keys, kept.keys);
        keeper.read(&tokens, at(20)).await.unwrap();
        let (other, _) = start(&vault, Algorithm::EdDsa, at(20)).await;
        assert!(other.verify(&token, at(20)).is_ok());
    }

    #[tokio::test]
    async fn what_is_over_leaves_the_store() {
        let vault = Arc::new(Memory::default());
        let (tokens, mut keeper) = start(&vault, Algorithm::EdDsa, at(0)).await;
        start(&vault, Algorithm::Es256, at(10)).await;
        let longest = rule_of(Algorithm::Es256).longest_token.as_secs();
        // It signs for a notice more, verifies for one longer than its tokens, knows devices after that,
        // and all clocks agree.
        let ended = 10 + noticed() + longest + noticed();
        let gone = ended + REMEMBERED.as_secs() + noticed();
        keeper.read(&tokens, at(ended)).await.unwrap();
        assert_eq!(tokens.jwks(at(ended)).keys.len(), 1, "it is published no more");
        keeper.forget(at(gone - 1)).await.unwrap();
        assert_eq!(vault.kept.lock().keys.len(), 2);
        keeper.forget(at(gone)).await.unwrap();
        assert_eq!(vault.kept.lock().keys.len(), 1);
        keeper.read(&tokens, at(gone)).await.unwrap();
        assert_eq!(tokens.jwks(at(gone)).keys.len(), 1);
    }

    /// A Redis that has no room can still be read.
    #[tokio::test]
    async fn what_cannot_leave_the_store_is_no_failure_to_read() {
        let vault = Arc::new(Memory::default());
        let (tokens, mut keeper) = start(&vault, Algorithm::EdDsa, at(0)).await;
        start(&vault, Algorithm::Es256, at(10)).await;
        *vault.is_full.lock() = true;
        let late = at(2 * REMEMBERED.as_secs());
        keeper.read(&tokens, late).await.unwrap();
        assert!(matches!(keeper.forget(late).await, Err(StoreError::Unavailable(_))));
        *vault.is_full.lock() = false;
        keeper.forget(late).await.unwrap();
        assert_eq!(vault.kept.lock().keys.len(), 1);

        *vault.kept.lock() = KeptKeys::default();
        *vault.is_full.lock() = true;
        let read = keeper.read(&tokens, late).await;
        assert!(matches!(read, Err(Unread::Gone(_))), "{read:?}");
    }
}
