//! The backup of every version that ever was opens in this one.
//!
//! `tests/records/v1.backup` was written by version 0.1.0, with
//! `cargo test --test it write_v1_backup -- --ignored`. It is never written anew: a new format gets
//! a file of its own beside it, and so did what came later: the roles of accounts (`v1-roles.backup`),
//! the audit events (`v1-events.backup`), the session variables (`v1-variables.backup`) and the visits by
//! the day (`v1-days.backup`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign::{
    model::{
        Account, AccountId, AccountState, Actor, AuditEvent, AuditKind, AuditTrail, By, Email,
        PasswordHash, Role, Session, SessionId, Transport, VisitDays, clock::from_millis,
        session::Chain,
    },
    store::{
        AuditFilter, BackupRecord, Store,
        backup::{BackupKey, Encoder, Entry, Header},
    },
};

use super::{done, open, read, run};
use crate::{store_contract::backup::export, store_world::visit_days};

const NOW: i64 = 1_790_000_000_000;

fn path() -> PathBuf {
    record("v1.backup")
}

fn record(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(name)
}

fn events_path() -> PathBuf {
    record("v1-events.backup")
}

fn variables_path() -> PathBuf {
    path().with_file_name("v1-variables.backup")
}

fn header() -> Header {
    Header { created_at: from_millis(NOW), program: "0.1.0".to_owned() }
}

fn records() -> Vec<BackupRecord> {
    let (ann, bob) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
    let account = |id, email: &str, state, copied_at, ended_visits| BackupRecord::Account {
        account: Account {
            id,
            email: Email::parse(email).unwrap(),
            password: PasswordHash::new("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA".into()),
            state,
            role: Role::Member,
            created_at: from_millis(NOW - 1),
            copied_at,
        },
        ended_visits,
        ended_days: VisitDays::default(),
    };
    let session = |account, id, transport, visits, epoch| BackupRecord::Session {
        session: Session {
            account,
            id: SessionId::from_bytes([id; 16]),
            created_at: from_millis(NOW),
            expires_at: from_millis(NOW + 43_200_000),
            idle_expires_at: from_millis(NOW + 1_800_000),
            last_seen_at: from_millis(NOW + 2),
            visits,
            chain: Chain {
                number: visits.saturating_sub(1),
                at: from_millis(NOW + 1),
                left: visits.saturating_sub(2),
                left_at: from_millis(NOW),
            },
            remember: visits > 0,
            transport,
            user_agent: "Mozilla/5.0 (ä)".to_owned(),
            copied_at: (visits > 0).then(|| from_millis(NOW - 7)),
        },
        epoch,
        days: VisitDays::default(),
    };
    vec![
        BackupRecord::Epoch(3),
        account(ann, "ann@example.com", AccountState::Active, Some(from_millis(NOW - 9)), 70_000),
        account(bob, "bob@example.com", AccountState::Disabled, None, 0),
        session(ann, 3, Transport::Cookie, 300, 3),
        session(ann, 4, Transport::Bearer, 0, 3),
        session(bob, 5, Transport::Cookie, u64::MAX, 2),
    ]
}

/// Every kind of event there was then, by everybody, from everywhere.
fn events() -> Vec<BackupRecord> {
    let (ann, bob) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
    let session = SessionId::from_bytes([3; 16]);
    let event = |n: usize, what: AuditKind| {
        let actor = [Actor::Unknown, Actor::CommandLine, Actor::Account(ann), Actor::Account(bob)];
        let from = [None, Some([192, 0, 2, 1].into()), "2001:db8::1".parse().ok()];
        AuditEvent {
            at: from_millis(NOW + i64::try_from(n).unwrap()),
            what,
            by: By { actor: actor[n % 4], from: from[n % 3] },
            account: (n.is_multiple_of(2)).then_some(ann),
            session: (n.is_multiple_of(3)).then_some(session),
            replaced: (n.is_multiple_of(5)).then_some(SessionId::from_bytes([4; 16])),
            ended: if n.is_multiple_of(7) { u64::MAX } else { n as u64 },
        }
    };
    let runs = AuditTrail::ALL.map(|trail| {
        // Those before 64 are gone already.
        let kinds = AuditKind::ALL.iter().filter(|kind| kind.number() <= 20);
        let of_it = kinds.filter(|kind| kind.trail() == trail);
        let events = of_it.enumerate().map(|(n, kind)| event(n, *kind)).collect();
        BackupRecord::Events { trail, first: 64, events }
    });
    runs.to_vec()
}

