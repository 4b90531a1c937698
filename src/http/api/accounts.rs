//! Make an account.

use std::sync::Arc;

use poem::{Request, web::Data};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use serde::Deserialize;

use super::{
    ApiTags,
    answer::Answer,
    body::Body,
    failure::{ANY, BODY, Failed, HASHING, NEW_PASSWORD, WRITE, failures},
    text::{EmailAddress, Secret, Text},
    view::AccountView,
};
use crate::{
    http::{Code, Site},
    model::{Email, Password},
    session::{AccountSummary, Error},
};

pub(in crate::http) struct Api;

/// A new account.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
struct SignUp {
    /// The e-mail address. Upper and lower case are one.
    #[oai(validator(max_length = 254))]
    email: Text<EmailAddress>,
    /// The password, exactly as it will be typed. By default 15 to 128 characters that are
    /// hard to guess.
    password: Text<Secret>,
}

impl Example for SignUp {
    fn example() -> Self {
        Self { email: Text::of("ann@example.com"), password: Text::of("correct horse battery") }
    }
}

#[derive(ApiResponse)]
enum CreatedAccount {
    /// The account was made. It is not logged in.
    #[oai(status = 201)]
    Created(Answer<AccountView>),
}

failures!(CreateAccountFailures: ANY, WRITE, BODY, HASHING, NEW_PASSWORD, [
    Code::InvalidEmail,
    Code::EmailTaken,
    Code::RegistrationClosed,
]);

#[OpenApi(tag = "ApiTags::Accounts")]
impl Api {
    /// Make an account.
    ///
    /// Sets no cookie: log in afterwards.
    #[oai(path = "/accounts", method = "post", operation_id = "createAccount")]
    async fn create(
        &self,
        site: Data<&Arc<Site>>,
        request: &Request,
        body: Body<SignUp>,
    ) -> Result<CreatedAccount, Failed<CreateAccountFailures>> {
        let SignUp { email, password } = body.0;
        let email = Email::parse(email.as_str()).map_err(Error::from)?;
        let password = Password::new(password.into_string());
        let account = site.sessions.sign_up(email, password, site.client(request)).await?;
        let summary = AccountSummary { account, visits: 0 };
        Ok(CreatedAccount::Created(Answer(summary.into())))
    }
}
