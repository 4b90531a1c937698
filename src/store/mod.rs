//! What keeps accounts, sessions, counters and revocations: the trait, and who implements it.
//!
//! [`Store`] is the contract. Its operations are whole business steps, each atomic: there is no
//! read-modify-write across two calls, and no saving of whole records. Three backends keep it:
//! `sled` (embedded, the default), `redis` (for several nodes) and `memory` (for tests).
//!
//! # Writing another store
//! Implement [`Store`] and run `tests/it/store_contract` on it: that suite is the contract in
//! executable form. What it cannot show, and every store must keep:
//!
//! - **Answered is recorded.** When a method that changes something returns `Ok`, the change
//!   survives `kill -9` and power loss.
//! - **Nothing is answered from what is not yet recorded**: neither a read nor a second change.
//! - **An error changed nothing.** What returned `Err` is not there later, not even half. Where the store
//!   is another machine, one case is left: whether a change was made whose answer was lost, nobody
//!   knows. And an end of sessions that fewer replicas have than were asked for is made, and may be
//!   lost. Both are `Unavailable`; a change was made whole, once, or not at all; and whoever asks again
//!   for an end is answered when it is recorded.
//! - **No change without its event, and no event without its change.** What is given a [`Cause`]
//!   writes down what came of it in the same step; what changes nothing writes nothing.
//! - **It heals.** After `Unavailable`, the same store value works again once the cause is gone.

pub mod audit;
mod backend;
pub mod backup;
pub mod error;
mod export;
mod keys;
mod listing;
pub mod memory;
mod records;
pub mod redis;
pub mod sled;
mod steps;
mod view;
mod waiting;

use std::net::IpAddr;

pub use self::redis::{
    ClusterStore, RedisChecks, RedisKeys, RedisOptions, RedisReplacement, RedisReplacementError,
    RedisServers, RedisServersAre, RedisStore,
};
pub use self::sled::{Durability, Replacement, ReplacementError, SledOptions, SledStore};
use async_trait::async_trait;
pub use audit::{AuditBounds, AuditFilter, AuditPage, AuditPlace, InvalidAuditPlace};
pub use backup::{BackupRecord, Export};
pub use error::{OpenError, StoreError};
use jiff::SignedDuration;
pub use keys::{KeptKeys, KeyVault};
pub use memory::MemoryStore;
pub(crate) use waiting::waiting;

use crate::model::{
    Account, AccountId, AccountState, Actor, AttemptKey, Attempts, AuditEvent, AuditKind, By,
    Cause, Email, Lifetimes, PasswordHash, Presented, Replay, Role, Session, SessionId, Succession,
    Timestamp, Transport, VariableRefused, Variables, VisitDays,
};

