//! Records of a backup, taken in as they are.

use super::{pages, save_account, variables};
use crate::{
    model::{AuditEvent, AuditTrail},
    store::{
        Result,
        backup::{BackupRecord, EVENTS_IN_RUN},
        records::{self, AccountRecord, EVENTS_IN_PAGE, EventPage, SessionRecord},
        view::Write,
    },
};

pub(in crate::store) fn import(w: &mut dyn Write, imported: Vec<BackupRecord>) -> Result<()> {
    for record in imported {
        match record {
            BackupRecord::Account { account, ended_visits, ended_days } => {
                let email = records::email_key(&account.email);
                let id = records::account_key(account.id);
                if w.get(&email)?.is_some() || w.get(&id)?.is_some() {
                    return Err(records::damaged("account", "it is there already"));
                }
                w.put(email, records::encode_account_id(account.id));
                save_account(w, &AccountRecord { account, ended_visits, ended_days })?;
            }
            BackupRecord::Session { session, epoch, days } => {
                if pages::find(w, session.account, session.id)?.is_some() {
                    return Err(records::damaged("session", "it is there already"));
                }
                pages::insert(w, &SessionRecord { session, epoch, days })?;
            }
            BackupRecord::Variables { account, session, variables } => {
                variables::import(w, account, session, &variables)?;
            }
            BackupRecord::Epoch(epoch) => {
                if w.get(records::EPOCH)?.is_some() {
                    return Err(records::damaged("epoch", "it is there already"));
                }
                w.put(records::EPOCH.to_vec(), records::encode_epoch(epoch));
            }
            BackupRecord::Events { trail, first, events } => {
                import_events(w, trail, first, &events)?;
            }
        }
    }
    Ok(())
}

// One is one.
const _: () = assert!(EVENTS_IN_RUN == EVENTS_IN_PAGE);

/// Takes in a run of events, as the page that it is. The one with the highest number is the latest.
fn import_events(
    w: &mut dyn Write,
    trail: AuditTrail,
    first: u64,
    events: &[AuditEvent],
) -> Result<()> {
    let fits = first.is_multiple_of(EVENTS_IN_RUN)
        && first.checked_add(EVENTS_IN_RUN).is_some()
        && events.len() as u64 <= EVENTS_IN_RUN
        && events.iter().all(|event| event.what.trail() == trail);
    if !fits {
        return Err(records::damaged("audit", "it is no run of a trail's events"));
    }
    let page = EventPage::of(first / EVENTS_IN_RUN, events)?;
    let open_key = records::open_events_key(trail);
    let full = match w.get(&open_key)?.map(EventPage::from_value).transpose()? {
        Some(open) if open.number() > page.number() => page,
        Some(open) if open.number() == page.number() => {
            return Err(records::damaged("audit", "it is there already"));
        }
        open => {
            w.put(open_key, page.into_value());
            let Some(open) = open else {
                return Ok(());
            };
            open
        }
    };
    let key = records::events_key(trail, full.number());
    if w.get(&key)?.is_some() {
        return Err(records::damaged("audit", "it is there already"));
    }
    w.put(key, full.into_value());
    Ok(())
}
