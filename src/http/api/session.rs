//! The session of the request: log in, look at it, be counted, log out.

use std::sync::Arc;

use poem::{Request, web::Data};
use poem_openapi::{ApiResponse, Object, OpenApi, types::Example};
use serde::Deserialize;

use super::{
    ApiTags,
    answer::Answer,
    body::Body,
    failure::{ANY, BODY, Failed, HASHING, SIGNED_IN, WRITE, failures},
    text::{EmailAddress, Secret, Text},
    view::{SessionView, SessionWithToken, TokenTransport},
};
use crate::{
    http::{
        Code, Site,
        credential::{Authenticated, Optional, Shown, user_agent},
        session_cookie::CookieSlot,
    },
    model::{Password, Transport},
    session::{Issued, LogIn},
};

pub(in crate::http) struct Api;

/// The password, shown once more.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
struct CurrentPassword {
    /// The account's password.
    password: Text<Secret>,
}

impl Example for CurrentPassword {
    fn example() -> Self {
        Self { password: Text::of("correct horse battery") }
    }
}

/// A log-in.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The e-mail address.
    #[oai(validator(max_length = 254))]
    email: Text<EmailAddress>,
    /// The password.
    password: Text<Secret>,
    /// Whether to stay logged in when the browser is closed.
    #[oai(default)]
    #[serde(default)]
    remember: bool,
    /// How the token is to travel.
    #[oai(default)]
    #[serde(default)]
    transport: TokenTransport,
}

impl Example for Credentials {
    fn example() -> Self {
        Self {
            email: Text::of("ann@example.com"),
            password: Text::of("correct horse battery"),
            remember: false,
            transport: TokenTransport::Cookie,
        }
    }
}

#[derive(ApiResponse)]
enum LoggedIn {
    /// Logged in. With `transport: cookie` the session cookie is set, with `transport: bearer`
    /// the body has the token.
    #[oai(status = 201)]
    Created(Answer<SessionWithToken>),
}

#[derive(ApiResponse)]
enum LoggedOut {
    /// The session has ended and the cookie is cleared.
    #[oai(status = 204)]
    Done,
}

failures!(LogInFailures: ANY, WRITE, BODY, HASHING, [
    Code::WrongCredentials,
    Code::AmbiguousCredentials,
    Code::DuplicateCookie,
]);
failures!(SessionFailures: ANY, SIGNED_IN);
failures!(SessionWriteFailures: ANY, SIGNED_IN, WRITE);
failures!(ReauthenticateFailures: ANY, SIGNED_IN, WRITE, BODY, HASHING, [Code::WrongPassword]);

#[OpenApi(tag = "ApiTags::Sessions")]
impl Api {
    /// Log in.
    ///
    /// Opens a session. A session whose token comes with the request ends. An unknown e-mail
    /// address, a wrong password and a disabled account have the same answer.
    #[oai(path = "/session", method = "post", operation_id = "logIn")]
    async fn log_in(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        request: &Request,
        shown: Optional,
        body: Body<Credentials>,
    ) -> Result<LoggedIn, Failed<LogInFailures>> {
        let how = LogIn {
            remember: body.0.remember,
            transport: body.0.transport.into(),
            user_agent: user_agent(request),
            from: site.client(request),
            device: site.cookie.find_device(request.headers()),
            replaces: shown.0,
        };
        let password = Password::new(body.0.password.into_string());
        let issued = site.sessions.log_in(body.0.email.as_str(), password, how).await?;
        Ok(LoggedIn::Created(Answer(hand_out(issued, slot.0))))
    }

    /// The session of this request.
    ///
    /// Counts nothing.
    #[oai(path = "/session", method = "get", operation_id = "getSession")]
    async fn get(
        &self,
        who: Authenticated,
    ) -> Result<Answer<SessionView>, Failed<SessionFailures>> {
        let who = who.0;
        Ok(Answer(SessionView::of(&who.session, who.email(), who.session.id)))
    }

    /// Count a visit.
    ///
    /// The answer is given when the visit is recorded for good. The cookie is set anew; a bearer
    /// client finds its new token in the body.
    #[oai(path = "/session/visits", method = "post", operation_id = "countVisit")]
    async fn visit(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        shown: Shown,
    ) -> Result<Answer<SessionWithToken>, Failed<SessionWriteFailures>> {
        let issued = site.sessions.visit(&shown.0).await?;
        Ok(Answer(hand_out(issued, slot.0)))
    }

    /// Show the password again.
    ///
    /// Some operations answer 403 `reauth_required` when the password was shown too long ago, and
    /// work after this. The session goes on under a new `sid`, as old as a new log-in; its tokens
    /// from before are refused from now on. The cookie is set anew; a bearer client finds its new
    /// token in the body.
    #[oai(path = "/session/reauthentication", method = "post", operation_id = "reauthenticate")]
    async fn reauthenticate(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        who: Authenticated,
        body: Body<CurrentPassword>,
    ) -> Result<Answer<SessionWithToken>, Failed<ReauthenticateFailures>> {
        let password = Password::new(body.0.password.into_string());
        let issued = site.sessions.reauthenticate(&who.0, password).await?;
        Ok(Answer(hand_out(issued, slot.0)))
    }

    /// Log out.
    ///
    /// When this is answered, no token of the session is accepted any more, wherever it was copied
    /// to. Clears the cookie.
    #[oai(path = "/session", method = "delete", operation_id = "logOut")]
    async fn log_out(
        &self,
        site: Data<&Arc<Site>>,
        slot: Data<&CookieSlot>,
        shown: Shown,
    ) -> Result<LoggedOut, Failed<SessionWriteFailures>> {
        site.sessions.log_out(&shown.0).await?;
        if shown.0.transport == Transport::Cookie {
            slot.clear();
        }
        Ok(LoggedOut::Done)
    }
}

/// Hands out a new token the way its session travels.
pub(super) fn hand_out(issued: Issued, slot: &CookieSlot) -> SessionWithToken {
    let session = SessionView::of(&issued.session, &issued.email, issued.session.id);
    let token = match issued.session.transport {
        Transport::Bearer => Some(issued.token),
        Transport::Cookie => {
            slot.set(issued);
            None
        }
    };
    SessionWithToken { session, token }
}
