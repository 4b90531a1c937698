//! Every error a client can see: a stable code, one clear sentence, RFC 9457 problem+json.
//!
//! What a client is told is apart from what is logged: an [`HttpError`] carries the cause for the
//! log, and [`render`] is the one place that logs it and writes the answer. No answer repeats a
//! value of the request (ASVS 16.5.1). A new error is a variant of [`Code`].

use std::{fmt, sync::Arc};

use jiff::SignedDuration;
use poem::{
    Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{Enum, Object, types::ToJSON};

use super::pages;
use crate::{
    session::{Error, password::Refused},
    store::StoreError,
};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $status:ident, $detail:literal;)+) => {
        /// The stable name of an error. Programs decide by it; the sentence beside it is for
        /// people and may change. A new operation may bring new ones.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
        #[oai(rename_all = "snake_case")]
        pub enum Code {
            $($(#[doc = $doc])+ $code,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The status it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)+ }
            }

            /// The sentence a person is told.
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$code => $detail,)+ }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson = BAD_REQUEST, "The body is not valid JSON.";
    /// The form is not `application/x-www-form-urlencoded` text.
    MalformedForm = BAD_REQUEST, "The form could not be read.";
    /// Something else about the request cannot be understood.
    BadRequest = BAD_REQUEST, "The request could not be understood.";
    /// The request's headers are too large.
    HeadersTooLarge = BAD_REQUEST, "The headers of the request are too large.";
    /// The session cookie came more than once.
    DuplicateCookie = BAD_REQUEST, "The request has more than one session cookie.";
    /// Session cookie and bearer token came together.
    AmbiguousCredentials = BAD_REQUEST, "Send the session cookie or a bearer token, not both.";
    /// No living session stands behind the request.
    NotSignedIn = UNAUTHORIZED, "You need to log in.";
    /// Unknown e-mail, wrong password or disabled account.
    WrongCredentials = UNAUTHORIZED, "The e-mail address or the password is wrong.";
    /// A write that comes from another site.
    CrossSite = FORBIDDEN, "This request came from another site and was refused.";
    /// Only the operator makes accounts.
    RegistrationClosed = FORBIDDEN, "Accounts are made by the operator here.";
    /// The current password is wrong.
    WrongPassword = FORBIDDEN, "The current password is wrong.";
    /// What was asked for needs the password to be shown lately.
    ReauthRequired = FORBIDDEN, "Show your password again before you do this.";
    /// Only administrators may do this.
    NotAnAdministrator = FORBIDDEN, "Only an administrator may do this.";
    /// An administrator cannot disable their own account.
    OwnAccount = FORBIDDEN, "You cannot disable your own account.";
    /// There is nothing at this address.
    NotFound = NOT_FOUND, "There is nothing here.";
    /// The account has no such living session.
    NoSuchSession = NOT_FOUND, "There is no such session.";
    /// There is no such account (operators and administrators only).
    NoSuchAccount = NOT_FOUND, "There is no such account.";
    /// The address does not take this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "This address does not take this method.";
    /// Another account has the e-mail.
    EmailTaken = CONFLICT, "An account with this e-mail address exists.";
    /// The body is larger than 64 KiB.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "The body is too large.";
    /// The body's media type is not the one this address takes.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "The body has a media type this address does not take.";
    /// The JSON does not fit the schema: a wrong type, an unknown, missing or repeated field.
    InvalidBody = UNPROCESSABLE_ENTITY, "The body does not fit the schema of this operation.";
    /// Not an e-mail address.
    InvalidEmail = UNPROCESSABLE_ENTITY, "The e-mail address must look like name@example.com.";
    /// The new password is too short.
    PasswordTooShort = UNPROCESSABLE_ENTITY, "The password is too short.";
    /// The new password is too long.
    PasswordTooLong = UNPROCESSABLE_ENTITY, "The password is too long.";
    /// The new password is one of the most common ones.
    PasswordTooCommon = UNPROCESSABLE_ENTITY, "The password is one that many people had before you.";
    /// The new password is made of the e-mail address or the name of the service.
    PasswordContainsContext = UNPROCESSABLE_ENTITY, "The password is made of the e-mail address or the name of this service.";
    /// The new password is easy to guess. The sentence says why, and what would help.
    PasswordTooPredictable = UNPROCESSABLE_ENTITY, "The password is easy to guess.";
    /// Too many log-ins failed, or too many accounts were made, lately. Nothing was tried.
    TooManyAttempts = TOO_MANY_REQUESTS, "Too many attempts. Try again later.";
    /// Something is broken on our side.
    Internal = INTERNAL_SERVER_ERROR, "Something went wrong on our side.";
    /// The store cannot record or read now. Nothing was changed.
    StoreUnavailable = SERVICE_UNAVAILABLE, "The service cannot record anything now; nothing was changed. Try again later.";
    /// Too many passwords are being checked at once. Nothing was changed.
    Busy = SERVICE_UNAVAILABLE, "Too many people are logging in at once; nothing was changed. Try again in a moment.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_json() {
            Some(serde_json::Value::String(name)) => f.write_str(&name),
            _ => Err(fmt::Error),
        }
    }
}

