//! The visit: what it moves, and when its token is a copy.

use countersign::{
    model::{
        Presented, Session, Timestamp, Transport,
        clock::later,
        session::{Chain, ReplayPolicy},
    },
    store::{Visit, Visited},
};
use jiff::SignedDuration;

use super::{Kept, Model};

impl Model {
    pub(super) fn visit(&mut self, visit: &Visit) -> Visited {
        let Visit { token, transport, now, lifetimes, replay, .. } = visit;
        let key = (token.account, token.session);
        let kept = self.sessions.get_mut(&key);
        let kept = kept.filter(|kept| kept.lives(*now) && kept.session.transport == *transport);
        let Some(Kept { session, .. }) = kept else {
            return Visited::Absent;
        };
        let copied = session.transport == Transport::Cookie
            && is_off(&session.chain, token, *now, replay.grace);
        if copied && replay.policy == ReplayPolicy::Revoke {
            self.sessions.remove(&key);
            self.note_copy(token.account, *now);
        }
        if copied && replay.policy != ReplayPolicy::Ignore {
            return Visited::Copied;
        }
        let Kept { session, .. } = self.sessions.get_mut(&key).expect("it was there");
        let before = session.visits;
        session.visits = if token.visits > before { token.visits + 1 } else { before + 1 };
        go_on(&mut session.chain, token.visits, *now, replay.grace);
        let idle = if session.remember { lifetimes.remember_idle } else { lifetimes.idle };
        use_session(session, *now, idle);
        let session = session.clone();
        if let Some(owner) = self.accounts.get_mut(&token.account) {
            owner.visits += session.visits - before;
            let day = i32::try_from(now.as_second().div_euclid(86_400)).expect("near 2026");
            *owner.days.entry(day).or_default() += 1;
        }
        Visited::Counted(session)
    }
}

/// The idle end moves on, not back, and not past the absolute end.
pub(super) fn use_session(session: &mut Session, now: Timestamp, idle: SignedDuration) {
    let end = later(now, idle);
    if end > session.idle_expires_at {
        session.idle_expires_at = if end < session.expires_at { end } else { session.expires_at };
    }
    session.last_seen_at = now;
}

/// Whether the chain went on without the token for longer than it is excused: for the grace from
/// when it was signed, and, where the chain had rested, for the grace from when it moved on.
fn is_off(chain: &Chain, token: &Presented, now: Timestamp, grace: SignedDuration) -> bool {
    if [token.visits, token.prev].contains(&chain.number) {
        return false;
    }
    if chain.at <= later(token.issued_at, grace) {
        return false;
    }
    let rested = [token.visits, token.prev].contains(&chain.left);
    !(rested && now <= later(chain.left_at, grace))
}

/// A token was presented. If that moves the chain after more than half a grace, it had rested.
fn go_on(chain: &mut Chain, number: u64, now: Timestamp, grace: SignedDuration) {
    let moves = number != chain.number;
    if moves && now > later(chain.left_at, grace / 2) {
        chain.left = chain.number;
        chain.left_at = now;
    }
    chain.number = number;
    chain.at = now;
}
