//! A real load balancer, with a configuration that the test writes.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use countersign::model::clock::SystemClock;
use parking_lot::Mutex;
use tempfile::TempDir;
use url::Url;

use super::{
    PATIENCE, User, port,
    user::{Kind, http_client},
};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    HaProxy,
    Nginx,
}

impl Program {
    /// Whether it is here. Where it is not, the tests that need it say so and show nothing; with `CI`
    /// set they fail.
    pub(crate) fn works(self) -> bool {
        let tried = Command::new(self.name()).arg("-v").output();
        if tried.as_ref().is_ok_and(|output| output.status.success()) {
            return true;
        }
        assert!(std::env::var_os("CI").is_none(), "{} is needed: {tried:?}", self.name());
        println!("skipped: there is no {} here: {tried:?}", self.name());
        false
    }

    fn name(self) -> &'static str {
        match self {
            Self::HaProxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    fn command(self, dir: &Path) -> Command {
        let mut command = Command::new(self.name());
        match self {
            // In the foreground, in one process: what is killed is all of it.
            Self::HaProxy => command.args(["-db", "-f", "configuration"]),
            Self::Nginx => command
                .args(["-g", "daemon off; master_process off; error_log stderr;", "-e", "stderr"])
                .arg("-p")
                .arg(dir)
                .arg("-c")
                .arg(dir.join("configuration")),
        };
        command.current_dir(dir);
        command
    }
}

/// One that runs. It ends with this value, also when the test fails.
pub(crate) struct Balancer {
    dir: TempDir,
    child: Child,
    address: Arc<Mutex<Url>>,
    public: Url,
}

impl Balancer {
    /// Starts it with a configuration for this port and this directory, and waits until it listens.
    pub(crate) fn start(
        program: Program,
        configuration: impl FnOnce(u16, &Path) -> String,
    ) -> Self {
        let dir = TempDir::new().unwrap();
        let port = port::free();
        fs::write(dir.path().join("configuration"), configuration(port, dir.path())).unwrap();
        let said = fs::File::create(dir.path().join("said")).unwrap();
        let child = program
            .command(dir.path())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .expect("a balancer runs");
        let url = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let mut balancer = Self {
            dir,
            child,
            address: Arc::new(Mutex::new(url)),
            public: Url::parse("http://localhost:3000").unwrap(),
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = balancer.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", balancer.said());
            assert!(started.elapsed() < PATIENCE, "it does not listen: {}", balancer.said());
            thread::sleep(Duration::from_millis(5));
        }
        balancer
    }

    /// What it wrote.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("said")).unwrap_or_default()
    }

    /// Where people reach it.
    pub(crate) fn address(&self) -> Url {
        self.address.lock().clone()
    }

    /// People reach it by this URL, and their address bars say that one.
    pub(crate) fn known_as(&mut self, url: &str, public: &str) {
        *self.address.lock() = Url::parse(url).unwrap();
        self.public = Url::parse(public).unwrap();
    }

    /// Somebody without anything.
    pub(crate) fn anonymous(&self) -> User {
        self.user(Kind::Stranger, http_client())
    }

    /// Somebody with a browser.
    pub(crate) fn browser(&self) -> User {
        self.user(Kind::Browser, http_client())
    }

    /// A program with a bearer token.
    pub(crate) fn program(&self) -> User {
        self.user(Kind::Program, http_client())
    }

    /// Somebody with this client.
    pub(crate) fn user(&self, kind: Kind, http: reqwest::Client) -> User {
        let clock = Arc::new(SystemClock);
        User::new(http, Arc::clone(&self.address), self.public.clone(), kind, clock)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the balancer wrote:\n{}", self.said());
        }
    }
}
