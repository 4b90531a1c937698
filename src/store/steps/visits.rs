//! The visit: where a page view is counted, and a copied token found.

use super::{load_living_session, sessions::end_in_account};
use crate::{
    model::session::ReplayPolicy,
    store::{Result, Visit, Visited, view::Write},
};

pub(in crate::store) fn visit(w: &mut dyn Write, visit: &Visit) -> Result<Visited> {
    let Visit { token, now, .. } = *visit;
    // Nothing is written for a session that is not alive: a late answer revives nothing.
    let Some(mut found) = load_living_session(w, token.account, token.session, now)? else {
        return Ok(Visited::Absent);
    };
    let record = &mut found.record;
    if record.session.transport != visit.transport {
        return Ok(Visited::Absent);
    }
    if record.session.is_copied(&token, now, visit.replay.grace) {
        match visit.replay.policy {
            ReplayPolicy::Revoke => {
                end_in_account(w, token.account, std::slice::from_ref(record), Some(now))?;
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
    found.save(w)?;
    Ok(Visited::Counted(found.record.session))
}
