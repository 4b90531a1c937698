//! Audit events: who did what, when, and from where.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;

use super::view::ListedEvents;
use crate::{
    http::{
        Code, HttpError, Site,
        api::{
            ApiTags,
            answer::Answer,
            failure::{ADMIN, ANY, Failed, SIGNED_IN, failures},
            query::Query,
            text::{Text, Uuid},
        },
        credential::Administering,
    },
    model::AccountId,
    store::AuditPlace,
};

pub(in crate::http) struct Api;

failures!(ListFailures: ANY, SIGNED_IN, ADMIN);

/// How many events are listed in one go, unless it is said.
fn usual_limit() -> u16 {
    100
}

#[OpenApi(tag = "ApiTags::Administration")]
impl Api {
    /// Audit events: who did what, when, and from where.
    ///
    /// The newest first. One answer takes a bounded amount of work: it may have few events or none,
    /// and still a `next` to go on with. Events name accounts by their ids, and stay when an account
    /// is gone, for `audit.keep` (by default 90 days).
    #[oai(path = "/admin/events", method = "get", operation_id = "listEvents")]
    async fn list(
        &self,
        site: Data<&Arc<Site>>,
        admin: Administering,
        /// Those about the account with this `id`, and those that were done by it.
        account: Query<Option<Text<Uuid>>>,
        /// From those before this place on: the `next` of the answer before.
        #[oai(validator(
            // Two numbers for each shard.
            pattern = "^(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})(-(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})){0,63}$"
        ))]
        before: Query<Option<String>>,
        /// At most so many.
        #[oai(default = "usual_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u16>,
    ) -> Result<Answer<ListedEvents>, Failed<ListFailures>> {
        let unreadable = || HttpError::from(Code::BadRequest);
        let account = account.0.map(|id| id.as_str().parse::<AccountId>()).transpose();
        let before = before.0.map(|place| place.parse::<AuditPlace>()).transpose();
        let account = account.map_err(|_| unreadable())?;
        let before = before.map_err(|_| unreadable())?;
        let limit = usize::from(limit.0);
        let page = site.sessions.list_events(&admin.0, account, before, limit).await?;
        Ok(Answer(page.into()))
    }
}
