//! The visit: where a page view is counted, and a copied token found.

use super::{load_living_session, save_session, sessions::end_in_account};
use crate::{
    model::session::ReplayPolicy,
    store::{
        Result, Visit, Visited,
        records::{Key, SessionRecord, Value},
        view::Write,
    },
};

pub(in crate::store) fn visit(w: &mut dyn Write, visit: &Visit) -> Result<Visited> {
    let Visit { token, now, .. } = *visit;
    // Nothing is written for a session that is not alive: a late answer revives nothing.
    let Some(mut record) = load_living_session(w, token.account, token.session, now)? else {
        return Ok(Visited::Absent);
    };
    if record.session.transport != visit.transport {
        return Ok(Visited::Absent);
    }
    if record.session.is_copied(&token, now, visit.replay.grace) {
        match visit.replay.policy {
            ReplayPolicy::Revoke => {
                end_in_account(w, token.account, &[record], Some(now))?;
                return Ok(Visited::Copied);
            }
            ReplayPolicy::Refuse => return Ok(Visited::Copied),
            ReplayPolicy::Ignore => {}
        }
    }
    let session = &mut record.session;
    session.visits = session.visits.max(token.visits).saturating_add(1);
    session.chain.go_on(token.visits, now, visit.replay.grace);
    session.use_at(now, visit.lifetimes.idle(session.remember));
    save_session(w, &record)?;
    Ok(Visited::Counted(record.session))
}

/// Makes visits good that were counted and are perhaps not in their session's record: each is that
/// record as it was then.
///
/// Each visit raises the counter, so a record with more visits is a later one, and one with fewer
/// is out of date. A session that is not there has ended since, and stays ended.
pub(in crate::store) fn make_good(w: &mut dyn Write, visited: Vec<(Key, Value)>) -> Result<()> {
    for (key, value) in visited {
        let Some(present) = w.get(&key)? else {
            continue;
        };
        let visits = |value| Ok(SessionRecord::decode(&key, value)?.session.visits);
        if visits(&present)? < visits(&value)? {
            w.put(key, value);
        }
    }
    Ok(())
}
