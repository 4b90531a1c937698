//! Accounts: find them, look at one, lock and unlock it.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use serde::Deserialize;

use super::view::{DetailsView, FoundAccounts};
use crate::{
    http::{
        Code, Site,
        api::{
            ApiTags,
            answer::Answer,
            body::Body,
            failure::{ADMIN, ANY, BODY, Failed, RECENT, SIGNED_IN, WRITE, failures},
            query::Query,
            text::{Text, Uuid},
            view::{AccountStateView, Ended},
        },
        credential::Administering,
    },
    model::AccountId,
    session::Error,
    store,
};

pub(in crate::http) struct Api;

/// What an account's state is to be.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
struct NewState {
    /// `disabled` ends all sessions of the account at once, `active` revives none.
    state: AccountStateView,
}

impl Example for NewState {
    fn example() -> Self {
        Self { state: AccountStateView::Disabled }
    }
}

failures!(FindFailures: ANY, SIGNED_IN, ADMIN);
failures!(ShowFailures: ANY, SIGNED_IN, ADMIN, [Code::NoSuchAccount]);
failures!(StateFailures: ANY, SIGNED_IN, ADMIN, WRITE, BODY, RECENT, [
    Code::NoSuchAccount,
    Code::OwnAccount,
]);

/// How many accounts are found in one go, unless it is said.
fn usual_limit() -> u16 {
    100
}

/// The account that a path names. What is no id names none.
pub(super) fn account_id(id: &Path<Text<Uuid>>) -> Result<AccountId, Error> {
    id.0.as_str().parse().map_err(|_| Error::NoSuchAccount)
}

#[OpenApi(tag = "ApiTags::Administration")]
impl Api {
    /// Find accounts.
    ///
    /// In the order of their e-mail addresses. One answer takes a bounded amount of work: it may
    /// have few accounts or none, and still a `next` to go on with.
    #[oai(path = "/admin/accounts", method = "get", operation_id = "findAccounts")]
    async fn find(
        &self,
        site: Data<&Arc<Site>>,
        admin: Administering,
        /// Those with this in their e-mail address. Upper and lower case are one.
        #[oai(validator(max_length = 254))]
        search: Query<Option<String>>,
        /// The one with exactly this e-mail address, if there is one. The other parameters mean
        /// nothing then.
        #[oai(validator(max_length = 254))]
        email: Query<Option<String>>,
        /// From the first behind this one, in the order of addresses: the `next` of the answer
        /// before.
        #[oai(validator(max_length = 254))]
        after: Query<Option<String>>,
        /// At most so many.
        #[oai(default = "usual_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u16>,
    ) -> Result<Answer<FoundAccounts>, Failed<FindFailures>> {
        if let Some(email) = email.0 {
            let found = site.sessions.account_with_email(&admin.0, &email).await?;
            let accounts = found.into_iter().collect();
            return Ok(Answer(store::FoundAccounts { accounts, next: None }.into()));
        }
        let part = search.0.unwrap_or_default();
        let limit = usize::from(limit.0);
        let found = site.sessions.find_accounts(&admin.0, &part, after.0.as_deref(), limit);
        Ok(Answer(found.await?.into()))
    }

    /// One account.
    ///
    /// With its visits over all sessions, and how many sessions are alive.
    #[oai(path = "/admin/accounts/:id", method = "get", operation_id = "showAccount")]
    async fn show(
        &self,
        site: Data<&Arc<Site>>,
        admin: Administering,
        /// The account's `id`.
        id: Path<Text<Uuid>>,
    ) -> Result<Answer<DetailsView>, Failed<ShowFailures>> {
        let details = site.sessions.account_details(&admin.0, account_id(&id)?).await?;
        Ok(Answer(details.into()))
    }

    /// Disable or enable an account.
    ///
    /// Disabling ends all its sessions at once; enabling revives none. One's own account cannot be
    /// disabled. Only within `session.recent` (by default ten minutes) of a log-in or
    /// `reauthenticate`.
    #[oai(path = "/admin/accounts/:id/state", method = "put", operation_id = "setAccountState")]
    async fn set_state(
        &self,
        site: Data<&Arc<Site>>,
        admin: Administering,
        /// The account's `id`.
        id: Path<Text<Uuid>>,
        body: Body<NewState>,
    ) -> Result<Answer<Ended>, Failed<StateFailures>> {
        let (id, state) = (account_id(&id)?, body.0.state.into());
        let ended = site.sessions.set_account_state(&admin.0, id, state).await?;
        Ok(Answer(Ended { ended }))
    }
}
