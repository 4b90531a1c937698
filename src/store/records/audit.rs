//! Audit events in their pages: some that followed one another, in one record.
//!
//! ```text
//! page  = version (1 byte), number (8 bytes, big-endian), event *
//! event = length (1 byte), a postcard value
//! ```
//!
//! Pages of a trail are numbered, and so are its events: an event's number is that of its page
//! times [`MOST`], and its place in it. The latest page has a key of its own and gets one with its
//! number when it is full, so that it can be found without looking for it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{EVENTS, Key, OPEN_EVENTS, Result, Value, damaged};
use crate::model::{
    AccountId, Actor, AuditEvent, AuditKind, AuditTrail, By, SessionId, clock::from_millis,
};

/// The first byte of the value.
const VERSION: u8 = 1;

/// How many events a page has room for. Each event writes the latest page anew: with 32 that is a
/// kilobyte on average, and a million events are 31,250 records.
pub(in crate::store) const MOST: u64 = 32;

/// What stands before the events.
const HEAD: usize = 1 + 8;

/// A page as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct EventPage(Value);

#[derive(Serialize, Deserialize)]
struct Stored {
    what: u8,
    at: i64,
    account: Option<[u8; 16]>,
    session: Option<[u8; 16]>,
    replaced: Option<[u8; 16]>,
    actor: StoredActor,
    from: Option<IpAddr>,
    ended: u64,
}

#[derive(Serialize, Deserialize)]
enum StoredActor {
    Unknown,
    CommandLine,
    /// The account that the event is about.
    Itself,
    Account([u8; 16]),
}

/// Where a page is that is full.
pub(in crate::store) fn page_key(trail: AuditTrail, number: u64) -> Key {
    [EVENTS, &[letter(trail)], &number.to_be_bytes()].concat()
}

/// What the keys of a trail's full pages begin with.
pub(in crate::store) fn pages_prefix(trail: AuditTrail) -> Key {
    [EVENTS, &[letter(trail)]].concat()
}

/// Where the latest page of a trail is.
pub(in crate::store) fn open_page_key(trail: AuditTrail) -> Key {
    [OPEN_EVENTS, &[letter(trail)]].concat()
}

/// The trail of the page with this key, if it is one's.
pub(in crate::store) fn trail_of(key: &[u8]) -> Option<AuditTrail> {
    let is_of = |trail: &AuditTrail| {
        key.strip_prefix(pages_prefix(*trail).as_slice()).is_some_and(|number| number.len() == 8)
            || key == open_page_key(*trail)
    };
    AuditTrail::ALL.into_iter().find(is_of)
}

const fn letter(trail: AuditTrail) -> u8 {
    match trail {
        AuditTrail::Changes => b'c',
        AuditTrail::Others => b'o',
    }
}

impl EventPage {
    /// An empty page.
    pub(in crate::store) fn empty(number: u64) -> Self {
        let mut value = vec![VERSION];
        value.extend_from_slice(&number.to_be_bytes());
        Self(value)
    }

    /// A page of these events.
    pub(in crate::store) fn of(number: u64, events: &[AuditEvent]) -> Result<Self> {
        let mut page = Self::empty(number);
        events.iter().try_for_each(|event| page.push(event))?;
        Ok(page)
    }

    /// The page with this value.
    pub(in crate::store) fn from_value(value: Value) -> Result<Self> {
        match value.first() {
            Some(&VERSION) if value.len() >= HEAD => Ok(Self(value)),
            Some(&VERSION) => Err(damaged("audit", "its page is cut off")),
            Some(version) => Err(damaged("audit", format!("its page has version {version}"))),
            None => Err(damaged("audit", "its page is empty")),
        }
    }

    pub(in crate::store) fn into_value(self) -> Value {
        self.0
    }

    /// Its number among the pages of its trail.
    pub(in crate::store) fn number(&self) -> u64 {
        self.0[1..HEAD].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// How many events are in it.
    pub(in crate::store) fn count(&self) -> Result<u64> {
        self.entries().try_fold(0, |count, entry| entry.map(|_| count + 1))
    }

    /// Puts one more behind the others. Whether there is room is its caller's to know.
    pub(in crate::store) fn push(&mut self, event: &AuditEvent) -> Result<()> {
        let bytes = encode(event)?;
        let length = u8::try_from(bytes.len()).map_err(|_| damaged("audit", "it is too long"))?;
        self.0.push(length);
        self.0.extend_from_slice(&bytes);
        Ok(())
    }

    /// Its events, in the order in which they happened.
    pub(in crate::store) fn events(&self) -> Result<Vec<AuditEvent>> {
        self.entries().map(|entry| decode(entry?)).collect()
    }

    /// The latest of its events.
    pub(in crate::store) fn last(&self) -> Result<Option<AuditEvent>> {
        self.entries().last().map(|entry| decode(entry?)).transpose()
    }

    /// Its events, unread.
    fn entries(&self) -> impl Iterator<Item = Result<&[u8]>> {
        let mut rest = &self.0[HEAD..];
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let entry = behind.split_at_checked(usize::from(*length));
            // After a damaged one nothing can be told from anything.
            rest = entry.map_or(&[], |(_, rest)| rest);
            Some(
                entry
                    .map(|(entry, _)| entry)
                    .ok_or_else(|| damaged("audit", "its page is cut off")),
            )
        })
    }
}

