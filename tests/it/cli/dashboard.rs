//! `countersign dashboard`: a link for a browser, once.

use std::process::Stdio;

use super::{Server, client, countersign, failed, run, temp};
use crate::support::capture;

#[tokio::test]
async fn it_prints_a_link_that_opens_the_dashboard_once() {
    let dir = temp();
    let server = Server::start_with(dir.path(), &[("COUNTERSIGN_LOG__FILTER", "trace")]);
    // Its output is a secret, and is not kept: see `capture`.
    let mut command = countersign(dir.path());
    let asked = command.arg("dashboard").stdin(Stdio::null()).output().unwrap();
    assert!(asked.status.success() && asked.stderr.is_empty());
    let link = String::from_utf8(asked.stdout).unwrap();
    let link = link.strip_suffix('\n').expect("a line");
    let admin = server.admin();
    let start = format!("{}/dashboard/open?code=", admin["url"].as_str().unwrap());
    let code = link.strip_prefix(&start).expect("where the server is");
    capture::secret(capture::Kind::Dashboard, code);

    let client = client();
    let opened = client.get(link).send().await.unwrap();
    // It led on to the page, which asks for the cookie: this client keeps none.
    assert_eq!(opened.status(), 401);
    let place = opened.url().path().to_owned();
    assert!(place.starts_with("/dashboard/") && !place.ends_with("/open"), "{place}");
    let again = client.get(link).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.url().as_str()), (401, link));
    let log = server.log();
    assert!(log.contains("dashboard_opened"));
    assert!(!log.contains(code), "the code is in the log");
}

#[test]
fn without_a_server_there_is_none() {
    let dir = temp();
    let line = failed(&run(dir.path(), &["dashboard"], ""));
    assert!(line.starts_with("no server runs on the data directory data"), "{line}");
    assert!(!dir.path().join("data").exists(), "and nothing was made");
}
