//! Sessions: of one account, and of everybody.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, OpenApi, param::Path};

use super::{accounts::account_id, view::ListedSession};
use crate::{
    http::{
        Code, Site,
        api::{
            ApiTags,
            answer::Answer,
            failure::{ADMIN, ANY, Failed, RECENT, SIGNED_IN, WRITE, failures},
            text::{Text, Uuid},
            view::Ended,
        },
        credential::Administering,
        session_cookie::CookieSlot,
    },
    model::SessionId,
    session::Error,
};

pub(in crate::http) struct Api;

#[derive(ApiResponse)]
enum SessionEnded {
    /// The session has ended. If it was the current one, the cookie is cleared.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum EveryoneOut {
    /// Every session has ended, and the cookie is cleared.
    #[oai(status = 204)]
    Done,
}

failures!(ListFailures: ANY, SIGNED_IN, ADMIN, [Code::NoSuchAccount]);
failures!(EndOneFailures: ANY, SIGNED_IN, ADMIN, WRITE, RECENT, [
    Code::NoSuchAccount,
    Code::NoSuchSession,
]);
failures!(EndAllFailures: ANY, SIGNED_IN, ADMIN, WRITE, RECENT, [Code::NoSuchAccount]);
failures!(EndEveryFailures: ANY, SIGNED_IN, ADMIN, WRITE, RECENT);

#[OpenApi(tag = "ApiTags::Administration")]
impl Api {
    /// The living sessions of an account.
    ///
    /// Oldest first.
    #[oai(
        path = "/admin/accounts/:id/sessions",
        method = "get",
        operation_id = "listAccountSessions"
    )]
    async fn list(
        &self,
        site: Data<&Arc<Site>>,
        admin: Administering,
        /// The account's `id`.
        id: Path<Text<Uuid>>,
    ) -> Result<Answer<Vec<ListedSession>>, Failed<ListFailures>> {
        let sessions = site.sessions.account_sessions(&admin.0, account_id(&id)?).await?;
        let current = admin.0.session().id;
        let view = |session| ListedSession::of(session, current);
        Ok(Answer(sessions.iter().map(view).collect()))
    }

    /// End one session of an account.
    ///
    /// Only within `session.recent` (by default ten minutes) of a log-in or `reauthenticate`.
    #[oai(
        path = "/admin/accounts/:id/sessions/:sid",
        method = "delete",
        operation_id = "endAccountSession"
    )]
    async fn end_one(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        admin: Administering,
        /// The account's `id`.
        id: Path<Text<Uuid>>,
        /// The session's `sid`.
        sid: Path<Text<Uuid>>,
    ) -> Result<SessionEnded, Failed<EndOneFailures>> {
        let id = account_id(&id)?;
        // What is no id names no session.
        let sid: SessionId = sid.0.as_str().parse().map_err(|_| Error::NoSuchSession)?;
        site.sessions.end_account_session(&admin.0, id, sid).await?;
        if admin.0.has_ended(id, Some(sid)) {
            slot.clear();
        }
        Ok(SessionEnded::Done)
    }

    /// End all sessions of an account.
    ///
    /// If it is one's own, the current session is among them and the cookie is cleared. Only within
    /// `session.recent` (by default ten minutes) of a log-in or `reauthenticate`.
    #[oai(
        path = "/admin/accounts/:id/sessions",
        method = "delete",
        operation_id = "endAccountSessions"
    )]
    async fn end_all(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        admin: Administering,
        /// The account's `id`.
        id: Path<Text<Uuid>>,
    ) -> Result<Answer<Ended>, Failed<EndAllFailures>> {
        let id = account_id(&id)?;
        let ended = site.sessions.end_account_sessions(&admin.0, id).await?;
        if admin.0.has_ended(id, None) {
            slot.clear();
        }
        Ok(Answer(Ended { ended }))
    }

    /// End every session of everybody.
    ///
    /// The current one among them. Only within `session.recent` (by default ten minutes) of a log-in
    /// or `reauthenticate`.
    #[oai(path = "/admin/sessions", method = "delete", operation_id = "endEverySession")]
    async fn end_every(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        admin: Administering,
    ) -> Result<EveryoneOut, Failed<EndEveryFailures>> {
        site.sessions.end_every_session(&admin.0).await?;
        if admin.0.has_ended(admin.0.session().account, None) {
            slot.clear();
        }
        Ok(EveryoneOut::Done)
    }
}
