//! Every key is tried out before the service listens, not by the first person who logs in.
//!
//! Two opinions are heard: our own [`Tokens::verify`], and `jsonwebtoken`, which goes its own way
//! from the text to the claims (the primitives below are the same library's). A token that other
//! services, which verify with such a crate, would refuse is found here. So is a `jsonwebtoken`
//! that compiles without a crypto backend and panics when it is first used.

use jiff::SignedDuration;
use jsonwebtoken::Validation;

use super::{
    Claims, Defect, KeyError, Tokens,
    jwt::{self, Grant},
    keys::Key,
};
use crate::model::{AccountId, Email, SessionId, Timestamp, clock::later};

impl Tokens {
    /// Signs and verifies a token with every key that is loaded.
    ///
    /// # Errors
    /// [`KeyError::SelfTest`], naming the key.
    pub fn self_test(&self, now: Timestamp) -> Result<(), KeyError> {
        let claims = self.sample(now);
        for key in self.keys().iter() {
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
        let token = jwt::sign(claims, key).map_err(|_| "it does not sign")?;
        if self.verify(&token, now).as_ref() != Ok(claims) {
            return Err("its signature is not verified");
        }
        let forged = jwt::sign(&forged(claims), key).map_err(|_| "it does not sign")?;
        if self.verify(&splice(&forged, &token), now) != Err(Defect::Signature) {
            return Err("it verifies a forgery");
        }
        if self.second_opinion(key, &token).as_ref() != Some(claims) {
            return Err("the second opinion refuses its signature");
        }
        if self.second_opinion(key, &splice(&forged, &token)).is_some() {
            return Err("the second opinion verifies a forgery");
        }
        Ok(())
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
        jsonwebtoken::decode::<Claims>(token, &key.second_opinion, &rules)
            .ok()
            .map(|token| token.claims)
    }
}

/// The same claims for somebody else.
fn forged(claims: &Claims) -> Claims {
    Claims { visits: claims.visits + 1, ..claims.clone() }
}

/// The header and payload of one token with the signature of another.
fn splice(content: &str, signature: &str) -> String {
    let signed = content.rsplit_once('.').map_or(content, |(signed, _)| signed);
    let signature = signature.rsplit_once('.').map_or("", |(_, it)| it);
    format!("{signed}.{signature}")
}
