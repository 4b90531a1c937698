//! The routes that attacks are shown to: what needs a session, from the OpenAPI document, and the
//! pages that look at one.

use countersign::model::Role;
use serde_json::json;

use super::{Attack, Expected, Shown};
use crate::support::{
    Answer, PASSWORD, TestApp, raw,
    routes::{self, Body, Route},
    user::Draft,
};

/// A route, and what it tells somebody without a token.
pub(super) struct Door {
    route: Route,
    by_cookie: bool,
    stranger: Answer,
}

/// All doors; the first is `getSession`, which changes nothing.
pub(super) async fn doors(app: &TestApp, by_cookie: bool) -> Vec<Door> {
    let mut all = routes::operations();
    all.retain(|route| route.protected);
    assert!(all.len() >= 8, "{all:?}");
    all.sort_by_key(|route| route.id != "getSession");
    if by_cookie {
        let mut pages = routes::pages();
        pages
            .retain(|page| page.protected || ["GET /", "POST /logout"].contains(&page.id.as_str()));
        all.extend(pages);
    }
    let mut doors = Vec::new();
    for route in all {
        let stranger = route.ask(&app.anonymous()).send().await;
        let expected = match route.id.as_str() {
            "GET /" => 200,
            "POST /logout" => 303,
            _ => 401,
        };
        assert_eq!(stranger.status, expected, "{}", route.id);
        doors.push(Door { route, by_cookie, stranger });
    }
    assert_eq!(doors[0].route.id, "getSession");
    doors
}

/// The positive control: each protected route does what it is for with a token of its own.
pub(super) async fn open_with_a_good_token(app: &TestApp, by_cookie: bool) {
    for (nth, door) in doors(app, by_cookie).await.into_iter().enumerate() {
        // One of them ends every session there is.
        let alone =
            if door.id() == "endEverySession" { Some(TestApp::start().await) } else { None };
        let app = alone.as_ref().unwrap_or(app);
        let email = format!("control{nth}{by_cookie}@example.com");
        let who = if by_cookie { app.browser() } else { app.program() };
        who.sign_up(&email).await.expect(201);
        if door.route.is_administration() {
            app.set_role(&email, Role::Admin).await;
        }
        who.log_in(&email).await;
        let other = app.program();
        other.log_in(&email).await;
        let id = app.account(&email).await.id.to_string();
        let route = door.route.fitting(&id, &other.sid());
        let answer = place(route.ask(&app.anonymous()), by_cookie, &who.token()).send().await;
        let in_general = match &route.body {
            // What a body must say is the business of the tests of that operation.
            Body::Json(_) if route.id != "changePassword" => answer.status != 401,
            Body::Form(_) => answer.status != 401,
            _ => answer.status < 400,
        };
        assert!(in_general, "{} {}", route.id, answer.status);
        if route.protected {
            assert_ne!(answer.status, door.stranger.status, "{}", route.id);
        }
    }
}

impl Route {
    /// With an account and a session that are there, and the right password.
    fn fitting(&self, account: &str, sid: &str) -> Self {
        let mut route = self.of(account, sid);
        if route.id == "changePassword" {
            let body = json!({"current": PASSWORD, "new": "quartz lantern 7 vow drift"});
            route.body = Body::Json(body);
        }
        route
    }
}

/// A token where it belongs.
fn place(draft: Draft, by_cookie: bool, token: &str) -> Draft {
    if by_cookie {
        draft.and_header("cookie", format!("session={token}").as_bytes())
    } else {
        draft.and_header("authorization", format!("Bearer {token}").as_bytes())
    }
}

impl Door {
    pub(super) fn id(&self) -> &str {
        &self.route.id
    }

    /// A token that is good: it opens.
    pub(super) async fn control(&self, app: &TestApp, token: &str) {
        let draft = self.route.ask(&app.anonymous());
        place(draft, self.by_cookie, token).send().await.expect(200);
    }

    /// Shows it, and sees that it does not help.
    pub(super) async fn refuses(&self, app: &TestApp, attack: &Attack) {
        let no_page = match attack.expected {
            // Around `/` everything is open.
            Expected::NotThere => !self.route.protected,
            // Pages do not read the `Authorization` header.
            Expected::Code("ambiguous_credentials") => !self.is_api(),
            _ => false,
        };
        // A form is no JSON, whoever sends it.
        let no_json = matches!(
            (&attack.shown, &self.route.body),
            (Shown::Body(_), Body::Form(fields)) if !fields.is_empty()
        );
        if no_page || no_json {
            return;
        }
        let what =
            format!("{} on {}", attack.name.get(..200).unwrap_or(&attack.name), self.route.id);
        let Some(answer) = self.show(app, attack).await else {
            assert!(matches!(attack.expected, Expected::TooLarge | Expected::NoHttp), "{what}");
            return;
        };
        if self.route.id != "POST /logout" {
            assert_eq!(answer.set_cookies(), Vec::<String>::new(), "{what}");
        }
        let status = answer.status;
        match attack.expected {
            Expected::Refused => {
                assert_eq!(status, self.stranger.status, "{what}");
                assert_eq!(answer.body, self.stranger.body, "{what}");
                for name in ["content-type", "location", "www-authenticate", "cache-control"] {
                    assert_eq!(answer.header(name), self.stranger.header(name), "{name}: {what}");
                }
            }
            Expected::Code(code) if self.is_api() => {
                let problem = answer.expect_problem(400, code);
                assert!(!problem.mentions("eyJ"), "{what}");
            }
            Expected::TooLarge => assert!([400, 431].contains(&status), "{what}: {status}"),
            Expected::Code(_) | Expected::NoHttp => assert_eq!(status, 400, "{what}"),
            Expected::NotThere => assert!([401, 404, 405].contains(&status), "{what}: {status}"),
        }
    }

    fn is_api(&self) -> bool {
        self.route.path.starts_with("/api/")
    }

    async fn show(&self, app: &TestApp, attack: &Attack) -> Option<Answer> {
        let draft = self.route.ask(&app.anonymous());
        let draft = match &attack.shown {
            Shown::Token(token) => place(draft, self.by_cookie, token),
            Shown::Headers(headers) => {
                headers.iter().fold(draft, |draft, (name, value)| draft.and_header(name, value))
            }
            Shown::Query(query) => {
                let mut route = self.route.clone();
                route.path.push_str(query);
                route.ask(&app.anonymous())
            }
            Shown::Body(body) => draft.json(body),
            Shown::Path(after) => return self.send_raw(app, after, &[]).await,
            Shown::Raw(bytes) => {
                let before: &[u8] =
                    if self.by_cookie { b"cookie: session=" } else { b"authorization: Bearer " };
                return self.send_raw(app, "", &[before, bytes, b"\r\n"].concat()).await;
            }
        };
        if matches!(attack.expected, Expected::TooLarge) {
            // Whoever refuses it may have closed the connection before all of it was sent.
            return draft.try_send().await.ok();
        }
        Some(draft.send().await)
    }

    async fn send_raw(&self, app: &TestApp, after: &str, header: &[u8]) -> Option<Answer> {
        let Route { method, path, .. } = &self.route;
        let head = format!(
            "{method} {path}{after} HTTP/1.1\r\nhost: localhost:3000\r\nconnection: close\r\n"
        );
        raw::send(&app.address(), &[head.as_bytes(), header, b"\r\n"].concat()).await
    }
}
