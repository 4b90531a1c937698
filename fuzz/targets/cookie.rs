//! The `Cookie` header. `@` stands for the good token, so that the search can find a way to it: only
//! a header that has it as the session cookie may open anything.
#![no_main]

use countersign_fuzz::Service;
use libfuzzer_sys::fuzz_target;
use poem::http::{Method, StatusCode};

thread_local!(static SERVICE: Service = Service::new());

fuzz_target!(|data: &[u8]| SERVICE.with(|service| {
    let header: Vec<u8> = data
        .iter()
        .flat_map(|byte| if *byte == b'@' { service.cookie.as_bytes() } else { std::slice::from_ref(byte) })
        .copied()
        .collect();
    let good = format!("session={}", service.cookie);
    let pairs = header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let named = pairs.filter(|pair| pair.starts_with(b"session=")).collect::<Vec<_>>();
    let opens = named == [good.as_bytes()];
    let cookie: [(&str, &[u8]); 1] = [("cookie", &header)];
    for (path, open, shut) in [
        ("/api/v1/session", StatusCode::OK, StatusCode::UNAUTHORIZED),
        ("/", StatusCode::SEE_OTHER, StatusCode::OK),
    ] {
        if let Some((status, _)) = service.ask(Method::GET, path, &cookie, b"") {
            assert_eq!(status == open, opens, "{path}: {status}");
            assert!(opens || [shut, StatusCode::BAD_REQUEST].contains(&status), "{path}: {status}");
        }
    }
}));