/// What an error looks like to a program (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct Problem {
    /// Always `about:blank`: the code says what kind of problem it is.
    #[oai(rename = "type")]
    pub ty: String,
    /// The name of the status.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable name of the error.
    pub code: Code,
    /// One sentence for a person.
    pub detail: String,
}

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub struct HttpError {
    /// What the client is told.
    pub code: Code,
    /// What it is told instead of the code's sentence, when that can say more. Never a value of
    /// the request.
    detail: Option<String>,
    /// What is logged.
    cause: Option<Arc<str>>,
    /// Which methods the address takes, when that is the error.
    allowed: Option<HeaderValue>,
    /// In how many seconds to come back, when that is the error.
    retry_after: Option<i64>,
}

impl HttpError {
    /// The client's sentence.
    #[must_use]
    pub fn detail(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.code.detail())
    }

    /// The address takes these methods alone.
    pub(super) fn method_not_allowed(methods: &[&str]) -> Self {
        let allowed = HeaderValue::try_from(methods.join(", ")).ok();
        Self { allowed, ..Code::MethodNotAllowed.into() }
    }

    /// Says how long to wait, in whole minutes to people: nobody counts seconds.
    fn too_many_attempts(wait: SignedDuration) -> Self {
        let seconds = (wait.as_millis() + 999).div_euclid(1_000).max(1);
        let minutes = (seconds + 59) / 60;
        let plural = if minutes == 1 { "" } else { "s" };
        Self {
            detail: Some(format!("Too many attempts. Try again in {minutes} minute{plural}.")),
            retry_after: i64::try_from(seconds).ok(),
            ..Code::TooManyAttempts.into()
        }
    }

    pub(crate) fn caused_by(code: Code, cause: &dyn fmt::Display) -> Self {
        Self { cause: Some(cause.to_string().into()), ..code.into() }
    }

    pub(super) fn explained(code: Code, detail: &dyn fmt::Display) -> Self {
        let mut detail = detail.to_string();
        if let Some(first) = detail.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        if !detail.ends_with('.') {
            detail.push('.');
        }
        Self { detail: Some(detail), ..code.into() }
    }

    /// As problem+json.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let status = self.code.status();
        Problem {
            ty: "about:blank".into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            code: self.code,
            detail: self.detail().into(),
        }
    }

    fn json_response(&self) -> Response {
        let mut response = Response::builder()
            .status(self.code.status())
            .content_type("application/problem+json")
            .body(self.problem().to_json_string());
        self.add_headers(&mut response);
        response
    }

    /// Adds what an error says in headers, be it a page or a problem.
    fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        match self.code.status() {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // RFC 9110 section 11.6.1: a 401 names a scheme.
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(allowed) = &self.allowed {
            headers.insert(header::ALLOW, allowed.clone());
        }
    }
}

const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"countersign\"");

