//! An account's value: one version byte and a postcard value.

use serde::{Deserialize, Serialize};

use super::{Result, Value, damaged};
use crate::model::{
    Account, AccountId, AccountState, Email, PasswordHash, Timestamp, clock::from_millis,
};

/// The first byte of the value.
const VERSION: u8 = 1;

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
        postcard::to_extend(&stored, vec![VERSION]).map_err(|error| damaged("account", error))
    }

    pub(in crate::store) fn decode(id: AccountId, value: &[u8]) -> Result<Self> {
        let stored: StoredAccount = match value.split_first() {
            Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((stored, [])) => stored,
                Ok(_) => return Err(damaged("account", "bytes are left over")),
                Err(error) => return Err(damaged("account", error)),
            },
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
                created_at: from_millis(stored.created_at),
                copied_at: stored.copied_at.map(from_millis),
            },
            ended_visits: stored.ended_visits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn an_account_comes_back_as_it_was_and_what_is_none_is_damaged() {
        let now = from_millis(1_790_000_000_000);
        let id = AccountId::new(now);
        let record = AccountRecord {
            account: Account {
                id,
                email: Email::parse("ann@example.com").unwrap(),
                password: PasswordHash::new("$argon2id$v=19$...".into()),
                state: AccountState::Disabled,
                created_at: now,
                copied_at: Some(from_millis(1)),
            },
            ended_visits: u64::MAX,
        };
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
