//! Where a redirect leads: to `/` or to `/admin`, whatever a request says. There is no parameter for
//! it; so whatever names such parameters have elsewhere, each is tried with each target.

use crate::support::{PASSWORD, TestApp};

use super::recipes;

const NAMES: &str =
    "rd next redirect redirect_uri return return_to returnTo continue url to service";

/// The targets of the file. One is of a host that a proxy would allow: here none is.
pub(super) fn targets() -> Vec<String> {
    let recipes = recipes::all().into_iter().filter(|recipe| recipe.id.starts_with("F-rd-"));
    recipes
        .map(|recipe| match recipe.id.as_str() {
            "F-rd-133" => "https://evil.com".into(),
            "F-rd-134" => format!("https://evil.com/{}", "a".repeat(10_000)),
            _ => recipe.desc,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_request_moves_a_redirect() {
    let app = TestApp::start().await;
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    let targets = targets();
    assert_eq!(targets.len(), 17);
    for target in targets {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in NAMES.split(' ') {
            query.append_pair(name, &target);
            // Once is enough of what is long already.
            if target.len() > 1_000 {
                break;
            }
            // Twice, as F-rd-133 says.
            query.append_pair(name, &target);
        }
        let query = query.finish();
        let ann = app.browser();
        let form = [("email", "ann@example.com"), ("password", PASSWORD)];
        let asked = ann.request(reqwest::Method::POST, &format!("/login?{query}")).form(&form);
        let foreign = asked.header("x-forwarded-host", "evil.com");
        let answer = foreign.header("x-forwarded-proto", "https").send().await;
        answer.expect_redirect("/admin");
        for (path, to) in [("/", "/admin"), ("/login", "/"), ("/logout", "/"), ("/", "")] {
            let asked = ann.request(reqwest::Method::GET, &format!("{path}?{query}"));
            let answer = asked.header("x-forwarded-host", "evil.com").send().await;
            let answer =
                if to.is_empty() { answer.expect(200) } else { answer.expect_redirect(to) };
            assert!(!answer.mentions("evil"), "{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_in_a_form_is_none_either() {
    let app = TestApp::start().await;
    app.anonymous().sign_up("ann@example.com").await.expect(201);
    let ann = app.browser();
    for target in targets().into_iter().filter(|target| target.len() < 1_000) {
        let form = [
            ("email", "ann@example.com"),
            ("password", PASSWORD),
            ("rd", target.as_str()),
            ("next", target.as_str()),
        ];
        ann.post("/login", &form).await.expect_redirect("/admin");
    }
}
