//! The account of the request: see it, change its password.

use std::sync::Arc;

use poem::{Request, web::Data};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use serde::Deserialize;

use super::{
    ApiTags,
    answer::Answer,
    body::Body,
    failure::{ANY, BODY, Failed, HASHING, NEW_PASSWORD, SIGNED_IN, WRITE, failures},
    text::{Secret, Text},
    view::AccountView,
};
use crate::{
    http::{Code, Site, credential::Authenticated},
    model::Password,
};

pub(in crate::http) struct Api;

/// A change of password.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The password until now.
    current: Text<Secret>,
    /// The password from now on. By default 15 to 128 characters that are hard to guess.
    new: Text<Secret>,
}

impl Example for NewPassword {
    fn example() -> Self {
        Self { current: Text::of("correct horse battery"), new: Text::of("staple after staple") }
    }
}

#[derive(ApiResponse)]
enum PasswordChanged {
    /// The password is changed and all other sessions of the account have ended.
    #[oai(status = 204)]
    Done,
}

failures!(AccountFailures: ANY, SIGNED_IN);
failures!(ChangePasswordFailures: ANY, SIGNED_IN, WRITE, BODY, HASHING, NEW_PASSWORD, [
    Code::WrongPassword,
]);

#[OpenApi(tag = "ApiTags::Accounts")]
impl Api {
    /// The account of this request.
    #[oai(path = "/account", method = "get", operation_id = "getAccount")]
    async fn get(
        &self,
        site: Data<&Arc<Site>>,
        who: Authenticated,
    ) -> Result<Answer<AccountView>, Failed<AccountFailures>> {
        Ok(Answer(site.sessions.own_summary(&who.0).await?.into()))
    }

    /// Change the password.
    ///
    /// All other sessions of the account end.
    #[oai(path = "/account/password", method = "put", operation_id = "changePassword")]
    async fn change_password(
        &self,
        site: Data<&Arc<Site>>,
        request: &Request,
        who: Authenticated,
        body: Body<NewPassword>,
    ) -> Result<PasswordChanged, Failed<ChangePasswordFailures>> {
        let NewPassword { current, new } = body.0;
        let (current, new) =
            (Password::new(current.into_string()), Password::new(new.into_string()));
        let from = site.client(request);
        site.sessions.change_password(&who.0, current, new, from).await?;
        Ok(PasswordChanged::Done)
    }
}
