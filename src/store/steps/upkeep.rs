//! The sweep, in two steps: dead sessions, and behind them attempts and audit events that are over,
//! are looked for among the readers, and only what was found is put to the writer. Both are brief, however many
//! are dead: a log-in that comes meanwhile waits for a few milliseconds at most.

use std::collections::BTreeMap;

use super::{attempts, audit, epoch, is_alive, pages, sessions::end_in_account};
use crate::{
    model::{AccountId, SessionId, Timestamp},
    store::{
        AuditBounds, Result, SweepCursor,
        records::{self, Bucket, Key, Page},
        view::{Read, Write},
    },
};

/// The most sessions and buckets one sweep looks at, whatever its budget.
const MOST_LOOKED_AT: usize = 500;

/// The most accounts whose sessions one sweep removes: each is two or three changes in its commit.
const MOST_ACCOUNTS: usize = 16;

/// The most buckets of attempts it writes.
const MOST_BUCKETS: usize = 64;

/// Dead sessions, by account.
pub(in crate::store) type Dead = BTreeMap<AccountId, Vec<SessionId>>;

/// What was found.
pub(in crate::store) struct Found {
    pub(in crate::store) dead: Dead,
    /// Buckets with attempts that are over.
    pub(in crate::store) over: Vec<Key>,
    /// Pages of audit events that are over.
    pub(in crate::store) past: Vec<Key>,
    /// How many living sessions were passed.
    pub(in crate::store) living: u64,
    pub(in crate::store) next: Option<SweepCursor>,
}

pub(in crate::store) fn find_dead(
    r: &dyn Read,
    from: Option<&SweepCursor>,
    budget: usize,
    now: Timestamp,
    bounds: AuditBounds,
) -> Result<Found> {
    let budget = budget.clamp(1, MOST_LOOKED_AT);
    let from = match from.map(SweepCursor::place).transpose()? {
        Some(Place::Events) => return find_past(r, Dead::new(), Vec::new(), now, bounds),
        Some(Place::Bucket(key)) => return find_over(r, Dead::new(), &key, budget, now, bounds),
        Some(Place::Session(account, session)) => Some((account, session)),
        None => None,
    };
    let epoch = epoch(r)?;
    let start = from.map_or_else(Vec::new, |(account, _)| records::sessions_key(account, 0));
    let mut dead = Dead::new();
    let (mut looked_at, mut living) = (0, 0);
    for entry in r.scan(records::SESSIONS, &start) {
        let (key, value) = entry?;
        let account = records::sessions_owner(&key)?;
        for record in Page::from_value(value)?.records(account) {
            let record = record?;
            let place = (account, record.session.id);
            if from.is_some_and(|from| place < from) {
                continue;
            }
            let is_next_account = dead.len() == MOST_ACCOUNTS && !dead.contains_key(&account);
            if looked_at == budget || is_next_account {
                let next = Some(SweepCursor::at(place));
                return Ok(Found { dead, over: Vec::new(), past: Vec::new(), living, next });
            }
            looked_at += 1;
            if is_alive(&record, epoch, now) {
                living += 1;
            } else {
                dead.entry(account).or_default().push(record.session.id);
            }
        }
    }
    let found = find_over(r, dead, records::ATTEMPTS, budget - looked_at, now, bounds)?;
    Ok(Found { living, ..found })
}

/// Looks at so many buckets of attempts from the key `start` on.
fn find_over(
    r: &dyn Read,
    dead: Dead,
    start: &[u8],
    budget: usize,
    now: Timestamp,
    bounds: AuditBounds,
) -> Result<Found> {
    let mut over = Vec::new();
    for (looked_at, entry) in r.scan(records::ATTEMPTS, start).enumerate() {
        let (key, value) = entry?;
        if looked_at == budget || over.len() == MOST_BUCKETS {
            let next = Some(SweepCursor(key));
            return Ok(Found { dead, over, past: Vec::new(), living: 0, next });
        }
        if Bucket::decode(&value)?.forget_over(now) {
            over.push(key);
        }
    }
    find_past(r, dead, over, now, bounds)
}

/// Looks for audit events that are over. They lie where nothing else has to be looked at, so no
/// budget is asked for.
fn find_past(
    r: &dyn Read,
    dead: Dead,
    over: Vec<Key>,
    now: Timestamp,
    bounds: AuditBounds,
) -> Result<Found> {
    let past = audit::find_over(r, bounds, now)?;
    let is_all = past.len() < audit::MOST_SWEPT;
    let next = (!is_all).then(|| SweepCursor(records::EVENTS.to_vec()));
    Ok(Found { dead, over, past, living: 0, next })
}

/// Removes those of `found` that are still dead at `now`: a visit that came before `now` may have
/// moved an end since they were found. Returns how many sessions.
pub(in crate::store) fn remove_dead(
    w: &mut dyn Write,
    found: &Found,
    now: Timestamp,
    bounds: AuditBounds,
) -> Result<u64> {
    audit::remove_over(w, &found.past, bounds, now)?;
    for bucket in &found.over {
        attempts::forget_over(w, bucket, now)?;
    }
    let epoch = epoch(w)?;
    let mut removed = 0;
    for (account, ids) in &found.dead {
        let mut dead = pages::all(w, *account)?;
        dead.retain(|record| ids.contains(&record.session.id) && !is_alive(record, epoch, now));
        end_in_account(w, *account, &dead, None)?;
        removed += dead.len() as u64;
    }
    Ok(removed)
}

