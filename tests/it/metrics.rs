//! The numbers for Prometheus. With the real binary: they belong to the process.

use serde_json::json;
use url::Url;

use crate::support::{PASSWORD, Process, User};

/// Where the admin interface listens.
pub(crate) fn admin_address(server: &Process) -> Url {
    let file = std::fs::read(server.data_dir().join("admin.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    Url::parse(file["url"].as_str().unwrap()).unwrap().join("/metrics").unwrap()
}

pub(crate) async fn scrape(url: &Url) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(media_type.starts_with("text/plain"), "{media_type}");
    answer.text().await.unwrap()
}

/// The sum of all series of a name whose labels contain `label`.
pub(crate) fn value(metrics: &str, name: &str, label: &str) -> f64 {
    metrics
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(label))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| series.split('{').next() == Some(name))
        .map(|(_, value)| value.parse::<f64>().unwrap())
        .sum()
}

async fn some_traffic(ann: &User) {
    ann.log_in("ann@example.com").await;
    ann.visit().await;
    ann.visit().await;
    ann.try_log_in("ann@example.com", "wrong", json!({})).await.expect(401);
    ann.try_log_in("nobody@example.com", PASSWORD, json!({})).await.expect(401);
    ann.log_out().await.expect(204);
    ann.check().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_move_with_what_happens() {
    let server = Process::start();
    let url = admin_address(&server);
    assert!(url.host_str() == Some("127.0.0.1"), "loopback by default");
    assert_ne!(url.port(), server.address().port(), "an address of its own");
    let ann = server.program();
    ann.sign_up("ann@example.com").await.expect(201);
    let counted = [
        ("countersign_log_ins_total", "result=\"ok\"", 1.0),
        ("countersign_log_ins_total", "result=\"wrong_password\"", 1.0),
        ("countersign_log_ins_total", "result=\"unknown\"", 1.0),
        ("countersign_visits_total", "", 2.0),
        ("countersign_sessions_ended_total", "reason=\"log_out\"", 1.0),
        ("countersign_refusals_total", "reason=\"absent\"", 1.0),
        ("countersign_http_requests_total", "status=\"4xx\"", 3.0),
        // With the first look at the metrics.
        ("countersign_http_requests_total", "", 8.0),
    ];
    let before = scrape(&url).await;
    some_traffic(&ann).await;
    let after = scrape(&url).await;
    for (name, label, by) in counted {
        let moved = value(&after, name, label) - value(&before, name, label);
        assert!((moved - by).abs() < 0.5, "{name} {label}: {moved}, not {by}\n{after}");
    }
    assert!(after.contains("# HELP countersign_visits_total "));
    for secret in ["ann@example.com", PASSWORD, &ann.token(), &ann.sid()] {
        assert!(!after.contains(secret), "{secret} in the metrics");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_see_them() {
    let server = Process::start();
    for path in ["/metrics", "/admin/metrics", "/api/v1/metrics"] {
        server.anonymous().get(path).await.expect(404);
    }
    // And people are not served on the admin address.
    let url = admin_address(&server);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/", "/login", "/api/v1/session", "/docs"] {
        let answer = client.get(url.join(path).unwrap()).send().await.unwrap();
        assert!(
            [401, 403, 404, 405].contains(&answer.status().as_u16()),
            "{path}: {}",
            answer.status()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_invention_makes_no_new_series() {
    let server = Process::start();
    let ann = server.anonymous();
    for n in 0..20 {
        let method = format!("MADEUP{n}").parse().unwrap();
        ann.request(method, &format!("/nowhere/{n}")).send().await.expect(404);
        let host = format!("h{n}.example");
        ann.request(reqwest::Method::GET, "/healthz")
            .header("host", &host)
            .send()
            .await
            .expect(200);
    }
    let metrics = scrape(&admin_address(&server)).await;
    let requests: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("countersign_http_requests_total{"))
        .collect();
    assert_eq!(requests.len(), 2, "{requests:?}");
}
