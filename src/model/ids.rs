//! Identifiers. Each kind is a type of its own, so that no session id passes for an account id.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Uuid};

use super::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as 16 bytes, big-endian: UUIDv7 bytes sort by time.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id that these bytes spell.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id! {
    /// Names an account for ever, whatever its e-mail becomes. UUIDv7.
    AccountId
}
id! {
    /// Names one login: the `sid` claim of all its tokens. UUIDv7. Not a secret: it opens nothing
    /// without a signature around it, and appears in the person's own list of sessions.
    SessionId
}
id! {
    /// Names one signed token: its `jti` claim. UUIDv4, 122 random bits from the system.
    TokenId
}

impl AccountId {
    /// A new id, of the moment `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(v7(now))
    }
}

impl SessionId {
    /// A new id, of the moment `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(v7(now))
    }
}

impl TokenId {
    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

fn v7(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1_000, nanos))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::clock::from_millis;

    #[test]
    fn ids_carry_their_time_and_sort_by_it() {
        let early = SessionId::new(from_millis(1_700_000_000_000));
        let late = SessionId::new(from_millis(1_700_000_000_001));
        assert!(early < late);
        assert!(early.as_bytes() < late.as_bytes());
        assert_eq!(early.to_string().parse::<SessionId>().unwrap(), early);
    }

    #[test]
    fn ids_of_one_moment_differ() {
        let now = from_millis(1_700_000_000_000);
        let sessions: HashSet<_> = (0..10_000).map(|_| SessionId::new(now)).collect();
        let tokens: HashSet<_> = (0..10_000).map(|_| TokenId::random()).collect();
        assert_eq!((sessions.len(), tokens.len()), (10_000, 10_000));
    }
}