/// What a store operation gives.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The contract of a store; see the [module](self) for what every implementation must keep.
///
/// A lookup of something that is not there is `Ok(None)`, not an error. `now` is the moment of the
/// request: a session that is [over](Session::is_over) at `now` is treated as absent even if it
/// has not been swept yet.
///
/// A change that people notice is given its [`Cause`]: when it is asked for, by whom, and as what it
/// is written down among the [audit events](Self::audit_events).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // --- accounts ---

    /// Adds an account unless its e-mail is taken. Returns whether it was added.
    ///
    /// In a store in shards, a failover that loses what nobody waited for may leave an account whose
    /// e-mail is not known to be taken: see `store/redis/cluster`.
    async fn create_account(&self, account: Account, cause: Cause) -> Result<bool>;

    /// The account with this id.
    async fn account(&self, id: AccountId) -> Result<Option<Account>>;

    /// The account with this e-mail.
    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>>;

    /// At most `limit` accounts whose e-mails have `part` in them, in the order of their e-mails,
    /// from the first after `after`, be that somebody's or not.
    ///
    /// Looks at no more than [`MOST_EMAILS_SEARCHED`] e-mails and then says where to go on, so that
    /// it holds nobody up however many there are. `limit` is at least 1. A store in shards asks all at
    /// once: an account whose e-mail changes meanwhile, or that is made or removed, may be seen or not.
    async fn find_accounts(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundAccounts>;

    /// Sets the state. Disabling ends all sessions of the account in the same step; enabling
    /// revives none. Returns how many sessions ended (expired ones that were not swept yet are
    /// among them), `None` when there is no such account.
    async fn set_account_state(
        &self,
        id: AccountId,
        state: AccountState,
        cause: Cause,
    ) -> Result<Option<u64>>;

    /// Sets the role. An account that is given another than [`Role::Member`] loses all its sessions
    /// in the same step: none from before has what the new role may do, whoever holds its cookie.
    /// Nothing ends when the role was that already, or is taken away. Returns how many sessions
    /// ended, `None` when there is no such account.
    async fn set_role(&self, id: AccountId, role: Role, cause: Cause) -> Result<Option<u64>>;

    /// Removes the account and ends all its sessions. Returns how many sessions ended, `None`
    /// when there is no such account.
    async fn remove_account(&self, id: AccountId, cause: Cause) -> Result<Option<u64>>;

    /// [Removes](Self::remove_account) the account of a session, only while that is alive.
    async fn close_account(
        &self,
        id: AccountId,
        by: SessionId,
        cause: Cause,
    ) -> Result<Option<u64>>;

    /// Replaces the password and ends all sessions of the account; the one of `goes_on`, if any,
    /// under its new id.
    ///
    /// With `checked`, only while that is still the account's password hash and the account is
    /// active: of two changes that race, one loses. Without, as an operator, in any state. With
    /// `goes_on`, only while that session is alive.
    async fn change_password(
        &self,
        id: AccountId,
        checked: Option<&PasswordHash>,
        new: PasswordHash,
        goes_on: Option<Succession>,
        cause: Cause,
    ) -> Result<PasswordChange>;

    /// Replaces the hash by one of the same password with other parameters, if it is still
    /// `checked`. Ends nothing. Returns whether it was replaced.
    async fn rehash_password(
        &self,
        id: AccountId,
        checked: &PasswordHash,
        new: PasswordHash,
    ) -> Result<bool>;

    /// Replaces the e-mail, unless it is another account's, and ends all sessions of the account
    /// but the one of `goes_on`, which goes on under its new id. Only while that session is alive
    /// and the account is active.
    async fn change_email(
        &self,
        id: AccountId,
        new: Email,
        goes_on: Succession,
        cause: Cause,
    ) -> Result<EmailChange>;

    /// How many visits were counted over all sessions of the account, ended ones included. Zero
    /// for an account that does not exist.
    async fn total_visits(&self, id: AccountId) -> Result<u64>;

    /// How many visits were counted on each of the latest days, over all sessions of the account,
    /// ended ones included: on the latest day that has one, and the
    /// [13 before it](crate::model::days::KEPT_DAYS). None for an account that does not exist.
    async fn visit_days(&self, id: AccountId) -> Result<VisitDays>;

    // --- sessions ---

    /// Adds a session, only while its account is active and `checked` is still the hash of its
    /// password: a login that races a disable or a password change loses.
    ///
    /// An id that is still kept, be its session alive or dead, is an error and replaces nothing.
    ///
    /// If the account then has more than `max_per_account` sessions, the oldest end in the same
    /// step. An account's [`copied_at`](Account::copied_at) moves into the new session.
    async fn create_session(
        &self,
        session: Session,
        checked: &PasswordHash,
        max_per_account: usize,
        cause: Cause,
    ) -> Result<Created>;

    /// Puts a session in the place of another, if that one is alive, its account is active, and
    /// `checked` is still the hash of its password. Its visits go along, by the day too. Returns the
    /// new one.
    ///
    /// An id that is still kept is an error and replaces nothing.
    async fn reauthenticate_session(
        &self,
        account: AccountId,
        checked: &PasswordHash,
        succession: Succession,
        cause: Cause,
    ) -> Result<Option<Session>>;

    /// The session, if it is alive.
    async fn session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>>;

    /// The account's living sessions, oldest first.
    async fn sessions(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>>;

    /// Counts one visit with the presented token.
    ///
    /// In one step: is the session alive, and of the transport that the token came by; is the
    /// token a [copy](Session::is_copied) (and then, if
    /// the policy says so, end the session and note `now` in the account); otherwise move the
    /// counter to one more than the larger of itself and the token's number, the idle end to the
    /// earlier of `now` plus its idle time and the absolute end (never back), the [chain](Session::chain) to the
    /// token's number at `now`, and `last_seen_at` to `now`. It is one visit of the day of `now`.
    ///
    /// A token's number can be above the counter after a restored backup: then the token is right.
    async fn visit(&self, visit: Visit) -> Result<Visited>;

    /// Moves the idle end to the earlier of `now + idle` and the absolute end (never back), and
    /// `last_seen_at` to `now`. Counts nothing. `None` when the session is not alive.
    async fn renew_session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
        idle: SignedDuration,
    ) -> Result<Option<Session>>;

    /// Ends one session. Returns whether it was alive: of several that race, one is told so, and
    /// the others are answered only when the end is recorded.
    async fn revoke_session(&self, account: AccountId, id: SessionId, cause: Cause)
    -> Result<bool>;

    /// Ends one session because its cookie has two holders, and notes the moment in the account, in
    /// one step. Returns whether it was alive.
    async fn revoke_copied_session(
        &self,
        account: AccountId,
        id: SessionId,
        cause: Cause,
    ) -> Result<bool>;

    /// Ends all living sessions of the account except `keep`. Returns how many.
    async fn revoke_sessions(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
        cause: Cause,
    ) -> Result<u64>;

    /// Ends every session of every account that exists when it is called, in one step whatever
    /// their number: an epoch moves on, and sessions of an earlier epoch are dead.
    ///
    /// In a store in shards it is one step of each. It is answered when all have done it; after
    /// `Unavailable` some may have, and it has to be asked for again. Its event is written last.
    async fn revoke_all_sessions(&self, cause: Cause) -> Result<()>;

    /// A number that is another one as soon as the end of any session is answered; `None` from a
    /// store that cannot tell without looking it up.
    ///
    /// It spares a second look-up: whoever read the number *before* a session was looked up, or its
    /// visit counted, and reads the same number later, knows that nobody has ended the session in
    /// between. Time may have: that is in the [session](Session::is_over). The number may also
    /// change when nothing ended.
    ///
    /// Where several nodes share a store, it is about the ends that were asked for at this one. That
    /// a session was ended at another, after it was looked up, no look-up can exclude: its answer is
    /// always of a moment ago. So an answer that is under way then may still carry a cookie, which
    /// is good for nothing.
    fn ends(&self) -> Option<u64> {
        None
    }

    // --- what an app keeps in a session ---

    /// The variables of the session; `None` when it is not alive.
    async fn variables(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Variables>>;

    /// Sets a variable of the session, or removes it where there is no value, only while the session
    /// is alive. Changes no other: of two that are about different ones, both are kept.
    ///
    /// Variables end with their session, whatever ends it, and go along when it goes on under
    /// another id.
    async fn change_variable(
        &self,
        account: AccountId,
        id: SessionId,
        name: String,
        value: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<VariableChange>;

    // --- attempts at passwords ---

    /// What was counted under each of the keys and is not over at `now`, in the order of the keys:
    /// a count of zero where nothing was.
    async fn attempts(&self, keys: &[AttemptKey], now: Timestamp) -> Result<Vec<Attempts>>;

    /// Counts one attempt under each of the keys, in one step; in a store in shards, in one of each that
    /// has some of them: after `Unavailable` some may have been counted. The first of a key begins a window:
    /// when that is over, all of the key are forgotten.
    ///
    /// A store has room for a bounded number of keys, whatever clients make up, and may forget those
    /// with the fewest attempts to keep within it.
    ///
    /// The `event`, if it is one, is written down in the same step.
    async fn count_attempt(
        &self,
        keys: Vec<AttemptKey>,
        window: SignedDuration,
        now: Timestamp,
        event: Option<AuditEvent>,
    ) -> Result<()>;

    /// Forgets the attempts of a key.
    async fn forget_attempts(&self, key: AttemptKey) -> Result<()>;

    // --- audit events ---

    /// Writes down what happened without a change.
    async fn write_event(&self, event: AuditEvent) -> Result<()>;

    /// At most `limit` audit events of `filter` that are not over at `now`, the newest first, from
    /// those before `before` on.
    ///
    /// It looks at a bounded number of events, whatever is asked for, so that a page may be short,
    /// or empty, and not the last.
    ///
    /// Of each [trail](crate::model::AuditTrail) a bounded number is kept. Within one, events are in
    /// the order in which they were recorded; the trails are merged by time. A store in shards has two
    /// trails in each: events of different accounts are in the order of their times alone.
    async fn audit_events(
        &self,
        filter: &AuditFilter,
        before: Option<AuditPlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<AuditPage>;

    // --- upkeep ---

    /// Removes sessions that are dead at `now` from the store, and attempts and audit events that are
    /// over, looking at no more than `budget` sessions and attempts. Starts at `from` and returns where to go on, `None` when
    /// it has come to the end. Visits of removed sessions stay in their account's total.
    async fn sweep(
        &self,
        from: Option<SweepCursor>,
        budget: usize,
        now: Timestamp,
    ) -> Result<Swept>;

    /// How many bytes it takes on the disk; `None` from a store that keeps nothing there, or not
    /// here.
    async fn bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Everything in the store at this moment, as one consistent whole, to be read while it goes on
    /// changing. Holds nobody up for longer than a page. Attempts are left out: they are about who
    /// came in the last minutes, and are over before a backup is needed.
    ///
    /// Of a store in shards, each is shown at one moment, and these lie some milliseconds apart. No
    /// e-mail is in it twice that two accounts do not have, which a failover may have left behind.
    async fn export(&self) -> Result<Box<dyn Export>>;

    /// Adds records of an [`export`](Self::export), this store's or another's, as they are: dead
    /// sessions stay dead, counters are where they were. A record that is there already is an
    /// error. Many calls make up an import, so it is for a store that nobody uses yet.
    async fn import(&self, records: Vec<BackupRecord>) -> Result<()>;

    /// Whether a change could be recorded now; in a store in shards, in any of them.
    async fn ping(&self) -> Result<()>;

    /// Records what was accepted, refuses what comes after, and lets go of files and locks.
    async fn close(&self) -> Result<()>;
}

/// How many e-mails one search looks at, at the most.
pub const MOST_EMAILS_SEARCHED: usize = 1_000;

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAccounts {
    /// In the order of their e-mails; perhaps none, though more will come.
    pub accounts: Vec<Account>,
    /// After which e-mail to go on; `None` when it has come to the end.
    pub next: Option<Email>,
}

/// One visit to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// What the verified token says.
    pub token: Presented,
    /// How it came. A session that travels otherwise is treated as absent.
    pub transport: Transport,
    /// Where it came from.
    pub from: Option<IpAddr>,
    /// When the request arrived.
    pub now: Timestamp,
    /// How far its use moves the idle end.
    pub lifetimes: Lifetimes,
    /// When a token is a copy, and what then.
    pub replay: Replay,
}

impl Visit {
    /// What is written down when the token turns out to be a copy. Which of its holders this is,
    /// nobody can tell.
    pub(crate) fn copy_found(&self) -> Cause {
        let by = By { actor: Actor::Unknown, from: self.from };
        Cause { what: AuditKind::CopyFound, by, at: self.now }
    }
}

/// What became of a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are counted: a box would be one more allocation for each"
)]
pub enum Visited {
    /// It was counted; the session as it is now.
    Counted(Session),
    /// The store knows no such living session: never known, ended, or expired.
    Absent,
    /// The token is a copy. Nothing was counted; whether the session ended is the policy's.
    Copied,
}

