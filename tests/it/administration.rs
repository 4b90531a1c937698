//! What administrators do with the accounts and sessions of others, and that nobody else does.

use countersign::{model::Role, store::MOST_EMAILS_SEARCHED};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    api::assert_members,
    support::{
        Answer, PASSWORD, TestApp, User,
        routes::{self, NO_ACCOUNT, NO_SESSION, Route},
        store::Outage,
    },
};

const ROOT: &str = "root@example.com";

/// Every operation for administrators, from the OpenAPI document, so that none is forgotten.
fn administration() -> Vec<Route> {
    let mut routes = routes::operations();
    routes.retain(Route::is_administration);
    assert!(routes.len() >= 7, "{routes:?}");
    routes
}

/// Makes `who` an administrator and logs them in.
async fn promote(app: &TestApp, who: &User) {
    who.sign_up(ROOT).await.expect(201);
    app.set_role(ROOT, Role::Admin).await;
    who.log_in(ROOT).await;
}

async fn id_of(app: &TestApp, email: &str) -> String {
    app.account(email).await.id.to_string()
}

async fn ask(who: &User, method: Method, path: &str) -> Answer {
    who.api(method, &format!("/admin{path}")).send().await
}

async fn set_state(who: &User, id: &str, state: &str) -> Answer {
    let draft = who.api(Method::PUT, &format!("/admin/accounts/{id}/state"));
    draft.json(&json!({"state": state})).send().await
}

/// ASVS 8.2.1, 8.2.2: each role on each route.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_refused_everywhere_and_nothing_changes() {
    let app = TestApp::start().await;
    let (ann, phone, bob) = (app.browser(), app.program(), app.browser());
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    bob.join("bob@example.com").await;
    let before = app.snapshot().await;
    let ids = [
        (NO_ACCOUNT.to_owned(), NO_SESSION.to_owned()),
        (id_of(&app, "bob@example.com").await, bob.sid()),
        // One's own is none of these operations' either.
        (id_of(&app, "ann@example.com").await, phone.sid()),
    ];
    for route in administration() {
        for (account, session) in &ids {
            let route = route.of(account, session);
            for who in [&ann, &phone] {
                let refused = route.ask(who).send().await.expect_no_cookie();
                let refused = refused.expect_problem(403, "not_an_administrator");
                assert_eq!(refused.header("cache-control"), "no-store");
            }
            let stranger = route.ask(&app.anonymous()).send().await;
            stranger.expect_problem(401, "not_signed_in");
        }
    }
    assert_eq!(app.snapshot().await, before);
}

