//! What new passwords must be, and that they are taken exactly as they were typed: the rows 6.1.2 and
//! 6.2.1 to 6.2.12 of OWASP ASVS 5.0, against the running service. The rules themselves have their
//! tests beside them, in `src/session/password`.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use reqwest::Method;
use scraper::{Html, Selector};
use serde_json::json;

use crate::support::{Answer, PASSWORD, TestApp, User};

const COMMON: &str = include_str!("../../src/session/password/common/passwords.txt");

/// Of 21 characters, and none of them says anything about anybody.
const STRONG: &str = "three owls at a kettle";

async fn sign_up(who: &User, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    who.api(Method::POST, "/accounts").json(&body).send().await
}

async fn change(who: &User, current: &str, new: &str) -> Answer {
    let body = json!({"current": current, "new": new});
    who.api(Method::PUT, "/account/password").json(&body).send().await
}

// 6.2.1, 6.2.9
#[tokio::test(flavor = "multi_thread")]
async fn fifteen_to_a_hundred_and_twenty_eight_characters_are_taken() {
    let app = TestApp::start().await;
    let ann = app.program();
    let long = "owls, kettles, teapots & sunken harbours ".repeat(4);
    for (n, chars, code) in [
        (0, 14, Some("password_too_short")),
        (1, 15, None),
        (2, 64, None),
        (3, 128, None),
        (4, 129, Some("password_too_long")),
    ] {
        let (email, password) = (format!("ann{n}@example.com"), &long[..chars]);
        let answer = sign_up(&ann, &email, password).await;
        if let Some(code) = code {
            answer.expect_problem(422, code);
            continue;
        }
        answer.expect(201);
        ann.try_log_in(&email, password, json!({})).await.expect(201);
        let cut = &password[..chars - 1];
        ann.try_log_in(&email, cut, json!({})).await.expect(401);
    }
    assert_eq!(app.snapshot().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_can_be_loosened_down_to_eight_characters() {
    let app = TestApp::with(|config| {
        config.password.min_length = 8;
        config.password.min_strength = 0;
    })
    .await;
    let ann = app.program();
    sign_up(&ann, "ann@example.com", "7 chars").await.expect_problem(422, "password_too_short");
    sign_up(&ann, "ann@example.com", "aaaaaaaa").await.expect_problem(422, "password_too_common");
    sign_up(&ann, "ann@example.com", "aaaaaaaa.").await.expect(201);
}

// 6.2.2, 6.2.3
#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_the_current_password_and_the_new_one_keeps_the_rules() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("mara@example.com").await;
    change(&ann, "wrong", STRONG).await.expect_problem(403, "wrong_password");
    for (new, code) in [
        ("14 characters!", "password_too_short"),
        ("passwordstandard", "password_too_common"),
        ("mara@example.com", "password_contains_context"),
        ("uuuuuuuuuuuuuuuuu", "password_too_predictable"),
    ] {
        change(&ann, PASSWORD, new).await.expect_problem(422, code);
        ann.try_log_in("mara@example.com", new, json!({})).await.expect(401);
    }
    ann.try_log_in("mara@example.com", PASSWORD, json!({})).await.expect(201);
    change(&ann, PASSWORD, STRONG).await.expect(200);
    ann.try_log_in("mara@example.com", PASSWORD, json!({})).await.expect(401);
    ann.try_log_in("mara@example.com", STRONG, json!({})).await.expect(201);
}

// 6.2.4, 6.2.12
#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_common_passwords_that_are_long_enough_are_refused() {
    let app = TestApp::start().await;
    let ann = app.program();
    let common = COMMON.lines().filter(|password| password.len() >= 15);
    let mut refused = 0;
    for password in common.take(3_000) {
        let answer = sign_up(&ann, "ann@example.com", password).await;
        answer.expect_problem(422, "password_too_common");
        refused += 1;
    }
    assert_eq!(refused, 3_000);
    assert!(app.snapshot().await.is_empty());
    sign_up(&ann, "ann@example.com", STRONG).await.expect(201);
}

