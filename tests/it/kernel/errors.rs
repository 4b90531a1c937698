//! The kernel says EIO.
//!
//! strace makes the calls fail that are made on certain paths. The server works in a directory
//! that is moved to where those paths are, and back again: that is how the disk fails and is
//! mended, at a moment that the test chooses, while the server knows nothing of it.

use std::{fs, path::PathBuf};

use reqwest::Method;
use serde_json::json;

use super::{strace, strace_works};
use crate::support::{PASSWORD, Process, in_time};

/// A server whose disk can fail.
struct Failing {
    server: Process,
    works: PathBuf,
    fails: PathBuf,
}

impl Failing {
    /// All `calls` on its files can be made to fail.
    fn new(calls: &str) -> Self {
        let mut paths = None;
        let server = Process::wrapped(|dir| {
            let works = fs::canonicalize(dir).unwrap();
            let fails = works.with_extension("fails");
            let inject = format!("inject={calls}:error=EIO");
            let path =
                |name: &str| fails.join("data/store").join(name).to_str().unwrap().to_owned();
            let [log, journal, reserve] = ["db", "journal", "reserve"].map(path);
            let trace = works.join("trace");
            let options = [
                "-P",
                &log,
                "-P",
                &journal,
                "-P",
                &reserve,
                "-e",
                &inject,
                "-o",
                trace.to_str().unwrap(),
            ];
            paths = Some((works.clone(), fails.clone()));
            strace(&options)
        });
        let (works, fails) = paths.unwrap();
        Self { server, works, fails }
    }

    fn fail(&self) {
        fs::rename(&self.works, &self.fails).unwrap();
    }

    fn mend(&self) {
        fs::rename(&self.fails, &self.works).unwrap();
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        if self.fails.exists() {
            self.mend();
        }
    }
}

async fn nothing_is_lost_when_these_fail(calls: &str) {
    if !strace_works() {
        return;
    }
    let mut disk = Failing::new(calls);
    let (ann, program, probe) =
        (disk.server.browser(), disk.server.program(), disk.server.anonymous());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    for _ in 0..3 {
        ann.visit().await;
        program.visit().await;
    }
    let over = disk.server.program();
    over.log_in("ann@example.com").await;
    over.log_out().await.expect(204);
    probe.get("/readyz").await.expect(200);

    for round in 0..2 {
        disk.fail();
        let cookie = ann.cookie();
        let change = json!({"current": PASSWORD, "new": "staple after staple"});
        if round == 1 {
            // What is refused first is what was tried: it must not be so after all, later.
            program.log_out().await.expect_problem(503, "store_unavailable").expect_no_cookie();
        }
        for time in 0..3 {
            // Whatever is first finds it out; then all of them are refused at once.
            for answer in [
                ann.try_visit().await,
                program.try_visit().await,
                ann.log_out().await,
                program.log_out().await,
                ann.try_log_in("ann@example.com", PASSWORD, json!({})).await,
                ann.sign_up("bob@example.com").await,
                ann.api(Method::PUT, "/account/password").json(&change).send().await,
                probe.get("/readyz").await,
            ] {
                answer.expect_problem(503, "store_unavailable").expect_no_cookie();
            }
            for who in [&ann, &program] {
                let answer = who.check().await.expect(200).expect_no_cookie();
                assert_eq!(answer.json()["visits"], 3 + round, "{calls}, time {time}");
            }
            over.check().await.expect(401);
            probe.get("/healthz").await.expect(200);
        }
        assert_eq!(ann.cookie(), cookie, "the jar is as it was");

        disk.mend();
        in_time("healing", async {
            while probe.get("/readyz").await.status != 200 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        over.check().await.expect(401);
        assert_eq!(ann.visit().await, 4 + round, "{calls}: what was refused is not there");
        if round == 0 {
            assert_eq!(program.visit().await, 4, "{calls}: what was refused is not there");
        }
    }
    disk.server.kill_hard();
    disk.server.unwrap();
    disk.server.restart();
    for (who, visits) in [(&ann, 5), (&program, 4)] {
        assert_eq!(who.check().await.expect(200).json()["visits"], visits, "{calls}");
    }
    over.check().await.expect(401);
    ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(201);
    ann.sign_up("bob@example.com").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_writes_fail() {
    nothing_is_lost_when_these_fail("pwrite64,write").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_syncs_fail() {
    nothing_is_lost_when_these_fail("fsync,fdatasync").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_everything_fails() {
    nothing_is_lost_when_these_fail("pwrite64,write,fsync,fdatasync,sync_file_range,ftruncate")
        .await;
}