impl From<Code> for HttpError {
    fn from(code: Code) -> Self {
        Self { code, detail: None, cause: None, allowed: None, retry_after: None }
    }
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        match &error {
            Error::NotSignedIn(_) => Code::NotSignedIn.into(),
            Error::WrongCredentials => Code::WrongCredentials.into(),
            Error::WrongPassword => Code::WrongPassword.into(),
            Error::ReauthenticationRequired => Code::ReauthRequired.into(),
            Error::RegistrationClosed => Code::RegistrationClosed.into(),
            Error::EmailTaken => Code::EmailTaken.into(),
            Error::InvalidEmail(why) => Self::explained(Code::InvalidEmail, why),
            Error::PasswordRefused(why) => {
                let code = match why {
                    Refused::TooShort { .. } => Code::PasswordTooShort,
                    Refused::TooLong { .. } => Code::PasswordTooLong,
                    Refused::TooCommon => Code::PasswordTooCommon,
                    Refused::ContainsContext => Code::PasswordContainsContext,
                    Refused::TooPredictable(_) => Code::PasswordTooPredictable,
                };
                Self::explained(code, why)
            }
            Error::NoSuchSession => Code::NoSuchSession.into(),
            Error::NoSuchAccount => Code::NoSuchAccount.into(),
            Error::NotAnAdministrator => Code::NotAnAdministrator.into(),
            Error::OwnAccount => Code::OwnAccount.into(),
            Error::TooManyAttempts { wait } => Self::too_many_attempts(*wait),
            Error::Busy => Self::caused_by(Code::Busy, &error),
            Error::Store(StoreError::Unavailable(_)) => {
                Self::caused_by(Code::StoreUnavailable, &error)
            }
            Error::Store(StoreError::Damaged { .. })
            | Error::Signing(_)
            | Error::Hashing(_)
            // The app's own mistake: the API has no variables.
            | Error::VariableRefused(_) => {
                Self::caused_by(Code::Internal, &error)
            }
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for HttpError {}

impl ResponseError for HttpError {
    fn status(&self) -> StatusCode {
        self.code.status()
    }

    fn as_response(&self) -> Response {
        self.json_response()
    }
}

/// Turns every error into its answer: a page for a browser, problem+json for a program.
pub(super) fn render(answered: poem::Result<Response>, wants_page: bool) -> Response {
    render_with(answered, wants_page.then_some(pages::error))
}

/// The same, with a page of the caller's for who is to get one.
pub(super) fn render_with(
    answered: poem::Result<Response>,
    page: Option<impl FnOnce(&HttpError) -> Response>,
) -> Response {
    answered.unwrap_or_else(|error| answer_with(&of_poem(error), page))
}

/// Logs an error that is ours and writes its answer.
pub(super) fn answer(error: &HttpError, wants_page: bool) -> Response {
    answer_with(error, wants_page.then_some(pages::error))
}

/// The same, with a page of the caller's, if it is to be one.
pub(crate) fn answer_with(
    error: &HttpError,
    page: Option<impl FnOnce(&HttpError) -> Response>,
) -> Response {
    if let Some(cause) = &error.cause {
        tracing::error!(event = "request_failed", code = %error.code, %cause, "request failed");
    }
    let Some(page) = page else {
        return error.json_response();
    };
    let mut response = page(error);
    error.add_headers(&mut response);
    response
}

/// Our own error, or what one of poem's means: its own texts can repeat what the client sent.
fn of_poem(error: poem::Error) -> HttpError {
    match error.downcast::<HttpError>() {
        Ok(ours) => ours,
        Err(error) => match error.status() {
            StatusCode::NOT_FOUND => Code::NotFound.into(),
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed.into(),
            StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge.into(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType.into(),
            status if status.is_client_error() => Code::BadRequest.into(),
            _ => HttpError::caused_by(Code::Internal, &error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_as_it_is_documented() {
        assert_eq!(Code::StoreUnavailable.to_string(), "store_unavailable");
        for code in Code::ALL {
            assert!(code.detail().ends_with('.'), "{code}");
        }
    }

    #[test]
    fn what_is_logged_is_not_what_is_told() {
        let store = Error::Store(StoreError::Unavailable("/var/data/db: disk full".into()));
        let told = HttpError::from(store).problem();
        assert_eq!((told.status, told.code), (503, Code::StoreUnavailable));
        assert!(!told.to_json_string().contains("/var/data"));
    }

    #[test]
    fn who_tried_too_often_is_told_when_to_come_back() {
        for (millis, seconds, sentence) in [
            (900_000, "900", "Too many attempts. Try again in 15 minutes."),
            (60_001, "61", "Too many attempts. Try again in 2 minutes."),
            (60_000, "60", "Too many attempts. Try again in 1 minute."),
            (1, "1", "Too many attempts. Try again in 1 minute."),
            (0, "1", "Too many attempts. Try again in 1 minute."),
        ] {
            let wait = SignedDuration::from_millis(millis);
            let error = HttpError::from(Error::TooManyAttempts { wait });
            for wants_page in [false, true] {
                let response = answer(&error, wants_page);
                assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
                assert_eq!(response.header("retry-after"), Some(seconds));
            }
            assert_eq!(error.problem().detail, sentence);
        }
    }

    #[test]
    fn a_password_rule_is_explained_with_its_number() {
        let error = Error::PasswordRefused(Refused::TooShort { min: 15 });
        let told = HttpError::from(error).problem();
        assert_eq!(told.detail, "The password must have at least 15 characters.");
    }
}
