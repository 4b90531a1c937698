//! What a node remembers of sessions, so that a check of one need not ask
//! ([`RedisChecks::Local`](super::RedisChecks)).
//!
//! Each session stands here as the store last answered it, with a [`Mark`]: how often something had
//! changed, as far as this node knows, **before** it was asked for. A session counts only as long as
//! its mark is the one of now. So it does not matter when an answer arrives, nor in which order: one
//! from before an end bears a mark from before it, and is worth nothing once the end is known.
//!
//! Known are the ends that are [heard](Remembered::ended) from the stream, and all that this node does
//! itself: what is being changed here is not remembered while that is under way, and what was
//! answered before is not afterwards. So a node that is alone is never told what is not true any
//! more.
//!
//! Only ever *alive* is answered from here. Whatever else, and whoever has not
//! [heard](Remembered::heard_at) anything for too long, has to ask.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::model::{AccountId, Session, SessionId, Timestamp};

/// How long a session is remembered. Visits that another node counts are no ends: the number that a
/// check tells, the idle end and the [chain](crate::model::session::Chain), by which copies are
/// found, are no older than this.
const LONGEST: Duration = Duration::from_secs(30);

/// Sessions as they were last answered.
pub(super) struct Remembered {
    sessions: Cache<(AccountId, SessionId), Arc<Entry>>,
    /// Of an account: that at the place which its id names. Some share one, and are asked for once
    /// more than they need.
    accounts: Box<[Changes]>,
    /// Of all accounts.
    all: Changes,
    max_lag: Duration,
    made_at: Instant,
    /// Nanoseconds after that; 0 before anything was heard.
    heard: AtomicU64,
}

struct Entry {
    session: Session,
    mark: Mark,
}

/// What had changed when a session was asked for, and when that was.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    account: u64,
    all: u64,
    at: Instant,
}

/// Counts changes: those that are over, in the upper half, and those that are under way.
#[derive(Default)]
struct Changes(AtomicU64);

const ONE_OVER: u64 = 1 << 32;
const ONE_UNDER_WAY: u64 = 1;

impl Changes {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn begin(&self) -> u64 {
        self.0.fetch_add(ONE_UNDER_WAY, Ordering::SeqCst).wrapping_add(ONE_UNDER_WAY)
    }

    /// Returns how it was at the last moment before, and how it is.
    fn end(&self) -> (u64, u64) {
        let more = ONE_OVER - ONE_UNDER_WAY;
        let before = self.0.fetch_add(more, Ordering::SeqCst);
        (before, before.wrapping_add(more))
    }

    fn happened(&self) {
        self.0.fetch_add(ONE_OVER, Ordering::SeqCst);
    }
}

const fn under_way(changes: u64) -> u64 {
    changes % ONE_OVER
}

impl Remembered {
    /// Remembers about so many sessions, the least used go first.
    pub(super) fn new(most: usize, max_lag: Duration) -> Self {
        let places = most.clamp(1, 1 << 20).next_power_of_two();
        Self {
            sessions: Cache::new(most),
            accounts: (0..places).map(|_| Changes::default()).collect(),
            all: Changes::default(),
            max_lag,
            made_at: Instant::now(),
            heard: AtomicU64::new(0),
        }
    }

    /// The session, if it is sure to be alive.
    pub(super) fn find(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
    ) -> Option<Session> {
        let entry = self.sessions.get(&(account, id))?;
        // First: what was heard until then is in the marks that are read after it.
        let is_heard = self.lag().is_some_and(|lag| lag <= self.max_lag);
        let mark = self.mark(account)?;
        let is_true = is_heard
            && (entry.mark.account, entry.mark.all) == (mark.account, mark.all)
            && mark.at.duration_since(entry.mark.at) <= LONGEST
            && !entry.session.is_over(now);
        is_true.then(|| entry.session.clone())
    }

    /// To be taken before a session of the account is asked for. There is none while something of
    /// the account is being changed here.
    pub(super) fn mark(&self, account: AccountId) -> Option<Mark> {
        let (account, all) = (self.changes_of(account).now(), self.all.now());
        let is_quiet = under_way(account) == 0 && under_way(all) == 0;
        is_quiet.then(|| Mark { account, all, at: Instant::now() })
    }

    /// Keeps what was answered.
    pub(super) fn keep(&self, mark: Mark, session: &Session) {
        let entry = Entry { session: session.clone(), mark };
        self.sessions.insert((session.account, session.id), Arc::new(entry));
    }

