//! The bytes of each entry: one version byte and a postcard value, ids and all.
//!
//! They are not those of [`records`](crate::store::records) on purpose: the store's may change for
//! speed, and these must be read for ever.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{BackupError, BackupKey, BackupRecord, Entry, Header};
use crate::model::{
    Account, AccountId, AccountState, Actor, AuditEvent, AuditKind, AuditTrail, By, Email,
    PasswordHash, Role, Session, SessionId, Timestamp, Transport, VisitDays, clock::from_millis,
    session::Chain,
};

pub(super) const HEADER: u8 = b'h';
pub(super) const KEY: u8 = b'k';
pub(super) const ACCOUNT: u8 = b'a';
pub(super) const SESSION: u8 = b's';
pub(super) const VARIABLES: u8 = b'v';
pub(super) const EPOCH: u8 = b'e';
pub(super) const EVENTS: u8 = b'u';
pub(super) const END: u8 = b'z';

/// The first byte of every payload but an account's and a session's.
const VERSION: u8 = 1;

/// The first byte of an account's: version 2 has the role behind what version 1 had, and version 3
/// the days behind that.
const ACCOUNT_VERSION: u8 = 3;
const ACCOUNT_WITHOUT_DAYS: u8 = 2;

/// The first byte of a session's: version 2 has the days behind what version 1 had.
const SESSION_VERSION: u8 = 2;

#[derive(Serialize, Deserialize)]
struct StoredHeader<'a> {
    created_at: i64,
    program: &'a str,
}

#[derive(Serialize, Deserialize)]
struct StoredKey<'a> {
    kid: &'a str,
    json: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct StoredAccount<'a> {
    id: [u8; 16],
    email: &'a str,
    password: &'a str,
    state: AccountState,
    created_at: i64,
    copied_at: Option<i64>,
    ended_visits: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredSession<'a> {
    account: [u8; 16],
    id: [u8; 16],
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

/// The latest day with a visit, in days after 1970-01-01, and the visits of it, of the day before, and
/// so on.
type StoredDays = (i32, Vec<u32>);

#[derive(Serialize, Deserialize)]
struct StoredVariables<'a> {
    account: [u8; 16],
    session: [u8; 16],
    #[serde(borrow)]
    variables: Vec<(&'a str, &'a [u8])>,
}

#[derive(Serialize, Deserialize)]
struct StoredEvents<'a> {
    trail: &'a str,
    first: u64,
    #[serde(borrow)]
    events: Vec<StoredEvent<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredEvent<'a> {
    at: i64,
    what: &'a str,
    actor: StoredActor,
    from: Option<IpAddr>,
    account: Option<[u8; 16]>,
    session: Option<[u8; 16]>,
    replaced: Option<[u8; 16]>,
    ended: u64,
}

#[derive(Serialize, Deserialize)]
enum StoredActor {
    Unknown,
    CommandLine,
    Account([u8; 16]),
}

/// The kind of an entry and its payload.
pub(super) fn encode(entry: &Entry) -> (u8, Zeroizing<Vec<u8>>) {
    match entry {
        Entry::Key(key) => (KEY, bytes(&StoredKey { kid: &key.kid, json: &key.json })),
        Entry::Record(BackupRecord::Epoch(epoch)) => (EPOCH, bytes(epoch)),
        Entry::Record(BackupRecord::Variables { account, session, variables }) => {
            let stored = StoredVariables {
                account: *account.as_bytes(),
                session: *session.as_bytes(),
                variables: variables.iter().collect(),
            };
            (VARIABLES, bytes(&stored))
        }
        Entry::Record(BackupRecord::Events { trail, first, events }) => {
            let events = events.iter().map(stored_event).collect();
            (EVENTS, bytes(&StoredEvents { trail: trail_name(*trail), first: *first, events }))
        }
        Entry::Record(BackupRecord::Account { account, ended_visits, ended_days }) => {
            let stored = StoredAccount {
                id: *account.id.as_bytes(),
                email: account.email.as_str(),
                password: account.password.as_str(),
                state: account.state,
                created_at: account.created_at.as_millisecond(),
                copied_at: account.copied_at.map(Timestamp::as_millisecond),
                ended_visits: *ended_visits,
            };
            (ACCOUNT, versioned(ACCOUNT_VERSION, &(stored, account.role, ended_days.parts())))
        }
        Entry::Record(BackupRecord::Session { session, epoch, days }) => {
            let stored = StoredSession {
                account: *session.account.as_bytes(),
                id: *session.id.as_bytes(),
                epoch: *epoch,
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
            };
            (SESSION, versioned(SESSION_VERSION, &(stored, days.parts())))
        }
    }
}

/// The entry of a frame that is neither the first nor the last.
pub(super) fn decode(kind: u8, payload: &[u8]) -> Result<Entry, BackupError> {
    match kind {
        KEY => {
            let StoredKey { kid, json } = value(payload)?;
            let json = Zeroizing::new(json.to_vec());
            Ok(Entry::Key(BackupKey { kid: kid.to_owned(), json }))
        }
        EPOCH => Ok(Entry::Record(BackupRecord::Epoch(value(payload)?))),
        ACCOUNT => {
            let (stored, role, days) = match payload.split_first() {
                // Before there were roles.
                Some((&VERSION, rest)) => (whole(rest)?, Role::Member, StoredDays::default()),
                Some((&ACCOUNT_WITHOUT_DAYS, rest)) => {
                    let (stored, role) = whole(rest)?;
                    (stored, role, StoredDays::default())
                }
                Some((&ACCOUNT_VERSION, rest)) => whole(rest)?,
                Some(_) => return Err(BackupError::Unknown),
                None => return Err(EMPTY),
            };
            account(&stored, role, &days).map(Entry::Record)
        }
        VARIABLES => Ok(Entry::Record(variables(&value(payload)?))),
        SESSION => {
            let (stored, days) = match payload.split_first() {
                Some((&VERSION, rest)) => (whole(rest)?, StoredDays::default()),
                Some((&SESSION_VERSION, rest)) => whole(rest)?,
                Some(_) => return Err(BackupError::Unknown),
                None => return Err(EMPTY),
            };
            session(&stored, &days).map(Entry::Record)
        }
        EVENTS => events(&value(payload)?).map(Entry::Record),
        HEADER => Err(BackupError::Damaged("it begins twice")),
        _ => Err(BackupError::Unknown),
    }
}