impl Found {
    /// Whether there is nothing to remove.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.dead.is_empty() && self.over.is_empty() && self.past.is_empty()
    }
}

impl SweepCursor {
    fn at((account, session): (AccountId, SessionId)) -> Self {
        Self([*account.as_bytes(), *session.as_bytes()].concat())
    }

    fn place(&self) -> Result<Place> {
        if self.0 == records::EVENTS {
            return Ok(Place::Events);
        }
        if self.0.starts_with(records::ATTEMPTS) && self.0.len() == records::BUCKET_KEY_BYTES {
            return Ok(Place::Bucket(self.0.clone()));
        }
        let ids = self.0.split_first_chunk().and_then(|(account, session)| {
            let session = session.try_into().ok()?;
            Some(Place::Session(AccountId::from_bytes(*account), SessionId::from_bytes(session)))
        });
        ids.ok_or_else(|| records::damaged("sweep", "its place is none of this store"))
    }
}

/// Where a sweep goes on.
enum Place {
    Session(AccountId, SessionId),
    /// With this key.
    Bucket(Key),
    /// With the audit events.
    Events,
}

/// A change that means nothing, to see whether changes can be recorded.
pub(in crate::store) fn touch(w: &mut dyn Write) {
    w.put(records::PING.to_vec(), Vec::new());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            Session, SessionId, Transport, VisitDays,
            clock::{from_millis, later},
            session::Chain,
        },
        store::{
            records::{Key, SessionRecord},
            view::{Overlay, apply},
        },
    };

    const BOUNDS: AuditBounds =
        AuditBounds { keep: jiff::SignedDuration::from_hours(24), most: 1_000 };

    /// A session that is idle for an hour from `start` on.
    fn session(account: AccountId, start: Timestamp) -> Session {
        let hour = jiff::SignedDuration::from_hours(1);
        Session {
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
        }
    }

    fn insert(store: &mut Overlay<'_>, session: Session) {
        let days = VisitDays::default();
        pages::insert(store, &SessionRecord { session, epoch: 0, days }).unwrap();
    }

    #[test]
    fn a_session_used_after_it_was_found_dead_is_kept() {
        let start = from_millis(0);
        let hour = jiff::SignedDuration::from_hours(1);
        let account = AccountId::new(start);
        let session = session(account, start);
        let id = session.id;
        let empty = BTreeMap::new();
        let mut store = Overlay::new(&empty);
        insert(&mut store, session);

        let now = later(start, hour);
        let found = find_dead(&store, None, 10, now, BOUNDS).unwrap();
        assert_eq!((found.dead.len(), found.living, &found.next), (1, 0, &None));
        // A visit that arrived just before `now` and was worked off after the search.
        let mut used = pages::find(&store, account, id).unwrap().unwrap();
        used.record.session.use_at(later(now, -hour / 60), hour);
        used.save(&mut store).unwrap();
        assert_eq!(remove_dead(&mut store, &found, now, BOUNDS).unwrap(), 0);
        assert!(pages::find(&store, account, id).unwrap().is_some());
        assert_eq!(find_dead(&store, None, 10, now, BOUNDS).unwrap().living, 1);

        let now = later(now, hour);
        assert_eq!(remove_dead(&mut store, &found, now, BOUNDS).unwrap(), 1);
        assert!(pages::find(&store, account, id).unwrap().is_none());
        assert_eq!(remove_dead(&mut store, &found, now, BOUNDS).unwrap(), 0);
    }

    /// However many are dead, and whatever budget is asked for.
    #[test]
    fn a_step_is_small_and_the_steps_reach_the_end() {
        let start = from_millis(0);
        let mut base = BTreeMap::<Key, _>::new();
        // A crowd with one session each, and one account that has many.
        let mut owners: Vec<_> = (1..=300).map(|at| AccountId::new(from_millis(at))).collect();
        let many = AccountId::new(start);
        owners.extend([many; 700]);
        for owner in &owners {
            let mut store = Overlay::new(&base);
            insert(&mut store, session(*owner, start));
            let changes = store.into_changes();
            apply(&mut base, changes);
        }
        let dead_at = later(start, jiff::SignedDuration::from_hours(2));
        let (mut removed, mut steps, mut from) = (0, 0, None);
        loop {
            let found = find_dead(&base, from.as_ref(), usize::MAX, dead_at, BOUNDS).unwrap();
            let sessions: usize = found.dead.values().map(Vec::len).sum();
            assert!(sessions <= MOST_LOOKED_AT && found.dead.len() <= MOST_ACCOUNTS);
            let mut store = Overlay::new(&base);
            removed += remove_dead(&mut store, &found, dead_at, BOUNDS).unwrap();
            let changes = store.into_changes();
            // A page and an account each, and for the one with many its pages.
            assert!(changes.len() <= 2 * MOST_ACCOUNTS + 700 / records::MOST_IN_PAGE + 1);
            apply(&mut base, changes);
            steps += 1;
            from = found.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(removed, owners.len() as u64);
        assert_eq!(steps, 20, "for the many, and then for the crowd");
        assert_eq!(base.keys().filter(|key| key.starts_with(records::SESSIONS)).count(), 0);
    }
}
