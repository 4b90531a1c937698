//! A server: its two addresses, what is served there, and the order in which it stops.

use std::{future::ready, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use super::connections::{self, Limits};
use crate::{
    cli::admin_file::AdminFile,
    config::Config,
    http::{self, History, admin::OperatorToken},
    model::Clock,
    service::{self, OpenError, Service},
    session,
    store::Store,
    telemetry::{MetricsHandle, metrics},
    token::KeyError,
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// How often histograms are tidied up, and the dashboard's numbers are taken down.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// A server that is ready: its addresses are bound and its store is open.
pub struct Server {
    config: Config,
    service: Service,
    public: TcpListener,
    public_address: SocketAddr,
    admin: TcpListener,
    admin_address: SocketAddr,
    token: OperatorToken,
    metrics: MetricsHandle,
    clock: Arc<dyn Clock>,
}

/// Why a server could not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The service cannot be opened on its data directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; choose another with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
        /// How to choose another.
        flag: &'static str,
    },
    /// The command line could not be told where the server is.
    #[error("cannot write {}: {reason}", .path.display())]
    AdminFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// Why a server did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// An address could not be served.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
    /// The store could not be closed: what was answered is there, but its last words are not.
    #[error("the store was not closed cleanly: {0}")]
    Close(session::Error),
}

/// Puts a server together and binds its addresses. Nobody is served before [`Server::run`].
///
/// The clock and what lies around the store are the caller's: tests move time and let the disk
/// fail.
///
/// # Errors
/// [`StartError`]; nothing is left behind but the files that were made.
pub async fn start(
    config: &Config,
    clock: Arc<dyn Clock>,
    wrap_store: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
) -> Result<Server, StartError> {
    let metrics = metrics::install();
    // Bound first, because an address in use shows at once and a large store opens in seconds;
    // listening last, so that nobody is kept waiting meanwhile, and nobody is served by keys that
    // were not tried.
    let public = bind(config.listen.0, "--listen")?;
    let admin = bind(config.admin_listen(), "--admin-listen")?;
    let service = Service::open(config, Arc::clone(&clock), wrap_store)?;
    let (public, public_address) = listen(public, config.listen.0, "--listen")?;
    let (admin, admin_address) = listen(admin, config.admin_listen(), "--admin-listen")?;

    let file = AdminFile::new(url(admin_address), service::store_name(config))
        .and_then(|file| file.write(&config.data_dir).map(|()| file))
        .map_err(|reason| StartError::AdminFile {
            path: AdminFile::path(&config.data_dir),
            reason,
        })?;
    Ok(Server {
        config: config.clone(),
        service,
        public,
        public_address,
        admin,
        admin_address,
        token: file.token(),
        metrics,
        clock,
    })
}

impl Server {
    /// Where the service listens: the bound address, not the public one.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.public_address)
    }

    /// Where the admin interface listens.
    #[must_use]
    pub fn admin_url(&self) -> String {
        url(self.admin_address)
    }

    /// Serves until `shutdown`; then accepts nobody any more, finishes what runs, and closes the
    /// store.
    ///
    /// # Errors
    /// [`StopError`]: it has stopped, but not cleanly.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), StopError> {
        let settings = http::Settings {
            public_url: self.config.public_url.url().clone(),
            trusted_proxies: self.config.server.trusted_proxies.networks(),
        };
        let sessions = self.service.sessions();
        let public = http::app(sessions.clone(), settings);
        let key_files = self.service.key_files();
        let rotate_keys = Box::new(move || match key_files.clone() {
            Some(files) => files.rotate().boxed(),
            None => ready(Err(KeyError::NoFiles)).boxed(),
        });
        let metrics = self.metrics.clone();
        let history = Arc::new(History::new(self.clock.now()));
        let admin = http::admin::app(
            sessions.clone(),
            self.token,
            rotate_keys,
            move || metrics.render(),
            Arc::clone(&history),
            Arc::clone(&self.clock),
        );

        let (stop, stopped) = watch::channel(false);
        let sweep = tokio::spawn(self.service.sweep(until(stopped.clone())));
        let upkeep = tokio::spawn(keep_metrics(self.metrics, history, self.clock, stopped.clone()));
        let limits = Limits {
            idle: self.config.server.idle_timeout.unsigned(),
            shutdown: self.config.server.shutdown_timeout.unsigned(),
        };
        let (public, admin, ()) = tokio::join!(
            connections::serve("public", self.public, public, limits, until(stopped.clone())),
            connections::serve("admin", self.admin, admin, limits, until(stopped)),
            async {
                shutdown.await;
                info!(event = "stopping", "finishing what runs");
                stop.send_replace(true);
            },
        );
        for task in [sweep, upkeep] {
            if let Err(error) = task.await {
                warn!(event = "stopping", %error, "a task in the background failed");
            }
        }
        let closed = sessions.close().await.map_err(StopError::Close);
        remove_admin_file(self.config.data_dir).await;
        public?;
        admin?;
        closed?;
        info!(event = "stopped", "stopped");
        Ok(())
    }
}

