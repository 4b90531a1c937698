//! The account of the request: see it, change its password and e-mail, export it, close it.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use serde::Deserialize;

use super::{
    ApiTags,
    answer::Answer,
    body::Body,
    export::ExportView,
    failure::{ANY, BODY, Failed, HASHING, NEW_PASSWORD, RECENT, SIGNED_IN, WRITE, failures},
    session::hand_out,
    text::{EmailAddress, Secret, Text},
    view::{AccountView, SessionWithToken},
};
use crate::{
    http::{Code, Site, credential::Authenticated, session_cookie::CookieSlot},
    model::{Email, Password, Transport},
    session::Error,
};

pub(in crate::http) struct Api;

/// What a browser is to do with an export (RFC 6266).
const ATTACHMENT: &str = "attachment; filename=\"countersign-account.json\"";

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

/// A change of e-mail address.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
struct NewEmail {
    /// The address from now on. Upper and lower case are one.
    #[oai(validator(max_length = 254))]
    email: Text<EmailAddress>,
}

impl Example for NewEmail {
    fn example() -> Self {
        Self { email: Text::of("ann@example.com") }
    }
}

#[derive(ApiResponse)]
enum PasswordChanged {
    /// To a bearer client: the session, and the token to send from now on.
    #[oai(status = 200)]
    WithToken(Answer<SessionWithToken>),
    /// To a browser: the cookie is set anew.
    #[oai(status = 204)]
    WithCookie,
}

#[derive(ApiResponse)]
enum Closed {
    /// The account is gone and the cookie is cleared.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum Exported {
    /// The export, to be saved as a file.
    #[oai(status = 200)]
    Done(
        Answer<ExportView>,
        /// That it is a file, and its name.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

failures!(AccountFailures: ANY, SIGNED_IN);
failures!(ChangeEmailFailures: ANY, SIGNED_IN, WRITE, BODY, RECENT, [
    Code::InvalidEmail,
    Code::EmailTaken,
]);
failures!(CloseFailures: ANY, SIGNED_IN, WRITE, RECENT);
failures!(ChangePasswordFailures: ANY, SIGNED_IN, WRITE, BODY, HASHING, NEW_PASSWORD, [
    Code::WrongPassword,
]);

#[OpenApi(tag = "ApiTags::Accounts")]
impl Api {
    /// The account of this request.
    ///
    /// With its visits over all sessions. Counts nothing.
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
    /// All other sessions of the account end. The current one goes on under a new `sid`; its tokens
    /// from before are refused from now on.
    #[oai(path = "/account/password", method = "put", operation_id = "changePassword")]
    async fn change_password(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        who: Authenticated,
        body: Body<NewPassword>,
    ) -> Result<PasswordChanged, Failed<ChangePasswordFailures>> {
        let NewPassword { current, new } = body.0;
        let (current, new) =
            (Password::new(current.into_string()), Password::new(new.into_string()));
        let issued = site.sessions.change_password(&who.0, current, new).await?;
        let session = hand_out(issued, slot.0);
        Ok(match session.token {
            Some(_) => PasswordChanged::WithToken(Answer(session)),
            None => PasswordChanged::WithCookie,
        })
    }

    /// Change the e-mail address.
    ///
    /// All other sessions of the account end. The current one goes on under a new `sid`; its tokens
    /// from before are refused from now on. The cookie is set anew; a bearer client finds its new
    /// token in the body. Only within `session.recent` (by default ten minutes) of a log-in or
    /// `reauthenticate`.
    #[oai(path = "/account/email", method = "put", operation_id = "changeEmail")]
    async fn change_email(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        who: Authenticated,
        body: Body<NewEmail>,
    ) -> Result<Answer<SessionWithToken>, Failed<ChangeEmailFailures>> {
        let email = Email::parse(body.0.email.as_str()).map_err(Error::from)?;
        let issued = site.sessions.change_email(&who.0, email).await?;
        Ok(Answer(hand_out(issued, slot.0)))
    }

    /// Everything that is kept about the account.
    ///
    /// As a file to save. The password's hash is not in it, nor anything that opens a session.
    #[oai(path = "/account/export", method = "get", operation_id = "exportAccount")]
    async fn export(
        &self,
        site: Data<&Arc<Site>>,
        who: Authenticated,
    ) -> Result<Exported, Failed<AccountFailures>> {
        let export = site.sessions.export_account(&who.0).await?;
        Ok(Exported::Done(Answer(export.into()), ATTACHMENT.into()))
    }

    /// Close the account.
    ///
    /// Removes it with all that is kept about it, and ends all its sessions, at once and for good. What
    /// happened to it is kept until that is over, without its e-mail address.
    /// Only within `session.recent` (by default ten minutes) of a log-in or `reauthenticate`.
    #[oai(path = "/account", method = "delete", operation_id = "closeAccount")]
    async fn close(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        who: Authenticated,
    ) -> Result<Closed, Failed<CloseFailures>> {
        site.sessions.close_account(&who.0).await?;
        if who.0.session.transport == Transport::Cookie {
            slot.clear();
        }
        Ok(Closed::Done)
    }
}
