//! Audit events: written down together with what they are about, listed, and removed when they are
//! over.

use crate::{
    model::{AccountId, AuditEvent, AuditTrail, Cause, Timestamp, clock::later},
    store::{
        AuditBounds, AuditFilter, AuditPage, AuditPlace, Result,
        listing::{Listing, Next},
        records::{self, EVENTS_IN_PAGE, EventPage, Key},
        view::{Read, Write},
    },
};

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
    let mut ends = [0; AuditTrail::ALL.len()];
    for (end, trail) in ends.iter_mut().zip(AuditTrail::ALL) {
        if let Some(page) = open_page(r, trail)? {
            *end = page.number() * EVENTS_IN_PAGE + page.count()?;
        }
    }
    let mut listing = Listing::new(filter, before, &[ends], limit, over);
    loop {
        match listing.go_on() {
            Next::Pages(wanted) => {
                for of in wanted {
                    listing.turn_page(of, events_of(r, of.trail, of.number)?);
                }
            }
            Next::Nothing(found) => return Ok(found),
        }
    }
}

/// The events of a page, or none where it is gone.
fn events_of(r: &dyn Read, trail: AuditTrail, number: u64) -> Result<Vec<AuditEvent>> {
    let page = match r.get(&records::events_key(trail, number))? {
        Some(page) => Some(EventPage::from_value(page)?),
        None => open_page(r, trail)?.filter(|page| page.number() == number),
    };
    page.map_or(Ok(Vec::new()), |page| page.events())
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
