//! Session tokens: signed for a grant, and verified against everything they must be.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{
    ClaimSet, Claims, Defect, KeyError, KeySet, SigningFailed,
    cache::{Known, Token},
    jws,
    keys::Key,
};
use crate::model::{AccountId, Email, SessionId, Timestamp, TokenId};

/// The `typ` of session tokens: no other kind of JWT passes for one (RFC 8725 section 3.11).
pub const TYPE: &str = "session+jwt";

/// How far in the future a token may have been signed, in seconds: the clocks of two nodes differ.
/// The end of a token has no leeway.
pub const LEEWAY_SECONDS: i64 = 5;

/// What the claims of most tokens take.
const TYPICAL_BYTES: usize = 512;

/// The longest token that is issued, in bytes: it shares the 4096 bytes of a cookie with its name
/// and its attributes.
pub const MAX_ISSUED_BYTES: usize = jws::MAX_BYTES - 256;

/// Signs and verifies tokens. One for the whole service, shared by all threads.
pub struct Tokens {
    /// Replaced as a whole, while requests run with those that were there.
    keys: RwLock<Arc<KeySet>>,
    issuer: String,
    audience: String,
    claim_set: ClaimSet,
    known: Known,
}

/// What a token is to say.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Whose session it is.
    pub account: AccountId,
    /// Which session it is for.
    pub session: SessionId,
    /// The account's e-mail. Not said in an opaque token.
    pub email: &'a Email,
    /// The visits counted so far: the token's own number.
    pub visits: u64,
    /// The number of the token that was shown for it.
    pub prev: u64,
    /// The present moment.
    pub issued_at: Timestamp,
    /// When it ends: cut to the second, so it never lives longer than this.
    pub expires_at: Timestamp,
    /// When the person logged in.
    pub authenticated_at: Timestamp,
}

impl Tokens {
    /// `issuer` and `audience` name the service: both must be in a token, exactly so.
    #[must_use]
    pub fn new(keys: KeySet, issuer: String, audience: String) -> Self {
        Self::of(Arc::new(keys), issuer, audience)
    }

    fn of(keys: Arc<KeySet>, issuer: String, audience: String) -> Self {
        let keys = RwLock::new(keys);
        Self { keys, issuer, audience, claim_set: ClaimSet::Full, known: Known::new() }
    }

    /// Signs and verifies with other keys from now on, once each has been tried out. A token of a key
    /// that is not among them is refused, also if it was verified before.
    ///
    /// # Errors
    /// [`KeyError::SelfTest`]; nothing was changed.
    pub fn replace_keys(&self, keys: KeySet, now: Timestamp) -> Result<(), KeyError> {
        let keys = Arc::new(keys);
        let tried = Self::of(Arc::clone(&keys), self.issuer.clone(), self.audience.clone());
        tried.self_test(now)?;
        *self.keys.write() = keys;
        Ok(())
    }

    /// With new tokens of that set of claims. Those of the other stay good until they end.
    #[must_use]
    pub fn with_claims(self, claim_set: ClaimSet) -> Self {
        Self { claim_set, ..self }
    }

    /// Signs a token for `grant`, with a new `jti`.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn issue(&self, grant: &Grant<'_>) -> Result<String, SigningFailed> {
        let keys = self.keys();
        let key = keys.signing(grant.issued_at);
        let claims = self.claims(grant);
        let token = sign(&claims, key)?;
        if token.len() > MAX_ISSUED_BYTES {
            return Err(SigningFailed::TooLong);
        }
        let kid = key.kid.clone();
        self.known.keep(&token, Token { claims: Arc::new(claims), kid });
        Ok(token)
    }

    /// Tells whether `token` is one of ours and good at `now`, and what it says. Whether its session
    /// is alive is another question.
    ///
    /// # Errors
    /// [`Defect`], the first that is found.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, Defect> {
        let keys = self.keys();
        if let Some(known) = self.known.find(token) {
            keys.find(&known.kid, now).ok_or(Defect::UnknownKey)?;
            self.check(&known.claims, now)?;
            return Ok(Arc::clone(&known.claims));
        }
        let text = token;
        let token = jws::parse(text)?;
        if token.header().typ.as_deref() != Some(TYPE) {
            return Err(Defect::Type);
        }
        let kid = token.header().kid.as_deref().ok_or(Defect::UnknownKey)?;
        let key = keys.find(kid, now).ok_or(Defect::UnknownKey)?;
        let payload = token.verify(&key.verifying)?;
        let claims = Arc::new(Claims::parse(&payload)?);
        self.check(&claims, now)?;
        let kid = key.kid.clone();
        self.known.keep(text, Token { claims: Arc::clone(&claims), kid });
        Ok(claims)
    }

    fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), Defect> {
        if claims.iss != self.issuer {
            return Err(Defect::Issuer);
        }
        if claims.aud != self.audience {
            return Err(Defect::Audience);
        }
        if claims.exp <= claims.iat || claims.auth_time > claims.iat + LEEWAY_SECONDS {
            return Err(Defect::Claims);
        }
        if claims.iat > now.as_second() + LEEWAY_SECONDS {
            return Err(Defect::NotYetValid);
        }
        if claims.expires_at() <= now {
            return Err(Defect::Expired);
        }
        Ok(())
    }

    pub(super) fn claims(&self, grant: &Grant<'_>) -> Claims {
        Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: grant.account,
            sid: grant.session,
            jti: TokenId::random(),
            email: match self.claim_set {
                ClaimSet::Full => Some(grant.email.clone()),
                ClaimSet::Opaque => None,
            },
            number: grant.visits,
            prev: grant.prev,
            iat: grant.issued_at.as_second(),
            exp: grant.expires_at.as_second(),
            auth_time: grant.authenticated_at.as_second(),
        }
    }

    /// The keys in use now.
    pub(super) fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.read())
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn audience(&self) -> &str {
        &self.audience
    }
}

