//! What a session token says.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use super::{Defect, jws};
use crate::model::{
    AccountId, Email, Presented, SessionId, Timestamp, TokenId, clock::from_millis,
};

/// How much new tokens say. Tokens of either set are read, whichever is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimSet {
    /// Who the person is and how many visits were counted: `email` and `visits`.
    #[default]
    Full,
    /// Neither: `seq` in their place, the token's bare number in the chain.
    Opaque,
}

/// The claims of a session token: all of its set and no others (RFC 7519 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The account's e-mail when it was signed. An opaque token does not say it.
    pub email: Option<Email>,
    /// Its own number in the chain, the visits that were counted when it was signed: `visits`, or
    /// `seq` in an opaque token.
    pub number: u64,
    /// The number of the token whose visit produced it.
    pub prev: u64,
    /// When it was signed, in seconds since the Unix epoch.
    pub iat: i64,
    /// When it ends, in seconds since the Unix epoch: from that second on it is refused.
    pub exp: i64,
    /// When the person logged in, in seconds since the Unix epoch.
    pub auth_time: i64,
}

/// A payload of the set `Full`, member for member.
///
/// Two plain structs on purpose: with `#[serde(flatten)]`, or as a map, a claim that is given twice
/// would be taken once instead of being refused, and in one struct of both sets nothing would keep
/// them apart.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Full<'a> {
    iss: Cow<'a, str>,
    aud: Cow<'a, str>,
    sub: AccountId,
    sid: SessionId,
    jti: TokenId,
    email: Cow<'a, Email>,
    visits: u64,
    prev: u64,
    iat: i64,
    exp: i64,
    auth_time: i64,
}

/// A payload of the set `Opaque`, member for member.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opaque<'a> {
    iss: Cow<'a, str>,
    aud: Cow<'a, str>,
    sub: AccountId,
    sid: SessionId,
    jti: TokenId,
    seq: u64,
    prev: u64,
    iat: i64,
    exp: i64,
    auth_time: i64,
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { sub, sid, jti, prev, iat, exp, auth_time, number, .. } = *self;
        let (iss, aud) = (Cow::Borrowed(&*self.iss), Cow::Borrowed(&*self.aud));
        match &self.email {
            Some(email) => {
                let (email, visits) = (Cow::Borrowed(email), number);
                Full { iss, aud, sub, sid, jti, email, visits, prev, iat, exp, auth_time }
                    .serialize(to)
            }
            None => Opaque { iss, aud, sub, sid, jti, seq: number, prev, iat, exp, auth_time }
                .serialize(to),
        }
    }
}

impl From<Full<'_>> for Claims {
    fn from(full: Full<'_>) -> Self {
        let Full { iss, aud, sub, sid, jti, email, visits, prev, iat, exp, auth_time } = full;
        let (iss, aud, email) = (iss.into_owned(), aud.into_owned(), Some(email.into_owned()));
        Self { iss, aud, sub, sid, jti, email, number: visits, prev, iat, exp, auth_time }
    }
}

impl From<Opaque<'_>> for Claims {
    fn from(opaque: Opaque<'_>) -> Self {
        let Opaque { iss, aud, sub, sid, jti, seq, prev, iat, exp, auth_time } = opaque;
        let (iss, aud) = (iss.into_owned(), aud.into_owned());
        Self { iss, aud, sub, sid, jti, email: None, number: seq, prev, iat, exp, auth_time }
    }
}

impl Claims {
    /// Reads the payload of a token whose signature was checked.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Defect> {
        let full = jws::read_object::<Full<'_>>(payload).map(Self::from);
        let opaque = || jws::read_object::<Opaque<'_>>(payload).map(Self::from);
        let claims = full.or_else(opaque).ok_or(Defect::Claims)?;
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
            visits: self.number,
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

    fn opaque() -> Value {
        let mut sample = sample();
        let members = sample.as_object_mut().unwrap();
        members.remove("email");
        let visits = members.remove("visits").unwrap();
        members.insert("seq".into(), visits);
        sample
    }

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
    fn an_opaque_token_has_the_same_place_in_the_chain_and_does_not_say_whose_it_is() {
        let claims = parse(&opaque()).unwrap();
        assert_eq!(claims.email, None);
        let full = parse(&sample()).unwrap();
        assert_eq!(claims.presented(), full.presented());
        assert_eq!(Claims { email: full.email.clone(), ..claims.clone() }, full);
        assert_eq!(serde_json::to_value(&claims).unwrap(), opaque());
    }

    #[test]
    fn claims_of_both_sets_are_no_set() {
        let both: [(Value, &[&str]); 2] = [(sample(), &["seq"]), (opaque(), &["email", "visits"])];
        for (claims, others) in both {
            assert!(parse(&claims).is_ok());
            for other in others {
                let mut mixed = claims.clone();
                mixed[other] = opaque().get(*other).unwrap_or(&sample()[other]).clone();
                assert_eq!(parse(&mixed), Err(Defect::Claims), "{mixed}");
            }
        }
        for missing in ["email", "visits"] {
            let mut claims = sample();
            claims.as_object_mut().unwrap().remove(missing);
            assert_eq!(parse(&claims), Err(Defect::Claims), "{claims}");
            claims["seq"] = 7.into();
            assert_eq!(parse(&claims), Err(Defect::Claims), "{claims}");
        }
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
