//! What a record looks like in the store: its key and its bytes.
//!
//! All records share one ordered key space, so that one batch can change several kinds at once:
//!
//! | key | record |
//! |---|---|
//! | `a` account id | an account, and the visits of its sessions that are gone |
//! | `e` e-mail | the id of the account that has it |
//! | `s` account id | the account's sessions, in the order of their ids: the first [`page`] of them |
//! | `s` account id, number | the next pages, 1, 2, …, of an account that has so many |
//! | `t` two bytes | attempts at passwords: a bucket of the table of [`attempts`] |
//! | `u` trail, number | audit events, in the order in which they happened: a full page of them |
//! | `v` account id, session id | the variables that an app keeps in the session |
//! | `m` name | one value about the store: `epoch`, `ping`; `events` trail: the latest audit events |
//!
//! sled splits its nodes by the number of records, whatever their size, and each node costs memory,
//! time at every start, and room on the disk. So sessions are small, and those of one account, who
//! come and go together, share a record: ten million sessions of a million people are a million
//! records. There is no index by expiry either: it would cost as much as the sessions themselves,
//! and the sweep can walk instead.
//!
//! A record is one version byte and what the kind's own file says. To change its form, raise the
//! version and keep reading the old one; ids that stand in the key are not repeated in the value.
//!
//! | file | what it holds |
//! |---|---|
//! | `account` | the value of an account |
//! | `attempts` | attempts at passwords, in a table that cannot grow beyond its bounds |
//! | `audit` | audit events, several in one record |
//! | `session` | the bytes of one session |
//! | `page` | several sessions in one record |
//! | `variables` | the variables of a session |
//! | `user_agent` | what browsers call themselves, in a few bytes |

mod account;
mod attempts;
mod audit;
mod page;
mod session;
mod user_agent;
mod variables;

pub(super) use self::{
    account::AccountRecord,
    attempts::{Bucket, KEY_BYTES as BUCKET_KEY_BYTES, bucket_key},
    audit::{
        EventPage, MOST as EVENTS_IN_PAGE, decode as decode_event, encode as encode_event,
        open_page_key as open_events_key, page_key as events_key, pages_prefix as events_prefix,
        trail_of as events_trail,
    },
    page::{EMPTY as EMPTY_PAGE, Entry, MOST as MOST_IN_PAGE, Page, loses_a_session},
    session::SessionRecord,
    user_agent::{shortened, whole as whole_user_agent},
    variables::{decode as decode_variables, encode as encode_variables},
};
use super::{Result, StoreError};
use crate::model::{AccountId, Email, SessionId};

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
/// The prefix of the keys of all attempts at passwords.
pub(super) const ATTEMPTS: &[u8] = b"t";
/// The prefix of the keys of all session variables.
pub(super) const VARIABLES: &[u8] = b"v";
/// The prefix of the keys of all full pages of audit events.
pub(super) const EVENTS: &[u8] = b"u";
/// The prefix of the keys of the latest pages of audit events. They change with each event: far from
/// the full ones, sled does not write those again and again beside them.
pub(super) const OPEN_EVENTS: &[u8] = b"mevents";
/// Where the epoch is kept: sessions of an earlier one are dead.
pub(super) const EPOCH: &[u8] = b"mepoch";
/// Written for no other reason than to see whether writing works.
pub(super) const PING: &[u8] = b"mping";

pub(super) fn account_key(id: AccountId) -> Key {
    [ACCOUNTS, id.as_bytes()].concat()
}

pub(super) fn email_key(email: &Email) -> Key {
    [EMAILS, email.as_str().as_bytes()].concat()
}

/// The e-mail whose key this is.
pub(super) fn decode_email_key(key: &[u8]) -> Result<Email> {
    let text = key.strip_prefix(EMAILS).and_then(|email| std::str::from_utf8(email).ok());
    let email = text.and_then(|text| Email::parse(text).ok());
    email.ok_or_else(|| damaged("e-mail", "its key is no address"))
}

/// The key of a page of an account's sessions.
pub(super) fn sessions_key(account: AccountId, page: u16) -> Key {
    let first = [SESSIONS, account.as_bytes()].concat();
    if page == 0 { first } else { [first.as_slice(), &page.to_be_bytes()].concat() }
}

/// The account whose sessions are in the page with this key.
pub(super) fn sessions_owner(key: &[u8]) -> Result<AccountId> {
    let owner = key.strip_prefix(SESSIONS).and_then(|ids| {
        let (account, number) = ids.split_first_chunk()?;
        matches!(number.len(), 0 | 2).then(|| AccountId::from_bytes(*account))
    });
    owner.ok_or_else(|| damaged("session", "its key is not of the right length"))
}

/// What the keys of the variables of all sessions of an account begin with.
pub(super) fn variables_of(account: AccountId) -> Key {
    [VARIABLES, account.as_bytes()].concat()
}

/// The key of a session's variables.
pub(super) fn variables_key(account: AccountId, id: SessionId) -> Key {
    [VARIABLES, account.as_bytes(), id.as_bytes()].concat()
}

/// The session whose variables are at this key.
pub(super) fn variables_owner(key: &[u8]) -> Result<(AccountId, SessionId)> {
    let owner = key.strip_prefix(VARIABLES).and_then(|ids| {
        let (account, id) = ids.split_first_chunk()?;
        Some((AccountId::from_bytes(*account), SessionId::from_bytes(id.try_into().ok()?)))
    });
    owner.ok_or_else(|| damaged("variables", "their key is not of the right length"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::from_millis;

    #[test]
    fn what_is_not_a_value_is_damaged() {
        assert!(decode_epoch(&[1]).is_err());
        assert!(decode_account_id(&[1]).is_err());
    }

    #[test]
    fn pages_of_one_account_lie_side_by_side_in_their_order() {
        let account = AccountId::new(from_millis(1_790_000_000_000));
        let keys = [0, 1, 255, 256].map(|page| sessions_key(account, page));
        assert!(keys.is_sorted());
        for key in &keys {
            assert!(key.starts_with(&keys[0]));
            assert_eq!(sessions_owner(key).unwrap(), account);
            assert!(sessions_owner(&key[1..]).is_err());
        }
        assert!(sessions_owner(&keys[1][..18]).is_err());
    }
}
