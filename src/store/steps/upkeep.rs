//! The sweep, in two steps: dead sessions are looked for among the readers, and only what was
//! found is put to the writer. A walk over millions of living sessions holds up no visit.

use std::collections::BTreeMap;

use super::{epoch, is_alive, sessions::end_in_account};
use crate::{
    model::{AccountId, Timestamp},
    store::{
        Result, SweepCursor,
        records::{self, Key, SessionRecord},
        view::{Read, Write},
    },
};

/// The most records one sweep looks at, whatever its budget: a reader, too, should be brief.
const MAX_BUDGET: usize = 1_000;

/// What was found.
pub(in crate::store) struct Found {
    pub(in crate::store) dead: Vec<Key>,
    pub(in crate::store) next: Option<SweepCursor>,
}

pub(in crate::store) fn find_dead(
    r: &dyn Read,
    from: Option<&SweepCursor>,
    budget: usize,
    now: Timestamp,
) -> Result<Found> {
    let epoch = epoch(r)?;
    let start = from.map_or(records::SESSIONS, |cursor| cursor.0.as_slice());
    let mut found = Found { dead: Vec::new(), next: None };
    for (looked_at, entry) in r.scan(records::SESSIONS, start).enumerate() {
        let (key, value) = entry?;
        if looked_at == budget.clamp(1, MAX_BUDGET) {
            found.next = Some(SweepCursor(key));
            break;
        }
        if !is_alive(&SessionRecord::decode(&key, &value)?, epoch, now) {
            found.dead.push(key);
        }
    }
    Ok(found)
}

/// Removes those of `keys` that are still dead at `now`: a visit that came before `now` may have
/// moved an end since they were found. Returns how many.
pub(in crate::store) fn remove_dead(
    w: &mut dyn Write,
    keys: &[Key],
    now: Timestamp,
) -> Result<u64> {
    let epoch = epoch(w)?;
    let mut dead: BTreeMap<AccountId, Vec<SessionRecord>> = BTreeMap::new();
    for key in keys {
        let Some(value) = w.get(key)? else {
            continue;
        };
        let record = SessionRecord::decode(key, &value)?;
        if !is_alive(&record, epoch, now) {
            dead.entry(record.session.account).or_default().push(record);
        }
    }
    for (account, sessions) in &dead {
        end_in_account(w, *account, sessions, None)?;
    }
    Ok(dead.values().map(|sessions| sessions.len() as u64).sum())
}

/// A change that means nothing, to see whether changes can be recorded.
pub(in crate::store) fn touch(w: &mut dyn Write) {
    w.put(records::PING.to_vec(), Vec::new());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        model::{
            Session, SessionId, Transport,
            clock::{from_millis, later},
            session::Chain,
        },
        store::{steps::save_session, view::Overlay},
    };

    #[test]
    fn a_session_used_after_it_was_found_dead_is_kept() {
        let start = from_millis(0);
        let hour = jiff::SignedDuration::from_hours(1);
        let account = AccountId::new(start);
        let session = Session {
            account,
            id: SessionId::new(start),
            created_at: start,
            expires_at: later(start, hour * 12),
            idle_expires_at: later(start, hour),
            last_seen_at: start,
            visits: 0,
            chain: Chain::begun(start),
            remember: false,
            transport: Transport::Cookie,
            user_agent: String::new(),
            copied_at: None,
        };
        let mut record = SessionRecord { session, epoch: 0 };
        let empty = BTreeMap::new();
        let mut store = Overlay::new(&empty);
        save_session(&mut store, &record).unwrap();

        let now = later(start, hour);
        let found = find_dead(&store, None, 10, now).unwrap();
        assert_eq!((found.dead.len(), found.next), (1, None));
        // A visit that arrived just before `now` and was worked off after the search.
        record.session.use_at(later(now, -hour / 60), hour);
        save_session(&mut store, &record).unwrap();
        assert_eq!(remove_dead(&mut store, &found.dead, now).unwrap(), 0);
        assert!(store.get(&found.dead[0]).unwrap().is_some());

        let now = later(now, hour);
        assert_eq!(remove_dead(&mut store, &found.dead, now).unwrap(), 1);
        assert_eq!(store.get(&found.dead[0]).unwrap(), None);
        assert_eq!(remove_dead(&mut store, &found.dead, now).unwrap(), 0);
    }
}
