//! Whatever is sent: a 4xx with a stable code, nothing repeated, nothing stored.

use countersign::model::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, PASSWORD, TestApp, raw, routes, routes::Body};

/// Sent in every value; it must not come back.
pub(crate) const MARKER: &str = "zq9Marker7x";

const CHUNKED: &str = "transfer-encoding: chunked\r\n\r\n";

const CODES: [(u16, &[&str]); 8] = [
    (
        400,
        &[
            "malformed_json",
            "malformed_form",
            "bad_request",
            "headers_too_large",
            "duplicate_cookie",
            "ambiguous_credentials",
        ],
    ),
    (401, &["not_signed_in", "wrong_credentials"]),
    (403, &["wrong_password"]),
    (404, &["not_found", "no_such_session"]),
    (405, &["method_not_allowed"]),
    (413, &["body_too_large"]),
    (415, &["unsupported_media_type"]),
    (422, &["invalid_body", "invalid_email", "password_too_short", "password_too_long"]),
];

#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, what: &str) {
    let found = CODES.iter().find(|(status, _)| *status == answer.status);
    let (_, codes) =
        found.unwrap_or_else(|| panic!("{what}: {} {}", answer.status, answer.beginning()));
    assert!(!answer.mentions(MARKER), "{what} is repeated: {}", answer.beginning());
    assert_eq!(answer.set_cookies(), Vec::<String>::new(), "{what}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    assert!(codes.contains(&code.as_str()), "{what}: {} {code}", answer.status);
}