/// Waits until the server is to stop.
async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    drop(stopped.wait_for(|stop| *stop).await);
}

async fn keep_metrics(
    metrics: MetricsHandle,
    history: Arc<History>,
    clock: Arc<dyn Clock>,
    stopped: watch::Receiver<bool>,
) {
    let mut due = interval(METRICS_UPKEEP);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = until(stopped);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = due.tick() => {
                metrics.upkeep();
                history.record(clock.now(), &metrics.render());
            }
        }
    }
}

/// The store is closed by now: the command line may open it itself.
async fn remove_admin_file(data_dir: PathBuf) {
    if let Err(error) = AdminFile::remove(&data_dir) {
        warn!(event = "stopping", %error, "admin.json was not removed");
    }
}

fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpSocket, StartError> {
    let socket = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart does not wait for the connections of before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    socket().map_err(|reason| StartError::Listen { address, reason, flag })
}

fn listen(
    socket: TcpSocket,
    address: SocketAddr,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    socket
        .listen(BACKLOG)
        .and_then(|listener| {
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        })
        .map_err(|reason| StartError::Listen { address, reason, flag })
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        config::Address,
        model::clock::{ManualClock, from_millis},
    };

    fn config(data_dir: &std::path::Path) -> Config {
        let mut config = Config {
            listen: Address::loopback(0),
            data_dir: data_dir.to_owned(),
            ..Config::default()
        };
        config.password.memory_kib = 64;
        config.password.passes = 1;
        config.check().unwrap();
        config
    }

    #[tokio::test]
    async fn two_servers_run_in_one_process_and_let_go_of_everything_in_the_end() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let kept: Mutex<Vec<Arc<dyn Store>>> = Mutex::default();
        let mut running = Vec::new();
        for dir in &dirs {
            let clock = Arc::new(ManualClock::new(from_millis(1_700_000_000_000)));
            let keep = |store: Arc<dyn Store>| {
                kept.lock().unwrap().push(Arc::clone(&store));
                store
            };
            let server = start(&config(dir.path()), clock, keep).await.unwrap();
            let urls = (server.url(), server.admin_url());
            let (stop, stopped) = oneshot::channel::<()>();
            let task = tokio::spawn(server.run(async move { drop(stopped.await) }));
            running.push((urls, stop, task));
        }
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for ((url, admin), ..) in &running {
            for address in [format!("{url}/readyz"), format!("{admin}/metrics")] {
                assert_eq!(client.get(address).send().await.unwrap().status(), 200);
            }
        }
        assert_ne!(running[0].0, running[1].0);
        for (_, stop, task) in running {
            stop.send(()).unwrap();
            task.await.unwrap().unwrap();
        }
        for store in kept.into_inner().unwrap() {
            assert!(store.ping().await.is_err(), "the store behind `wrap_store` is closed");
        }
        for dir in &dirs {
            assert!(!AdminFile::path(dir.path()).exists());
            // And the lock is free again.
            let clock = Arc::new(ManualClock::new(from_millis(1_700_000_000_000)));
            start(&config(dir.path()), clock, |store| store).await.unwrap();
        }
    }
}
