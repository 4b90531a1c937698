//! An account's value: one version byte and a postcard value.

use serde::{Deserialize, Serialize};

use super::{Result, Value, damaged};
use crate::model::{
    Account, AccountId, AccountState, Email, PasswordHash, Role, Timestamp, clock::from_millis,
};

/// The first byte of the value.
const VERSION: u8 = 2;

/// Before there were roles: everybody was a member.
const WITHOUT_ROLE: u8 = 1;

/// An account as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct AccountRecord {
    pub(in crate::store) account: Account,
    /// Visits of sessions whose records have left the store. The account's total is this and the
    /// visits of the session records that are still there, dead or alive.
    pub(in crate::store) ended_visits: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredAccount {
    email: Email,
    password: PasswordHash,
    state: AccountState,
    created_at: i64,
    copied_at: Option<i64>,
    ended_visits: u64,
    // What is added goes behind the rest: the older versions are its beginning.
}

impl AccountRecord {
    pub(in crate::store) fn encode(&self) -> Result<Value> {
        let account = &self.account;
        let stored = StoredAccount {
            email: account.email.clone(),
            password: account.password.clone(),
            state: account.state,
            created_at: account.created_at.as_millisecond(),
            copied_at: account.copied_at.map(Timestamp::as_millisecond),
            ended_visits: self.ended_visits,
        };
        let role = account.role;
        postcard::to_extend(&(stored, role), vec![VERSION])
            .map_err(|error| damaged("account", error))
    }

    pub(in crate::store) fn decode(id: AccountId, value: &[u8]) -> Result<Self> {
        let (stored, role): (StoredAccount, Role) = match value.split_first() {
            Some((&VERSION, rest)) => whole(rest)?,
            Some((&WITHOUT_ROLE, rest)) => (whole(rest)?, Role::Member),
            Some((version, _)) => {
                return Err(damaged("account", format!("it has version {version}")));
            }
            None => return Err(damaged("account", "it is empty")),
        };
        Ok(Self {
            account: Account {
                id,
                email: stored.email,
                password: stored.password,
                state: stored.state,
                role,
                created_at: from_millis(stored.created_at),
                copied_at: stored.copied_at.map(from_millis),
            },
            ended_visits: stored.ended_visits,
        })
    }
}

/// The value that the bytes are, to the last of them.
fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(damaged("account", "bytes are left over")),
        Err(error) => Err(damaged("account", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    const NOW: i64 = 1_790_000_000_000;

    fn record(role: Role) -> AccountRecord {
        AccountRecord {
            account: Account {
                id: AccountId::from_bytes([1; 16]),
                email: Email::parse("ann@example.com").unwrap(),
                password: PasswordHash::new("$argon2id$v=19$...".into()),
                state: AccountState::Disabled,
                role,
                created_at: from_millis(NOW),
                copied_at: Some(from_millis(1)),
            },
            ended_visits: u64::MAX,
        }
    }

    #[test]
    fn an_account_of_before_there_were_roles_is_a_members() {
        // Written by version 1.
        let mut bytes = vec![1, 15];
        bytes.extend(b"ann@example.com");
        bytes.push(18);
        bytes.extend(b"$argon2id$v=19$...");
        bytes.push(1);
        // Zigzag, seven bits at a time, the lowest first.
        let mut number = u64::try_from(NOW * 2).unwrap();
        while number > 127 {
            bytes.push(u8::try_from(number & 127).unwrap() | 128);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap());
        bytes.extend([1, 2]);
        bytes.extend([255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        let member = record(Role::Member);
        assert_eq!(AccountRecord::decode(member.account.id, &bytes).unwrap(), member);
        bytes.push(0);
        assert!(AccountRecord::decode(member.account.id, &bytes).is_err(), "nothing is left over");
        bytes[0] = VERSION;
        assert_eq!(AccountRecord::decode(member.account.id, &bytes).unwrap(), member);
    }

    #[test]
    fn an_account_comes_back_as_it_was_and_what_is_none_is_damaged() {
        let record = record(Role::Admin);
        let id = record.account.id;
        let good = record.encode().unwrap();
        assert_eq!(AccountRecord::decode(id, &good).unwrap(), record);
        let mut newer = good.clone();
        newer[0] = VERSION + 1;
        let mut longer = good.clone();
        longer.push(0);
        for bad in [&[] as &[u8], &good[..good.len() - 1], &newer, &longer] {
            let error = AccountRecord::decode(id, bad).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { kind: "account", .. }));
        }
    }
}
