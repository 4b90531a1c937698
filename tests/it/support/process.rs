//! The real binary, to be killed and started again.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread,
};

use countersign::model::clock::SystemClock;
use parking_lot::Mutex;
use tempfile::TempDir;
use url::Url;

use super::{
    PATIENCE, User, capture,
    user::{Kind, http_client},
};

/// What seals the signing keys of the servers that are on a Redis.
pub(crate) const SECRET: &str = "what all nodes of these tests seal their keys with";

/// A server that is a process of its own.
pub(crate) struct Process {
    directory: TempDir,
    /// What runs the binary, if it is not run by itself.
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    address: Arc<Mutex<Url>>,
    output: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
    http: reqwest::Client,
}

impl Process {
    /// Starts the binary with cheap password hashes, and waits until it says where it listens.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same, with more variables.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let mut process = Self::new(variables);
        process.run();
        process
    }

    /// Another node: configured as this one, and nothing else in common.
    pub(crate) fn beside(&self) -> Self {
        let mut process = Self::new(&[]);
        process.environment.clone_from(&self.environment);
        process.run();
        process
    }

    /// The same, run by `wrapper`, which is given the directory that the server works in.
    pub(crate) fn wrapped(wrapper: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let mut process = Self::new(&[]);
        process.wrapper = wrapper(process.directory.path());
        process.run();
        process
    }

    /// Runs it by itself from the next start on.
    pub(crate) fn unwrap(&mut self) {
        self.wrapper.clear();
    }

    fn new(variables: &[(&str, &str)]) -> Self {
        let mut environment: Vec<(String, String)> = [
            ("COUNTERSIGN_LISTEN", "127.0.0.1:0"),
            ("COUNTERSIGN_DATA_DIR", "data"),
            ("COUNTERSIGN_PASSWORD__MEMORY_KIB", "8"),
            ("COUNTERSIGN_PASSWORD__PASSES", "1"),
            ("COUNTERSIGN_STORE__CACHE_MIB", "8"),
            // Everybody here comes from one address.
            ("COUNTERSIGN_SIGN_UP__ATTEMPTS", "1000000"),
            ("COUNTERSIGN_SIGN_UP__ATTEMPTS_PER_ADDRESS", "1000000"),
            ("COUNTERSIGN_LOG__FORMAT", "json"),
            ("COUNTERSIGN_LOG__FILTER", capture::log_filter()),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        // Only a Redis needs it.
        environment.push(("COUNTERSIGN_TOKEN__SECRET".into(), SECRET.into()));
        capture::secret(capture::Kind::Key, SECRET);
        environment.extend(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            wrapper: Vec::new(),
            environment,
            child: None,
            address: Arc::new(Mutex::new(Url::parse("http://127.0.0.1:1").unwrap())),
            output: Arc::default(),
            readers: Vec::new(),
            http: http_client(),
        }
    }

    fn run(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let words: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        let words = [&words[..], &[env!("CARGO_BIN_EXE_countersign")]].concat();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stderr = child.stderr.take().expect("a pipe");
        let output = Arc::clone(&self.output);
        self.readers.push(thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = stderr.read(&mut buffer) {
                output.lock().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        }));
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let output = Arc::clone(&self.output);
        let (first_line, said) = mpsc::channel();
        self.readers.push(thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                output.lock().extend([line.as_str(), "\n"]);
                // Only the first is waited for.
                let _ = first_line.send(line);
            }
        }));
        self.child = Some(child);
        let line = said
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("it does not start:\n{}", self.output()));
        let url = line.strip_prefix("listening on ").expect("the first line");
        *self.address.lock() = Url::parse(url).expect("a URL");
        capture::data(&self.data_dir());
    }

    /// `kill -9`, and what comes after it: the process is gone when this returns.
    pub(crate) fn kill_hard(&mut self) {
        let mut child = self.child.take().expect("a running process");
        if self.wrapper.is_empty() {
            child.kill().expect("SIGKILL");
        } else {
            // The wrapper ends with it.
            self.kill_wrapped();
        }
        child.wait().expect("its end");
        self.join_readers();
    }

    /// Ends the server under the wrapper: the lock has its number.
    fn kill_wrapped(&self) {
        let pid = std::fs::read_to_string(self.data_dir().join("lock")).expect("a lock");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status();
        assert!(killed.expect("kill").success());
    }

    /// SIGTERM; gives the exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running process");
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        let status = child.wait().expect("its end");
        self.join_readers();
        status
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("no panic");
        }
    }

    /// Sets a variable of its next lives.
    pub(crate) fn configure(&mut self, name: &str, value: &str) {
        self.environment.retain(|(had, _)| had != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it again on the same directory.
    pub(crate) fn restart(&mut self) {
        self.run();
    }

    /// All that it wrote, to stdout and stderr, over all its lives.
    pub(crate) fn output(&self) -> String {
        self.output.lock().clone()
    }

    /// Where its data directory is.
    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        Path::new(self.directory.path()).join("data")
    }

    /// The directory that it works in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Url {
        self.address.lock().clone()
    }

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
        let public = Url::parse("http://localhost:3000").unwrap();
        User::new(self.http.clone(), Arc::clone(&self.address), public, kind, Arc::new(SystemClock))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            if !self.wrapper.is_empty() && self.data_dir().join("lock").exists() {
                self.kill_wrapped();
            }
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            self.join_readers();
        }
        capture::data(&self.data_dir());
        capture::output(self.output().as_bytes());
        if std::thread::panicking() {
            eprintln!("the server wrote:\n{}", self.output());
        }
    }
}
