//! A session: one login of one account on one device; and when a presented token is a copy.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{AccountId, SessionId, Timestamp, clock::later};

/// The longest user agent that is kept, in bytes; the rest is cut off.
pub const MAX_USER_AGENT_BYTES: usize = 256;

/// One login of one account on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub account: AccountId,
    /// Names it; the `sid` of all its tokens.
    pub id: SessionId,
    /// When the person last showed the password for it: at the login, or when it
    /// [took the place](super::Succession) of another.
    pub created_at: Timestamp,
    /// When it ends whatever happens (its absolute lifetime, ASVS 7.3.2).
    pub expires_at: Timestamp,
    /// When it ends unless it is used: no token of it lives longer (ASVS 7.3.1).
    pub idle_expires_at: Timestamp,
    /// When it was last used in a way that is recorded: login, visit or renewal.
    pub last_seen_at: Timestamp,
    /// How many visits were counted. The truth; a token's number is a snapshot.
    pub visits: u64,
    /// The tokens that were presented for counted visits.
    pub chain: Chain,
    /// Whether the person asked to stay logged in.
    pub remember: bool,
    /// How its tokens travel.
    pub transport: Transport,
    /// What the device called itself at login, at most [`MAX_USER_AGENT_BYTES`].
    pub user_agent: String,
    /// When an earlier session of the account was ended as copied, to be shown in this one.
    pub copied_at: Option<Timestamp>,
}

impl Session {
    /// Whether it is over at `now`, by either of its two ends.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at || now >= self.idle_expires_at
    }

    /// Notes a use at `now`: the idle end moves on, never back and never past the absolute end.
    pub fn use_at(&mut self, now: Timestamp, idle: SignedDuration) {
        let idle_end = later(now, idle).min(self.expires_at);
        self.idle_expires_at = self.idle_expires_at.max(idle_end);
        self.last_seen_at = now;
    }

    /// Whether the presented token shows that its cookie has two holders.
    ///
    /// Cookie sessions only: programs share a bearer token among threads.
    #[must_use]
    pub fn is_copied(&self, token: &Presented, now: Timestamp, grace: SignedDuration) -> bool {
        self.transport == Transport::Cookie && self.chain.has_left(token, now, grace)
    }
}

/// The tokens that were presented for counted visits, as far as they are needed to tell a copy.
///
/// A browser holds one token at a time, so the tokens it shows make a chain: each one's `prev` is
/// the number shown before it. Two holders of a copied cookie make a fork. But requests that are
/// under way at the same time fork, too, for as long as they last. A fork is a theft when it
/// outlives that: the *grace*.
///
/// A token belongs to the chain while the latest one shown is itself or its predecessor. When the
/// chain moves past a token, requests with it may still be under way; they are excused
/// - for the grace from when the token was signed, and
/// - if the chain had rested before it moved, for the grace from that move: the browser held the
///   token all the while, and may have sent it several times at once.
///
/// A rest is half a grace. So a token is excused for at least half a grace, and at most one, after
/// the chain moved past it, whenever it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The number, or `visits` claim, of the latest token that was presented.
    pub number: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// The number at which the chain rested before it moved on.
    pub left: u64,
    /// When it moved on from there.
    pub left_at: Timestamp,
}

impl Chain {
    /// The chain of a login: its token has the number 0.
    #[must_use]
    pub fn begun(now: Timestamp) -> Self {
        Self { number: 0, at: now, left: 0, left_at: now }
    }

    /// Notes that the token of that number was presented for a visit.
    pub fn go_on(&mut self, number: u64, now: Timestamp, grace: SignedDuration) {
        if number != self.number && now > later(self.left_at, grace / 2) {
            (self.left, self.left_at) = (self.number, now);
        }
        (self.number, self.at) = (number, now);
    }

    /// Whether it went on without `token` for longer than requests are under way.
    fn has_left(&self, token: &Presented, now: Timestamp, grace: SignedDuration) -> bool {
        let belongs = |number| number == token.visits || number == token.prev;
        let is_recent = self.at <= later(token.issued_at, grace);
        let was_resting = belongs(self.left) && now <= later(self.left_at, grace);
        !belongs(self.number) && !is_recent && !was_resting
    }
}

/// What a verified token says about its place in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Whose session: the `sub` claim.
    pub account: AccountId,
    /// Which session: the `sid` claim.
    pub session: SessionId,
    /// Its own number: the `visits` claim.
    pub visits: u64,
    /// The number of the token whose visit produced it: the `prev` claim.
    pub prev: u64,
    /// When it was signed: the `iat` claim.
    pub issued_at: Timestamp,
}

/// How a session's tokens travel. A token that comes the other way is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// In the session cookie.
    #[default]
    Cookie,
    /// In `Authorization: Bearer`, for clients without a cookie jar.
    Bearer,
}

/// How long sessions last (ASVS 7.3.1, 7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Until a session ends for want of use.
    pub idle: SignedDuration,
    /// Until it ends whatever happens.
    pub absolute: SignedDuration,
    /// As `idle`, for those who asked to be remembered.
    pub remember_idle: SignedDuration,
    /// As `absolute`, for those who asked to be remembered.
    pub remember_absolute: SignedDuration,
}

impl Lifetimes {
    /// The idle time of a session.
    #[must_use]
    pub fn idle(&self, remember: bool) -> SignedDuration {
        if remember { self.remember_idle } else { self.idle }
    }

    /// The absolute lifetime of a session.
    #[must_use]
    pub fn absolute(&self, remember: bool) -> SignedDuration {
        if remember { self.remember_absolute } else { self.absolute }
    }