/// All that a session of ann's may keep, and one of bob's that keeps little.
fn variables() -> Vec<BackupRecord> {
    let of = |account, session, variables: Vec<(String, Vec<u8>)>| BackupRecord::Variables {
        account: AccountId::from_bytes([account; 16]),
        session: SessionId::from_bytes([session; 16]),
        variables: variables.into_iter().collect(),
    };
    let many = (0..64).map(|n| (format!("variable {n}"), vec![n; 200])).collect();
    vec![of(1, 3, many), of(2, 5, vec![("größe".to_owned(), b"\"XL\"".to_vec())])]
}

/// The key of RFC 8037, appendix A: everybody knows it.
fn key() -> BackupKey {
    let json = r#"{
  "kty": "OKP",
  "crv": "Ed25519",
  "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
  "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
  "use": "sig",
  "alg": "EdDSA",
  "created_at": "2026-09-21T14:13:20Z"
}"#;
    let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".to_owned();
    BackupKey { kid, json: json.as_bytes().to_vec().into() }
}

#[test]
#[ignore = "was done once, with version 0.1.0"]
fn write_v1_backup() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes);
    encoder.add(&Entry::Key(key()), &mut bytes);
    for record in records() {
        encoder.add(&Entry::Record(record), &mut bytes);
    }
    encoder.finish(&mut bytes);
    assert!(!path().exists(), "it is never written anew");
    fs::write(path(), bytes).unwrap();
}

/// An administrator and a member.
fn people_with_roles() -> Vec<BackupRecord> {
    let mut records = records();
    records.retain(|record| matches!(record, BackupRecord::Account { .. }));
    if let Some(BackupRecord::Account { account, .. }) = records.first_mut() {
        account.role = Role::Admin;
    }
    records
}

#[test]
#[ignore = "was done once, when there came to be roles"]
fn write_v1_roles_backup() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes);
    for record in people_with_roles() {
        encoder.add(&Entry::Record(record), &mut bytes);
    }
    encoder.finish(&mut bytes);
    assert!(!record("v1-roles.backup").exists(), "it is never written anew");
    fs::write(record("v1-roles.backup"), bytes).unwrap();
}

#[test]
fn accounts_with_roles_are_read() {
    let (_, entries, _) = read(&fs::read(record("v1-roles.backup")).unwrap()).unwrap();
    let expected: Vec<_> = people_with_roles().into_iter().map(Entry::Record).collect();
    assert_eq!(entries, expected);
}

#[test]
#[ignore = "was done once, with version 0.1.0"]
fn write_v1_events_backup() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes);
    for record in events() {
        encoder.add(&Entry::Record(record), &mut bytes);
    }
    encoder.finish(&mut bytes);
    assert!(!events_path().exists(), "it is never written anew");
    fs::write(events_path(), bytes).unwrap();
}

#[tokio::test]
async fn the_first_audit_events_are_read_and_restored() {
    let (_, entries, _) = read(&fs::read(events_path()).unwrap()).unwrap();
    let expected: Vec<_> = events().into_iter().map(Entry::Record).collect();
    assert_eq!(entries, expected);
    let dir = tempfile::tempdir().unwrap();
    done(&run(dir.path(), &["restore", events_path().to_str().unwrap()]));
    let store = open(dir.path());
    assert_eq!(export(&store).await, events());
    let page = store.audit_events(&AuditFilter::default(), None, 100, from_millis(NOW + 99)).await;
    assert_eq!(page.unwrap().events.len(), 20);
    store.close().await.unwrap();
}