#[track_caller]
pub(crate) fn assert_code(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_refused(answer, what);
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (status, code), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_json_are_400_and_those_that_do_not_fit_422() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    app.set_role("ann@example.com", Role::Admin).await;
    ann.log_in("ann@example.com").await;
    let before = app.snapshot().await;
    let deep = format!("{}{MARKER}", "[".repeat(50_000));
    let deep_value = format!("{{\"email\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let not_json: Vec<Vec<u8>> = vec![
        vec![],
        b"{".to_vec(),
        format!("{{\"email\": \"{MARKER}\"").into_bytes(),
        format!("{{'email': '{MARKER}'}}").into_bytes(),
        MARKER.as_bytes().to_vec(),
        format!("email={MARKER}&password={MARKER}").into_bytes(),
        format!("{{\"email\":\"{MARKER}\"}} {MARKER}").into_bytes(),
        format!("\u{feff}{{\"email\":\"{MARKER}\"}}").into_bytes(),
        format!("{{\"{MARKER}\": NaN}}").into_bytes(),
        [b"{\"email\":\"\xff\xfe".as_slice(), MARKER.as_bytes(), b"\"}"].concat(),
        format!("{{\"email\":\"a\n{MARKER}\"}}").into_bytes(),
        format!("{{\"email\":\"{MARKER}\"}}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
        deep.into_bytes(),
    ];
    for route in routes::operations() {
        let Body::Json(good) = &route.body else { continue };
        let send = async |body: Vec<u8>| {
            let draft = ann.request(route.method.clone(), &route.path);
            draft.body("application/json", body).send().await
        };
        for body in &not_json {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let what = format!("{} with {shown}", route.id);
            assert_code(&send(body.clone()).await, 400, "malformed_json", &what);
        }
        let mut misfits =
            vec![json!(null), json!([]), json!(MARKER), json!(1), json!({}), json!([MARKER])];
        for name in good.as_object().unwrap().keys() {
            for wrong in [
                json!(null),
                json!(17),
                json!([MARKER]),
                json!({"a": MARKER}),
                json!(1.5),
                json!([MARKER, MARKER]),
            ] {
                let mut body = good.clone();
                body[name] = wrong;
                misfits.push(body);
            }
            if ["remember", "transport"].contains(&name.as_str()) {
                let mut body = good.clone();
                body[name] = MARKER.into();
                misfits.push(body);
            } else {
                let mut body = good.clone();
                body.as_object_mut().unwrap().remove(name);
                misfits.push(body);
            }
        }
        for name in
            ["role", "is_admin", "id", "visits", "user_id", MARKER, "Email", "password_hash"]
        {
            let mut body = good.clone();
            body[name] = MARKER.into();
            misfits.push(body);
        }
        for body in misfits {
            let answer = send(body.to_string().into_bytes()).await;
            assert_code(&answer, 422, "invalid_body", &format!("{} with {body}", route.id));
        }
        for name in good.as_object().unwrap().keys() {
            let twice = good.to_string().replacen('{', &format!("{{\"{name}\":{},", good[name]), 1);
            let answer = send(twice.into_bytes()).await;
            assert_code(&answer, 422, "invalid_body", &format!("{}: {name} twice", route.id));
        }
        let surrogate = format!("{{\"email\":\"\\ud800{MARKER}\",\"password\":\"x\"}}");
        let answer = send(surrogate.into_bytes()).await;
        assert_code(&answer, 422, "invalid_body", &format!("{}: half a character", route.id));
        let answer = send(deep_value.clone().into_bytes()).await;
        assert_refused(&answer, "a deep value");
    }
    assert_eq!(app.snapshot().await, before);
    ann.check().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_or_no_password_is_422() {
    let app = TestApp::start().await;
    let ann = app.program();
    let long = format!("{MARKER}{}@example.com", "a".repeat(250));
    let longest_domain = format!("{MARKER}@{}", vec!["d".repeat(60); 5].join("."));
    for email in [
        long.as_str(),
        &longest_domain,
        MARKER,
        "zq9Marker7x@",
        "@zq9Marker7x",
        "zq9Marker7x @example.com",
        "zq9Marker7x\0@example.com",
        "zq9Marker7x\r\nBcc: x@example.com",
        "zq9Marker7x\u{202e}@example.com",
        "zq9Marker7x@exa mple.com",
        "zq9Marker7x@a@example.com",
        "\"zq9Marker7x\"@example.com",
        "zq9Marker7x\u{1b}[31m@example.com",
        "<zq9Marker7x@example.com>",
        "zq9Marker7x@127.0.0.1",
        "",
    ] {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = ann.api(Method::POST, "/accounts").json(&body).send().await;
        assert_code(&answer, 422, "invalid_email", email);
        let body = json!({"email": email, "password": MARKER});
        let answer = ann.api(Method::POST, "/session").json(&body).send().await;
        assert_code(&answer, 401, "wrong_credentials", email);
        for path in ["/signup", "/login"] {
            let answer = ann.post(path, &[("email", email), ("password", PASSWORD)]).await;
            assert!([401, 422].contains(&answer.status), "{path} {email}: {}", answer.status);
            assert_eq!(answer.set_cookies().len(), 0);
        }
    }
    for (password, code) in [
        (MARKER.to_owned(), "password_too_short"),
        (MARKER.repeat(100), "password_too_long"),
        (MARKER.repeat(5_000), "password_too_long"),
    ] {
        let body = json!({"email": "ann@example.com", "password": password});
        let answer = ann.api(Method::POST, "/accounts").json(&body).send().await;
        assert_code(&answer, 422, code, "a password");
    }
    assert!(app.snapshot().await.is_empty());
    // A NUL in a password is a character like any other.
    let password = "three owls\0at a kettle";
    let body = json!({"email": "ann@example.com", "password": password});
    ann.api(Method::POST, "/accounts").json(&body).send().await.expect(201);
    ann.try_log_in("ann@example.com", password, json!({})).await.expect(201);
    ann.try_log_in("ann@example.com", "three owls", json!({})).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_kind_is_415() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    app.set_role("ann@example.com", Role::Admin).await;
    ann.log_in("ann@example.com").await;
    let before = app.snapshot().await;
    for route in routes::all() {
        let (body, fitting) = match &route.body {
            Body::None => continue,
            Body::Json(body) => (body.to_string(), "application/json"),
            Body::Form(fields) if fields.is_empty() => continue,
            Body::Form(_) => ("email=a&password=b".into(), "application/x-www-form-urlencoded"),
        };
        for kind in [
            "text/plain",
            "application/xml",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/json",
            "application/x-www-form-urlencoded",
            "text/html",
            MARKER,
        ] {
            if kind == fitting {
                continue;
            }
            let draft = ann.request(route.method.clone(), &route.path);
            let answer = draft.body(kind, body.clone().into_bytes()).send().await;
            assert_code(&answer, 415, "unsupported_media_type", &format!("{} as {kind}", route.id));
        }
        let bare = ann.request(route.method.clone(), &route.path);
        let answer = bare.body("x", body.clone().into_bytes()).without("content-type").send().await;
        assert_code(&answer, 415, "unsupported_media_type", &route.id);
        let spelled = format!("{}; charset=UTF-8", fitting.to_uppercase());
        let draft = ann.request(route.method.clone(), &route.path);
        let answer = ann.keep_if_any(draft.body(&spelled, body.into_bytes()).send().await);
        assert_ne!(answer.status, 415, "{} as {spelled}", route.id);
    }
    assert_eq!(app.snapshot().await.len(), before.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_cannot_be_read_are_refused() {
    let app = TestApp::start().await;
    let ann = app.anonymous();
    let before = app.snapshot().await;
    for path in ["/login", "/signup"] {
        for body in [
            &b""[..],
            b"zq9Marker7x",
            b"email=zq9Marker7x",
            b"password=zq9Marker7x",
            b"email=zq9Marker7x%40example.com&email=b%40example.com&password=fifteen+characters",
            b"email=ann%40example.com&password=zq9Marker7x-long-enough&password=zq9Marker7x-long",
            b"email=ann%40example.com&password=%ff%fezq9Marker7x-long-enough",
            b"email=%00zq9Marker7x&password=zq9Marker7x-long-enough",
            b"\xff\xfe\x00zq9Marker7x",
            b"email[]=zq9Marker7x&password[]=zq9Marker7x",
        ] {
            let draft = ann.request(Method::POST, path);
            let draft = draft.body("application/x-www-form-urlencoded", body.to_vec());
            let answer = draft.send().await;
            let what = format!("{path} with {}", String::from_utf8_lossy(body));
            assert!(
                [400, 401, 422].contains(&answer.status),
                "{what}: {} {}",
                answer.status,
                answer.beginning()
            );
            assert_eq!(answer.set_cookies().len(), 0, "{what}");
        }
    }
    assert_eq!(app.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_413_whether_it_says_so_or_not() {
    let app = TestApp::start().await;
    let ann = app.program();
    ann.join("ann@example.com").await;
    app.set_role("ann@example.com", Role::Admin).await;
    ann.log_in("ann@example.com").await;
    let before = app.snapshot().await;
    let mut answers = 0;
    let megabyte = format!("{{\"email\":\"{}\"}}", MARKER.repeat((1 << 20) / MARKER.len()));
    for route in routes::all() {
        let kind = match &route.body {
            Body::None => continue,
            Body::Json(_) => "application/json",
            Body::Form(_) => "application/x-www-form-urlencoded",
        };
        if matches!(&route.body, Body::Form(fields) if fields.is_empty()) {
            continue;
        }
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: localhost:3000\r\nconnection: close\r\n\
             authorization: Bearer {}\r\ncontent-type: {kind}\r\n",
            route.method,
            route.path,
            ann.token()
        );
        // Announced, and refused before it is sent.
        let announced = format!("{head}content-length: {}\r\n\r\n", megabyte.len());
        let answer = raw::send(&app.address(), announced.as_bytes()).await.expect("an answer");
        assert_code(&answer, 413, "body_too_large", &route.id);
        for headers in [format!("content-length: {}\r\n\r\n", megabyte.len()), CHUNKED.to_owned()] {
            let mut bytes = format!("{head}{headers}").into_bytes();
            if headers == CHUNKED {
                for chunk in megabyte.as_bytes().chunks(8_192) {
                    bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(b"0\r\n\r\n");
            } else {
                bytes.extend(megabyte.bytes());
            }
            // A server that closes while it is still being sent to takes its answer with it.
            if let Some(answer) = raw::send(&app.address(), &bytes).await {
                assert_code(&answer, 413, "body_too_large", &format!("{} as {headers}", route.id));
                answers += 1;
            }
        }
    }
    assert!(answers > 0, "no answer came through");
    assert_eq!(app.snapshot().await, before);
    ann.check().await.expect(200);
}
