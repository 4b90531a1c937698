//! Class E, the second half, and what is left of F: a good token in the wrong place, too often or
//! too long; and headers that a proxy would set.

use super::{Attack, Scene, Shown};

/// What a recipe of this kind comes to.
pub(super) fn attacks(id: &str, scene: &Scene) -> Option<Vec<Attack>> {
    let headers = |headers: &[(&'static str, &str)]| {
        let bytes = headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec()));
        Shown::Headers(bytes.collect())
    };
    let refused = |shown: &[(&'static str, &str)]| {
        Attack::refused(format!("{id}: {} {}", shown[0].0, shown[0].1), headers(shown))
    };
    Some(match id {
        "E-size" => sizes(id, scene),
        "E-dupcookie" if scene.by_cookie => duplicates(id, scene),
        "E-dupcookie" => {
            let good = format!("Bearer {}", scene.good);
            let twice = |first: &str, second: &str| {
                let shown = headers(&[("authorization", first), ("authorization", second)]);
                Attack::coded(format!("{id}: {first} {second}"), shown, "ambiguous_credentials")
            };
            vec![twice(&good, "Bearer x"), twice("Bearer x", &good), twice(&good, &good)]
        }
        "E-elsewhere" => elsewhere(id, scene),
        "F-hdr-136" => vec![
            refused(&[("x-forwarded-host", "localhost:3000")]),
            refused(&[("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https")]),
            refused(&[("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1")]),
            refused(&[("forwarded", "for=127.0.0.1;host=localhost:3000;proto=https")]),
        ],
        "F-hdr-137" => vec![
            refused(&[("x-forwarded-uri", "/healthz")]),
            refused(&[("x-original-url", "/healthz"), ("x-rewrite-url", "/")]),
            refused(&[("x-original-uri", "/"), ("x-original-method", "GET")]),
        ],
        "F-hdr-138" => vec![
            refused(&[("x-auth-user", "ann@example.com"), ("x-auth-user", "bob@example.com")]),
            refused(&[("x_auth_user", "ann@example.com"), ("x_forwarded_user", "ann@example.com")]),
            refused(&[("remote-user", "ann@example.com"), ("x-forwarded-user", "ann@example.com")]),
            refused(&[
                ("x-forwarded-email", "ann@example.com"),
                ("x-forwarded-access-token", &scene.good),
            ]),
        ],
        // The router looks an address up to the letter: what is not protected is not there at all.
        "F-hdr-140" => ["/..;", "/%2e%2e", "/.", "//", "%2f", ";x=y", "%00"]
            .map(|after| Attack::lost(format!("{id}: {after}"), Shown::Path(after)))
            .into(),
        "F-hdr-141" => vec![
            refused(&[("x-http-method-override", "GET")]),
            refused(&[("x-http-method", "OPTIONS"), ("x-method-override", "HEAD")]),
        ],
        "F-hdr-142" => vec![
            refused(&[("connection", "close, X-Auth-User"), ("x-auth-user", "ann@example.com")]),
            refused(&[("connection", "close, Cookie, Authorization")]),
        ],
        _ => return None,
    })
}

/// What the file does not have.
pub(super) fn more(scene: &Scene) -> Vec<Attack> {
    let Scene { good, elsewhere, ended, .. } = scene;
    let mut attacks = vec![
        // A session travels one way: a stolen cookie is no bearer token, nor the other way round.
        Attack::token("of a session that travels the other way", elsewhere.clone()),
        Attack::token("of a session of the account that has ended", ended.clone()),
    ];
    let refused = |name: &str, header: &'static str, value: String| {
        Attack::refused(format!("{name}: {value}"), Shown::Headers(vec![(header, value.into())]))
    };
    if scene.by_cookie {
        for name in [
            "Session",
            "SESSION",
            "__Host-session",
            "__host-session",
            "__Secure-session",
            "session ",
            "$session",
            "session[]",
            "session.0",
            "token",
            "connect.sid",
        ] {
            attacks.push(refused("another name", "cookie", format!("{name}={good}")));
        }
        attacks.push(refused("no name", "cookie", format!("={good}")));
        attacks.push(refused("the token alone", "cookie", good.clone()));
        attacks.push(refused("a comma between", "cookie", format!("a=b, session={good}")));
        attacks.push(refused("an old header", "cookie2", format!("session={good}")));
        attacks.push(refused("quoted with the name", "cookie", format!("\"session={good}\"")));
        let both = vec![
            ("cookie", format!("session={good}").into_bytes()),
            ("authorization", b"Basic YTpi".to_vec()),
        ];
        let both = Shown::Headers(both);
        attacks.push(Attack::coded("with another credential", both, "ambiguous_credentials"));
    } else {
        for scheme in
            ["Basic", "Token", "JWT", "Bearer:", "Bearer,", "Bearer\t", "DPoP", "Bearer session"]
        {
            attacks.push(refused("another scheme", "authorization", format!("{scheme} {good}")));
        }
        attacks.push(refused("no scheme", "authorization", good.clone()));
        attacks.push(refused("two blanks", "authorization", format!("Bearer  {good}")));
        attacks.push(refused("a proxy's", "proxy-authorization", format!("Bearer {good}")));
    }
    attacks
}

