//! The JSON bodies: the first byte chooses the operation. Whatever comes, it is no fault of ours, and
//! what is refused is not repeated.
#![no_main]

use countersign_fuzz::Service;
use libfuzzer_sys::fuzz_target;
use poem::http::Method;

thread_local!(static SERVICE: Service = Service::new());

fuzz_target!(|data: &[u8]| SERVICE.with(|service| {
    let Some((choice, body)) = data.split_first() else { return };
    let (method, path) = match choice % 3 {
        0 => (Method::POST, "/api/v1/session"),
        1 => (Method::POST, "/api/v1/accounts"),
        _ => (Method::PUT, "/api/v1/account/password"),
    };
    let bearer = format!("Bearer {}", service.bearer);
    let mut headers: Vec<(&str, &[u8])> = vec![("content-type", b"application/json")];
    // A log-in with a token would end the session that the others need.
    if choice % 3 == 2 {
        headers.push(("authorization", bearer.as_bytes()));
    }
    let answered = service.ask(method, path, &headers, body);
    let (status, answer) = answered.expect("these headers can be sent");
    if status.is_client_error() {
        let text = String::from_utf8(answer).expect("UTF-8");
        assert!(text.starts_with('{') && text.contains("\"code\":\""), "{text}");
    }
}));
