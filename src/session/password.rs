//! Passwords: the rules for new ones, the bounded pool that hashes them, and the change.
//!
//! | file | what it holds |
//! |---|---|
//! | `rules` | [`PasswordRules`]: what a new password must be |
//! | `common` | the list of common ones |
//! | `context` | the words of the account and the service, which are tried first |
//! | `strength` | zxcvbn, within bounds |
//!
//! Hashing is slow on purpose, and so a weapon in the hands of whoever sends log-ins: at most
//! `parallel` hashes run at once, whatever clients do, and at most `waiting` stand in line. The
//! permit moves into the blocking task: a client that hangs up gives nothing back early.

mod common;
mod context;
mod rules;
mod strength;

use std::sync::Arc;

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc},
};
use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::{
    rules::{PasswordRules, Refused},
    strength::Advice,
};
use super::{Error, Issued, Refusal, Result, Sessions, SignedIn, events::Event};
use crate::{
    model::{Account, AuditKind, Email, Password, PasswordHash},
    store::PasswordChange,
};

/// The most memory that a stored hash may ask for, in KiB: one with more is refused, not run.
const MAX_MEMORY_KIB: u32 = 1 << 20;

/// How passwords are hashed: Argon2id (RFC 9106; ASVS 11.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingCost {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Hashes that run at once.
    pub parallel: usize,
    /// Hashes that may wait for their turn; one more is refused.
    pub waiting: usize,
}

/// The pool that hashes passwords, off the async threads.
pub struct Hasher {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    dummy: PasswordHash,
}

/// What a check of a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It is the password.
    pub(crate) matches: bool,
    /// Its hash was made with other parameters than those in force.
    pub(crate) outdated: bool,
}

impl Hasher {
    /// A pool of that cost.
    ///
    /// # Errors
    /// [`Error::Hashing`] when Argon2 does not take the parameters.
    pub fn new(cost: HashingCost) -> Result<Self> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, None).map_err(hashing)?;
        let argon2 = Argon2::from(params);
        // Checked in place of the hash of an account that does not exist, so that an unknown
        // e-mail takes as long as a wrong password (ASVS 6.3.8).
        let dummy = hash_now(&argon2, &Password::new(uuid::Uuid::new_v4().to_string()))?;
        Ok(Self {
            argon2,
            turns: Arc::new(Semaphore::new(cost.parallel)),
            places: Arc::new(Semaphore::new(cost.parallel + cost.waiting)),
            dummy,
        })
    }

    /// Hashes a new password of the account with that address, if it keeps the rules. To judge it
    /// can take as long as to hash it, so both take one turn.
    pub(crate) async fn hash_new(
        &self,
        password: Password,
        email: Email,
        rules: PasswordRules,
    ) -> Result<PasswordHash> {
        rules.check_length(&password)?;
        let argon2 = self.argon2.clone();
        self.place()?
            .run(move || {
                rules.check(&password, &email)?;
                hash_now(&argon2, &password)
            })
            .await?
    }

    /// Hashes a password with a new random salt.
    async fn hash(&self, password: Password) -> Result<PasswordHash> {
        let argon2 = self.argon2.clone();
        self.place()?.run(move || hash_now(&argon2, &password)).await?
    }

    /// A place in the line, or [`Error::Busy`]: no more wait than there are places.
    pub(crate) fn place(&self) -> Result<Place<'_>> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Busy)?;
        Ok(Place { hasher: self, place })
    }
}

/// A place in the line of a [`Hasher`].
pub(crate) struct Place<'a> {
    hasher: &'a Hasher,
    place: OwnedSemaphorePermit,
}

impl Place<'_> {
    /// Checks a password. Without a hash to check against, takes as long and does not match.
    pub(crate) async fn verify(
        self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<Verdict> {
        let argon2 = self.hasher.argon2.clone();
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.hasher.dummy.clone());
        let verdict = self.run(move || verify_now(&argon2, &password, &hash)).await??;
        Ok(Verdict { matches: verdict.matches && known, outdated: verdict.outdated })
    }

    async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let turn = Arc::clone(&self.hasher.turns)
            .acquire_owned()
            .await
            .map_err(|closed| Error::Hashing(closed.to_string()))?;
        let permits = (self.place, turn);
        tokio::task::spawn_blocking(move || {
            // Moved in, so that they come back when the hash is done, not when the client leaves.
            let _permits = permits;
            gauge!("countersign_password_hashes_running").increment(1);
            let result = work();
            gauge!("countersign_password_hashes_running").decrement(1);
            result
        })
        .await
        .map_err(|failed| Error::Hashing(failed.to_string()))
    }
}

fn hash_now(argon2: &Argon2<'_>, password: &Password) -> Result<PasswordHash> {
    let phc = argon2.hash_password(password.as_bytes()).map_err(hashing)?;
    Ok(PasswordHash::new(phc.to_string()))
}

fn verify_now(argon2: &Argon2<'_>, password: &Password, hash: &PasswordHash) -> Result<Verdict> {
    let phc = phc::PasswordHash::new(hash.as_str()).map_err(hashing)?;
    let params = Params::try_from(&phc).map_err(hashing)?;
    if params.m_cost() > MAX_MEMORY_KIB {
        return Err(Error::Hashing(format!("a stored hash asks for {} KiB", params.m_cost())));
    }
    let matches = argon2.verify_password(password.as_bytes(), &phc).is_ok();
    let in_force = argon2.params();
    let outdated = (params.m_cost(), params.t_cost(), params.p_cost())
        != (in_force.m_cost(), in_force.t_cost(), in_force.p_cost());
    Ok(Verdict { matches, outdated })
}

