//! What a record looks like in the store: its key and its bytes.
//!
//! All records share one ordered key space, so that one batch can change several kinds at once:
//!
//! | key | record |
//! |---|---|
//! | `a` account id | an account, and the visits of its sessions that are gone |
//! | `e` e-mail | the id of the account that has it |
//! | `s` account id, session id | a session |
//! | `m` name | one value about the store: `epoch`, `ping` |
//!
//! A session's key begins with its account, so that an account's sessions lie side by side and no
//! index is needed to find them. There is no index by expiry either: at ten million sessions it
//! would cost as much as the sessions themselves, and the sweep can walk instead.
//!
//! A record is one version byte and a postcard value. To change a record's form, raise its version
//! and keep reading the old one; ids that stand in the key are not repeated in the value.

use serde::{Deserialize, Serialize};

use super::{Result, StoreError};
use crate::model::{
    Account, AccountId, AccountState, Email, PasswordHash, Session, SessionId, Timestamp,
    Transport, clock::from_millis, session::Chain,
};

/// The bytes that name a record.
pub(super) type Key = Vec<u8>;
/// The bytes of a record.
pub(super) type Value = Vec<u8>;

/// The prefix of the keys of all accounts.
pub(super) const ACCOUNTS: &[u8] = b"a";
/// The prefix of the keys of all e-mails, which lie in the order of the addresses.
pub(super) const EMAILS: &[u8] = b"e";
/// The prefix of the keys of all sessions.
pub(super) const SESSIONS: &[u8] = b"s";
/// Where the epoch is kept: sessions of an earlier one are dead.
pub(super) const EPOCH: &[u8] = b"mepoch";
/// Written for no other reason than to see whether writing works.
pub(super) const PING: &[u8] = b"mping";

/// The first byte of every record.
const VERSION: u8 = 1;

pub(super) fn account_key(id: AccountId) -> Key {
    [ACCOUNTS, id.as_bytes()].concat()
}

pub(super) fn email_key(email: &Email) -> Key {
    [EMAILS, email.as_str().as_bytes()].concat()
}

/// The prefix of the keys of one account's sessions.
pub(super) fn sessions_key(account: AccountId) -> Key {
    [SESSIONS, account.as_bytes()].concat()
}

pub(super) fn session_key(account: AccountId, id: SessionId) -> Key {
    [SESSIONS, account.as_bytes(), id.as_bytes()].concat()
}

/// The account and the session that a session's key names.
pub(super) fn session_ids(key: &[u8]) -> Result<(AccountId, SessionId)> {
    let ids = key.strip_prefix(SESSIONS).and_then(|ids| {
        let (account, rest) = ids.split_first_chunk()?;
        let id = rest.try_into().ok()?;
        Some((AccountId::from_bytes(*account), SessionId::from_bytes(id)))
    });
    ids.ok_or_else(|| damaged("session", "its key is not of the right length"))
}

/// An account as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountRecord {
    pub(super) account: Account,
    /// Visits of sessions whose records have left the store. The account's total is this and the
    /// visits of the session records that are still there, dead or alive.
    pub(super) ended_visits: u64,
}

/// A session as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SessionRecord {
    pub(super) session: Session,
    /// The epoch it was made in.
    pub(super) epoch: u64,
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

#[derive(Serialize, Deserialize)]
struct StoredSession<'a> {
    epoch: u64,
    created_at: i64,
    expires_at: i64,
    idle_expires_at: i64,
    last_seen_at: i64,
    visits: u64,
    chain_number: u64,
    chain_at: i64,
    chain_left: u64,
    chain_left_at: i64,
    remember: bool,
    transport: Transport,
    user_agent: &'a str,
    copied_at: Option<i64>,
}

impl AccountRecord {
    pub(super) fn encode(&self) -> Result<Value> {
        let account = &self.account;
        encode(
            "account",
            &StoredAccount {
                email: account.email.clone(),
                password: account.password.clone(),
                state: account.state,
                created_at: account.created_at.as_millisecond(),
                copied_at: account.copied_at.map(Timestamp::as_millisecond),
                ended_visits: self.ended_visits,
            },
        )
    }

