//! What a session token says.

use serde::{Deserialize, Serialize};

use super::{Defect, jws};
use crate::model::{
    AccountId, Email, Presented, SessionId, Timestamp, TokenId, clock::from_millis,
};

/// The claims of a session token: all of these and no others (RFC 7519 section 4).
///
/// Kept a plain struct on purpose: with `#[serde(flatten)]`, or as a map, a claim that is given
/// twice would be taken once instead of being refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who signed it: the service's public URL.
    pub iss: String,
    /// Whom it is for. One text: a token for many is not one of ours.
    pub aud: String,
    /// Whose session it is.
    pub sub: AccountId,
    /// Which session it is a token of.
    pub sid: SessionId,
    /// Names this token.
    pub jti: TokenId,
    /// The account's e-mail when it was signed.
    pub email: Email,
    /// The visits that were counted when it was signed: its own number in the chain.
    pub visits: u64,
    /// The number of the token whose visit produced it.
    pub prev: u64,
    /// When it was signed, in seconds since the Unix epoch.
    pub iat: i64,
    /// When it ends, in seconds since the Unix epoch: from that second on it is refused.
    pub exp: i64,
    /// When the person logged in, in seconds since the Unix epoch.
    pub auth_time: i64,
}

impl Claims {
    /// Reads the payload of a token whose signature was checked.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Defect> {
        let claims: Self = jws::read_object(payload).ok_or(Defect::Claims)?;
        let times = [claims.iat, claims.exp, claims.auth_time];
        // From 1970 to the end of the year 9999: the moments that can be reckoned with.
        let reckonable = 0..=Timestamp::MAX.as_second();
        if times.iter().all(|time| reckonable.contains(time)) {
            Ok(claims)
        } else {
            Err(Defect::Claims)
        }
    }

    /// Its place in the chain of the session's tokens.
    #[must_use]
    pub fn presented(&self) -> Presented {
        Presented {
            account: self.sub,
            session: self.sid,
            visits: self.visits,
            prev: self.prev,
            issued_at: self.issued_at(),
        }
    }

    /// When it ends: up to a second before the end that it was granted, as `exp` has whole seconds.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        moment(self.exp)
    }

    /// When it was signed, cut to the second.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        moment(self.iat)
    }
}

fn moment(seconds: i64) -> Timestamp {
    from_millis(seconds.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sample() -> Value {
        json!({
            "iss": "https://login.example",
            "aud": "https://login.example",
            "sub": "01890000-0000-7000-8000-000000000001",
            "sid": "01890000-0000-7000-8000-000000000002",
            "jti": "01890000-0000-4000-8000-000000000003",
            "email": "ann@example.com",
            "visits": 7,
            "prev": 6,
            "iat": 1_700_000_000,
            "exp": 1_700_001_800,
            "auth_time": 1_699_999_000,
        })
    }

    fn parse(claims: &Value) -> Result<Claims, Defect> {
        Claims::parse(claims.to_string().as_bytes())
    }

    #[test]
    fn claims_say_their_place_in_the_chain_and_their_times() {
        let claims = parse(&sample()).unwrap();
        let presented = claims.presented();
        assert_eq!(presented.account, claims.sub);
        assert_eq!(presented.session, claims.sid);
        assert_eq!((presented.visits, presented.prev), (7, 6));
        assert_eq!(presented.issued_at, from_millis(1_700_000_000_000));
        assert_eq!(claims.expires_at(), from_millis(1_700_001_800_000));
        assert_eq!(serde_json::to_value(&claims).unwrap(), sample());
    }

    #[test]
    fn times_that_no_calendar_has_are_refused() {
        let last = Timestamp::MAX.as_second();
        for claim in ["iat", "exp", "auth_time"] {
            for time in [-1, last + 1, i64::MAX, i64::MIN] {
                let mut claims = sample();
                claims[claim] = time.into();
                assert_eq!(parse(&claims), Err(Defect::Claims), "{claim} {time}");
            }
        }
        let mut claims = sample();
        claims["exp"] = last.into();
        assert_eq!(parse(&claims).unwrap().expires_at().as_second(), last);
    }
}
