//! A session that takes the place of another.

use countersign::model::{AccountId, Session, Succession, clock::later, session::Chain};

use super::{Kept, Model, visit::use_session};

/// The session that goes on now; `Some(None)` when there is none to go on, `None` when the id of
/// the new one is taken.
#[expect(clippy::option_option, reason = "refused, absent, done: two of them are the store's")]
pub(super) fn succeed(
    model: &mut Model,
    account: AccountId,
    succession: &Succession,
) -> Option<Option<Session>> {
    let Succession { from, to, now, lifetimes, authenticated } = *succession;
    if !model.lives((account, from), now) {
        return Some(None);
    }
    if model.kept((account, to)).is_some() {
        return None;
    }
    let Kept { mut session, variables, .. } = model.sessions.remove(&(account, from))?;
    session.id = to;
    let visits = session.visits;
    session.chain = Chain { number: visits, at: now, left: visits, left_at: now };
    let (idle, absolute) = if session.remember {
        (lifetimes.remember_idle, lifetimes.remember_absolute)
    } else {
        (lifetimes.idle, lifetimes.absolute)
    };
    if authenticated {
        session.created_at = now;
        session.expires_at = later(now, absolute);
        session.idle_expires_at = now;
    }
    use_session(&mut session, now, idle);
    let kept = Kept { session: session.clone(), dead: false, variables };
    model.sessions.insert((account, to), kept);
    Some(Some(session))
}
