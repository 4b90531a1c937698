//! Every key is tried out before the service listens, not by the first person who logs in.
//!
//! Two opinions are heard: our own [`Tokens::verify`], and `jsonwebtoken`, which goes its own way
//! from the text to the claims (the primitives below are the same library's). A token that other
//! services, which verify with such a crate, would refuse is found here. So is a `jsonwebtoken`
//! that compiles without a crypto backend and panics when it is first used.

use std::sync::Arc;

use jiff::SignedDuration;
use jsonwebtoken::Validation;

use super::{
    Claims, KeyError, Tokens,
    jwt::{self, Grant},
    keys::Key,
};
use crate::model::{AccountId, Email, SessionId, Timestamp, clock::later};

impl Tokens {
    /// Signs and verifies a token with every key that does so at `now`: one that only knows devices any
    /// more is not asked for session tokens.
    ///
    /// # Errors
    /// [`KeyError::SelfTest`], naming the key.
    pub fn self_test(&self, now: Timestamp) -> Result<(), KeyError> {
        let claims = self.sample(now);
        for key in self.keys().iter().filter(|key| key.verifies(now)) {
            self.try_out(key, &claims, now)
                .map_err(|what| KeyError::SelfTest { kid: key.kid.clone(), what })?;
        }
        Ok(())
    }

    fn sample(&self, now: Timestamp) -> Claims {
        let email = Email::parse("self-test@localhost").expect("it is an address");
        self.claims(&Grant {
            account: AccountId::new(now),
            session: SessionId::new(now),
            email: &email,
            visits: 1,
            prev: 0,
            issued_at: now,
            expires_at: later(now, SignedDuration::from_mins(1)),
            authenticated_at: now,
        })
    }

    fn try_out(&self, key: &Key, claims: &Claims, now: Timestamp) -> Result<(), &'static str> {
        let forged = Claims { number: claims.number + 1, ..claims.clone() };
        let token = jwt::sign(claims, key).map_err(|_| "it does not sign")?;
        let forged = jwt::sign(&forged, key).map_err(|_| "it does not sign")?;
        let forged = splice(&forged, &token);
        let ours = |token: &str| self.verify(token, now).ok().map(Arc::unwrap_or_clone);
        let second = |token: &str| self.second_opinion(key, token);
        judge(ours, &token, &forged, claims)?;
        judge(second, &token, &forged, claims).map_err(|_| "the second opinion differs")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a second opinion on our own tokens, never the verdict on a stranger's"
    )]
    fn second_opinion(&self, key: &Key, token: &str) -> Option<Claims> {
        let mut rules = Validation::new(key.algorithm.into());
        rules.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        rules.set_issuer(&[self.issuer()]);
        rules.set_audience(&[self.audience()]);
        // It reads the system clock; time is an argument here, and was checked by the first opinion.
        rules.validate_exp = false;
        let believed =
            jsonwebtoken::decode::<serde_json::Value>(token, &key.second_opinion, &rules).ok()?;
        Claims::parse(believed.claims.to_string().as_bytes()).ok()
    }
}

/// An opinion is good if it believes the token and not the forgery: there are builds of crypto
/// libraries, made for fuzzing, that believe every signature.
fn judge(
    opinion: impl Fn(&str) -> Option<Claims>,
    token: &str,
    forged: &str,
    claims: &Claims,
) -> Result<(), &'static str> {
    if opinion(token).as_ref() != Some(claims) {
        return Err("its signature is not believed");
    }
    if opinion(forged).is_some() {
        return Err("a forgery is believed");
    }
    Ok(())
}

/// The header and payload of one token with the signature of another.
fn splice(content: &str, signature: &str) -> String {
    let signed = content.rsplit_once('.').map_or(content, |(signed, _)| signed);
    let signature = signature.rsplit_once('.').map_or("", |(_, it)| it);
    format!("{signed}.{signature}")
}

#[cfg(test)]
mod tests {
    use std::mem;

    use jsonwebtoken::DecodingKey;

    use super::*;
    use crate::token::{Algorithm, KeySet, testing::*};

    fn failure(tokens: &Tokens) -> &'static str {
        match tokens.self_test(now()) {
            Err(KeyError::SelfTest { kid, what }) => {
                assert_eq!(kid, tokens.keys().signing(now()).kid);
                what
            }
            other => panic!("{other:?}"),
        }
    }

    /// Two key sets of one algorithm, the second to take parts from.
    fn two(algorithm: Algorithm) -> (KeySet, KeySet) {
        let made = || KeySet::generate(algorithm, now());
        (made(), made())
    }

    #[test]
    fn good_keys_pass() {
        for algorithm in Algorithm::ALL {
            service(algorithm).self_test(now()).unwrap();
        }
        // Whenever it is: the second opinion must not look at another clock.
        let early = crate::model::clock::from_millis(0);
        let tokens = with_keys(KeySet::generate(Algorithm::EdDsa, early));
        tokens.self_test(early).unwrap();
    }

    #[test]
    fn a_pair_whose_halves_do_not_belong_together_is_found() {
        for algorithm in Algorithm::ALL {
            let (mut keys, mut other) = two(algorithm);
            mem::swap(&mut keys.signing_mut().signing, &mut other.signing_mut().signing);
            assert_eq!(failure(&with_keys(keys)), "its signature is not believed");
        }
    }

    #[test]
    fn a_second_opinion_that_differs_is_found() {
        for algorithm in Algorithm::ALL {
            let (mut keys, mut other) = two(algorithm);
            mem::swap(
                &mut keys.signing_mut().second_opinion,
                &mut other.signing_mut().second_opinion,
            );
            let what = "the second opinion differs";
            assert_eq!(failure(&with_keys(keys)), what);
        }
        let mut keys = KeySet::generate(Algorithm::EdDsa, now());
        keys.signing_mut().second_opinion = DecodingKey::from_secret(&[7; 32]);
        let what = "the second opinion differs";
        assert_eq!(failure(&with_keys(keys)), what);
    }

    #[test]
    fn an_opinion_that_believes_everything_is_found() {
        let tokens = service(Algorithm::EdDsa);
        let claims = tokens.sample(now());
        let believes = |_: &str| Some(claims.clone());
        let verdict = judge(believes, "token", "forged", &claims);
        assert_eq!(verdict, Err("a forgery is believed"));
        let believes_what_is_right = |token: &str| believes(token).filter(|_| token == "token");
        assert_eq!(judge(believes_what_is_right, "token", "forged", &claims), Ok(()));
        let verdict = judge(|_| None, "token", "forged", &claims);
        assert_eq!(verdict, Err("its signature is not believed"));

        // And what is shown as a forgery is one.
        let forged = splice(&issue(&tokens), &issue(&tokens));
        assert_eq!(tokens.verify(&forged, now()), Err(crate::token::Defect::Signature));
    }

    #[test]
    fn a_header_that_names_another_key_is_found() {
        let (mut keys, mut other) = two(Algorithm::EdDsa);
        mem::swap(&mut keys.signing_mut().header, &mut other.signing_mut().header);
        assert_eq!(failure(&with_keys(keys)), "its signature is not believed");
    }
}