/// ASVS 8.3.2.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_taken_away_is_gone_at_the_next_request() {
    let app = TestApp::start().await;
    let root = app.browser();
    promote(&app, &root).await;
    let program = app.program();
    program.log_in(ROOT).await;
    ask(&root, Method::GET, "/accounts").await.expect(200);
    app.set_role(ROOT, Role::Member).await;
    for route in administration() {
        for who in [&root, &program] {
            route.ask(who).send().await.expect_problem(403, "not_an_administrator");
        }
    }
    root.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_from_before_has_what_a_new_role_may_do() {
    let app = TestApp::start().await;
    let root = app.browser();
    root.join(ROOT).await;
    let stolen = root.copy();
    app.set_role(ROOT, Role::Admin).await;
    for who in [&root, &stolen] {
        ask(who, Method::GET, "/accounts").await.expect_problem(401, "not_signed_in");
    }
    root.log_in(ROOT).await;
    ask(&root, Method::GET, "/accounts").await.expect(200);
    // No API gives one: see `bad_input`, too.
    for (method, path) in [(Method::PUT, "/accounts"), (Method::PATCH, "/accounts")] {
        ask(&root, method, path).await.expect(405);
    }
    let id = id_of(&app, ROOT).await;
    ask(&root, Method::PUT, &format!("/accounts/{id}/role")).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_administrator_is_nobody() {
    let app = TestApp::start().await;
    let (root, other) = (app.browser(), app.program());
    promote(&app, &root).await;
    other.join("other@example.com").await;
    app.set_role("other@example.com", Role::Admin).await;
    other.log_in("other@example.com").await;
    let id = id_of(&app, ROOT).await;
    assert_eq!(set_state(&other, &id, "disabled").await.expect(200).json(), json!({"ended": 1}));
    for route in administration() {
        route.ask(&root).send().await.expect_problem(401, "not_signed_in");
    }
    root.try_log_in(ROOT, PASSWORD, json!({})).await.expect(401);
    // The role is still there when the account is.
    set_state(&other, &id, "active").await.expect(200);
    root.log_in(ROOT).await;
    ask(&root, Method::GET, "/accounts").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_disables_their_own_account() {
    let app = TestApp::start().await;
    let root = app.browser();
    promote(&app, &root).await;
    let id = id_of(&app, ROOT).await;
    let refused = set_state(&root, &id, "disabled").await.expect_problem(403, "own_account");
    assert_eq!(refused.json()["detail"], "You cannot disable your own account.");
    assert_eq!(set_state(&root, &id, "active").await.expect(200).json(), json!({"ended": 0}));
    root.check().await.expect(200);
    root.log_in(ROOT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_needs_the_password_to_be_shown_lately() {
    let app = TestApp::start().await;
    let (root, ann) = (app.browser(), app.browser());
    promote(&app, &root).await;
    ann.join("ann@example.com").await;
    let id = id_of(&app, "ann@example.com").await;
    app.pass(SignedDuration::from_mins(11));
    ann.visit().await;
    let before = app.snapshot().await;
    for route in administration() {
        let route = route.of(&id, &ann.sid());
        let answer = route.ask(&root).send().await;
        if route.is_unsafe() {
            answer.expect_problem(403, "reauth_required");
        } else {
            answer.expect(200);
        }
    }
    assert_eq!(app.snapshot().await, before);
    root.reauthenticate(PASSWORD).await.expect(200);
    assert_eq!(set_state(&root, &id, "disabled").await.expect(200).json(), json!({"ended": 1}));
    ann.check().await.expect(401);
}

/// ASVS 7.4.2, 7.4.5.
#[tokio::test(flavor = "multi_thread")]
async fn disabling_ends_all_sessions_at_once_and_enabling_revives_none() {
    let app = TestApp::start().await;
    let (root, ann, phone, bob) = (app.browser(), app.browser(), app.program(), app.browser());
    promote(&app, &root).await;
    ann.join("ann@example.com").await;
    phone.log_in("ann@example.com").await;
    bob.join("bob@example.com").await;
    let id = id_of(&app, "ann@example.com").await;
    assert_eq!(set_state(&root, &id, "disabled").await.expect(200).json(), json!({"ended": 2}));
    for who in [&ann, &phone] {
        who.check().await.expect(401);
        who.try_visit().await.expect(401);
    }
    ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(401);
    let details = ask(&root, Method::GET, &format!("/accounts/{id}")).await.expect(200).json();
    assert_eq!((&details["state"], &details["sessions"]), (&json!("disabled"), &json!(0)));
    assert_eq!(set_state(&root, &id, "disabled").await.expect(200).json(), json!({"ended": 0}));

    assert_eq!(set_state(&root, &id, "active").await.expect(200).json(), json!({"ended": 0}));
    for who in [&ann, &phone] {
        who.check().await.expect(401);
    }
    ann.log_in("ann@example.com").await;
    bob.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_others_are_listed_and_ended() {
    let app = TestApp::start().await;
    let (root, ann, phone, bob) = (app.browser(), app.browser(), app.program(), app.browser());
    promote(&app, &root).await;
    ann.join("ann@example.com").await;
    ann.visit().await;
    app.pass(SignedDuration::from_secs(1));
    phone.log_in("ann@example.com").await;
    bob.join("bob@example.com").await;
    let (anns, bobs) = (id_of(&app, "ann@example.com").await, id_of(&app, "bob@example.com").await);
    let sessions = format!("/accounts/{anns}/sessions");

    let list = ask(&root, Method::GET, &sessions).await.expect(200);
    for token in [ann.token(), phone.token()] {
        assert!(!list.mentions(&token));
    }
    let list = list.json();
    let list = list.as_array().unwrap();
    let sids: Vec<_> = list.iter().map(|session| session["sid"].as_str().unwrap()).collect();
    assert_eq!(sids, [ann.sid(), phone.sid()], "oldest first");
    for session in list {
        assert_members(
            session,
            &[
                "created_at",
                "current",
                "expires_at",
                "idle_expires_at",
                "last_seen_at",
                "sid",
                "transport",
                "user_agent",
                "visits",
            ],
        );
    }
    assert_eq!((&list[0]["visits"], &list[0]["transport"]), (&json!(1), &json!("cookie")));
    assert_eq!(list[1]["transport"], "bearer");

    // A session belongs to its account: under another's it is not there.
    let end = async |account: &str, sid: &str| {
        ask(&root, Method::DELETE, &format!("/accounts/{account}/sessions/{sid}")).await
    };
    for sid in [ann.sid(), NO_SESSION.into(), "no-id".into()] {
        end(&bobs, &sid).await.expect_problem(404, "no_such_session");
    }
    for account in [NO_ACCOUNT, "no-id", "%00"] {
        end(account, &ann.sid()).await.expect_problem(404, "no_such_account");
    }
    ann.check().await.expect(200);
    end(&anns, &ann.sid()).await.expect(204).expect_no_cookie();
    ann.check().await.expect(401);
    phone.check().await.expect(200);
    end(&anns, &ann.sid()).await.expect_problem(404, "no_such_session");

    ann.log_in("ann@example.com").await;
    let ended = ask(&root, Method::DELETE, &sessions).await.expect(200).expect_no_cookie();
    assert_eq!(ended.json(), json!({"ended": 2}));
    for who in [&ann, &phone] {
        who.check().await.expect(401);
    }
    bob.check().await.expect(200);
    assert_eq!(ask(&root, Method::GET, &sessions).await.expect(200).json(), json!([]));
}

/// Who ends their own current session is logged out, as everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn ones_own_sessions_end_with_their_cookie() {
    let app = TestApp::start().await;
    let (root, second) = (app.browser(), app.browser());
    promote(&app, &root).await;
    second.log_in(ROOT).await;
    let id = id_of(&app, ROOT).await;
    let one = async |sid: &str| {
        ask(&root, Method::DELETE, &format!("/accounts/{id}/sessions/{sid}")).await
    };
    one(&second.sid()).await.expect(204).expect_no_cookie();
    assert_eq!(one(&root.sid()).await.expect(204).set_cookies().len(), 1);
    assert_eq!(root.cookie(), None);

    root.log_in(ROOT).await;
    let copy = root.copy();
    let ended = ask(&root, Method::DELETE, &format!("/accounts/{id}/sessions")).await.expect(200);
    assert_eq!((ended.json(), ended.set_cookies().len()), (json!({"ended": 1}), 1));
    assert_eq!(root.cookie(), None);
    copy.check().await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_of_everybody_ends_the_administrators_too() {
    let app = TestApp::start().await;
    let (root, tool, ann) = (app.browser(), app.program(), app.browser());
    promote(&app, &root).await;
    tool.log_in(ROOT).await;
    ann.join("ann@example.com").await;
    let copy = root.copy();
    let ended = ask(&root, Method::DELETE, "/sessions").await.expect(204);
    assert_eq!((ended.set_cookies().len(), root.cookie()), (1, None));
    for who in [&copy, &tool, &ann] {
        who.check().await.expect(401);
        who.try_visit().await.expect(401);
    }
    tool.log_in(ROOT).await;
    ask(&tool, Method::DELETE, "/sessions").await.expect(204).expect_no_cookie();
    tool.check().await.expect(401);
    ann.log_in("ann@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_found_by_a_part_of_their_address() {
    let app = TestApp::start().await;
    let root = app.program();
    promote(&app, &root).await;
    for name in ["ann", "joanna", "bob"] {
        root.sign_up(&format!("{name}@example.com")).await.expect(201);
    }
    let find = async |query: &str| {
        let found = ask(&root, Method::GET, &format!("/accounts{query}")).await.expect(200).json();
        let accounts = found["accounts"].as_array().unwrap().clone();
        let emails: Vec<String> = accounts
            .iter()
            .map(|account| {
                assert_members(account, &["created_at", "email", "id", "role", "state"]);
                account["email"].as_str().unwrap().trim_end_matches("@example.com").to_owned()
            })
            .collect();
        (emails, found["next"].clone())
    };
    for (query, expected) in [
        ("", &["ann", "bob", "joanna", "root"][..]),
        ("?search=ANN", &["ann", "joanna"]),
        ("?search=+ann%40+", &["ann"]),
        ("?search=nobody", &[]),
        ("?email=Ann@Example.com", &["ann"]),
        ("?email=ann", &[]),
        ("?email=nobody@example.com", &[]),
        ("?after=bob", &["bob", "joanna", "root"]),
        ("?after=bob@example.com", &["joanna", "root"]),
        ("?search=ann&after=b&unknown=1", &["joanna"]),
    ] {
        assert_eq!(
            find(query).await,
            (expected.iter().map(|e| (*e).into()).collect(), Value::Null)
        );
    }
    let (emails, next) = find("?search=o&limit=1").await;
    assert_eq!((emails, &next), (vec!["ann".into()], &json!("ann@example.com")), "of example.com");
    let (emails, next) = find("?search=o&limit=3&after=ann@example.com").await;
    assert_eq!((emails.len(), next), (3, Value::Null));

    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=-1",
        "?limit=zq9Marker7x",
        "?limit=",
        "?limit=1&limit=2",
        "?search=zq9Marker7x&search=zq9Marker7x",
        &format!("?search={}", "a".repeat(255)),
        &format!("?after={}", "a".repeat(255)),
    ] {
        let refused = ask(&root, Method::GET, &format!("/accounts{query}")).await;
        let refused = refused.expect_problem(400, "bad_request");
        assert!(!refused.mentions("zq9Marker7x") && !refused.mentions("aaa"), "{query}");
    }
    let find_one = ask(&root, Method::GET, "/accounts?email=root@example.com").await.expect(200);
    assert_eq!(find_one.json()["accounts"][0]["role"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_shown_with_its_visits_and_sessions() {
    let app = TestApp::start().await;
    let (root, ann) = (app.program(), app.browser());
    promote(&app, &root).await;
    ann.join("ann@example.com").await;
    ann.visit().await;
    ann.log_out().await.expect(204);
    ann.log_in("ann@example.com").await;
    ann.visit().await;
    let account = app.account("ann@example.com").await;
    let shown = ask(&root, Method::GET, &format!("/accounts/{}", account.id)).await.expect(200);
    assert!(!shown.mentions("argon2"));
    let expected = json!({
        "id": account.id.to_string(),
        "email": "ann@example.com",
        "state": "active",
        "role": "member",
        "created_at": account.created_at.to_string(),
        "visits": 2,
        "sessions": 1,
    });
    assert_eq!(shown.json(), expected);
    for id in [NO_ACCOUNT, "no-id", "%00", "..", "ann@example.com"] {
        let path = format!("/accounts/{id}");
        if id == ".." {
            continue;
        }
        ask(&root, Method::GET, &path).await.expect_problem(404, "no_such_account");
        let path = format!("/accounts/{id}/sessions");
        ask(&root, Method::GET, &path).await.expect_problem(404, "no_such_account");
        ask(&root, Method::DELETE, &path).await.expect_problem(404, "no_such_account");
        set_state(&root, id, "disabled").await.expect_problem(404, "no_such_account");
    }
    for state in ["locked", "Active", ""] {
        let id = account.id.to_string();
        set_state(&root, &id, state).await.expect_problem(422, "invalid_body");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_say_who_did_what_to_whom_and_from_where() {
    let app = TestApp::start().await;
    let (root, ann, bob) = (app.browser(), app.browser(), app.browser());
    promote(&app, &root).await;
    ann.join("ann@example.com").await;
    bob.join("bob@example.com").await;
    app.pass(SignedDuration::from_secs(1));
    let (roots, anns) = (id_of(&app, ROOT).await, id_of(&app, "ann@example.com").await);
    set_state(&root, &anns, "disabled").await.expect(200);
    app.pass(SignedDuration::from_secs(1));
    set_state(&root, &anns, "active").await.expect(200);
    app.pass(SignedDuration::from_secs(1));
    ask(&root, Method::DELETE, &format!("/accounts/{anns}/sessions")).await.expect(200);
    ann.log_in("ann@example.com").await;
    let (sid, gone) = (ann.sid(), format!("/accounts/{anns}/sessions/{}", ann.sid()));
    ask(&root, Method::DELETE, &gone).await.expect(204);
    let list = async |query: &str| {
        let page = ask(&root, Method::GET, &format!("/events{query}")).await.expect(200).json();
        (page["events"].as_array().unwrap().clone(), page["next"].as_str().map(str::to_owned))
    };

    let (events, next) = list(&format!("?account={anns}")).await;
    let codes: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let expected =
        ["session_ended", "log_in", "account_enabled", "account_disabled", "log_in", "sign_up"];
    assert_eq!(
        (codes, next),
        (expected.to_vec(), None),
        "the newest first, and what ended none not"
    );
    let disabled = &events[3];
    assert_members(disabled, &["account", "at", "by", "ended", "event", "from"]);
    assert_eq!((&disabled["by"], &disabled["account"]), (&json!(roots), &json!(anns)));
    assert_eq!((&disabled["from"], &disabled["ended"]), (&json!("127.0.0.1"), &json!(1)));
    assert_eq!((&events[0]["sid"], &events[0]["ended"]), (&json!(sid), &json!(1)));
    assert_eq!(events[1]["by"], anns, "by herself");

    // Page by page it is the same.
    let (whole, _) = list("").await;
    let (mut paged, mut before) = (Vec::new(), String::new());
    loop {
        let (page, next) = list(&format!("?limit=2{before}")).await;
        assert!(page.len() <= 2);
        paged.extend(page);
        let Some(next) = next else { break };
        before = format!("&before={next}");
    }
    assert_eq!(paged, whole);
    let (nobodys, _) = list(&format!("?account={NO_ACCOUNT}")).await;
    assert_eq!(nobodys, Vec::<Value>::new());
    for query in ["?account=no-id", "?before=x", "?before=1", "?before=01-2", "?limit=0"] {
        let refused = ask(&root, Method::GET, &format!("/events{query}")).await;
        refused.expect_problem(400, "bad_request");
    }
}

/// However many accounts there are, one answer takes a bounded amount of work.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_among_many_is_made_of_small_steps() {
    use countersign::model::Account;

    use crate::store_world::{account, account_record};

    let app = TestApp::start().await;
    let root = app.program();
    promote(&app, &root).await;
    let crowd = (0..MOST_EMAILS_SEARCHED).map(|n| {
        let id = countersign::model::AccountId::from_bytes((n as u128).to_be_bytes());
        account_record(Account { id, ..account(&format!("n{n:05}")) }, 0)
    });
    app.store().import(crowd.collect()).await.unwrap();
    let first = ask(&root, Method::GET, "/accounts?search=root@").await.expect(200).json();
    let next = first["next"].as_str().expect("it is not at the end").to_owned();
    assert_eq!(first["accounts"], json!([]));
    let path = format!("/accounts?search=root@&after={next}");
    let second = ask(&root, Method::GET, &path).await.expect(200).json();
    assert_eq!(second["accounts"][0]["email"], ROOT);
    assert!(second.get("next").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_answered_503_and_changes_nothing() {
    let app = TestApp::start().await;
    let (root, ann) = (app.browser(), app.browser());
    promote(&app, &root).await;
    ann.join("ann@example.com").await;
    let id = id_of(&app, "ann@example.com").await;
    let before = app.snapshot().await;
    app.control.outage(Outage::Writes);
    for route in administration() {
        let route = route.of(&id, &ann.sid());
        let answer = route.ask(&root).send().await.expect_no_cookie();
        if route.is_unsafe() {
            answer.expect_problem(503, "store_unavailable");
        } else {
            answer.expect(200);
        }
    }
    app.control.outage(Outage::None);
    assert_eq!(app.snapshot().await, before);
    ann.check().await.expect(200);
}
