//! [`Visitor`]: whoever asks, signed in or not.

use std::{fmt, sync::Arc};

use poem::{FromRequest, Request, RequestBody};

use super::{
    Session,
    request::{Arrived, Held},
};
use crate::{
    http::{Code, HttpError, credential},
    model::{Email, Password, Transport},
    session::{Credential, Error, Issued, LogIn},
};

/// A handler's argument: whoever asks, to be signed up and logged in. Every handler can take it.
///
/// Needs the [middleware](super::Countersign::middleware) around the route.
///
/// # Examples
/// ```
/// use countersign::{Visitor, http::HttpError};
/// use poem::{
///     handler,
///     web::{Form, Redirect},
/// };
///
/// #[derive(serde::Deserialize)]
/// struct Credentials {
///     email: String,
///     password: String,
/// }
///
/// #[handler]
/// async fn log_in(
///     visitor: Visitor,
///     Form(form): Form<Credentials>,
/// ) -> Result<Redirect, HttpError> {
///     visitor.log_in(&form.email, form.password).await?;
///     Ok(Redirect::see_other("/admin"))
/// }
/// ```
#[derive(Clone)]
pub struct Visitor {
    arrived: Arc<Arrived>,
    how: LogIn,
}

impl Visitor {
    /// The session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        Session::of(&self.arrived)
    }

    /// Whether to stay logged in when the browser is closed; not, unless this says so.
    #[must_use]
    pub fn remember(mut self, remember: bool) -> Self {
        self.how.remember = remember;
        self
    }

    /// Checks e-mail address and password, as they were typed, and opens a session; the answer
    /// brings its cookie. A session that this browser had before ends.
    ///
    /// # Errors
    /// [`WrongCredentials`](Code::WrongCredentials) for an unknown address, a wrong password and a
    /// disabled account alike, after the same time; [`TooManyAttempts`](Code::TooManyAttempts),
    /// [`Busy`](Code::Busy), [`StoreUnavailable`](Code::StoreUnavailable);
    /// [`CrossSite`](Code::CrossSite) for a `GET` that a link of another site or a prefetch made.
    ///
    /// # Examples
    /// ```
    /// # use countersign::{Visitor, http::{Code, HttpError}};
    /// # async fn handler(visitor: Visitor, email: String, password: String) -> Result<String, HttpError> {
    /// match visitor.log_in(&email, password).await {
    ///     Ok(session) => Ok(format!("Hello {}", session.email())),
    ///     Err(error) if error.code == Code::WrongCredentials => Ok("Try again".into()),
    ///     Err(error) => Err(error),
    /// }
    /// # }
    /// ```
    pub async fn log_in(&self, email: &str, password: String) -> Result<Session, HttpError> {
        let how = self.how()?;
        let issued = self.arrived.sessions().log_in(email, Password::new(password), how).await?;
        self.enter(issued).await
    }

    /// Makes an account, and logs in with it as [`log_in`](Self::log_in) does.
    ///
    /// # Errors
    /// [`EmailTaken`](Code::EmailTaken), [`InvalidEmail`](Code::InvalidEmail),
    /// [`RegistrationClosed`](Code::RegistrationClosed), what is wrong with the password
    /// ([`PasswordTooShort`](Code::PasswordTooShort) and the others, whose
    /// [`detail`](HttpError::detail) says why), and those of a log-in.
    ///
    /// # Examples
    /// ```
    /// # use countersign::{Visitor, http::HttpError};
    /// # async fn handler(visitor: Visitor, email: String, password: String) -> String {
    /// match visitor.sign_up(&email, password).await {
    ///     Ok(session) => format!("Welcome {}", session.email()),
    ///     Err(error) => error.detail().to_owned(),
    /// }
    /// # }
    /// ```
    pub async fn sign_up(&self, email: &str, password: String) -> Result<Session, HttpError> {
        let how = self.how()?;
        let email = Email::parse(email).map_err(Error::from)?;
        let sessions = self.arrived.sessions();
        let issued = sessions.sign_up_and_log_in(email, Password::new(password), how).await?;
        self.enter(issued).await
    }

    fn how(&self) -> Result<LogIn, HttpError> {
        self.arrived.check_deliberate()?;
        let replaces = self.arrived.held().map(|held| held.latest.lock().shown.clone());
        Ok(LogIn { replaces, ..self.how.clone() })
    }

    async fn enter(&self, issued: Issued) -> Result<Session, HttpError> {
        // Only a token proves who is signed in: the one just signed.
        let (token, from) = (issued.token.clone(), self.how.from);
        let shown = Credential { token, transport: Transport::Cookie, from };
        let who = self.arrived.sessions().authenticate(&shown).await?;
        self.arrived.slot.set(issued);
        self.arrived.hold(Some(Held::new(who, shown)));
        self.session().ok_or_else(|| Code::NotSignedIn.into())
    }
}

impl<'a> FromRequest<'a> for Visitor {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let (arrived, _) = Arrived::asked(request)?;
        let site = &arrived.site;
        let how = LogIn {
            user_agent: credential::user_agent(request),
            from: site.client(request),
            device: site.cookie.find_device(request.headers()),
            ..LogIn::default()
        };
        Ok(Self { arrived: Arc::clone(arrived), how })
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("session", &self.session()).finish_non_exhaustive()
    }
}
