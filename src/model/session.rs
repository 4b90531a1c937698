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
    /// When the login was.
    pub created_at: Timestamp,
    /// When it ends whatever happens (its absolute lifetime, ASVS 7.3.2).
    pub expires_at: Timestamp,
    /// When it ends unless it is used: no token of it lives longer (ASVS 7.3.1).
    pub idle_expires_at: Timestamp,
    /// When it was last used in a way that is recorded: login, visit or renewal.
    pub last_seen_at: Timestamp,
    /// How many visits were counted. The truth; a token's number is a snapshot.
    pub visits: u64,
    /// The latest token that was presented for a counted visit.
    pub last: LastPresented,
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
    /// A browser holds one token at a time, so the tokens it shows make a chain: each one's `prev`
    /// is the number shown before it. `token` is off the chain if the latest one shown for a visit
    /// is neither itself nor its predecessor. Requests under way at the same time leave the chain
    /// for as long as they last; that is why a fork counts only when the chain has gone on for more
    /// than `grace` after the token was signed.
    ///
    /// Cookie sessions only: programs share a bearer token among threads.
    #[must_use]
    pub fn is_copied(&self, token: &Presented, grace: SignedDuration) -> bool {
        self.transport == Transport::Cookie
            && self.last.number != token.visits
            && self.last.number != token.prev
            && self.last.at > later(token.issued_at, grace)
    }
}

/// The latest token that was presented for a counted visit: its number and when it arrived. Before
/// the first visit: the token of the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPresented {
    /// The `visits` claim it carried.
    pub number: u64,
    /// When it arrived.
    pub at: Timestamp,
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

    /// The longest any token can be good for: how long a retired key must verify.
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

    fn session(last_number: u64, last_at: i64, transport: Transport) -> Session {
        let account = AccountId::new(at(0));
        Session {
            account,
            id: SessionId::new(at(0)),
            created_at: at(0),
            expires_at: at(1_000),
            idle_expires_at: at(500),
            last_seen_at: at(0),
            visits: 9,
            last: LastPresented { number: last_number, at: at(last_at) },
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
        assert!(!session.is_copied(&token(&session, 6, 5, 100), GRACE), "the next link");
        assert!(!session.is_copied(&token(&session, 5, 4, 100), GRACE), "the same link again");
    }

    #[test]
    fn a_fork_is_a_copy_only_when_it_outlived_the_grace() {
        let session = session(5, 200, Transport::Cookie);
        assert!(session.is_copied(&token(&session, 3, 2, 139), GRACE));
        assert!(!session.is_copied(&token(&session, 3, 2, 140), GRACE), "exactly the grace");
        assert!(session.is_copied(&token(&session, 8, 7, 100), GRACE), "a fork from above");
    }

    #[test]
    fn bearer_sessions_are_shared_on_purpose() {
        let session = session(5, 200, Transport::Bearer);
        assert!(!session.is_copied(&token(&session, 3, 2, 0), GRACE));
    }

    #[test]
    fn a_user_agent_is_kept_short_and_printable() {
        assert_eq!(kept_user_agent("Mozilla/5.0\r\n\u{1b}[31m"), "Mozilla/5.0[31m");
        let long = "é".repeat(MAX_USER_AGENT_BYTES);
        assert_eq!(kept_user_agent(&long).len(), MAX_USER_AGENT_BYTES);
    }
}