fn hashing(error: impl std::fmt::Display) -> Error {
    Error::Hashing(error.to_string())
}

impl Sessions {
    /// Changes the password of the signed-in account, who shows the current one. All its other
    /// sessions end (ASVS 7.4.3), and the current one goes on under a new id (ASVS 7.2.4).
    ///
    /// # Errors
    /// [`Error::WrongPassword`], which counts as a failed log-in; [`Error::TooManyAttempts`],
    /// [`Error::PasswordRefused`], [`Error::Busy`]; and [`Error::NotSignedIn`] when the session
    /// ended, the account was disabled, or its password was changed meanwhile.
    pub async fn change_password(
        &self,
        who: &SignedIn,
        current: Password,
        new: Password,
    ) -> Result<Issued> {
        // Before the hash of the current one is spent on it.
        self.policy.passwords.check_length(&new)?;
        let account = self.own_account(who).await?;
        self.check_current(who, &account, current).await?;
        let rules = self.policy.passwords.clone();
        let hash = self.hasher.hash_new(new, account.email.clone(), rules).await?;
        let (succession, ends) = (self.succession(who, true), self.store.ends());
        let checked = Some(&account.password);
        let cause = self.cause(AuditKind::PasswordChanged, who.by());
        let changed =
            self.store.change_password(account.id, checked, hash, Some(succession), cause).await?;
        match changed {
            PasswordChange::Changed { ended, session: Some(session) } => {
                let event = cause.about(account.id).going_on(succession.from, succession.to);
                Event::Happened(event.ending(ended)).record();
                self.issue_first(session, account.email, succession.now, ends)
            }
            PasswordChange::Changed { .. } | PasswordChange::AccountChanged => {
                Err(Error::NotSignedIn(Refusal::Absent))
            }
        }
    }

    /// Replaces a hash of outdated parameters after a successful check. The login does not hang
    /// on it: what fails here is tried again at the next one.
    pub(super) async fn rehash(&self, account: &Account, password: Password) {
        let outcome = async {
            let new = self.hasher.hash(password).await?;
            Ok::<_, Error>(self.store.rehash_password(account.id, &account.password, new).await?)
        };
        if let Err(error) = outcome.await {
            tracing::warn!(account = %account.id, %error, "the password hash was not renewed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap(parallel: usize, waiting: usize) -> HashingCost {
        HashingCost { memory_kib: 64, passes: 1, parallel, waiting }
    }

    fn password(text: &str) -> Password {
        Password::new(text.into())
    }

    #[tokio::test]
    async fn a_password_is_checked_exactly_as_typed() {
        let hasher = Hasher::new(cheap(1, 8)).unwrap();
        let typed = "Pässwörter mit Leerzeichen ";
        let hash = hasher.hash(password(typed)).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let matches = async |text: &str| {
            hasher
                .place()
                .unwrap()
                .verify(password(text), Some(hash.clone()))
                .await
                .unwrap()
                .matches
        };
        assert!(matches(typed).await);
        assert!(!matches(typed.trim_end()).await);
        assert!(!matches(&typed.to_lowercase()).await);
        assert!(!matches("").await);
    }

    #[tokio::test]
    async fn nobody_matches_an_account_that_does_not_exist() {
        let hasher = Hasher::new(cheap(1, 8)).unwrap();
        assert!(!hasher.place().unwrap().verify(password("anything"), None).await.unwrap().matches);
    }

    #[tokio::test]
    async fn raised_parameters_are_noticed_and_absurd_ones_refused() {
        let old = Hasher::new(cheap(1, 8)).unwrap();
        let hash = old.hash(password("a password")).await.unwrap();
        let new = Hasher::new(HashingCost { passes: 2, ..cheap(1, 8) }).unwrap();
        let verdict =
            new.place().unwrap().verify(password("a password"), Some(hash.clone())).await.unwrap();
        assert_eq!(verdict, Verdict { matches: true, outdated: true });
        let verdict =
            old.place().unwrap().verify(password("a password"), Some(hash.clone())).await.unwrap();
        assert_eq!(verdict, Verdict { matches: true, outdated: false });

        let absurd = PasswordHash::new(hash.as_str().replace("m=64", "m=4194304"));
        let refused = old.place().unwrap().verify(password("a password"), Some(absurd)).await;
        assert!(matches!(refused, Err(Error::Hashing(_))));
    }

    #[tokio::test]
    async fn who_hangs_up_gives_no_turn_back_early_and_the_queue_is_bounded() {
        let hasher = Arc::new(Hasher::new(cheap(1, 1)).unwrap());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let running = tokio::spawn({
            let hasher = Arc::clone(&hasher);
            async move { hasher.place()?.run(move || held.recv()).await }
        });
        while hasher.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.turns.available_permits(), 0, "the hash still runs");

        let waiting = tokio::spawn({
            let hasher = Arc::clone(&hasher);
            async move { hasher.hash(password("waits")).await }
        });
        while hasher.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(hasher.hash(password("too many")).await, Err(Error::Busy)));
        release.send(()).unwrap();
        assert!(waiting.await.unwrap().is_ok());
    }
}
