//! A real Redis, started by the test that needs one.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use url::Url;

use super::{PATIENCE, port};

/// A Redis of its own, with nothing in it, that keeps what it was told in an append-only file. It
/// ends with this value, also when the test fails.
pub(crate) struct RedisServer {
    dir: TempDir,
    port: u16,
    more: Vec<String>,
    child: Option<Child>,
}

/// Whether there is a Redis here. Where there is none the tests that need one say so and show
/// nothing; with `CI` set they fail.
pub(crate) fn redis_works() -> bool {
    let tried = Command::new("redis-server").arg("--version").output();
    if tried.as_ref().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "redis-server is needed: {tried:?}");
    println!("skipped: there is no redis-server here: {tried:?}");
    false
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments, which overrule the ones before.
    pub(crate) fn with(more: &[&str]) -> Self {
        let more = more.iter().map(|word| (*word).to_owned()).collect();
        let dir = TempDir::new().unwrap();
        let mut server = Self { dir, port: 0, more, child: None };
        // Somebody may take the port before the server does.
        for _ in 0..20 {
            server.port = port::free();
            if server.run() {
                return server;
            }
        }
        panic!("no Redis starts");
    }

    /// Runs it. Returns whether it is there.
    fn run(&mut self) -> bool {
        assert!(self.child.is_none(), "it runs already");
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always"])
            .arg("--dir")
            .arg(self.dir.path())
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server runs");
        let child = self.child.insert(child);
        let started = Instant::now();
        loop {
            if child.try_wait().unwrap().is_some() {
                self.child = None;
                return false;
            }
            if is_there(self.port) {
                return true;
            }
            assert!(started.elapsed() < PATIENCE, "Redis does not start");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> Url {
        Url::parse(&format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    /// All that it wrote to its disk: every command that changed something.
    pub(crate) fn written(&self) -> Vec<u8> {
        fn collect(dir: &Path, written: &mut Vec<u8>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    collect(&path, written);
                } else {
                    written.extend(fs::read(path).unwrap());
                }
            }
        }
        let mut written = Vec::new();
        collect(self.dir.path(), &mut written);
        written
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `kill -9`.
    pub(crate) fn kill_hard(&mut self) {
        let mut child = self.child.take().expect("a running Redis");
        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
    }

    /// Starts it again with what its file has.
    pub(crate) fn restart(&mut self) {
        assert!(self.run(), "Redis does not start again");
    }

    /// It goes on to be there and does nothing any more.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("a running Redis").id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// What an operator sees who asks it.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let said = self.try_ask(words);
        said.unwrap_or_else(|output| panic!("{words:?}: {output}"))
    }

    /// The same, where it may not be there.
    pub(crate) fn try_ask(&self, words: &[&str]) -> Result<String, String> {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        if !output.status.success() {
            return Err(format!("{output:?}"));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Also where it is frozen.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a server answers there; it does not while it reads its file.
fn is_there(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 1];
    // One that wants a password answers, too.
    stream.write_all(b"PING\r\n").is_ok()
        && stream.read(&mut answer).is_ok_and(|n| n == 1)
        && (answer == *b"+" || {
            let mut rest = [0; 64];
            let n = stream.read(&mut rest).unwrap_or(0);
            rest[..n].starts_with(b"NOAUTH")
        })
}