fn sizes(id: &str, scene: &Scene) -> Vec<Attack> {
    let [header, payload, signature] = scene.parts();
    let mut attacks = Vec::new();
    for kib in [4, 16, 64, 1_024] {
        let filling = "A".repeat(kib * 1_024);
        for (name, token) in [
            ("signature", format!("{header}.{payload}.{signature}{filling}")),
            ("payload", format!("{header}.{filling}.{signature}")),
            ("header", format!("{filling}.{payload}.{signature}")),
        ] {
            let name = format!("{id}: {name} of {kib} KiB");
            // Cookies may have 16 KiB together, all headers 32.
            let most = if scene.by_cookie { 16 * 1_024 } else { 30 * 1_024 };
            attacks.push(if token.len() < most {
                Attack::token(name, token)
            } else {
                Attack::too_large(name, token)
            });
        }
    }
    let nested = super::forge::encode("[".repeat(700_000));
    attacks
        .push(Attack::too_large(format!("{id}: nested"), format!("{header}.{nested}.{signature}")));
    attacks
}

fn duplicates(id: &str, scene: &Scene) -> Vec<Attack> {
    let good = format!("session={}", scene.good);
    let twice = |headers: &[&str]| {
        let shown = headers.iter().map(|value| ("cookie", value.as_bytes().to_vec())).collect();
        Attack::coded(format!("{id}: {headers:?}"), Shown::Headers(shown), "duplicate_cookie")
    };
    let bad = "session=x";
    vec![
        twice(&[&format!("{bad}; {good}")]),
        twice(&[&format!("{good}; {bad}")]),
        twice(&[&format!("{good}; {good}")]),
        twice(&[&format!("{good};{good}")]),
        twice(&[&format!("{good}; session=")]),
        twice(&[&good, bad]),
        twice(&[bad, &good]),
        twice(&[&good, &good]),
        twice(&["a=b", &good, "c=d", bad]),
        // A name in another case is another cookie, and does not count as one.
        Attack::token(format!("{id}: another case"), format!("x; Session={}", scene.good)),
    ]
}

fn elsewhere(id: &str, scene: &Scene) -> Vec<Attack> {
    let good = &scene.good;
    let header = |name: &'static str, value: String| {
        Attack::refused(format!("{id}: {name}"), Shown::Headers(vec![(name, value.into_bytes())]))
    };
    let mut attacks = vec![
        header("x-access-token", good.clone()),
        header("x-auth-token", good.clone()),
        header("x-session", good.clone()),
        header("session", good.clone()),
        header("set-cookie", format!("session={good}")),
        header("x-csrf-token", good.clone()),
        Attack::refused(
            format!("{id}: query"),
            Shown::Query(format!("?token={good}&session={good}&access_token={good}&jwt={good}")),
        ),
        Attack::refused(
            format!("{id}: body"),
            Shown::Body(serde_json::json!({"token": good, "session": good, "access_token": good})),
        ),
    ];
    // In the place of the other kind.
    attacks.push(if scene.by_cookie {
        header("authorization", format!("Bearer {good}"))
    } else {
        header("cookie", format!("session={good}"))
    });
    attacks
}
