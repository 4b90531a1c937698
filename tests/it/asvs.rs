//! Requirements of OWASP ASVS that belong to no other subject. The table of all of them is in
//! SECURITY.md.

use countersign::config::Config;
use reqwest::Method;
use scraper::{Html, Selector};
use serde_json::json;

use crate::{
    attacks::forge::private_keys,
    support::{PASSWORD, TestApp, routes, store::Outage},
};

/// The elements of a page that a selector finds, each with all its attributes.
fn elements(page: &str, selector: &str) -> Vec<Vec<(String, String)>> {
    let selector = Selector::parse(selector).unwrap();
    let html = Html::parse_document(page);
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    html.select(&selector).map(|found| found.value().attrs().map(owned).collect()).collect()
}

/// ASVS 7.4.4.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_signed_in_person_has_a_way_out() {
    let app = TestApp::start().await;
    let ann = app.browser();
    ann.join("ann@example.com").await;
    let pages = routes::pages();
    let protected = pages.iter().filter(|page| page.protected && page.method == Method::GET);
    let mut looked_at = 0;
    for page in protected {
        let answer = page.ask(&ann).send().await.expect_page(200);
        let way_out = "form[method=post][action='/logout'] button";
        assert!(!elements(answer.text(), way_out).is_empty(), "{}", page.id);
        looked_at += 1;
    }
    assert!(looked_at > 0);
}

/// ASVS 3.3.4, 14.2.6, 15.3.1.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_has_a_hash_a_key_or_the_token_of_a_cookie() {
    let app = TestApp::start().await;
    let (ann, program, stranger) = (app.browser(), app.program(), app.anonymous());
    let password = "quartz lantern 7 vow drift";
    let account = json!({"email": "ann@example.com", "password": password});
    stranger.api(Method::POST, "/accounts").json(&account).send().await.expect(201);
    let hash = app.account("ann@example.com").await.password.as_str().to_owned();
    assert!(hash.starts_with("$argon2"));
    let mut secrets = vec![password.to_owned(), hash, "$argon2".to_owned()];
    for key in private_keys(app.data_dir()) {
        secrets.push(key["d"].as_str().unwrap().to_owned());
    }
    for who in [&stranger, &ann, &program] {
        for route in routes::all() {
            let mut cookie = None;
            if !std::ptr::eq(who, &raw const stranger) {
                // One of them closes the account.
                let again = stranger.api(Method::POST, "/accounts").json(&account).send().await;
                assert!([201, 409].contains(&again.status));
                who.try_log_in("ann@example.com", password, json!({})).await.expect(201);
                cookie = who.cookie();
            }
            let mut answer = route.ask(who).send().await;
            answer.headers.remove("set-cookie");
            let set = who.cookie();
            for secret in secrets.iter().chain(&cookie).chain(&set) {
                assert!(!answer.mentions(secret), "{}: {secret}", route.id);
            }
        }
    }
}

/// ASVS 6.2.10, 6.4.2.
#[test]
fn an_account_has_no_hint_no_question_and_no_date_to_change_its_password() {
    let document = routes::document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut looked_at = 0;
    for (name, schema) in schemas {
        if !["Account", "Password", "Credentials"].iter().any(|part| name.contains(part)) {
            continue;
        }
        // An enum has none.
        for property in schema["properties"].as_object().into_iter().flat_map(|all| all.keys()) {
            for word in ["hint", "question", "expires", "changed", "must"] {
                assert!(!property.contains(word), "{name}.{property}");
            }
            looked_at += 1;
        }
    }
    assert!(looked_at >= 8, "{looked_at}");
}

/// ASVS 6.3.2, 13.3.1.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_service_has_no_account_and_no_key_of_another() {
    let (one, other) = (TestApp::start().await, TestApp::start().await);
    assert!(one.snapshot().await.is_empty());
    for email in ["root@localhost", "admin@localhost", "admin", "root", "sa", "test@example.com"] {
        for password in ["", "admin", "password", "changeme", "countersign", PASSWORD] {
            let refused = one.program().try_log_in(email, password, json!({})).await;
            assert!([401, 422].contains(&refused.status), "{email} {password}");
        }
    }
    let (one, other) = (private_keys(one.data_dir()), private_keys(other.data_dir()));
    assert_eq!((one.len(), other.len()), (1, 1));
    assert_ne!(one[0]["d"], other[0]["d"]);
}

/// ASVS 11.4.2, in its appendix C.
#[tokio::test(flavor = "multi_thread")]
async fn password_hashes_are_argon2id_of_the_documented_cost() {
    let app = TestApp::with(|config| config.password = Config::default().password).await;
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    let hash = app.account("ann@example.com").await.password.as_str().to_owned();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let parts: Vec<_> = hash.split('$').collect();
    assert!(parts[4].len() >= 22, "a salt of at least 16 bytes");
    assert!(parts[5].len() >= 43, "a hash of at least 32 bytes");
}

/// ASVS 16.5.4.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_answer_and_no_end() {
    let app = TestApp::start().await;
    let (ann, program) = (app.browser(), app.program());
    ann.join("ann@example.com").await;
    program.log_in("ann@example.com").await;
    app.control.outage(Outage::Panic);
    for who in [&ann, &program] {
        for answer in [who.check().await, who.try_visit().await, who.log_out().await] {
            let answer = answer.expect_problem(500, "internal").expect_no_cookie();
            assert!(!answer.mentions("panic") && !answer.mentions("secret"), "{}", answer.text());
        }
    }
    ann.get("/admin").await.expect_page(500).expect_no_cookie();
    app.control.outage(Outage::None);
    assert_eq!(ann.visit().await, 1, "nothing was poisoned, and nothing counted");
    program.check().await.expect(200);
}