// 6.1.2, 6.2.11
#[tokio::test(flavor = "multi_thread")]
async fn the_address_and_the_name_of_the_service_are_no_passwords() {
    let app = TestApp::with(|config| {
        config.public_url = "https://login.teashop.example".parse().unwrap();
    })
    .await;
    let ann = app.program();
    for password in [
        "mara.lindqvist@example.com",
        "MaraLindqvist19",
        "lindqvist1234567890",
        "Countersign2026",
        "teashop1234567890",
        "tsivqdnil1234567890",
        "l1ndqv1st1234567890",
    ] {
        let answer = sign_up(&ann, "mara.lindqvist@example.com", password).await;
        let answer = answer.expect_problem(422, "password_contains_context");
        assert!(!answer.mentions("lindqvist") && !answer.mentions("1234"), "{password}");
    }
    // They are as good as any for somebody else.
    for password in ["mara.lindqvist@example.com", "lindqvist likes loud owls"] {
        let email = format!("bob{}@elsewhere.example", password.len());
        sign_up(&ann, &email, password).await.expect(201);
    }
}

// 6.2.5
#[tokio::test(flavor = "multi_thread")]
async fn no_kind_of_character_is_asked_for_or_forbidden() {
    let app = TestApp::start().await;
    let ann = app.program();
    for (n, password) in [
        "owls upon kettles",
        "aaaaaaaaaaaaaaaloud owls",
        "OWLSUPONLOUDKETTLES",
        "  owls   upon   loud   kettles  ",
        "🦉🫖🎷🌵🧭🪁🥨🦀🎈🧦🪐🍋🚲🎻🧊",
        "七匹のふくろうがやかんの上で眠る",
        "98 47120 66 3071 552",
        "\"><script>alert(1)</script>\u{0}\n",
    ]
    .iter()
    .enumerate()
    {
        let email = format!("ann{n}@example.com");
        sign_up(&ann, &email, password).await.expect(201);
        ann.try_log_in(&email, password, json!({})).await.expect(201);
    }
}

// 6.2.6, 6.2.7
#[tokio::test(flavor = "multi_thread")]
async fn forms_hide_what_is_typed_and_leave_password_managers_alone() {
    let app = TestApp::start().await;
    for (path, autocomplete) in [("/", "current-password"), ("/signup", "new-password")] {
        let page = app.browser().get(path).await.expect_page(200);
        let html = Html::parse_document(page.text());
        let field = Selector::parse("input[name=password]").unwrap();
        let field = html.select(&field).next().unwrap().value();
        assert_eq!(field.attr("type"), Some("password"));
        assert_eq!(field.attr("autocomplete"), Some(autocomplete));
        assert!(field.attrs().all(|(name, _)| !name.starts_with("on") && name != "maxlength"));
        assert!(!page.text().contains("<script"), "nothing keeps anybody from pasting");
    }
}

// 6.2.8: neither trimmed nor folded nor cut nor normalised. NIST would have the last.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_taken_exactly_as_it_was_typed() {
    let app = TestApp::start().await;
    let ann = app.program();
    let typed = " Pässwörter mit Leerzeichen am Ende, länger als zweiundsiebzig Byte, und mehr ";
    let decomposed = typed.replace('ä', "a\u{308}").replace('ö', "o\u{308}");
    sign_up(&ann, "ann@example.com", typed).await.expect(201);
    for other in [
        typed.trim(),
        typed.trim_start(),
        typed.trim_end(),
        &typed.to_lowercase(),
        &typed.replace("  ", " ").replace("am Ende", "am  Ende"),
        &typed[..72],
        &typed.chars().take(72).collect::<String>(),
        &decomposed,
        &format!("{typed}\0"),
    ] {
        ann.try_log_in("ann@example.com", other, json!({})).await.expect(401);
    }
    ann.try_log_in("ann@example.com", typed, json!({})).await.expect(201);
    // The same by the form.
    let (bob, fields) = (app.browser(), [("email", "bob@example.com"), ("password", typed)]);
    bob.post("/signup", &fields).await.expect_redirect("/admin");
    let trimmed = [("email", "bob@example.com"), ("password", typed.trim())];
    bob.post("/login", &trimmed).await.expect(401);
    bob.post("/login", &fields).await.expect_redirect("/admin");
    bob.try_log_in("bob@example.com", &decomposed, json!({})).await.expect(401);
}

