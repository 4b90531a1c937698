//! Everything that is kept about one's own account, to take away.

use super::{Result, Sessions, SignedIn, events::Event, manage::AccountSummary};
use crate::{
    model::{Actor, AuditEvent, AuditKind, Session, Timestamp, Variables, VisitDays},
    store::AuditFilter,
};

/// How many of the account's audit events are in an export at most: the latest.
const MOST_EVENTS: usize = 1_000;

/// How often the store is asked for them at most: of a busy service with many other people, the
/// oldest may be left out.
const MOST_PAGES: usize = 20;

/// All that is kept about an account. What the store adds about a person belongs in here, too.
#[derive(Clone, Debug)]
pub struct AccountExport {
    /// When it was put together.
    pub exported_at: Timestamp,
    /// The account and its visits.
    pub summary: AccountSummary,
    /// Its visits of the latest days.
    pub days: VisitDays,
    /// Its living sessions, oldest first, with what an app keeps in them. Of those that are over only
    /// their visits are kept.
    pub sessions: Vec<(Session, Variables)>,
    /// What happened to the account: the latest first, and no more than can be looked through in a
    /// moment. Where an administrator sat is not the account's.
    pub events: Vec<AuditEvent>,
}

impl Sessions {
    /// Everything that is kept about the signed-in account. That it was asked for is written down,
    /// and is the first of its events.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`](super::Error::NotSignedIn) when the account was removed meanwhile;
    /// [`Error::Store`](super::Error::Store).
    pub async fn export_account(&self, who: &SignedIn) -> Result<AccountExport> {
        let summary = self.own_summary(who).await?;
        let id = summary.account.id;
        let days = self.store.visit_days(id).await?;
        let event = self.cause(AuditKind::AccountExported, who.by()).about(id);
        self.store.write_event(event).await?;
        let mut sessions = Vec::new();
        for session in self.own_sessions(who).await? {
            let kept = self.store.variables(id, session.id, event.at).await?;
            // One that has ended in between has none.
            sessions.push((session, kept.unwrap_or_default()));
        }
        let events = self.own_events(who).await?;
        Event::Happened(event).record();
        Ok(AccountExport { exported_at: event.at, summary, days, sessions, events })
    }

    async fn own_events(&self, who: &SignedIn) -> Result<Vec<AuditEvent>> {
        let account = Some(who.session.account);
        let filter = AuditFilter { account };
        let (mut events, mut before) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self.audit_events(&filter, before, MOST_EVENTS - events.len()).await?;
            events.extend(page.events.into_iter().filter(|event| event.account == account));
            before = page.next;
            if before.is_none() || events.len() >= MOST_EVENTS {
                break;
            }
        }
        for event in &mut events {
            if matches!(event.by.actor, Actor::Account(other) if Some(other) != account) {
                event.by.from = None;
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::By,
        session::{
            operate::Command,
            testing::{Fixture, address, shown},
        },
    };

    #[tokio::test]
    async fn an_export_has_what_happened_to_the_account_and_not_where_an_administrator_sat() {
        let fixture = Fixture::new();
        let admin = fixture.signed_up("admin@example.com").await;
        fixture.signed_up("ann@example.com").await;
        let from = Some([192, 0, 2, 9].into());
        let by = By { actor: Actor::Account(admin.session.account), from };
        let end = Command::RevokeSessions { email: address("ann@example.com") };
        fixture.sessions.operate(end, &by).await.unwrap();
        fixture.later(1);
        let ann = fixture.logged_in("ann@example.com").await;
        let export = async |issued| {
            let who = fixture.sessions.authenticate(&shown(issued)).await.unwrap();
            fixture.later(1);
            fixture.sessions.export_account(&who).await.unwrap()
        };
        let told = export(&ann).await.events;
        let codes: Vec<_> = told.iter().map(|event| event.what.code()).collect();
        let expected = ["account_exported", "log_in", "sessions_ended", "log_in", "sign_up"];
        assert_eq!(codes, expected);
        assert_eq!(told[2].by, By { from: None, ..by });
        let filter = AuditFilter { account: Some(ann.session.account) };
        let kept = fixture.sessions.audit_events(&filter, None, 9).await.unwrap().events;
        assert_eq!(kept[2].by, by);
        // What an administrator did to others is about them.
        assert_eq!(export(&admin).await.events.len(), 3);
    }
}
