//! An account's value: one version byte and a postcard value.

use serde::{Deserialize, Serialize};

use super::{Result, Value, damaged};
use crate::model::{
    Account, AccountId, AccountState, Email, PasswordHash, Role, Timestamp, VisitDays,
    clock::from_millis,
};

/// The first byte of the value.
const VERSION: u8 = 3;

/// Before there were roles: everybody was a member.
const WITHOUT_ROLE: u8 = 1;

/// Before visits were counted by the day.
const WITHOUT_DAYS: u8 = 2;

/// An account as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct AccountRecord {
    pub(in crate::store) account: Account,
    /// Visits of sessions whose records have left the store. The account's total is this and the
    /// visits of the session records that are still there, dead or alive.
    pub(in crate::store) ended_visits: u64,
    /// Those of the latest days among them.
    pub(in crate::store) ended_days: VisitDays,
}

/// The parts of [`VisitDays`].
type StoredDays = (i32, Vec<u32>);

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
        postcard::to_extend(&(stored, account.role, self.ended_days.parts()), vec![VERSION])
            .map_err(|error| damaged("account", error))
    }

    pub(in crate::store) fn decode(id: AccountId, value: &[u8]) -> Result<Self> {
        let no_days = StoredDays::default();
        let (stored, role, days): (StoredAccount, Role, StoredDays) = match value.split_first() {
            Some((&VERSION, rest)) => whole(rest)?,
            Some((&WITHOUT_DAYS, rest)) => {
                let (stored, role) = whole(rest)?;
                (stored, role, no_days)
            }
            Some((&WITHOUT_ROLE, rest)) => (whole(rest)?, Role::Member, no_days),
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
            ended_days: VisitDays::from_parts(days.0, &days.1)
                .ok_or_else(|| damaged("account", "its days are none"))?,
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
            ended_days: VisitDays::default(),
        }
    }

    #[test]
    fn an_account_of_before_there_were_roles_is_a_members_and_has_no_days() {
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
        bytes[0] = WITHOUT_DAYS;
        assert_eq!(AccountRecord::decode(member.account.id, &bytes).unwrap(), member);
        assert!(AccountRecord::decode(member.account.id, &[&bytes[..], &[0]].concat()).is_err());
        bytes[0] = VERSION;
        bytes.extend([0, 0]);
        assert_eq!(AccountRecord::decode(member.account.id, &bytes).unwrap(), member);
        bytes.truncate(bytes.len() - 1);
        bytes.extend([1, 0]);
        let error = AccountRecord::decode(member.account.id, &bytes).unwrap_err();
        assert!(error.to_string().contains("days"), "a day without a visit: {error}");
    }

    #[test]
    fn an_account_comes_back_as_it_was_and_what_is_none_is_damaged() {
        let mut record = record(Role::Admin);
        record.ended_days = VisitDays::from_parts(20_718, &[3, 0, 400]).unwrap();
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