    pub(super) fn decode(id: AccountId, value: &[u8]) -> Result<Self> {
        let stored: StoredAccount = decode("account", value)?;
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

impl SessionRecord {
    pub(super) fn encode(&self) -> Result<Value> {
        let session = &self.session;
        encode(
            "session",
            &StoredSession {
                epoch: self.epoch,
                created_at: session.created_at.as_millisecond(),
                expires_at: session.expires_at.as_millisecond(),
                idle_expires_at: session.idle_expires_at.as_millisecond(),
                last_seen_at: session.last_seen_at.as_millisecond(),
                visits: session.visits,
                chain_number: session.chain.number,
                chain_at: session.chain.at.as_millisecond(),
                chain_left: session.chain.left,
                chain_left_at: session.chain.left_at.as_millisecond(),
                remember: session.remember,
                transport: session.transport,
                user_agent: &session.user_agent,
                copied_at: session.copied_at.map(Timestamp::as_millisecond),
            },
        )
    }

    pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Self> {
        let (account, id) = session_ids(key)?;
        let stored: StoredSession<'_> = decode("session", value)?;
        Ok(Self {
            session: Session {
                account,
                id,
                created_at: from_millis(stored.created_at),
                expires_at: from_millis(stored.expires_at),
                idle_expires_at: from_millis(stored.idle_expires_at),
                last_seen_at: from_millis(stored.last_seen_at),
                visits: stored.visits,
                chain: Chain {
                    number: stored.chain_number,
                    at: from_millis(stored.chain_at),
                    left: stored.chain_left,
                    left_at: from_millis(stored.chain_left_at),
                },
                remember: stored.remember,
                transport: stored.transport,
                user_agent: stored.user_agent.to_owned(),
                copied_at: stored.copied_at.map(from_millis),
            },
            epoch: stored.epoch,
        })
    }
}

pub(super) fn encode_account_id(id: AccountId) -> Value {
    id.as_bytes().to_vec()
}

pub(super) fn decode_account_id(value: &[u8]) -> Result<AccountId> {
    let bytes = value.try_into().map_err(|_| damaged("e-mail", "it does not hold 16 bytes"))?;
    Ok(AccountId::from_bytes(bytes))
}

pub(super) fn encode_epoch(epoch: u64) -> Value {
    epoch.to_be_bytes().to_vec()
}

pub(super) fn decode_epoch(value: &[u8]) -> Result<u64> {
    let bytes = value.try_into().map_err(|_| damaged("epoch", "it does not hold 8 bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn damaged(kind: &'static str, reason: impl ToString) -> StoreError {
    StoreError::Damaged { kind, reason: reason.to_string() }
}

fn encode<T: Serialize>(kind: &'static str, stored: &T) -> Result<Value> {
    postcard::to_extend(stored, vec![VERSION]).map_err(|error| damaged(kind, error))
}

fn decode<'a, T: Deserialize<'a>>(kind: &'static str, value: &'a [u8]) -> Result<T> {
    match value.split_first() {
        Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
            Ok((stored, [])) => Ok(stored),
            Ok(_) => Err(damaged(kind, "bytes are left over")),
            Err(error) => Err(damaged(kind, error)),
        },
        Some((version, _)) => Err(damaged(kind, format!("it has version {version}"))),
        None => Err(damaged(kind, "it is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(user_agent: &str) -> SessionRecord {
        let now = from_millis(1_790_000_000_000);
        SessionRecord {
            session: Session {
                account: AccountId::new(now),
                id: SessionId::new(now),
                created_at: now,
                expires_at: from_millis(1_790_043_200_000),
                idle_expires_at: from_millis(1_790_001_800_000),
                last_seen_at: from_millis(1_790_000_000_001),
                visits: 1_000_000,
                chain: Chain {
                    number: 999_999,
                    at: from_millis(1_790_000_000_002),
                    left: 999_998,
                    left_at: from_millis(1_790_000_000_001),
                },
                remember: true,
                transport: Transport::Bearer,
                user_agent: user_agent.to_owned(),
                copied_at: Some(from_millis(1_789_999_999_999)),
            },
            epoch: 300,
        }
    }

    fn account() -> AccountRecord {
        let now = from_millis(1_790_000_000_000);
        AccountRecord {
            account: Account {
                id: AccountId::new(now),
                email: Email::parse("ann@example.com").unwrap(),
                password: PasswordHash::new("$argon2id$v=19$...".into()),
                state: AccountState::Disabled,
                created_at: now,
                copied_at: Some(from_millis(1)),
            },
            ended_visits: u64::MAX,
        }
    }

    #[test]
    fn records_come_back_as_they_were() {
        let session = session("Mozilla/5.0 (X11; Linux)");
        let key = session_key(session.session.account, session.session.id);
        let back = SessionRecord::decode(&key, &session.encode().unwrap()).unwrap();
        assert_eq!(back, session);
        let account = account();
        let value = account.encode().unwrap();
        let back = AccountRecord::decode(account.account.id, &value).unwrap();
        assert_eq!(back, account);
    }

    #[test]
    fn a_session_is_small() {
        let bytes = session("").encode().unwrap().len();
        assert!(bytes <= 64, "{bytes} bytes");
    }

    #[test]
    fn what_is_not_a_record_is_damaged() {
        let session = session("curl");
        let key = session_key(session.session.account, session.session.id);
        let good = session.encode().unwrap();
        let mut newer = good.clone();
        newer[0] = VERSION + 1;
        let mut longer = good.clone();
        longer.push(0);
        for bad in [&[] as &[u8], &good[..good.len() - 1], &newer, &longer] {
            let error = SessionRecord::decode(&key, bad).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { kind: "session", .. }));
        }
        assert!(SessionRecord::decode(&key[1..], &good).is_err());
        assert!(decode_epoch(&[1]).is_err());
        assert!(decode_account_id(&[1]).is_err());
    }

    #[test]
    fn keys_of_one_account_lie_under_its_prefix() {
        let session = session("").session;
        let key = session_key(session.account, session.id);
        assert!(key.starts_with(&sessions_key(session.account)));
        assert_eq!(session_ids(&key).unwrap(), (session.account, session.id));
    }
}