// 6.2.9
#[tokio::test(flavor = "multi_thread")]
async fn what_is_far_too_long_is_refused_without_a_hash() {
    // A hash that can be felt.
    let app = TestApp::with(|config| {
        config.password.memory_kib = 32 * 1024;
        config.password.passes = 12;
    })
    .await;
    let ann = app.program();
    let begun = Instant::now();
    ann.try_log_in("nobody@example.com", "wrong", json!({})).await.expect(401);
    let hash = begun.elapsed();
    for (chars, status, code) in [
        (129, 422, "password_too_long"),
        (60_000, 422, "password_too_long"),
        (1 << 20, 413, "body_too_large"),
    ] {
        let password = "x".repeat(chars);
        let mut shortest = Duration::MAX;
        // A busy machine may hold up one, but not all of them for as long as a hash takes.
        for _ in 0..5 {
            let begun = Instant::now();
            sign_up(&ann, "ann@example.com", &password).await.expect_problem(status, code);
            shortest = shortest.min(begun.elapsed());
        }
        assert!(shortest < hash / 2, "{chars} characters: {shortest:?}, and a hash {hash:?}");
    }
    assert!(app.snapshot().await.is_empty());
}

// 6.2.10
#[tokio::test(flavor = "multi_thread")]
async fn a_password_does_not_end_by_itself() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    app.pass(SignedDuration::from_hours(24 * 365 * 20));
    ann.try_log_in("ann@example.com", PASSWORD, json!({})).await.expect(201);
    ann.check().await.expect(200);
}

/// What was accepted once is not judged again, and raised parameters reach it at the next log-in.
#[tokio::test(flavor = "multi_thread")]
async fn raised_parameters_and_stricter_rules_lock_nobody_out() {
    let mut app = TestApp::with(|config| {
        config.password.min_length = 8;
        config.password.min_strength = 0;
    })
    .await;
    let ann = app.browser();
    sign_up(&ann, "ann@example.com", "aaaaaaaa.").await.expect(201);
    ann.try_log_in("ann@example.com", "aaaaaaaa.", json!({})).await.expect(201);
    let hash = async |app: &TestApp| app.account("ann@example.com").await.password;
    let before = hash(&app).await;
    assert!(before.as_str().contains("$m=8,t=1,"), "{before:?}");

    app.restart_with(|config| {
        config.password.min_length = 15;
        config.password.min_strength = 4;
        config.password.memory_kib = 16;
        config.password.passes = 2;
    })
    .await;
    ann.check().await.expect(200);
    ann.try_log_in("ann@example.com", "wrong", json!({})).await.expect(401);
    assert_eq!(hash(&app).await, before, "the right password alone renews it");
    let phone = app.program();
    phone.try_log_in("ann@example.com", "aaaaaaaa.", json!({})).await.expect(201);
    let after = hash(&app).await;
    assert!(after.as_str().contains("$m=16,t=2,"), "{after:?}");
    ann.check().await.expect(200);
    phone.try_log_in("ann@example.com", "aaaaaaaa.", json!({})).await.expect(201);
    assert_eq!(hash(&app).await, after, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_says_what_would_help_beside_the_field() {
    let app = TestApp::start().await;
    let ann = app.browser();
    for (password, says) in [
        ("qwertyuiopasdfgh", "that many people had"),
        ("mara1234567890mara", "made of the e-mail address or the name of this service"),
        ("uuuuuuuuuuuuuuuuu", "Repeats like \"aaa\" are easy to guess. Add another word or two."),
        ("Password1234567!", "easy to guess. Use a few words that have nothing to do"),
    ] {
        let fields = [("email", "mara@example.com"), ("password", password)];
        let page = ann.post("/signup", &fields).await.expect_page(422).expect_no_cookie();
        let html = Html::parse_document(page.text());
        let field = Selector::parse("input[name=password]").unwrap();
        let field = html.select(&field).next().unwrap().value();
        assert_eq!(field.attr("aria-invalid"), Some("true"));
        assert_eq!(field.attr("value"), None);
        let alert = Selector::parse("#password-error[role=alert]").unwrap();
        let said: String = html.select(&alert).next().unwrap().text().collect();
        assert!(said.contains(says), "{said}");
        assert!(!page.mentions(password));
    }
    assert!(app.snapshot().await.is_empty());
}
