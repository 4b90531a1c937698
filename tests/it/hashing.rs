//! How many passwords are hashed at once: no more than configured, whatever clients do, also when
//! they hang up (failures.md, 9).

use std::{fs, net::IpAddr, path::Path, time::Duration};

use countersign::model::{AttemptKey, Clock as _, CountedUnder, Email};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use url::Url;

use crate::support::{Op, PASSWORD, Process, TestApp, When, at_once, in_time};

/// One hash, in KiB. Three at once would show.
const HASH_KIB: u64 = 64 << 10;

/// Sends a wrong log-in and hangs up at once.
async fn log_in_and_hang_up(to: Url, email: String) {
    let body = json!({"email": email, "password": "a wrong password"}).to_string();
    let request = format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = (to.host_str().unwrap().to_owned(), to.port().unwrap());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// The most memory that the process ever had, in KiB.
fn peak_kib(data_dir: &Path) -> u64 {
    let pid = fs::read_to_string(data_dir.join("lock")).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_log_ins_take_the_memory_of_two_and_checks_go_on() {
    let server = Process::with(&[
        ("COUNTERSIGN_PASSWORD__MEMORY_KIB", &HASH_KIB.to_string()),
        ("COUNTERSIGN_PASSWORD__PARALLEL", "2"),
        ("COUNTERSIGN_PASSWORD__WAITING", "40"),
        ("COUNTERSIGN_LOGIN__ATTEMPTS_PER_ADDRESS", "1000"),
        // The allocator keeps what was freed for a moment, and a thread that is not that fast may
        // meanwhile get a third block. Without that the peak is what is in use.
        ("MIMALLOC_PURGE_DELAY", "0"),
    ]);
    let ann = server.browser();
    ann.join("ann@example.com").await;
    let before = peak_kib(&server.data_dir());
    let hang_up = at_once(
        (0..400).map(|n| log_in_and_hang_up(server.address(), format!("gone{n}@example.com"))),
    );
    let stay = at_once((0..100).map(|n| {
        let eve = server.anonymous();
        async move {
            let email = format!("user{n}@example.com");
            eve.try_log_in(&email, "a wrong password", json!({})).await.status
        }
    }));
    let checks = async {
        for _ in 0..100 {
            ann.check().await.expect(200);
        }
    };
    let (_, statuses, ()) = tokio::join!(hang_up, stay, checks);
    assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
    // The line is worked off, and everybody gets in again.
    in_time("the line", async {
        while ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.status == 503 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let more = peak_kib(&server.data_dir()) - before;
    // One hash was in the peak of before; connections and their tasks take the rest.
    assert!(more < HASH_KIB * 2, "{more} KiB more");
}

/// Otherwise a guess could be made and not be counted.
#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_is_counted_all_the_same() {
    let app = TestApp::start().await;
    at_once((0..5).map(|_| log_in_and_hang_up(app.address(), "ann@example.com".to_owned()))).await;
    let email = Email::parse("ann@example.com").unwrap();
    let from: IpAddr = [127, 0, 0, 1].into();
    let key = AttemptKey::new("log_in", CountedUnder::Both(&email, Some(from)));
    in_time("the count", async {
        loop {
            let found = app.store().attempts(&[key], app.clock.now()).await.unwrap();
            if found[0].count == 5 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_recorded_before_it_is_told() {
    let app = TestApp::start().await;
    let gate = app.control.hold(Op::CountAttempt, When::Before);
    let eve = app.anonymous();
    let guess = tokio::spawn(async move {
        eve.try_log_in("ann@example.com", "a wrong password", json!({})).await
    });
    gate.reached(1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!guess.is_finished(), "it was told before it is recorded");
    gate.open();
    guess.await.unwrap().expect_problem(401, "wrong_credentials");
}
