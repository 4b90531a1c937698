//! Sessions in an app of one's own: the service inside a Poem app, in one process.
//!
//! ```no_run
//! use countersign::{Countersign, Session, http::HttpError};
//! use poem::{EndpointExt as _, Route, get, handler};
//!
//! #[handler]
//! async fn home(session: Session) -> Result<String, HttpError> {
//!     let number = session.visit().await?;
//!     Ok(format!("Hello {}, this is visit number {number}", session.email()))
//! }
//!
//! # fn app() -> Result<(), countersign::library::OpenError> {
//! let sessions = Countersign::open("data")?;
//! let app = Route::new().at("/", get(home)).with(sessions.middleware());
//! # Ok(())
//! # }
//! ```
//!
//! | what | is for |
//! |---|---|
//! | [`Countersign`] | the service: opened once, closed at the end |
//! | [`Builder`] | everything that can be configured, and what tests replace |
//! | [`SessionMiddleware`] | stands around the routes that have to do with sessions |
//! | [`Session`] | a handler's argument: the living session of the request |
//! | [`Visitor`] | a handler's argument: whoever asks, to be signed up and logged in |
//!
//! # What the middleware does to a request
//! In this order:
//!
//! 1. **A write from another site is refused** (403 `cross_site`), before anybody looks at who asks:
//!    by Fetch Metadata, or else by `Origin`, compared with the public URL and the host asked for.
//!    A route that other sites are to post to stands outside of the middleware.
//! 2. **The session cookie is looked at**, and the session looked up. A token that is no good is
//!    nobody; when the store cannot tell, the answer is 503, whatever the route: a person who is
//!    signed in is never taken for nobody. Two session cookies are 400. Bearer tokens are for the
//!    [API](Countersign::api) alone.
//! 3. The handler runs. It alone decides whether somebody has to be signed in, by what it takes:
//!    [`Session`] (401 without one), `Option<Session>`, or [`Visitor`].
//! 4. **An [`HttpError`](crate::http::HttpError) becomes its answer**: a plain page for a browser,
//!    `application/problem+json` for a program (by `Accept`); or, where
//!    [`Builder::log_in_at`] says so, a browser that is not signed in is led there. Errors of the
//!    app are answered as they say themselves. Either way it is an answer from here on: what catches
//!    errors stands inside of the middleware.
//! 5. **The cookie is set or cleared**, after one more look-up: an answer that leaves after the
//!    session's end sets none.
//! 6. **`Cache-Control: no-store`** on every answer whose handler asked for a session, unless it
//!    says something else itself; and without that exception where a cookie goes along.
//!
//! It adds no other header to the app's answers, limits no body, and logs no request.
//!
//! # What it does not do
//! The address that people use ([`public_url`](crate::config::Config::public_url)) decides about the
//! cookie: `__Host-session`, over https alone, or `session` for plain http, which is the default and
//! for development. The keys of `listen`, `admin`, `log` and `server` (but for
//! `server.trusted_proxies`) are the standalone server's and mean nothing here.

mod builder;
mod middleware;
mod request;
mod session;
mod variables;
mod visitor;

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use poem::{Endpoint, Response};
use tokio::{sync::watch, task::JoinHandle};

pub use self::{
    builder::{Builder, OpenError},
    middleware::{Guarded, SessionMiddleware},
    session::Session,
    variables::VariableError,
    visitor::Visitor,
};
use crate::{
    config::Config,
    http::{self, Site},
    service::Service,
    session::{Result, Sessions},
};

/// The service in an app: accounts and sessions in a directory of this machine.
///
/// Cheap to clone; clones are the same service. One process has a data directory at a time; the
/// command line (`countersign account`, `backup`, …) works on it while the app does not run.
///
/// # At the end
/// [`close`](Self::close) it when the app has answered its last request: it waits until everything
/// is on the disk and the directory is free. To drop it, or to be killed, loses nothing that was
/// answered; the next start then takes longer, and may find the directory in use for a moment.
#[derive(Clone)]
pub struct Countersign(Arc<Inner>);

struct Inner {
    site: Arc<Site>,
    log_in_at: Option<Arc<str>>,
    service: Service,
    sweep: Mutex<Option<JoinHandle<()>>>,
    /// Dropping it stops the sweep, too.
    stop: watch::Sender<bool>,
}

