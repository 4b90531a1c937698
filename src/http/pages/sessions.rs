//! The account's sessions, as the pages list them.

use jiff::Timestamp;

use super::device;
use crate::{
    http::{HttpError, Site},
    model::{Session, SessionId, Transport},
    session::SignedIn,
};

/// One line of the list.
pub(super) struct Row {
    pub(super) id: SessionId,
    pub(super) device: String,
    pub(super) user_agent: String,
    pub(super) current: bool,
    pub(super) bearer: bool,
    pub(super) created: Moment,
    pub(super) last_seen: Moment,
    pub(super) visits: u64,
}

/// A moment as a page writes it.
pub(super) struct Moment(pub(super) Timestamp);

impl Moment {
    /// For programs, RFC 3339.
    pub(super) fn exact(&self) -> Timestamp {
        self.0
    }

    /// For people.
    pub(super) fn readable(&self) -> String {
        self.0.strftime("%-d %b %Y, %H:%M UTC").to_string()
    }
}

/// The list: the session one looks from first, the others by when they were last seen.
pub(super) async fn list(site: &Site, who: &SignedIn) -> Result<Vec<Row>, HttpError> {
    let mut sessions = site.sessions.own_sessions(who).await?;
    sessions.sort_by_key(|session| {
        (session.id != who.session.id, -session.last_seen_at.as_millisecond())
    });
    Ok(sessions.into_iter().map(|session| row(session, who)).collect())
}

fn row(session: Session, who: &SignedIn) -> Row {
    Row {
        id: session.id,
        device: device::name(&session.user_agent),
        current: session.id == who.session.id,
        bearer: session.transport == Transport::Bearer,
        created: Moment(session.created_at),
        last_seen: Moment(session.last_seen_at),
        visits: session.visits,
        user_agent: session.user_agent,
    }
}
