//! Audit events: written down together with what they are about, listed, and removed when they are
//! over.

use std::collections::VecDeque;

use crate::{
    model::{AccountId, AuditEvent, AuditTrail, Cause, Timestamp, clock::later},
    store::{
        AuditBounds, AuditFilter, AuditPage, AuditPlace, Result,
        records::{self, EVENTS_IN_PAGE, EventPage, Key},
        view::{Read, Write},
    },
};

/// The most pages that one listing looks at: about a millisecond.
const MOST_LOOKED_AT: usize = 50;

/// The most events that one listing gives.
const MOST_LISTED: usize = 1_000;

/// The most pages that a step of the sweep removes.
pub(super) const MOST_SWEPT: usize = 64;

/// Who writes down what a step did: the step says what came of the cause.
#[derive(Clone, Copy)]
pub(in crate::store) struct Scribe {
    pub(in crate::store) cause: Cause,
    pub(in crate::store) bounds: AuditBounds,
}

impl Scribe {
    /// The beginning of the event: that it was done to this account.
    pub(super) fn about(&self, account: AccountId) -> AuditEvent {
        self.cause.about(account)
    }

    /// Writes the event down, to be recorded together with what the step changed.
    pub(super) fn write(&self, w: &mut dyn Write, event: &AuditEvent) -> Result<()> {
        append(w, event, self.bounds)
    }
}

/// Puts an event behind those of its trail. If that makes too many, the oldest page goes.
pub(in crate::store) fn append(
    w: &mut dyn Write,
    event: &AuditEvent,
    bounds: AuditBounds,
) -> Result<()> {
    let trail = event.what.trail();
    let mut page = open_page(w, trail)?.unwrap_or_else(|| EventPage::empty(0));
    if page.count()? >= EVENTS_IN_PAGE {
        let number = page.number();
        w.put(records::events_key(trail, number), page.into_value());
        page = EventPage::empty(number + 1);
        if let Some(oldest) = first_kept(page.number(), bounds).checked_sub(1) {
            let oldest = records::events_key(trail, oldest);
            if w.get(&oldest)?.is_some() {
                w.remove(oldest);
            }
        }
    }
    page.push(event)?;
    w.put(records::open_events_key(trail), page.into_value());
    Ok(())
}

fn open_page(r: &dyn Read, trail: AuditTrail) -> Result<Option<EventPage>> {
    r.get(&records::open_events_key(trail))?.map(EventPage::from_value).transpose()
}

/// The first page that there is room for when `open` is the latest.
fn first_kept(open: u64, bounds: AuditBounds) -> u64 {
    (open + 1).saturating_sub((bounds.most / EVENTS_IN_PAGE).max(1))
}

/// When events are over that happened then or before.
fn over_until(bounds: AuditBounds, now: Timestamp) -> Timestamp {
    later(now, -bounds.keep)
}

pub(in crate::store) fn list(
    r: &dyn Read,
    filter: AuditFilter,
    before: Option<AuditPlace>,
    limit: usize,
    over: Timestamp,
) -> Result<AuditPage> {
    let limit = limit.clamp(1, MOST_LISTED);
    let mut budget = MOST_LOOKED_AT;
    let mut trails = Vec::new();
    for (at, trail) in AuditTrail::ALL.into_iter().enumerate() {
        trails.push(Backwards::begin(r, trail, before.map(|place| place.before[at]))?);
    }
    let mut events = Vec::new();
    loop {
        let mut is_over = true;
        let mut heads = Vec::new();
        for trail in &mut trails {
            if trail.ahead.is_empty() && budget > 0 && trail.turn_page(r)? {
                budget -= 1;
            }
            is_over &= trail.is_over();
            heads.push(trail.ahead.back().map(|event| event.at));
        }
        // Of a trail whose next page may not be looked at, it is not known what comes next.
        let unknown = trails.iter().any(|trail| trail.ahead.is_empty() && !trail.is_over());
        if is_over || unknown || events.len() >= limit {
            let next = (!is_over).then(|| {
                let mut place = AuditPlace { before: [0; AuditTrail::ALL.len()] };
                for (before, trail) in place.before.iter_mut().zip(&trails) {
                    *before = trail.before;
                }
                place
            });
            return Ok(AuditPage { events, next });
        }
        // The later one; of two at one moment that of the first trail.
        let latest = usize::from(heads[0] < heads[1]);
        if let Some(event) = trails[latest].next()
            && event.at > over
            && filter.account.is_none_or(|account| event.concerns(account))
        {
            events.push(event);
        }
    }
}