/// The same people with visits of two weeks: the most that there can be, and very few.
fn people_with_days() -> Vec<BackupRecord> {
    let latest = 20_717;
    let most = VisitDays::from_parts(latest, &[u32::MAX; 14]).unwrap();
    let few = VisitDays::from_parts(latest - 3, &[1, 0, 0, 128]).unwrap();
    let mut records = records();
    for record in &mut records {
        match record {
            BackupRecord::Account { ended_days, ended_visits, .. } if *ended_visits > 0 => {
                *ended_days = few;
            }
            BackupRecord::Session { days, session, .. } => match session.visits {
                0 => {}
                300 => *days = few,
                _ => *days = most,
            },
            _ => {}
        }
    }
    records
}

#[test]
#[ignore = "was done once, when visits came to be counted by the day"]
fn write_v1_days_backup() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes);
    for record in people_with_days() {
        encoder.add(&Entry::Record(record), &mut bytes);
    }
    encoder.finish(&mut bytes);
    assert!(!record("v1-days.backup").exists(), "it is never written anew");
    fs::write(record("v1-days.backup"), bytes).unwrap();
}

#[tokio::test]
async fn the_first_visits_by_the_day_are_read_and_restored() {
    let path = record("v1-days.backup");
    let (_, entries, _) = read(&fs::read(&path).unwrap()).unwrap();
    let expected: Vec<_> = people_with_days().into_iter().map(Entry::Record).collect();
    assert_eq!(entries, expected);
    let dir = tempfile::tempdir().unwrap();
    done(&run(dir.path(), &["restore", path.to_str().unwrap()]));
    let store = open(dir.path());
    assert_eq!(export(&store).await, people_with_days());
    let days = visit_days(&store, AccountId::from_bytes([1; 16])).await;
    assert_eq!(days.into_iter().collect::<Vec<_>>(), [(20_711, 256), (20_714, 2)]);
    store.close().await.unwrap();
}

#[test]
#[ignore = "was done once, with version 0.1.0"]
fn write_v1_variables_backup() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes);
    for record in records().into_iter().chain(variables()) {
        encoder.add(&Entry::Record(record), &mut bytes);
    }
    encoder.finish(&mut bytes);
    assert!(!variables_path().exists(), "it is never written anew");
    fs::write(variables_path(), bytes).unwrap();
}

#[tokio::test]
async fn the_first_session_variables_are_read_and_restored() {
    let (_, entries, _) = read(&fs::read(variables_path()).unwrap()).unwrap();
    let expected: Vec<_> = records().into_iter().chain(variables()).collect();
    assert_eq!(entries, expected.iter().cloned().map(Entry::Record).collect::<Vec<_>>());
    let dir = tempfile::tempdir().unwrap();
    done(&run(dir.path(), &["restore", variables_path().to_str().unwrap()]));
    let store = open(dir.path());
    assert_eq!(export(&store).await, expected);
    let (ann, session) = (AccountId::from_bytes([1; 16]), SessionId::from_bytes([3; 16]));
    let kept = store.variables(ann, session, from_millis(NOW + 3)).await.unwrap().unwrap();
    assert_eq!(kept.get("variable 63"), Some(&[63; 200][..]));
    store.close().await.unwrap();
}

#[test]
fn the_first_version_of_the_format_is_read() {
    let (found, entries, _) = read(&fs::read(path()).unwrap()).unwrap();
    assert_eq!(found, header());
    let expected: Vec<_> = std::iter::once(Entry::Key(key()))
        .chain(records().into_iter().map(Entry::Record))
        .collect();
    assert_eq!(entries, expected);
}

#[tokio::test]
async fn the_backup_of_the_first_version_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let said = done(&run(dir.path(), &["restore", path().to_str().unwrap()]));
    assert!(said.ends_with("accounts 2, sessions 3, signing keys 1\n"), "{said}");
    let listed = done(&run(dir.path(), &["keys", "list"]));
    assert!(listed.contains(&key().kid) && listed.contains("signing"), "{listed}");
    let store = open(dir.path());
    assert_eq!(export(&store).await, records());
    let ann = AccountId::from_bytes([1; 16]);
    let living = store.sessions(ann, from_millis(NOW + 3)).await.unwrap();
    assert_eq!(living.len(), 2);
    assert_eq!(store.total_visits(ann).await.unwrap(), 70_300);
    assert!(visit_days(&store, ann).await.is_empty(), "nobody knows when they were");
    store.close().await.unwrap();
}
