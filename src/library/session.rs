//! [`Session`]: the living session of a request.

use std::{fmt, sync::Arc};

use poem::{FromRequest, Request, RequestBody};

use super::request::{Arrived, Asked, Held};
use crate::{
    http::{Code, HttpError, credential},
    model::{AccountId, SessionId},
    session::{Error, Sessions, SignedIn},
};

/// A handler's argument: the session of whoever asks. Without one, the handler does not run and the
/// answer is 401 (or a way to the log-in: [`Builder::log_in_at`](super::Builder::log_in_at)).
/// `Option<Session>` lets it run all the same.
///
/// Needs the [middleware](super::Countersign::middleware) around the route. To be asked for moves the
/// end of the session on, with a new cookie when more than half of its idle time is gone.
///
/// # Examples
/// ```
/// use countersign::{Session, http::HttpError};
/// use poem::{handler, web::Redirect};
///
/// #[handler]
/// async fn admin(session: Session) -> Result<String, HttpError> {
///     let number = session.visit().await?;
///     Ok(format!("Hello {}\nThis is visit number {number}", session.email()))
/// }
///
/// #[handler]
/// async fn log_out(session: Session) -> Result<Redirect, HttpError> {
///     session.end().await?;
///     Ok(Redirect::see_other("/"))
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    arrived: Arc<Arrived>,
    held: Held,
}

impl Session {
    pub(super) fn of(arrived: &Arc<Arrived>) -> Option<Self> {
        Some(Self { arrived: Arc::clone(arrived), held: arrived.held()? })
    }

    pub(super) fn sessions(&self) -> &Sessions {
        self.arrived.sessions()
    }

    pub(super) fn who(&self) -> &SignedIn {
        &self.held.who
    }

    /// The e-mail address of the account, normalised.
    #[must_use]
    pub fn email(&self) -> &str {
        self.held.who.email().as_str()
    }

    /// Names the account for ever: what an app keeps of its own about a person hangs on it, and not
    /// on the e-mail address, which can change.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.held.who.session.account
    }

    /// Names this log-in. When the password was shown again it is another one.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.held.who.session.id
    }

    /// How many visits were counted in this session, by the last count that this request knows of.
    #[must_use]
    pub fn visits(&self) -> u64 {
        self.held.latest.lock().visits
    }

    /// Counts one visit and returns its number; the answer brings the cookie that says so. When this
    /// returns, the count is on the disk.
    ///
    /// A `HEAD` and a browser that asks ahead of its user count nothing: they get the number as it
    /// is.
    ///
    /// # Errors
    /// [`NotSignedIn`](Code::NotSignedIn) when the session has ended since the request came, and
    /// [`StoreUnavailable`](Code::StoreUnavailable): nothing was counted.
    ///
    /// # Examples
    /// ```
    /// # use countersign::{Session, http::HttpError};
    /// # async fn handler(session: Session) -> Result<(), HttpError> {
    /// let number = session.visit().await?;
    /// assert_eq!(number, session.visits());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn visit(&self) -> Result<u64, HttpError> {
        if !self.arrived.counts {
            return Ok(self.visits());
        }
        let shown = self.held.latest.lock().shown.clone();
        let issued = self.sessions().visit(&shown).await?;
        let number = issued.session.visits;
        {
            let mut latest = self.held.latest.lock();
            latest.shown.token.clone_from(&issued.token);
            latest.visits = number;
        }
        self.arrived.slot.set(issued);
        Ok(number)
    }

    /// Ends the session, and clears the cookie with the answer. When this returns, no copy of any of
    /// its cookies is accepted any more, here or after a restart. To end what has ended is no error.
    ///
    /// # Errors
    /// [`StoreUnavailable`](Code::StoreUnavailable) when the end could not be recorded: the session
    /// lives, and the cookie stays. [`CrossSite`](Code::CrossSite) for a `GET` that a link of
    /// another site or a prefetch made: nobody meant to log out.
    ///
    /// # Examples
    /// ```
    /// # use countersign::{Session, http::HttpError};
    /// # async fn handler(session: Session) -> Result<(), HttpError> {
    /// session.end().await?;
    /// assert!(session.visit().await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn end(&self) -> Result<(), HttpError> {
        self.arrived.check_deliberate()?;
        let shown = self.held.latest.lock().shown.clone();
        match self.sessions().log_out(&shown).await {
            Ok(()) | Err(Error::NotSignedIn(_)) => {
                self.arrived.slot.clear();
                self.arrived.hold(None);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl<'a> FromRequest<'a> for Session {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let (arrived, asked) = Arrived::asked(request)?;
        let session = Self::of(arrived).ok_or(HttpError::from(Code::NotSignedIn))?;
        if asked == Asked::First {
            credential::renew(request, &session.held.who).await?;
        }
        Ok(session)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = &self.held.who.session;
        f.debug_struct("Session")
            .field("account", &session.account)
            .field("id", &session.id)
            .finish_non_exhaustive()
    }
}