    /// The longest any session token can be good for: how long a retired key must verify them.
    #[must_use]
    pub fn longest_token(&self) -> SignedDuration {
        self.idle.max(self.remember_idle)
    }

    /// When a token signed at `now` for `session` ends: the earlier of the idle end that its use
    /// moves to, and the absolute end.
    #[must_use]
    pub fn token_end(&self, session: &Session, now: Timestamp) -> Timestamp {
        later(now, self.idle(session.remember)).min(session.expires_at)
    }
}

/// What to do about a copied token, and when a token counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// How long requests may be under way at the same time.
    pub grace: SignedDuration,
    /// What to do.
    pub policy: ReplayPolicy,
}

/// What to do about a copied token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayPolicy {
    /// End the session: neither holder can be told from the other.
    #[default]
    Revoke,
    /// Refuse this token only.
    Refuse,
    /// Nothing.
    Ignore,
}

/// Cuts a user agent to what is kept, at a character boundary, without control characters.
#[must_use]
pub fn kept_user_agent(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > MAX_USER_AGENT_BYTES {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::from_millis;

    const GRACE: SignedDuration = SignedDuration::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        from_millis(seconds * 1_000)
    }

    fn session(number: u64, since: i64, transport: Transport) -> Session {
        let account = AccountId::new(at(0));
        Session {
            account,
            id: SessionId::new(at(0)),
            created_at: at(0),
            expires_at: at(1_000),
            idle_expires_at: at(500),
            last_seen_at: at(0),
            visits: 9,
            chain: Chain { number, at: at(since), left: 0, left_at: at(0) },
            remember: false,
            transport,
            user_agent: String::new(),
            copied_at: None,
        }
    }

    fn token(session: &Session, visits: u64, prev: u64, issued_at: i64) -> Presented {
        Presented {
            account: session.account,
            session: session.id,
            visits,
            prev,
            issued_at: at(issued_at),
        }
    }

    #[test]
    fn a_session_ends_at_the_earlier_of_its_two_ends() {
        let mut session = session(0, 0, Transport::Cookie);
        assert!(!session.is_over(at(499)));
        assert!(session.is_over(at(500)));
        session.idle_expires_at = at(2_000);
        assert!(!session.is_over(at(999)));
        assert!(session.is_over(at(1_000)));
    }

    #[test]
    fn a_use_moves_the_idle_end_on_never_back_and_never_past_the_absolute_end() {
        let mut session = session(0, 0, Transport::Cookie);
        session.use_at(at(100), SignedDuration::from_secs(600));
        assert_eq!((session.idle_expires_at, session.last_seen_at), (at(700), at(100)));
        session.use_at(at(200), SignedDuration::from_secs(10));
        assert_eq!(session.idle_expires_at, at(700));
        session.use_at(at(300), SignedDuration::from_secs(9_000));
        assert_eq!(session.idle_expires_at, at(1_000));
    }

    #[test]
    fn the_chain_and_its_last_link_are_no_copies() {
        let session = session(5, 200, Transport::Cookie);
        let copied = |token: Presented| session.is_copied(&token, at(900), GRACE);
        assert!(!copied(token(&session, 6, 5, 100)), "the next link");
        assert!(!copied(token(&session, 5, 4, 100)), "the same link again");
    }

    #[test]
    fn a_fork_is_a_copy_only_when_it_outlived_the_grace() {
        let session = session(5, 200, Transport::Cookie);
        let copied = |token: Presented| session.is_copied(&token, at(201), GRACE);
        assert!(copied(token(&session, 3, 2, 139)));
        assert!(!copied(token(&session, 3, 2, 140)), "exactly the grace");
        assert!(copied(token(&session, 8, 7, 100)), "a fork from above");
    }

    /// A browser that was idle sends one token several times at once; all but one arrive after
    /// the chain has gone on with the next.
    #[test]
    fn what_is_sent_at_once_after_a_rest_is_no_copy() {
        let mut session = session(5, 0, Transport::Cookie);
        let held = token(&session, 6, 5, 0);
        session.chain.go_on(6, at(300), GRACE);
        session.chain.go_on(7, at(301), GRACE);
        assert!(!session.is_copied(&held, at(302), GRACE));
        assert!(!session.is_copied(&held, at(360), GRACE), "exactly the grace");
        assert!(session.is_copied(&held, at(361), GRACE), "by now it had arrived");
        assert!(session.is_copied(&token(&session, 3, 2, 0), at(302), GRACE), "an older one");
    }

    /// Whatever the rhythm of a browser: what it held when the chain moved on is excused for half
    /// a grace.
    #[test]
    fn every_rhythm_leaves_half_a_grace() {
        for pause in 1..200 {
            let mut session = session(0, 0, Transport::Cookie);
            for step in 1..50 {
                let now = pause * i64::try_from(step).unwrap();
                let held = token(&session, step, step - 1, now - pause);
                session.chain.go_on(step, at(now), GRACE);
                session.chain.go_on(step + 1, at(now), GRACE);
                assert!(!session.is_copied(&held, at(now + 30), GRACE), "every {pause} s: {step}");
                session.chain.number = step;
            }
        }
    }

    #[test]
    fn bearer_sessions_are_shared_on_purpose() {
        let session = session(5, 200, Transport::Bearer);
        assert!(!session.is_copied(&token(&session, 3, 2, 0), at(900), GRACE));
    }

    #[test]
    fn a_user_agent_is_kept_short_and_printable() {
        assert_eq!(kept_user_agent("Mozilla/5.0\r\n\u{1b}[31m"), "Mozilla/5.0[31m");
        let long = "é".repeat(MAX_USER_AGENT_BYTES);
        assert_eq!(kept_user_agent(&long).len(), MAX_USER_AGENT_BYTES);
    }
}