fn trail_name(trail: AuditTrail) -> &'static str {
    match trail {
        AuditTrail::Changes => "changes",
        AuditTrail::Others => "others",
    }
}

fn stored_event(event: &AuditEvent) -> StoredEvent<'static> {
    StoredEvent {
        at: event.at.as_millisecond(),
        what: event.what.code(),
        actor: match event.by.actor {
            Actor::Unknown => StoredActor::Unknown,
            Actor::CommandLine => StoredActor::CommandLine,
            Actor::Account(id) => StoredActor::Account(*id.as_bytes()),
        },
        from: event.by.from,
        account: event.account.map(|id| *id.as_bytes()),
        session: event.session.map(|id| *id.as_bytes()),
        replaced: event.replaced.map(|id| *id.as_bytes()),
        ended: event.ended,
    }
}

fn events(stored: &StoredEvents<'_>) -> Result<BackupRecord, BackupError> {
    let trail = AuditTrail::ALL.into_iter().find(|trail| trail_name(*trail) == stored.trail);
    let event = |stored: &StoredEvent<'_>| {
        Some(AuditEvent {
            at: from_millis(stored.at),
            what: AuditKind::of_code(stored.what)?,
            by: By {
                actor: match stored.actor {
                    StoredActor::Unknown => Actor::Unknown,
                    StoredActor::CommandLine => Actor::CommandLine,
                    StoredActor::Account(id) => Actor::Account(AccountId::from_bytes(id)),
                },
                from: stored.from,
            },
            account: stored.account.map(AccountId::from_bytes),
            session: stored.session.map(SessionId::from_bytes),
            replaced: stored.replaced.map(SessionId::from_bytes),
            ended: stored.ended,
        })
    };
    let events: Option<_> = stored.events.iter().map(event).collect();
    match (trail, events) {
        (Some(trail), Some(events)) => {
            Ok(BackupRecord::Events { trail, first: stored.first, events })
        }
        // Of a kind that a later version has.
        _ => Err(BackupError::Unknown),
    }
}

fn visit_days((latest, counts): &StoredDays) -> Result<VisitDays, BackupError> {
    VisitDays::from_parts(*latest, counts).ok_or(BackupError::Damaged("visits by the day"))
}

fn account(
    stored: &StoredAccount<'_>,
    role: Role,
    days: &StoredDays,
) -> Result<BackupRecord, BackupError> {
    let email =
        Email::parse(stored.email).map_err(|_| BackupError::Damaged("an e-mail address"))?;
    Ok(BackupRecord::Account {
        account: Account {
            id: AccountId::from_bytes(stored.id),
            email,
            password: PasswordHash::new(stored.password.to_owned()),
            state: stored.state,
            role,
            created_at: from_millis(stored.created_at),
            copied_at: stored.copied_at.map(from_millis),
        },
        ended_visits: stored.ended_visits,
        ended_days: visit_days(days)?,
    })
}

fn session(stored: &StoredSession<'_>, days: &StoredDays) -> Result<BackupRecord, BackupError> {
    Ok(BackupRecord::Session {
        session: Session {
            account: AccountId::from_bytes(stored.account),
            id: SessionId::from_bytes(stored.id),
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
        days: visit_days(days)?,
    })
}

fn variables(stored: &StoredVariables<'_>) -> BackupRecord {
    let owned = |(name, value): &(&str, &[u8])| ((*name).to_owned(), value.to_vec());
    BackupRecord::Variables {
        account: AccountId::from_bytes(stored.account),
        session: SessionId::from_bytes(stored.session),
        variables: stored.variables.iter().map(owned).collect(),
    }
}

pub(super) fn encode_header(header: &Header) -> Zeroizing<Vec<u8>> {
    bytes(&StoredHeader {
        created_at: header.created_at.as_millisecond(),
        program: &header.program,
    })
}

pub(super) fn decode_header(payload: &[u8]) -> Result<Header, BackupError> {
    let stored: StoredHeader<'_> = value(payload)?;
    Ok(Header { created_at: from_millis(stored.created_at), program: stored.program.to_owned() })
}

const EMPTY: BackupError = BackupError::Damaged("an entry is empty");

fn bytes<T: Serialize>(stored: &T) -> Zeroizing<Vec<u8>> {
    versioned(VERSION, stored)
}

fn versioned<T: Serialize>(version: u8, stored: &T) -> Zeroizing<Vec<u8>> {
    let bytes = postcard::to_extend(stored, vec![version]);
    Zeroizing::new(bytes.expect("plain values in memory can be written"))
}

fn value<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, BackupError> {
    match payload.split_first() {
        Some((&VERSION, rest)) => whole(rest),
        Some(_) => Err(BackupError::Unknown),
        None => Err(EMPTY),
    }
}

/// The value that the bytes are, to the last of them.
fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BackupError> {
    match postcard::take_from_bytes(bytes) {
        Ok((stored, [])) => Ok(stored),
        _ => Err(BackupError::Damaged("an entry cannot be read")),
    }
}
