//! The token, as it comes and as the three parts of one: a header and a payload of the fuzzer's own
//! over the signature of a good token.
#![no_main]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_fuzz::Service;
use libfuzzer_sys::fuzz_target;
use poem::http::{Method, StatusCode};

thread_local!(static SERVICE: Service = Service::new());

fuzz_target!(|data: &[u8]| SERVICE.with(|service| {
    let good = service.bearer.as_bytes();
    let show = |token: &[u8]| {
        let bearer = [b"Bearer ", token].concat();
        let headers: [(&str, &[u8]); 1] = [("authorization", &bearer)];
        if let Some((status, _)) = service.ask(Method::GET, "/api/v1/session", &headers, b"") {
            // Not even headers that are too large are anything but refused.
            assert_eq!(status == StatusCode::OK, token == good, "{status}");
            assert!(status == StatusCode::OK || status.is_client_error(), "{status}");
        }
    };
    show(data);
    let (header, payload) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let parts: Vec<&[u8]> = good.split(|byte| *byte == b'.').collect();
    let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    show(&[header.as_bytes(), parts[1], parts[2]].join(&b'.'));
    show(&[parts[0], payload.as_bytes(), parts[2]].join(&b'.'));
    show(&[parts[0], parts[1], payload.as_bytes()].join(&b'.'));
}));
