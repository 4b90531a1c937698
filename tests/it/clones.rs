//! A copied cookie is found out, and honest browsers are left alone.

use countersign::{model::session::ReplayPolicy, token::ClaimSet};
use jiff::SignedDuration;
use reqwest::Method;

use crate::support::{TestApp, User, at_once, user::Draft};

const A_WHILE: SignedDuration = SignedDuration::from_secs(61);

/// What the page after the next log-in says.
const NOTICE: &str = "was ended for your safety";

async fn owner_and_thief(app: &TestApp) -> (User, User) {
    let ann = app.browser();
    ann.join("ann@example.com").await;
    ann.visit().await;
    let thief = ann.copy();
    (ann, thief)
}

/// The two take turns, each pausing for longer than the grace, until one is refused. Gives who.
async fn take_turns<'a>(app: &TestApp, ann: &'a User, thief: &'a User) -> Option<&'a User> {
    for _ in 0..3 {
        for who in [ann, thief] {
            app.pass(A_WHILE);
            match who.try_visit().await.status {
                200 => {}
                401 => return Some(who),
                other => panic!("{other}"),
            }
        }
    }
    None
}

async fn reads_notice(who: &User) -> bool {
    let page = who.get("/admin").await.expect_page(200);
    page.visible().to_lowercase().contains(NOTICE)
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_and_thief_taking_turns_are_both_out_and_the_owner_is_told() {
    owner_and_thief_take_turns(TestApp::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opaque_tokens_form_the_same_chain() {
    let opaque = TestApp::with(|config| config.token.claims = ClaimSet::Opaque).await;
    owner_and_thief_take_turns(opaque).await;
}

async fn owner_and_thief_take_turns(app: TestApp) {
    let (ann, thief) = owner_and_thief(&app).await;
    assert!(!reads_notice(&ann).await);
    assert!(take_turns(&app, &ann, &thief).await.is_some(), "nobody noticed");
    for who in [&ann, &thief] {
        who.check().await.expect(401);
        who.try_visit().await.expect(401).expect_no_cookie();
        who.get("/admin").await.expect_page(401);
    }
    ann.log_in("ann@example.com").await;
    assert!(reads_notice(&ann).await, "at the next log-in");
    ann.log_in("ann@example.com").await;
    assert!(!reads_notice(&ann).await, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_finds_a_copy_too_and_moves_nothing() {
    let app = TestApp::start().await;
    let (ann, thief) = owner_and_thief(&app).await;
    thief.check().await.expect(200);
    for _ in 0..2 {
        app.pass(A_WHILE);
        ann.visit().await;
    }
    // Checks only compare: any number of them changes nothing for the owner.
    for _ in 0..3 {
        ann.check().await.expect(200);
    }
    thief.check().await.expect(200);
    app.pass(A_WHILE);
    thief.check().await.expect(401).expect_no_cookie();
    ann.check().await.expect(401);
    ann.log_in("ann@example.com").await;
    assert!(reads_notice(&ann).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuse_refuses_the_copy_alone() {
    let app = TestApp::with(|config| config.replay.policy = ReplayPolicy::Refuse).await;
    let (ann, thief) = owner_and_thief(&app).await;
    for _ in 0..2 {
        app.pass(A_WHILE);
        ann.visit().await;
    }
    app.pass(A_WHILE);
    let before = app.snapshot().await;
    thief.check().await.expect(401);
    thief.try_visit().await.expect(401);
    assert_eq!(app.snapshot().await, before);
    assert_eq!(ann.visit().await, 4);
    ann.log_in("ann@example.com").await;
    assert!(!reads_notice(&ann).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn ignore_does_nothing() {
    let app = TestApp::with(|config| config.replay.policy = ReplayPolicy::Ignore).await;
    let (ann, thief) = owner_and_thief(&app).await;
    assert!(take_turns(&app, &ann, &thief).await.is_none());
    ann.check().await.expect(200);
    thief.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_grace_a_fork_is_no_theft() {
    let app = TestApp::start().await;
    let (ann, tab) = owner_and_thief(&app).await;
    for _ in 0..20 {
        ann.visit().await;
        tab.visit().await;
        tab.check().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_requests_at_once_are_one_browser() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    for round in 1..=3 {
        app.pass(SignedDuration::from_mins(10));
        // All of them show the cookie that the browser had when it sent the first.
        let requests: Vec<_> = (0..64).map(|_| ann.api(Method::POST, "/session/visits")).collect();
        let answers = at_once(requests.into_iter().map(Draft::send)).await;
        let visits = answers.into_iter().map(|answer| answer.expect(200).json()["visits"].as_u64());
        assert_eq!(visits.max().flatten(), Some(64 * round));
    }
    app.pass(SignedDuration::from_mins(10));
    assert_eq!(ann.visit().await, 193, "whichever answer landed last");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_at_once_after_a_rest_may_arrive_in_any_order() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    for round in 0..3 {
        app.pass(SignedDuration::from_mins(10));
        let overtaken = ann.api(Method::POST, "/session/visits");
        ann.visit().await;
        ann.visit().await;
        overtaken.send().await.expect(200);
        assert_eq!(ann.visit().await, 4 * round + 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_land_out_of_order_are_one_browser() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    for _ in 0..4 {
        app.pass(SignedDuration::from_mins(10));
        // Two tabs ask with the same cookie; the first one's answer comes last.
        let first = ann.copy();
        first.visit().await;
        ann.visit().await;
        ann.take(&first.token());
    }
    app.pass(SignedDuration::from_mins(10));
    assert_eq!(ann.visit().await, 9);
    ann.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_takes_the_new_cookie_is_one_browser() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    for _ in 0..4 {
        app.pass(SignedDuration::from_mins(7));
        let visit = ann.api(Method::POST, "/session/visits").losing_cookies();
        visit.send().await.expect(200);
    }
    ann.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_no_theft() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    ann.visit().await;
    for _ in 0..5 {
        app.pass(SignedDuration::from_mins(10));
        let lost = ann.api(Method::POST, "/session/visits").losing_cookies();
        lost.send().await.expect(200);
        app.pass(SignedDuration::from_mins(10));
        ann.visit().await;
    }
    assert_eq!(ann.visit().await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_keeps_its_place_in_the_chain() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    for _ in 0..5 {
        ann.visit().await;
        app.pass(SignedDuration::from_mins(20));
        assert_eq!(ann.check().await.expect(200).set_cookies().len(), 1);
        app.pass(SignedDuration::from_mins(5));
    }
    assert_eq!(ann.visit().await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_share_a_bearer_token_among_threads() {
    let app = TestApp::start().await;
    let one = app.program();
    one.join("ann@example.com").await;
    let two = one.copy();
    assert!(take_turns(&app, &one, &two).await.is_none());
}