impl Countersign {
    /// Opens a data directory, and makes it if it is not there, with everything else as it is by
    /// default. Blocks until the store is open: milliseconds, or seconds for millions of sessions.
    ///
    /// From then on dead sessions are removed in the background, on the Tokio runtime that this is
    /// called in.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let data = dir.path();
    /// use countersign::Countersign;
    ///
    /// let sessions = Countersign::open(data)?;
    /// sessions.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(data_dir: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Builder::new(Config { data_dir: data_dir.into(), ..Config::default() }).open()
    }

    /// A service that is not as it is by default.
    ///
    /// # Examples
    /// ```no_run
    /// use countersign::{
    ///     Countersign,
    ///     config::{Config, Period},
    /// };
    ///
    /// # fn open() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config =
    ///     Config { public_url: "https://app.example".parse()?, ..Config::default() };
    /// config.session.idle = Period::hours(2);
    /// let sessions = Countersign::builder(config).log_in_at("/login").open()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder::new(config)
    }

    fn new(service: Service, settings: http::Settings, log_in_at: Option<String>) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let sweep = tokio::spawn(service.sweep(async move {
            // An error means that everybody has let go of the service.
            drop(stopped.wait_for(|stop| *stop).await);
        }));
        Self(Arc::new(Inner {
            site: Arc::new(Site::new(service.sessions().clone(), settings)),
            log_in_at: log_in_at.map(Into::into),
            service,
            sweep: Mutex::new(Some(sweep)),
            stop,
        }))
    }

    /// What stands around the routes that have to do with sessions; the [module](self) says what it
    /// does to a request. Static files are better off outside of it.
    ///
    /// # Examples
    /// ```no_run
    /// use countersign::{Countersign, Session};
    /// use poem::{EndpointExt as _, Route, get, handler};
    ///
    /// #[handler]
    /// fn home(session: Option<Session>) -> String {
    ///     session.map_or("Nobody".into(), |session| session.email().to_owned())
    /// }
    ///
    /// fn app(sessions: &Countersign) -> impl poem::Endpoint + use<> {
    ///     Route::new().at("/", get(home)).with(sessions.middleware())
    /// }
    /// ```
    #[must_use]
    pub fn middleware(&self) -> SessionMiddleware {
        SessionMiddleware::new(Arc::clone(&self.0.site), self.0.log_in_at.clone())
    }

    /// The JSON API, to be mounted at `/api/v1`, where its addresses begin: sign-up, log-in, visits,
    /// the list of sessions, the account, by cookie or bearer token. The rules of every request hold
    /// for it with or without the middleware around.
    ///
    /// # Examples
    /// ```no_run
    /// use countersign::Countersign;
    /// use poem::Route;
    ///
    /// fn app(sessions: &Countersign) -> impl poem::Endpoint + use<> {
    ///     Route::new().nest_no_strip("/api/v1", sessions.api())
    /// }
    /// ```
    #[must_use]
    pub fn api(&self) -> impl Endpoint<Output = Response> + use<> {
        http::api(Arc::clone(&self.0.site))
    }

    /// Everything else that can be done with accounts and sessions.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn add(sessions: countersign::Countersign) -> Result<(), Box<dyn std::error::Error>> {
    /// use countersign::{model::By, session::operate::Command};
    ///
    /// let email = countersign::model::Email::parse("ann@example.com")?;
    /// sessions.operations().operate(Command::DisableAccount { email }, &By::COMMAND_LINE).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn operations(&self) -> &Sessions {
        self.0.service.sessions()
    }

    /// Stops the sweep, records what was accepted, and lets go of the data directory. What is asked
    /// for afterwards is answered 503.
    ///
    /// # Errors
    /// [`Error::Store`](crate::session::Error::Store) when the store could not be closed cleanly:
    /// what was answered is there all the same.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn run(sessions: countersign::Countersign) -> Result<(), Box<dyn std::error::Error>> {
    /// // … after the app's last answer:
    /// sessions.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close(&self) -> Result<()> {
        self.0.stop.send_replace(true);
        let sweep = self.0.sweep.lock().take();
        if let Some(Err(error)) = match sweep {
            Some(sweep) => Some(sweep.await),
            None => None,
        } {
            tracing::warn!(event = "stopping", %error, "the sweep had failed");
        }
        self.operations().close().await
    }
}