    /// To be held while something of an account, or of all, is asked to change.
    pub(super) fn changing(&self, account: Option<AccountId>) -> Changing<'_> {
        let all = self.all.now();
        let began = self.changes(account).begin();
        Changing { remembered: self, account, all, began, at: Instant::now() }
    }

    /// Sessions of an account have ended, or of every account.
    pub(super) fn ended(&self, account: Option<AccountId>) {
        self.changes(account).happened();
    }

    /// Everything that ended before `asked` has been heard.
    pub(super) fn heard_at(&self, asked: Instant) {
        let nanos = asked.duration_since(self.made_at).as_nanos();
        self.heard.fetch_max(u64::try_from(nanos).unwrap_or(u64::MAX).max(1), Ordering::SeqCst);
    }

    /// How long ago everything was heard that had ended by then; nothing, if it never was.
    pub(super) fn lag(&self) -> Option<Duration> {
        match self.heard.load(Ordering::SeqCst) {
            0 => None,
            nanos => Some(self.made_at.elapsed().saturating_sub(Duration::from_nanos(nanos))),
        }
    }

    /// Forgets everything, for good.
    pub(super) fn close(&self) {
        // A change of everything that never comes to its end.
        self.all.begin();
        self.sessions.clear();
    }

    fn changes(&self, account: Option<AccountId>) -> &Changes {
        account.map_or(&self.all, |account| self.changes_of(account))
    }

    fn changes_of(&self, account: AccountId) -> &Changes {
        // The end of an id is random.
        let [.., a, b, c, d] = *account.as_bytes();
        &self.accounts[u32::from_be_bytes([a, b, c, d]) as usize % self.accounts.len()]
    }
}

/// A change that is under way, until this is dropped.
pub(super) struct Changing<'a> {
    remembered: &'a Remembered,
    account: Option<AccountId>,
    all: u64,
    began: u64,
    at: Instant,
}