/// A trail, read from its end.
struct Backwards {
    trail: AuditTrail,
    /// The number of the event that was read last, or of the one behind the latest. Zero when there
    /// are none before it.
    before: u64,
    /// What was looked at and not read yet.
    ahead: VecDeque<AuditEvent>,
    /// The number of the latest page.
    open: u64,
}

impl Backwards {
    fn begin(r: &dyn Read, trail: AuditTrail, before: Option<u64>) -> Result<Self> {
        let (open, end) = match open_page(r, trail)? {
            Some(page) => (page.number(), page.number() * EVENTS_IN_PAGE + page.count()?),
            None => (0, 0),
        };
        let before = before.map_or(end, |before| before.min(end));
        Ok(Self { trail, before, ahead: VecDeque::new(), open })
    }

    /// Whether there are no more.
    fn is_over(&self) -> bool {
        self.before == 0
    }

    /// Looks at the page that the next event is in. Returns whether a page had to be looked at.
    fn turn_page(&mut self, r: &dyn Read) -> Result<bool> {
        let Some(next) = self.before.checked_sub(1) else {
            return Ok(false);
        };
        let number = next / EVENTS_IN_PAGE;
        let key = if number == self.open {
            records::open_events_key(self.trail)
        } else {
            records::events_key(self.trail, number)
        };
        let page = r.get(&key)?.map(EventPage::from_value).transpose()?;
        self.ahead.clear();
        self.before = 0;
        // Where a page is gone, so is all before it: the sweep has it so.
        if let Some(page) = page {
            self.ahead = page.events()?.into();
            self.ahead.truncate(usize::try_from(next % EVENTS_IN_PAGE).unwrap_or(usize::MAX) + 1);
            self.before = number * EVENTS_IN_PAGE + self.ahead.len() as u64;
        }
        Ok(true)
    }

    fn next(&mut self) -> Option<AuditEvent> {
        let event = self.ahead.pop_back()?;
        self.before -= 1;
        Some(event)
    }
}

/// Pages that are over.
pub(super) fn find_over(r: &dyn Read, bounds: AuditBounds, now: Timestamp) -> Result<Vec<Key>> {
    let over = over_until(bounds, now);
    let mut found = Vec::new();
    for trail in AuditTrail::ALL {
        let Some(open) = open_page(r, trail)? else {
            continue;
        };
        let first_kept = first_kept(open.number(), bounds);
        // From the oldest on, so that what is left has no gap, also when the clock was set back.
        let mut all_are_over = true;
        let prefix = records::events_prefix(trail);
        for entry in r.scan(&prefix, &[]) {
            let (key, value) = entry?;
            let page = EventPage::from_value(value)?;
            if found.len() == MOST_SWEPT || page.number() >= first_kept && !is_over(&page, over)? {
                all_are_over = false;
                break;
            }
            found.push(key);
        }
        if all_are_over && open.count()? > 0 && is_over(&open, over)? {
            found.push(records::open_events_key(trail));
        }
    }
    Ok(found)
}

fn is_over(page: &EventPage, over: Timestamp) -> Result<bool> {
    Ok(page.last()?.is_none_or(|last| last.at <= over))
}

/// Removes pages that were found to be over. A page that is full never changes; the latest one may
/// have, and its number is kept.
pub(super) fn remove_over(
    w: &mut dyn Write,
    found: &[Key],
    bounds: AuditBounds,
    now: Timestamp,
) -> Result<()> {
    let over = over_until(bounds, now);
    for key in found {
        match w.get(key)? {
            Some(value) if AuditTrail::ALL.map(records::open_events_key).contains(key) => {
                let page = EventPage::from_value(value)?;
                if page.count()? > 0 && is_over(&page, over)? {
                    w.put(key.clone(), EventPage::empty(page.number() + 1).into_value());
                }
            }
            Some(_) => w.remove(key.clone()),
            None => {}
        }
    }
    Ok(())
}