/// What became of a new session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per login, moved twice: a box would cost more words than it saves bytes"
)]
pub enum Created {
    /// It was added; as it is now, and the sessions that ended to make room for it.
    Added {
        /// The new session.
        session: Session,
        /// The oldest ones, which ended.
        ended: Vec<SessionId>,
    },
    /// The account is gone, disabled, or has another password by now.
    AccountChanged,
}

/// What became of a change of a session variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableChange {
    /// It was made.
    Made {
        /// Whether the variable was there before.
        was_there: bool,
    },
    /// It is too much; nothing was changed.
    Refused(VariableRefused),
    /// The store knows no such living session.
    Absent,
}

/// What became of a password change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per change, moved twice: a box would cost more words than it saves bytes"
)]
pub enum PasswordChange {
    /// It was made.
    Changed {
        /// How many sessions ended, the one that goes on not among them.
        ended: u64,
        /// The session that goes on, as it is now.
        session: Option<Session>,
    },
    /// The account is gone, disabled, or has another password by now; or the session that was to
    /// go on has ended.
    AccountChanged,
}

/// What became of a change of e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one per change, moved twice: a box would cost more words than it saves bytes"
)]
pub enum EmailChange {
    /// It was made.
    Changed {
        /// How many sessions ended, the one that goes on not among them.
        ended: u64,
        /// The session that goes on, as it is now.
        session: Session,
    },
    /// Another account has it.
    Taken,
    /// The account is gone or disabled by now, or the session that was to go on has ended.
    AccountChanged,
}

/// Where a sweep goes on. Opaque to its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepCursor(pub(crate) Vec<u8>);

/// What a sweep did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How many dead sessions were removed.
    pub removed: u64,
    /// How many living ones were passed: all steps of a round together count those of the store.
    pub living: u64,
    /// Where to go on, `None` at the end.
    pub next: Option<SweepCursor>,
}