/// The bytes of one event.
pub(in crate::store) fn encode(event: &AuditEvent) -> Result<Vec<u8>> {
    let stored = Stored {
        what: event.what.number(),
        at: event.at.as_millisecond(),
        account: event.account.map(|id| *id.as_bytes()),
        session: event.session.map(|id| *id.as_bytes()),
        replaced: event.replaced.map(|id| *id.as_bytes()),
        actor: match event.by.actor {
            Actor::Unknown => StoredActor::Unknown,
            Actor::CommandLine => StoredActor::CommandLine,
            Actor::Account(id) if event.account == Some(id) => StoredActor::Itself,
            Actor::Account(id) => StoredActor::Account(*id.as_bytes()),
        },
        from: event.by.from,
        ended: event.ended,
    };
    postcard::to_allocvec(&stored).map_err(|error| damaged("audit", error))
}

/// The event that these bytes are.
pub(in crate::store) fn decode(bytes: &[u8]) -> Result<AuditEvent> {
    let stored: Stored = match postcard::take_from_bytes(bytes) {
        Ok((stored, [])) => stored,
        Ok(_) => return Err(damaged("audit", "bytes are left over")),
        Err(error) => return Err(damaged("audit", error)),
    };
    let account = stored.account.map(AccountId::from_bytes);
    let actor = match stored.actor {
        StoredActor::Unknown => Actor::Unknown,
        StoredActor::CommandLine => Actor::CommandLine,
        StoredActor::Itself => {
            Actor::Account(account.ok_or_else(|| damaged("audit", "who did it is missing"))?)
        }
        StoredActor::Account(id) => Actor::Account(AccountId::from_bytes(id)),
    };
    let what = AuditKind::of_number(stored.what)
        .ok_or_else(|| damaged("audit", format!("its kind has number {}", stored.what)))?;
    Ok(AuditEvent {
        at: from_millis(stored.at),
        what,
        by: By { actor, from: stored.from },
        account,
        session: stored.session.map(SessionId::from_bytes),
        replaced: stored.replaced.map(SessionId::from_bytes),
        ended: stored.ended,
    })
}

#[cfg(test)]
pub(in crate::store) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::StoreError;

    prop_compose! {
        pub(in crate::store) fn any_event()(
            at in prop_oneof![any::<i32>().prop_map(i64::from), 1_700_000_000_000..1_900_000_000_000_i64],
            what in prop::sample::select(AuditKind::ALL),
            actor in 0..4_u8,
            account in prop::option::of(any::<[u8; 16]>()),
            session in prop::option::of(any::<[u8; 16]>()),
            replaced in prop::option::of(any::<[u8; 16]>()),
            from in prop::option::of(any::<IpAddr>()),
            ended in prop_oneof![0..9_u64, any::<u64>()],
        ) -> AuditEvent {
            let account = account.map(AccountId::from_bytes);
            let actor = match (actor, account) {
                (0, _) => Actor::Unknown,
                (1, _) => Actor::CommandLine,
                (2, Some(account)) => Actor::Account(account),
                _ => Actor::Account(AccountId::from_bytes([7; 16])),
            };
            AuditEvent {
                at: from_millis(at),
                what,
                by: By { actor, from },
                account,
                session: session.map(SessionId::from_bytes),
                replaced: replaced.map(SessionId::from_bytes),
                ended,
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happened_comes_back(
            number in any::<u64>(),
            events in prop::collection::vec(any_event(), 0..=32),
            cut in 1..200_usize,
        ) {
            let mut page = EventPage::empty(number);
            for (count, event) in (0..).zip(&events) {
                prop_assert_eq!(page.count().unwrap(), count);
                page.push(event).unwrap();
                prop_assert_eq!(page.last().unwrap(), Some(*event));
            }
            prop_assert_eq!(page.number(), number);
            prop_assert_eq!(&EventPage::of(number, &events).unwrap(), &page);
            let value = page.into_value();
            let read = EventPage::from_value(value.clone()).unwrap();
            prop_assert_eq!(&read.events().unwrap(), &events);
            let mut longer = value.clone();
            longer.push(9);
            prop_assert!(EventPage::from_value(longer).unwrap().events().is_err());
            // What is cut off inside an event is noticed; between two, others are there.
            let short = value[..value.len() - cut.min(value.len() - HEAD)].to_vec();
            if let Ok(fewer) = EventPage::from_value(short).unwrap().events() {
                prop_assert_eq!(&fewer[..], &events[..fewer.len()]);
            }
        }

        #[test]
        fn an_event_of_a_person_is_small(event in any_event()) {
            let bytes = encode(&event).unwrap();
            prop_assert!(bytes.len() <= 110, "{} bytes", bytes.len());
            let short = bytes[..bytes.len() - 1].to_vec();
            let mut long = bytes.clone();
            long.push(0);
            for bad in [short, long] {
                let error = decode(&bad).unwrap_err();
                let is_damaged = matches!(error, StoreError::Damaged { kind: "audit", .. });
                prop_assert!(is_damaged);
            }
            let mut unknown = bytes;
            unknown[0] = 200;
            prop_assert!(decode(&unknown).is_err());
        }
    }

    #[test]
    fn pages_lie_in_their_order_and_know_their_trail() {
        for trail in AuditTrail::ALL {
            let keys = [0, 1, 255, 256, u64::MAX].map(|number| page_key(trail, number));
            assert!(keys.is_sorted());
            for key in keys.iter().chain([&open_page_key(trail)]) {
                assert_eq!(trail_of(key), Some(trail));
                assert_eq!(trail_of(&key[..key.len() - 1]), None);
            }
        }
        let mut newer = EventPage::empty(3).into_value();
        newer[0] = VERSION + 1;
        for bad in [Vec::new(), vec![VERSION], newer] {
            assert!(EventPage::from_value(bad).is_err());
        }
    }
}
