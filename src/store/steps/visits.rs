//! The visit: where a page view is counted, and a copied token found.

use super::{audit::Scribe, load_living_session, pages, sessions::end_in_account};
use crate::{
    model::session::ReplayPolicy,
    store::{
        AuditBounds, Result, Visit, Visited,
        records::{self, Key, Page, Value},
        view::Write,
    },
};

pub(in crate::store) fn visit(
    w: &mut dyn Write,
    visit: &Visit,
    bounds: AuditBounds,
) -> Result<Visited> {
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
                let scribe = Scribe { cause: visit.copy_found(), bounds };
                let event = scribe.about(token.account).of_session(token.session);
                scribe.write(w, &event.ending(1))?;
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
    record.days.count(now);
    found.save(w)?;
    Ok(Visited::Counted(found.record.session))
}

/// Makes visits good that were counted and are perhaps not in their session's record: each is the
/// page that the session was in, as it was then.
///
/// Each visit raises the counter, so of two records the one with more visits is the later one. A
/// session that is not there has ended since, and stays ended.
pub(in crate::store) fn make_good(w: &mut dyn Write, visited: Vec<(Key, Value)>) -> Result<()> {
    for (key, value) in visited {
        let account = records::sessions_owner(&key)?;
        for then in Page::from_value(value)?.records(account) {
            let then = then?;
            let Some(mut found) = pages::find(w, account, then.session.id)? else {
                continue;
            };
            if found.record.session.visits < then.session.visits {
                found.record = then;
                found.save(w)?;
            }
        }
    }
    Ok(())
}
