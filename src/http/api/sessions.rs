//! All sessions of the account: see them, end them.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, OpenApi, param::Path};

use super::{
    ApiTags,
    answer::Answer,
    failure::{ANY, Failed, RECENT, SIGNED_IN, WRITE, failures},
    text::{Text, Uuid},
    view::{Ended, SessionView},
};
use crate::{
    http::{Code, Site, credential::Authenticated, session_cookie::CookieSlot},
    model::{SessionId, Transport},
    session::Error,
};

pub(in crate::http) struct Api;

#[derive(ApiResponse)]
enum EndedOne {
    /// The session has ended. If it was the current one, the cookie is cleared.
    #[oai(status = 204)]
    Done,
}

failures!(ListFailures: ANY, SIGNED_IN);
failures!(EndFailures: ANY, SIGNED_IN, WRITE, RECENT, [Code::NoSuchSession]);
failures!(EndOthersFailures: ANY, SIGNED_IN, WRITE, RECENT);

#[OpenApi(tag = "ApiTags::Sessions")]
impl Api {
    /// The account's living sessions.
    ///
    /// Oldest first, the current one marked.
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions")]
    async fn list(
        &self,
        site: Data<&Arc<Site>>,
        who: Authenticated,
    ) -> Result<Answer<Vec<SessionView>>, Failed<ListFailures>> {
        let who = who.0;
        let sessions = site.sessions.own_sessions(&who).await?;
        let view = |session| SessionView::of(session, who.email(), who.session.id);
        Ok(Answer(sessions.iter().map(view).collect()))
    }

    /// End one session of the account.
    ///
    /// Another than the current one: only within `session.recent` (by default ten minutes) of a
    /// log-in or `reauthenticate`.
    #[oai(path = "/sessions/:sid", method = "delete", operation_id = "endSession")]
    async fn end(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        who: Authenticated,
        /// The session's `sid`.
        sid: Path<Text<Uuid>>,
    ) -> Result<EndedOne, Failed<EndFailures>> {
        let who = who.0;
        // What is no id names no session.
        let id: SessionId = sid.0.as_str().parse().map_err(|_| Error::NoSuchSession)?;
        site.sessions.end_session(&who, id).await?;
        if id == who.session.id && who.session.transport == Transport::Cookie {
            slot.clear();
        }
        Ok(EndedOne::Done)
    }

    /// End all other sessions of the account.
    ///
    /// The current one goes on. Only within `session.recent` (by default ten minutes) of a log-in or
    /// `reauthenticate`.
    #[oai(path = "/sessions", method = "delete", operation_id = "endOtherSessions")]
    async fn end_others(
        &self,
        site: Data<&Arc<Site>>,
        who: Authenticated,
    ) -> Result<Answer<Ended>, Failed<EndOthersFailures>> {
        let ended = site.sessions.end_other_sessions(&who.0).await?;
        Ok(Answer(Ended { ended }))
    }
}