/// Signs `claims` with `key`.
pub(super) fn sign(claims: &Claims, key: &Key) -> Result<String, SigningFailed> {
    let mut payload = Vec::with_capacity(TYPICAL_BYTES);
    serde_json::to_writer(&mut payload, claims).expect("texts and numbers are JSON");
    jws::sign(&key.header, &payload, &key.signing)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::{
        model::clock::from_millis,
        token::{Algorithm, testing::*},
    };

    #[test]
    fn a_known_token_is_still_asked_for_its_time_and_for_every_letter() {
        let tokens = service(Algorithm::EdDsa);
        let token = issue(&tokens);
        for _ in 0..2 {
            assert!(tokens.verify(&token, now()).is_ok());
        }
        assert_eq!(tokens.verify(&token, after(1_000_000)).unwrap_err(), Defect::Expired);
        assert_eq!(tokens.verify(&token, after(-1_000)).unwrap_err(), Defect::NotYetValid);
        let other = service(Algorithm::EdDsa);
        assert_eq!(
            other.verify(&token, now()).unwrap_err(),
            Defect::UnknownKey,
            "known here alone"
        );
        for place in 0..token.len() {
            let mut touched = token.clone().into_bytes();
            touched[place] = if touched[place] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            assert!(tokens.verify(&touched, now()).is_err(), "{place}");
        }
    }

    #[test]
    fn what_is_granted_is_what_is_read() {
        for algorithm in Algorithm::ALL {
            let tokens = service(algorithm);
            let email = email();
            let grant = grant(&email);
            let token = tokens.issue(&grant).unwrap();
            let claims = tokens.verify(&token, now()).unwrap();
            assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (URL, URL));
            assert_eq!((claims.sub, claims.sid), (grant.account, grant.session));
            assert_eq!(claims.email.as_ref(), Some(&email));
            assert_eq!((claims.number, claims.prev), (7, 6));
            assert_eq!(claims.iat, 1_790_000_000);
            assert_eq!(claims.exp, 1_790_001_800);
            assert_eq!(claims.auth_time, 1_789_999_400);

            let [header, ..] = parts(&token);
            let kid = tokens.keys().signing(now()).kid.clone();
            assert_eq!(
                String::from_utf8(decode(&header)).unwrap(),
                format!(r#"{{"alg":"{algorithm}","kid":"{kid}","typ":"session+jwt"}}"#)
            );
        }
    }

    #[test]
    fn tokens_of_the_other_set_are_read_as_well() {
        let full = service(Algorithm::EdDsa);
        let token = issue(&full);
        let opaque = full.with_claims(ClaimSet::Opaque);
        let other = issue(&opaque);
        let payload = decode(&parts(&other)[1]);
        assert!(!payload.contains(&b'@') && !payload.windows(6).any(|it| it == b"visits"));
        let mut tokens = opaque;
        for set in [ClaimSet::Opaque, ClaimSet::Full] {
            tokens = Tokens { known: Known::new(), ..tokens }.with_claims(set);
            let said = |token: &str| tokens.verify(token, now()).map(|claims| claims.email.clone());
            assert_eq!(said(&token), Ok(Some(email())));
            assert_eq!(said(&other), Ok(None));
        }
    }

    #[test]
    fn every_token_has_a_jti_of_its_own() {
        let tokens = service(Algorithm::Hs256);
        let jti = |_| tokens.verify(&issue(&tokens), now()).unwrap().jti;
        let found: HashSet<_> = (0..1_000).map(jti).collect();
        assert_eq!(found.len(), 1_000);
    }

    #[test]
    fn a_token_ends_at_its_second_without_leeway() {
        let tokens = service(Algorithm::EdDsa);
        let token = issue(&tokens);
        let end = tokens.verify(&token, now()).unwrap().expires_at();
        let just_before = from_millis(end.as_millisecond() - 1);
        assert!(tokens.verify(&token, just_before).is_ok());
        assert_eq!(tokens.verify(&token, end), Err(Defect::Expired));
        assert_eq!(tokens.verify(&token, Timestamp::MAX), Err(Defect::Expired));
    }

    #[test]
    fn a_token_from_the_future_has_to_wait() {
        let tokens = service(Algorithm::EdDsa);
        let token = issue(&tokens);
        assert!(tokens.verify(&token, after(-LEEWAY_SECONDS)).is_ok());
        let earlier = after(-LEEWAY_SECONDS - 1);
        assert_eq!(tokens.verify(&token, earlier), Err(Defect::NotYetValid));
        assert_eq!(tokens.verify(&token, from_millis(-1)), Err(Defect::NotYetValid));
    }

    #[test]
    fn times_that_contradict_each_other_are_refused() {
        let tokens = service(Algorithm::EdDsa);
        let good = claims(&tokens);
        let iat = good["iat"].as_i64().unwrap();
        let verify = |changes: serde_json::Value| {
            let mut claims = good.clone();
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            let token = signed_claims(&tokens, claims.to_string());
            tokens.verify(&token, now()).map(|_| ())
        };
        assert_eq!(verify(json!({})), Ok(()));
        assert_eq!(verify(json!({"exp": iat})), Err(Defect::Claims));
        assert_eq!(verify(json!({"exp": iat - 1})), Err(Defect::Claims));
        assert_eq!(
            verify(json!({"exp": iat - 10, "iat": iat - 20, "auth_time": 0})),
            Err(Defect::Expired)
        );
        assert_eq!(verify(json!({"auth_time": iat + LEEWAY_SECONDS})), Ok(()));
        assert_eq!(verify(json!({"auth_time": iat + LEEWAY_SECONDS + 1})), Err(Defect::Claims));
        assert_eq!(
            verify(json!({"iat": iat + 3_600, "exp": iat + 7_200})),
            Err(Defect::NotYetValid)
        );
        // An end no calendar has, and one far away: the store's own end of the session still holds.
        assert_eq!(verify(json!({"exp": 9_999_999_999_999_i64})), Err(Defect::Claims));
        assert_eq!(verify(json!({"exp": 99_999_999_999_i64})), Ok(()));
    }

    #[test]
    fn a_token_is_for_one_service_by_one_service() {
        let tokens = service(Algorithm::EdDsa);
        let good = claims(&tokens);
        for other in ["", "https://login.example/", "https://LOGIN.example", "http://login.example"]
        {
            for (claim, defect) in [("iss", Defect::Issuer), ("aud", Defect::Audience)] {
                let mut claims = good.clone();
                claims[claim] = other.into();
                let token = signed_claims(&tokens, claims.to_string());
                assert_eq!(tokens.verify(&token, now()), Err(defect), "{claim} {other}");
            }
        }
        for both in [json!([URL, "https://evil.example"]), json!([URL])] {
            for claim in ["iss", "aud"] {
                let mut claims = good.clone();
                claims[claim] = both.clone();
                let token = signed_claims(&tokens, claims.to_string());
                assert_eq!(tokens.verify(&token, now()), Err(Defect::Claims));
            }
        }
    }

    #[test]
    fn a_token_fits_into_a_cookie_whatever_the_e_mail() {
        let domain = format!("{0}.{0}.{1}", "d".repeat(63), "e".repeat(61));
        let longest = Email::parse(&format!("{}@{domain}", "ü".repeat(32))).unwrap();
        let url = format!("https://{}.example", "u".repeat(240));
        for algorithm in Algorithm::ALL {
            let keys = KeySet::generate(algorithm, now());
            let tokens = Tokens::new(keys, url.clone(), url.clone());
            let grant = Grant { visits: u64::MAX, prev: u64::MAX, ..grant(&longest) };
            let token = tokens.issue(&grant).unwrap();
            assert!(token.len() < 2_048, "{}", token.len());
            assert_eq!(tokens.verify(&token, now()).unwrap().email.as_ref(), Some(&longest));
        }
        let too_long = "u".repeat(MAX_ISSUED_BYTES);
        let tokens = Tokens::new(KeySet::generate(Algorithm::EdDsa, now()), URL.into(), too_long);
        assert_eq!(tokens.issue(&grant(&email())), Err(SigningFailed::TooLong));
    }

    #[test]
    fn one_is_shared_by_all_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<Tokens>();
        shared::<KeySet>();
    }
}
