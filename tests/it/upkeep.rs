//! What is over leaves the store by itself: disk and memory are bounded by what is alive.

use std::time::Duration;

use countersign::config::Period;
use jiff::SignedDuration;

use crate::support::{TestApp, at_once, in_time};

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_over_leave_the_store_and_their_visits_stay() {
    let app = TestApp::with(|config| config.store.sweep_interval = Period::seconds(1)).await;
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    at_once((0..30).map(|_| {
        let user = app.program();
        async move {
            user.log_in("ann@example.com").await;
            user.visit().await;
        }
    }))
    .await;
    app.pass(SignedDuration::from_mins(29));
    let alive = app.program();
    alive.log_in("ann@example.com").await;
    assert_eq!(app.control.swept(), 0, "all of them are alive");
    app.pass(SignedDuration::from_mins(2));
    // The sweeper goes round on the machine's time.
    in_time("the sweep", async {
        while app.control.swept() < 30 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    alive.check().await.expect(200);
    let account = alive.api(reqwest::Method::GET, "/account").send().await.expect(200);
    assert_eq!(account.json()["visits"], 30, "nothing is forgotten");
    assert_eq!(app.control.swept(), 30, "and nothing else went");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_ended_are_gone_at_once() {
    let app = TestApp::start().await;
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    for _ in 0..20 {
        let user = app.program();
        user.log_in("ann@example.com").await;
        user.visit().await;
        user.log_out().await.expect(204);
    }
    let clock = countersign::model::clock::later(
        countersign::model::Clock::now(&app.clock),
        SignedDuration::from_hours(24 * 400),
    );
    let swept = app.store().sweep(None, 1_000_000, clock).await.unwrap();
    assert_eq!((swept.removed, swept.next), (0, None), "nothing was left to be swept");
    assert_eq!(app.snapshot().await[0].1, 20);
}
