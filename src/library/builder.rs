//! From a configuration to a [`Countersign`].

use std::sync::Arc;

use poem::http::HeaderValue;
use tokio::runtime::Handle;

use super::Countersign;
use crate::{
    config::{Config, ConfigError},
    http,
    model::{Clock, clock::SystemClock},
    service::{self, Service},
    store::Store,
};

/// Why an app's service cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Where people log in is no address.
    #[error("`log_in_at` must be an address without line breaks, such as /login")]
    LogInAt,
    /// There is no Tokio runtime for what goes on in the background.
    #[error("open it inside of a Tokio runtime, as `#[tokio::main]` makes one")]
    NoRuntime,
    /// The data directory, the store or the keys in it cannot be used.
    #[error(transparent)]
    Service(#[from] service::OpenError),
}

type WrapStore = Box<dyn FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + Send>;

/// A service that is about to be opened: see [`Countersign::builder`].
pub struct Builder {
    config: Config,
    log_in_at: Option<String>,
    clock: Arc<dyn Clock>,
    wrap_store: WrapStore,
}

impl Builder {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            log_in_at: None,
            clock: Arc::new(SystemClock),
            wrap_store: Box::new(|store| store),
        }
    }

    /// Leads a browser that needs to be signed in, and is not, to this address of the app, in place
    /// of an error page. Programs get the 401 all the same.
    #[must_use]
    pub fn log_in_at(mut self, address: impl Into<String>) -> Self {
        self.log_in_at = Some(address.into());
        self
    }

    /// Takes the time from another clock than the system's. For tests, which need not wait then.
    ///
    /// # Examples
    /// ```no_run
    /// # fn open() -> Result<(), countersign::library::OpenError> {
    /// use countersign::{
    ///     Countersign,
    ///     config::Config,
    ///     model::clock::{ManualClock, from_millis},
    /// };
    /// use jiff::SignedDuration;
    ///
    /// let clock = ManualClock::new(from_millis(1_790_000_000_000));
    /// let sessions = Countersign::builder(Config::default()).clock(clock.clone()).open()?;
    /// clock.advance(SignedDuration::from_mins(30)); // and whoever was idle is logged out
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Puts something between the service and its store. For tests, which let it fail.
    #[must_use]
    pub fn wrap_store(
        mut self,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + Send + 'static,
    ) -> Self {
        self.wrap_store = Box::new(wrap);
        self
    }

    /// Opens it; see [`Countersign::open`].
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub fn open(self) -> Result<Countersign, OpenError> {
        let Self { config, log_in_at, clock, wrap_store } = self;
        config.check()?;
        if log_in_at.as_deref().is_some_and(|address| HeaderValue::from_str(address).is_err()) {
            return Err(OpenError::LogInAt);
        }
        // Asked before anything is opened: the sweep must run (invariant 7).
        Handle::try_current().map_err(|_| OpenError::NoRuntime)?;
        for warning in config.warnings() {
            tracing::warn!(event = "configuration", "{warning}");
        }
        let service = Service::open(&config, clock, wrap_store)?;
        let settings = http::Settings {
            public_url: config.public_url.url().clone(),
            trusted_proxies: config.server.trusted_proxies.networks(),
        };
        Ok(Countersign::new(service, settings, log_in_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Period;

    #[test]
    fn without_a_runtime_nothing_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        assert!(matches!(Countersign::open(&data), Err(OpenError::NoRuntime)));
        assert!(!data.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
        let mut wrong = config.clone();
        wrong.session.idle = Period::days(2);
        let refused = Countersign::builder(wrong).open();
        assert!(matches!(refused, Err(OpenError::Config(_))));
        let refused = Countersign::builder(config.clone()).log_in_at("/\nset-cookie: a=b").open();
        assert!(matches!(refused, Err(OpenError::LogInAt)));
        assert!(!config.data_dir.exists());
    }
}
