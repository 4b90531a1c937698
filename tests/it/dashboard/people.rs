//! What is done on the dashboard: people are found, their sessions ended, their accounts locked.

use countersign::model::{Actor, AuditKind};
use jiff::SignedDuration;

use super::{Operator, attributes};
use crate::{
    audit::events,
    support::{TestApp, store::Outage},
};

const ANN: &str = "/account?email=ann%40example.com";

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_a_part_of_their_address() {
    let app = TestApp::start().await;
    for name in ["ann", "hannah", "bob"] {
        app.program().sign_up(&format!("{name}@example.com")).await.expect(201);
    }
    let operator = Operator::enter(&app).await;
    let found = async |query: &str| {
        let page = operator.get(&format!("/accounts{query}")).await.expect_page(200);
        let typed = attributes(page.text(), "#search", "value");
        (attributes(page.text(), "main tbody a", "href"), typed)
    };
    let of = |name: &str| format!("{}/account?email={name}%40example.com", operator.base);
    assert_eq!(found("").await.0, [of("ann"), of("bob"), of("hannah")]);
    assert_eq!(found("?search=AN").await, (vec![of("ann"), of("hannah")], vec!["AN".into()]));
    assert_eq!(found("?search=nobody").await.0, Vec::<String>::new());
    assert_eq!(found("?search=%22%3E%3Cb%3E").await.1, ["\"><b>"], "what is typed is text");
    assert_eq!(found("?search=&after=ann%40example.com").await.0, [of("bob"), of("hannah")]);
    operator.get("/accounts?after=nonsense").await.expect_page(400);
    operator.get("/account?email=nobody%40example.com").await.expect_page(404);
    operator.get("/account?email=nonsense").await.expect_page(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_goes_on() {
    let app = TestApp::start().await;
    for n in 0..51 {
        app.program().sign_up(&format!("user{n:02}@example.com")).await.expect(201);
    }
    let operator = Operator::enter(&app).await;
    let page = operator.get("/accounts?search=user").await.expect_page(200);
    assert_eq!(attributes(page.text(), "main tbody a", "href").len(), 50);
    let next = attributes(page.text(), "#next", "href");
    let page = operator.browser.get(&next[0]).await.expect_page(200);
    assert_eq!(attributes(page.text(), "main tbody a", "href").len(), 1);
    assert!(page.visible().contains("user50@example.com"));
    assert_eq!(attributes(page.text(), "#next", "href"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_ended_and_then_all() {
    let app = TestApp::start().await;
    let [first, second, third] = [0; 3].map(|_| app.program());
    first.join("ann@example.com").await;
    second.log_in("ann@example.com").await;
    third.log_in("ann@example.com").await;
    let bob = app.browser();
    bob.join("bob@example.com").await;
    let operator = Operator::enter(&app).await;
    let page = operator.get(ANN).await.expect_page(200);
    let buttons = attributes(page.text(), "td button", "value");
    assert_eq!(buttons.len(), 3);
    assert!(buttons.contains(&first.sid()) && !page.mentions(&first.token()));

    app.pass(SignedDuration::from_secs(1));
    let sid = first.sid();
    let end = [("email", "ann@example.com"), ("session", sid.as_str())];
    let back = format!("{}{ANN}", operator.base);
    operator.post("/account/sessions", &end).await.expect_redirect(&back);
    first.check().await.expect(401);
    second.check().await.expect(200);
    let event = events(&app).await[0];
    assert_eq!((event.what, event.by.actor), (AuditKind::SessionEnded, Actor::CommandLine));
    let page = operator.get(ANN).await.expect_page(200);
    assert!(page.visible().contains("1 session ended."), "{}", page.visible());
    assert_eq!(attributes(page.text(), "td button", "value").len(), 2);
    let page = operator.get(ANN).await.expect_page(200);
    assert_eq!(attributes(page.text(), ".done", "class").len(), 0, "it is told once");

    operator.post("/account/sessions", &end).await.expect_redirect(&back);
    let page = operator.get(ANN).await.expect_page(200);
    assert!(page.visible().contains("The session had ended already."));
    // Another's session is not ended under her name.
    let bobs = bob.sid();
    let wrong = [("email", "ann@example.com"), ("session", bobs.as_str())];
    operator.post("/account/sessions", &wrong).await.expect_redirect(&back);
    operator.get(ANN).await.expect_page(200);
    for session in ["", "nonsense"] {
        let fields = [("email", "ann@example.com"), ("session", session)];
        operator.post("/account/sessions", &fields).await.expect_page(404);
    }
    let all = [("email", "ann@example.com"), ("session", "all")];
    operator.post("/account/sessions", &all).await.expect_redirect(&back);
    for ended in [&second, &third] {
        ended.check().await.expect(401);
    }
    bob.check().await.expect(200);
    let page = operator.get(ANN).await.expect_page(200);
    assert!(page.visible().contains("2 sessions ended."));
    operator.post("/account/sessions", &all).await.expect_redirect(&back);
    let page = operator.get(ANN).await.expect_page(200);
    assert!(page.visible().contains("No session was there to end."));
    // It stands on the first page, too, with who and whose.
    let page = operator.get("").await.expect_page(200);
    assert!(page.visible().contains("Session ended ann@example.com the operator"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_locked_and_unlocked() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let operator = Operator::enter(&app).await;
    let back = format!("{}{ANN}", operator.base);
    let state = async |state: &str| {
        let fields = [("email", "ann@example.com"), ("state", state)];
        operator.post("/account/state", &fields).await
    };
    state("disabled").await.expect_redirect(&back);
    ann.check().await.expect(401);
    let page = operator.get(ANN).await.expect_page(200);
    assert!(page.visible().contains("The account is disabled. 1 session ended."));
    assert_eq!(attributes(page.text(), "#state", "value"), ["active"]);
    ann.try_log_in("ann@example.com", crate::support::PASSWORD, serde_json::json!({}))
        .await
        .expect(401);
    state("active").await.expect_redirect(&back);
    let page = operator.get(ANN).await.expect_page(200);
    assert!(page.visible().contains("The account is enabled."));
    ann.check().await.expect(401);
    ann.log_in("ann@example.com").await;
    state("removed").await.expect_page(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_sends_is_text() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.sign_up("ann@example.com").await.expect(201);
    let body = serde_json::json!({
        "email": "ann@example.com", "password": crate::support::PASSWORD, "transport": "bearer",
    });
    ann.api(reqwest::Method::POST, "/session")
        .header("user-agent", "\"><script>alert(1)</script>")
        .json(&body)
        .send()
        .await
        .expect(201);
    let operator = Operator::enter(&app).await;
    let page = operator.get(ANN).await.expect_page(200);
    let scripts = attributes(page.text(), "script", "src");
    let [script] = &scripts[..] else { panic!("{scripts:?}") };
    assert!(script.starts_with("/dashboard-"), "{script}");
    assert!(page.visible().contains("\"><script>alert(1)</script>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_said_and_changes_nothing() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    let operator = Operator::enter(&app).await;
    let form = operator.form().await;
    app.control.outage(Outage::Writes);
    let fields = [("form", form.as_str()), ("email", "ann@example.com"), ("session", "all")];
    let path = format!("{}/account/sessions", operator.base);
    let failed = operator.browser.post(&path, &fields).await.expect_page(503);
    assert!(!failed.mentions("/secret/path"));
    app.control.outage(Outage::All);
    let page = operator.get("").await.expect_page(200);
    assert!(page.visible().contains("Latest events The store cannot be read now."));
    assert!(!page.mentions("/secret/path"));
    operator.get(ANN).await.expect_page(503);
    app.control.outage(Outage::None);
    ann.check().await.expect(200);
    operator.browser.post(&path, &fields).await.expect(303);
    ann.check().await.expect(401);
}
