//! A session that goes on under another id: the same login, with tokens that nobody can have yet.

use super::{Lifetimes, Session, SessionId, Timestamp, clock::later, session::Chain};

/// One session takes the place of another, which ends (ASVS 7.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succession {
    /// The session that ends.
    pub from: SessionId,
    /// The id of the one that goes on in its place; no session has it yet.
    pub to: SessionId,
    /// When.
    pub now: Timestamp,
    /// How far the use of the new one moves its ends.
    pub lifetimes: Lifetimes,
    /// Whether the person showed the password for it: then it is as old as a login of `now`.
    /// Otherwise it keeps its age and its absolute end.
    pub authenticated: bool,
}

impl Succession {
    /// The session that goes on in the place of `old`, with its device and its visits. Its first
    /// token has the number of those visits.
    #[must_use]
    pub fn successor(&self, old: &Session) -> Session {
        let (now, visits) = (self.now, old.visits);
        let chain = Chain { number: visits, at: now, left: visits, left_at: now };
        let mut new = Session { id: self.to, chain, ..old.clone() };
        if self.authenticated {
            new.created_at = now;
            new.expires_at = later(now, self.lifetimes.absolute(new.remember));
            new.idle_expires_at = now;
        }
        new.use_at(now, self.lifetimes.idle(new.remember));
        new
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::model::{AccountId, Presented, Transport, clock::from_millis};

    fn at(seconds: i64) -> Timestamp {
        from_millis(seconds * 1_000)
    }

    fn old() -> Session {
        Session {
            account: AccountId::new(at(0)),
            id: SessionId::new(at(0)),
            created_at: at(0),
            expires_at: at(1_000),
            idle_expires_at: at(500),
            last_seen_at: at(200),
            visits: 9,
            chain: Chain { number: 8, at: at(200), left: 3, left_at: at(100) },
            remember: false,
            transport: Transport::Cookie,
            user_agent: "curl/8".into(),
            copied_at: Some(at(1)),
        }
    }

    fn succession(authenticated: bool) -> Succession {
        let seconds = SignedDuration::from_secs;
        Succession {
            from: old().id,
            to: SessionId::new(at(400)),
            now: at(400),
            lifetimes: Lifetimes {
                idle: seconds(300),
                absolute: seconds(1_000),
                remember_idle: seconds(3_000),
                remember_absolute: seconds(10_000),
            },
            authenticated,
        }
    }

    #[test]
    fn who_showed_the_password_is_as_if_just_logged_in_but_goes_on_counting() {
        let (old, succession) = (old(), succession(true));
        let new = succession.successor(&old);
        assert_eq!(new.id, succession.to);
        assert_eq!((new.created_at, new.last_seen_at), (at(400), at(400)));
        assert_eq!((new.idle_expires_at, new.expires_at), (at(700), at(1_400)));
        let kept = Session { visits: 9, copied_at: Some(at(1)), ..new.clone() };
        assert_eq!(new, kept);
        assert_eq!((new.account, new.user_agent), (old.account, old.user_agent));
        let remembered = Session { remember: true, ..self::old() };
        let new = succession.successor(&remembered);
        assert_eq!((new.idle_expires_at, new.expires_at), (at(3_400), at(10_400)));
    }

    #[test]
    fn who_did_not_stays_as_old_as_before() {
        let new = succession(false).successor(&old());
        assert_eq!((new.created_at, new.expires_at), (at(0), at(1_000)));
        assert_eq!((new.last_seen_at, new.idle_expires_at), (at(400), at(700)));
    }

    #[test]
    fn its_first_token_begins_the_chain() {
        let new = succession(true).successor(&old());
        let token = |visits, prev| Presented {
            account: new.account,
            session: new.id,
            visits,
            prev,
            issued_at: at(400),
        };
        let grace = SignedDuration::from_secs(60);
        assert!(!new.is_copied(&token(9, 9), at(699), grace));
        assert!(!new.is_copied(&token(10, 9), at(699), grace));
    }
}
