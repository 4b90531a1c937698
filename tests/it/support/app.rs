//! The real server in this process: its own port, its own directory, a clock that is moved by
//! hand, and a store that can be held.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use countersign::{
    cli::serve::{self, StartError},
    config::{Address, Config, Period},
    model::{
        Account, Clock, Role, Session,
        clock::{ManualClock, from_millis},
    },
    service,
    store::{OpenError, Store},
};
use jiff::SignedDuration;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use url::Url;

use super::{
    Control, PATIENCE, User, capture, in_time,
    user::{Kind, http_client},
};
use crate::store_world::{cause, everybody};

/// 2026-11-23T09:00:00Z
const START: i64 = 1_795_424_400_000;

/// A running server and all that it stands on.
pub(crate) struct TestApp {
    pub(crate) clock: ManualClock,
    pub(crate) control: Control,
    pub(crate) config: Config,
    directory: TempDir,
    address: Arc<Mutex<Url>>,
    store: Arc<Mutex<Option<Arc<dyn Store>>>>,
    http: reqwest::Client,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Everything the store knows, to be compared.
pub(crate) type Snapshot = Vec<(Account, u64, Vec<Session>)>;

impl TestApp {
    /// A server as it is by default, but for cheap password hashes.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with another configuration.
    pub(crate) async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = Config {
            listen: Address::loopback(0),
            data_dir: directory.path().join("data"),
            ..Config::default()
        };
        config.password.memory_kib = 8;
        config.password.passes = 1;
        config.store.cache_mib = 8;
        // Everybody here comes from one address.
        config.sign_up.attempts = 1_000_000;
        config.sign_up.attempts_per_address = 1_000_000;
        // The sweeper runs on the machine's time; none of these tests waits for it.
        config.store.sweep_interval = Period::hours(24);
        configure(&mut config);
        config.check().expect("a configuration that is allowed");
        let http = http_client();
        let mut app = Self {
            clock: ManualClock::new(from_millis(START)),
            control: Control::default(),
            config,
            directory,
            address: Arc::new(Mutex::new(Url::parse("http://127.0.0.1:1").unwrap())),
            store: Arc::default(),
            http,
            running: None,
        };
        app.run().await;
        app
    }

    async fn run(&mut self) {
        capture::log_here();
        let wrap = |store: Arc<dyn Store>| {
            *self.store.lock() = Some(Arc::clone(&store));
            self.control.wrap(store)
        };
        let begun = Instant::now();
        let server = loop {
            let clock = Arc::new(self.clock.clone());
            match serve::start(&self.config, clock, wrap).await {
                // As in `store_world::opened`.
                Err(StartError::Open(service::OpenError::Store(OpenError::Locked { .. })))
                    if begun.elapsed() < PATIENCE =>
                {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                started => break started.expect("the server starts"),
            }
        };
        *self.address.lock() = Url::parse(&server.url()).expect("a URL");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            server.run(shutdown).await.expect("the server ends well");
        });
        self.running = Some(Running { stop, task });
        capture::data(self.data_dir());
    }

    /// Stops the server as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        if let Some(Running { stop, task }) = self.running.take() {
            // A server that is gone already is found out by joining it.
            let _ = stop.send(());
            in_time("stopping", task).await.expect("no panic");
            *self.store.lock() = None;
            capture::data(self.data_dir());
        }
    }

    /// Stops it and starts it again, on another port, on the same directory and clock.
    pub(crate) async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same, with a changed configuration.
    pub(crate) async fn restart_with(&mut self, configure: impl FnOnce(&mut Config)) {
        self.stop().await;
        configure(&mut self.config);
        self.run().await;
    }

    // --- who comes ---

    /// Somebody without anything.
    pub(crate) fn anonymous(&self) -> User {
        self.user(Kind::Stranger)
    }

    /// Somebody with a browser.
    pub(crate) fn browser(&self) -> User {
        self.user(Kind::Browser)
    }

    /// A program with a bearer token.
    pub(crate) fn program(&self) -> User {
        self.user(Kind::Program)
    }

    fn user(&self, kind: Kind) -> User {
        User::new(
            self.http.clone(),
            Arc::clone(&self.address),
            self.config.public_url.url().clone(),
            kind,
            Arc::new(self.clock.clone()),
        )
    }

    // --- what is behind ---

    /// Where the server listens.
    pub(crate) fn address(&self) -> Url {
        self.address.lock().clone()
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> &std::path::Path {
        &self.config.data_dir
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, time: SignedDuration) {
        self.clock.advance(time);
    }

    /// The store itself, behind everything that holds or fails it.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.lock().clone().expect("a running server")
    }

    /// All accounts, their visits and their sessions.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        let (store, now) = (self.store(), self.clock.now());
        let mut snapshot = Snapshot::new();
        for account in everybody(&*store).await {
            let visits = store.total_visits(account.id).await.unwrap();
            let sessions = store.sessions(account.id, now).await.unwrap();
            snapshot.push((account, visits, sessions));
        }
        snapshot
    }

    /// Gives or takes a role, as the command line does. Somebody who is made an administrator has to
    /// log in anew.
    pub(crate) async fn set_role(&self, email: &str, role: Role) {
        let id = self.account(email).await.id;
        self.store()
            .set_role(id, role, cause(self.clock.now()))
            .await
            .unwrap()
            .expect("an account");
    }

    /// The account with this e-mail.
    pub(crate) async fn account(&self, email: &str) -> Account {
        let email = countersign::model::Email::parse(email).unwrap();
        let found = self.store().account_by_email(&email).await.unwrap();
        found.expect("an account")
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() || self.running.is_none() {
            return;
        }
        // Every test ends with a server that could be stopped.
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.stop());
        });
        assert!(self.directory.path().exists());
    }
}