impl Changing<'_> {
    /// Ends it, and keeps the session as it is by it: unless something else of the account changed
    /// meanwhile, which may have been behind it.
    pub(super) fn keep(mut self, session: &Session) {
        let (before, account) = self.end();
        if before == self.began {
            self.remembered.keep(Mark { account, all: self.all, at: self.at }, session);
        }
        std::mem::forget(self);
    }

    fn end(&mut self) -> (u64, u64) {
        self.remembered.changes(self.account).end()
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::model::{
        Transport,
        clock::{from_millis, later},
        session::Chain,
    };

    const LAG: Duration = Duration::from_secs(2);

    fn session(account: AccountId) -> Session {
        let now = from_millis(1_790_000_000_000);
        Session {
            account,
            id: SessionId::new(now),
            created_at: now,
            expires_at: later(now, jiff::SignedDuration::from_hours(12)),
            idle_expires_at: later(now, jiff::SignedDuration::from_mins(30)),
            last_seen_at: now,
            visits: 0,
            chain: Chain::begun(now),
            remember: false,
            transport: Transport::Cookie,
            user_agent: String::new(),
            copied_at: None,
        }
    }

    /// What has heard everything until now, and remembers a session.
    fn with_one() -> (Remembered, Session) {
        let remembered = Remembered::new(100, LAG);
        let one = session(AccountId::from_bytes([7; 16]));
        remembered.heard_at(Instant::now());
        remembered.keep(remembered.mark(one.account).unwrap(), &one);
        assert_eq!(find(&remembered, &one), Some(one.clone()));
        (remembered, one)
    }

    fn find(remembered: &Remembered, one: &Session) -> Option<Session> {
        remembered.find(one.account, one.id, one.created_at)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_an_end_is_worth_nothing_whenever_it_arrives() {
        for all in [false, true] {
            let (remembered, one) = with_one();
            let ended = (!all).then_some(one.account);
            let before = remembered.mark(one.account).unwrap();
            remembered.ended(ended);
            assert_eq!(find(&remembered, &one), None, "remembered before it");
            remembered.keep(before, &one);
            assert_eq!(find(&remembered, &one), None, "asked before it, answered after");
            // Asked after it: the store knew of it, and had another one in mind.
            remembered.keep(remembered.mark(one.account).unwrap(), &one);
            assert!(find(&remembered, &one).is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_being_changed_here_is_not_remembered() {
        for all in [false, true] {
            let (remembered, one) = with_one();
            let before = remembered.mark(one.account).unwrap();
            let changing = remembered.changing((!all).then_some(one.account));
            assert_eq!(find(&remembered, &one), None);
            assert!(remembered.mark(one.account).is_none(), "it may be answered from before");
            remembered.keep(before, &one);
            assert_eq!(find(&remembered, &one), None);
            drop(changing);
            assert_eq!(find(&remembered, &one), None, "nor is what was answered meanwhile");
            assert!(remembered.mark(one.account).is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_change_made_of_it_is_remembered_unless_another_met_it() {
        let (remembered, one) = with_one();
        let changed = Session { visits: 1, ..one.clone() };
        remembered.changing(Some(one.account)).keep(&changed);
        assert_eq!(find(&remembered, &one).unwrap().visits, 1);

        let other = Session { visits: 2, ..one.clone() };
        let (first, second) =
            (remembered.changing(Some(one.account)), remembered.changing(Some(one.account)));
        second.keep(&other);
        assert_eq!(find(&remembered, &one), None, "the first is still under way");
        first.keep(&changed);
        assert_eq!(find(&remembered, &one), None, "and may have come before the second");

        let first = remembered.changing(Some(one.account));
        drop(remembered.changing(Some(one.account)));
        first.keep(&changed);
        assert_eq!(find(&remembered, &one), None, "the other began and ended meanwhile");

        let first = remembered.changing(Some(one.account));
        remembered.ended(Some(one.account));
        first.keep(&changed);
        assert_eq!(find(&remembered, &one), None, "an end was heard meanwhile");

        for (is_under_way, why) in [(true, "of all"), (false, "of all, and it is over")] {
            let first = remembered.changing(Some(one.account));
            let of_all = remembered.changing(None);
            let of_all = is_under_way.then_some(of_all);
            first.keep(&changed);
            assert_eq!(find(&remembered, &one), None, "{why}");
            drop(of_all);
            assert_eq!(find(&remembered, &one), None, "{why}");
        }
        let of_all = remembered.changing(None);
        let first = remembered.changing(Some(one.account));
        drop(of_all);
        first.keep(&changed);
        assert_eq!(find(&remembered, &one), None, "a change of all was under way");
        assert!(remembered.mark(one.account).is_some(), "nothing is left under way");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_heard_nothing_for_too_long_knows_nothing() {
        let remembered = Remembered::new(100, LAG);
        let one = session(AccountId::from_bytes([7; 16]));
        remembered.keep(remembered.mark(one.account).unwrap(), &one);
        assert_eq!((find(&remembered, &one), remembered.lag()), (None, None), "never");

        let (remembered, one) = with_one();
        advance(LAG).await;
        assert!(find(&remembered, &one).is_some());
        let asked = Instant::now();
        advance(Duration::from_millis(1)).await;
        assert_eq!(find(&remembered, &one), None);
        // Heard is what had ended when it was asked, not when it was answered.
        remembered.heard_at(asked);
        assert_eq!(remembered.lag(), Some(Duration::from_millis(1)));
        assert!(find(&remembered, &one).is_some());
        remembered.heard_at(asked - LAG);
        assert!(find(&remembered, &one).is_some(), "a late answer takes nothing back");
        advance(LAG).await;
        assert_eq!(find(&remembered, &one), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_remembered_for_long() {
        let (remembered, one) = with_one();
        advance(LONGEST).await;
        remembered.heard_at(Instant::now());
        assert!(find(&remembered, &one).is_some());
        advance(Duration::from_millis(1)).await;
        assert_eq!(find(&remembered, &one), None);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_over_is_asked_for() {
        let (remembered, one) = with_one();
        let last = later(one.idle_expires_at, jiff::SignedDuration::from_millis(-1));
        assert!(remembered.find(one.account, one.id, last).is_some());
        assert_eq!(remembered.find(one.account, one.id, one.idle_expires_at), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_closed_knows_nothing_any_more() {
        let (remembered, one) = with_one();
        let before = remembered.mark(one.account).unwrap();
        remembered.close();
        remembered.heard_at(Instant::now());
        remembered.keep(before, &one);
        assert_eq!(find(&remembered, &one), None);
        assert!(remembered.mark(one.account).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded() {
        let remembered = Remembered::new(64, LAG);
        for n in 0..10_000_u32 {
            let id = [[0; 12].as_slice(), &n.to_be_bytes()].concat().try_into().unwrap();
            let one = session(AccountId::from_bytes(id));
            remembered.keep(remembered.mark(one.account).unwrap(), &one);
        }
        assert!(remembered.sessions.len() <= 64, "{}", remembered.sessions.len());
    }
}
