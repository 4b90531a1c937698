//! Device tokens: somebody logged in to this account on this device before.
//!
//! It opens nothing. It is shown with a log-in, and whoever shows it is not kept out by what
//! strangers did to the account's limit of failed log-ins (`session/throttle`). It is told from a
//! session token by its `typ` and, for verifiers elsewhere that do not look at that, by its `aud`.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{
    SigningFailed, Tokens,
    jws::{self, Header},
};
use crate::model::{AccountId, Timestamp, clock::from_millis};

/// How long a device is remembered after a log-in, and so how long a key still knows devices once it
/// verifies no session token any more.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The `typ` of device tokens (RFC 8725 section 3.11).
const TYPE: &str = "device+jwt";

/// What a device token says: all of these and no others.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: AccountId,
    iat: i64,
    exp: i64,
}

/// A device that was logged in before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// To which account.
    pub account: AccountId,
    /// Until when that is remembered.
    pub expires_at: Timestamp,
}

impl Tokens {
    /// Signs a device token.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn issue_device(&self, device: Device, now: Timestamp) -> Result<String, SigningFailed> {
        let keys = self.keys();
        let key = keys.signing(now);
        let header = Header {
            alg: key.algorithm.name().to_owned(),
            kid: Some(key.kid.clone()),
            typ: Some(TYPE.to_owned()),
        };
        let claims = Claims {
            iss: self.issuer().to_owned(),
            aud: self.device_audience(),
            sub: device.account,
            iat: now.as_second(),
            exp: device.expires_at.as_second(),
        };
        jws::sign(&jws::encode_header(&header), &encode(&claims), &key.signing)
    }

    /// What a text says that claims to be a device token; nothing if it is none of ours, or over at
    /// `now`. Why is of no interest: a device that is not known is one of many.
    #[must_use]
    pub fn verify_device(&self, text: &str, now: Timestamp) -> Option<Device> {
        let token = jws::parse(text).ok()?;
        if token.header().typ.as_deref() != Some(TYPE) {
            return None;
        }
        let keys = self.keys();
        let key = keys.find_for_device(token.header().kid.as_deref()?, now)?;
        let claims: Claims = jws::read_object(&token.verify(&key.verifying).ok()?)?;
        let is_ours = claims.iss == self.issuer() && claims.aud == self.device_audience();
        let expires_at = from_millis(claims.exp.checked_mul(1_000)?);
        (is_ours && now < expires_at).then_some(Device { account: claims.sub, expires_at })
    }

    fn device_audience(&self) -> String {
        format!("{}#device", self.audience())
    }
}

fn encode(claims: &Claims) -> Vec<u8> {
    serde_json::to_vec(claims).expect("texts and numbers are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Algorithm, Defect, testing::*};

    fn device() -> Device {
        Device {
            account: AccountId::from_bytes([7; 16]),
            expires_at: from_millis(1_790_001_000_000),
        }
    }

    #[test]
    fn a_device_is_known_until_it_is_forgotten() {
        for algorithm in Algorithm::ALL {
            let tokens = service(algorithm);
            let token = tokens.issue_device(device(), now()).unwrap();
            assert_eq!(tokens.verify_device(&token, now()), Some(device()));
            assert_eq!(tokens.verify_device(&token, after(999)), Some(device()));
            assert_eq!(tokens.verify_device(&token, after(1_000)), None);
            assert_eq!(service(algorithm).verify_device(&token, now()), None, "another's key");
            for text in ["", "a.b.c", &token[1..], &token[..token.len() - 1]] {
                assert_eq!(tokens.verify_device(text, now()), None);
            }
        }
    }

    #[test]
    fn neither_kind_of_token_passes_for_the_other() {
        let tokens = service(Algorithm::EdDsa);
        let token = tokens.issue_device(device(), now()).unwrap();
        assert_eq!(tokens.verify(&token, now()).unwrap_err(), Defect::Type);
        assert_eq!(tokens.verify_device(&issue(&tokens), now()), None);
    }
}
