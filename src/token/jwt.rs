//! Session tokens: signed for a grant, and verified against everything they must be.

use super::{Claims, Defect, KeySet, SigningFailed, jws, keys::Key};
use crate::model::{AccountId, Email, SessionId, Timestamp, TokenId};

/// The `typ` of session tokens: no other kind of JWT passes for one (RFC 8725 section 3.11).
pub const TYPE: &str = "session+jwt";

/// How far in the future a token may have been signed, in seconds: the clocks of two nodes differ.
/// The end of a token has no leeway.
pub const LEEWAY_SECONDS: i64 = 5;

/// The longest token that is issued, in bytes: it shares the 4096 bytes of a cookie with its name
/// and its attributes.
pub const MAX_ISSUED_BYTES: usize = jws::MAX_BYTES - 256;

/// Signs and verifies session tokens. One for the whole service, shared by all threads.
pub struct Tokens {
    keys: KeySet,
    issuer: String,
    audience: String,
}

/// What a token is to say.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Whose session it is.
    pub account: AccountId,
    /// Which session it is for.
    pub session: SessionId,
    /// The account's e-mail.
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
        Self { keys, issuer, audience }
    }

    /// Signs a token for `grant`, with a new `jti`.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn issue(&self, grant: &Grant<'_>) -> Result<String, SigningFailed> {
        let token = sign(&self.claims(grant), self.keys.signing())?;
        if token.len() > MAX_ISSUED_BYTES {
            return Err(SigningFailed::TooLong);
        }
        Ok(token)
    }

    /// Tells whether `token` is one of ours and good at `now`, and what it says. Whether its session
    /// is alive is another question.
    ///
    /// # Errors
    /// [`Defect`], the first that is found.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Defect> {
        let token = jws::parse(token)?;
        if token.header().typ.as_deref() != Some(TYPE) {
            return Err(Defect::Type);
        }
        let kid = token.header().kid.as_deref().ok_or(Defect::UnknownKey)?;
        let key = self.keys.find(kid, now).ok_or(Defect::UnknownKey)?;
        let payload = token.verify(&key.verifying)?;
        let claims = Claims::parse(&payload)?;
        self.check(&claims, now)?;
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
            email: grant.email.clone(),
            visits: grant.visits,
            prev: grant.prev,
            iat: grant.issued_at.as_second(),
            exp: grant.expires_at.as_second(),
            auth_time: grant.authenticated_at.as_second(),
        }
    }

    pub(super) fn keys(&self) -> &KeySet {
        &self.keys
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
    let payload = serde_json::to_vec(claims).expect("texts and numbers are JSON");
    jws::sign(&key.header, &payload, &key.signing)
}
