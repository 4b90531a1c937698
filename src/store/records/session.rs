//! The bytes of one session: a postcard value of numbers that are mostly small.
//!
//! Moments are kept as the distance, in milliseconds, from another moment of the same session: the
//! log-in from the time in the session's id, the last use from the log-in, the idle end from the
//! last use. Distances may be negative, and wrap: whatever a backup holds comes back as it was.
//!
//! Behind that value stand the visits by the day, to the end: how many days the latest with a visit
//! lies before that of the last use, and the visits of it, of the day before, and so on. Nothing
//! stands there while there is none, as in all sessions of before they were counted so.

use serde::{Deserialize, Serialize};

use super::{Result, damaged, user_agent};
use crate::model::{
    AccountId, Session, SessionId, Timestamp, Transport, VisitDays,
    clock::from_millis,
    days::{KEPT_DAYS, day_of},
    session::Chain,
};

/// What a session takes without its user agent.
const TYPICAL_BYTES: usize = 52;

/// A session as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct SessionRecord {
    pub(in crate::store) session: Session,
    /// The epoch it was made in.
    pub(in crate::store) epoch: u64,
    /// Its visits of the latest days.
    pub(in crate::store) days: VisitDays,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    epoch: u64,
    /// The log-in, after the time in the id.
    created: i64,
    /// The last use, after the log-in.
    seen: i64,
    /// The absolute end, after the log-in.
    expires: i64,
    /// The idle end, after the last use.
    idle_expires: i64,
    visits: u64,
    /// The chain's number, before the visits.
    number: i64,
    /// When the chain got there, before the last use.
    number_at: i64,
    /// Where the chain rested, before its number.
    left: i64,
    /// When it left, before it got to its number.
    left_at: i64,
    remember: bool,
    transport: Transport,
    #[serde(borrow)]
    user_agent: &'a [u8],
    /// After the log-in.
    copied: Option<i64>,
}

impl SessionRecord {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let Self { session, epoch, days } = self;
        let chain = &session.chain;
        let user_agent = user_agent::shortened(&session.user_agent);
        let created_at = session.created_at;
        let stored = Stored {
            epoch: *epoch,
            created: millis(created_at).wrapping_sub(time_of(session.id)),
            seen: distance(created_at, session.last_seen_at),
            expires: distance(created_at, session.expires_at),
            idle_expires: distance(session.last_seen_at, session.idle_expires_at),
            visits: session.visits,
            number: fewer(session.visits, chain.number),
            number_at: distance(chain.at, session.last_seen_at),
            left: fewer(chain.number, chain.left),
            left_at: distance(chain.left_at, chain.at),
            remember: session.remember,
            transport: session.transport,
            user_agent: &user_agent,
            copied: session.copied_at.map(|at| distance(created_at, at)),
        };
        let bytes = Vec::with_capacity(TYPICAL_BYTES + user_agent.len());
        let bytes =
            postcard::to_extend(&stored, bytes).map_err(|error| damaged("session", error))?;
        push_days(bytes, days, session.last_seen_at)
    }

    pub(super) fn decode(account: AccountId, id: SessionId, bytes: &[u8]) -> Result<Self> {
        let (stored, days): (Stored<'_>, _) =
            postcard::take_from_bytes(bytes).map_err(|error| damaged("session", error))?;
        let created = time_of(id).wrapping_add(stored.created);
        let seen = created.wrapping_add(stored.seen);
        let number_at = seen.wrapping_sub(stored.number_at);
        let number = stored.visits.wrapping_sub(stored.number.cast_unsigned());
        Ok(Self {
            session: Session {
                account,
                id,
                created_at: from_millis(created),
                expires_at: from_millis(created.wrapping_add(stored.expires)),
                idle_expires_at: from_millis(seen.wrapping_add(stored.idle_expires)),
                last_seen_at: from_millis(seen),
                visits: stored.visits,
                chain: Chain {
                    number,
                    at: from_millis(number_at),
                    left: number.wrapping_sub(stored.left.cast_unsigned()),
                    left_at: from_millis(number_at.wrapping_sub(stored.left_at)),
                },
                remember: stored.remember,
                transport: stored.transport,
                user_agent: user_agent::whole(stored.user_agent)?,
                copied_at: stored.copied.map(|after| from_millis(created.wrapping_add(after))),
            },
            epoch: stored.epoch,
            days: read_days(days, from_millis(seen))?,
        })
    }
}

fn push_days(bytes: Vec<u8>, days: &VisitDays, seen: Timestamp) -> Result<Vec<u8>> {
    let (latest, counts) = days.parts();
    if counts.is_empty() {
        return Ok(bytes);
    }
    let before = day_of(seen) - latest;
    let first = postcard::to_extend(&before, bytes);
    let all = first.and_then(|first| {
        counts.iter().try_fold(first, |bytes, count| postcard::to_extend(count, bytes))
    });
    all.map_err(|error| damaged("session", error))
}

fn read_days(bytes: &[u8], seen: Timestamp) -> Result<VisitDays> {
    if bytes.is_empty() {
        return Ok(VisitDays::default());
    }
    let (before, mut rest): (i32, _) =
        postcard::take_from_bytes(bytes).map_err(|error| damaged("session", error))?;
    let (mut counts, mut kept) = ([0_u32; KEPT_DAYS], 0);
    while !rest.is_empty() {
        let count;
        (count, rest) =
            postcard::take_from_bytes(rest).map_err(|error| damaged("session", error))?;
        *counts.get_mut(kept).ok_or_else(|| damaged("session", "it has too many days"))? = count;
        kept += 1;
    }
    let latest = day_of(seen).checked_sub(before);
    let days = latest.and_then(|latest| VisitDays::from_parts(latest, &counts[..kept]));
    // Without a count there would be two ways to write that there is none.
    days.filter(|_| kept > 0).ok_or_else(|| damaged("session", "its days are none"))
}

fn millis(moment: Timestamp) -> i64 {
    moment.as_millisecond()
}

fn distance(from: Timestamp, to: Timestamp) -> i64 {
    millis(to).wrapping_sub(millis(from))
}

fn fewer(than: u64, number: u64) -> i64 {
    than.wrapping_sub(number).cast_signed()
}

/// The time in a UUIDv7, its first 48 bits. Of an id of another kind, some number.
fn time_of(id: SessionId) -> i64 {
    let bytes = id.as_bytes();
    bytes[..6].iter().fold(0, |time, byte| time << 8 | i64::from(*byte))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{model::days::tests::any_days, store::StoreError};

    const NOW: i64 = 1_790_000_000_000;

    fn any_moment() -> impl Strategy<Value = Timestamp> {
        prop_oneof![
            8 => (NOW - 10_000_000..NOW + 10_000_000_000).prop_map(from_millis),
            1 => Just(Timestamp::MIN),
            1 => Just(from_millis(Timestamp::MAX.as_millisecond())),
        ]
    }

    fn any_number() -> impl Strategy<Value = u64> {
        prop_oneof![0..1_000_u64, any::<u64>()]
    }

    prop_compose! {
        pub(in super::super) fn any_record()(
            id in any::<[u8; 16]>(),
            times in prop::collection::vec(any_moment(), 6),
            numbers in prop::collection::vec(any_number(), 4),
            remember in any::<bool>(),
            user_agent in ".{0,80}",
            copied_at in prop::option::of(any_moment()),
            days in any_days(),
        ) -> SessionRecord {
            SessionRecord {
                session: Session {
                    account: AccountId::from_bytes([7; 16]),
                    id: SessionId::from_bytes(id),
                    created_at: times[0],
                    expires_at: times[1],
                    idle_expires_at: times[2],
                    last_seen_at: times[3],
                    visits: numbers[0],
                    chain: Chain {
                        number: numbers[1],
                        at: times[4],
                        left: numbers[2],
                        left_at: times[5],
                    },
                    remember,
                    transport: if remember { Transport::Cookie } else { Transport::Bearer },
                    user_agent,
                    copied_at,
                },
                epoch: numbers[3],
                days,
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_session_comes_back(record in any_record()) {
            let bytes = record.encode().unwrap();
            let Session { account, id, .. } = record.session;
            prop_assert_eq!(SessionRecord::decode(account, id, &bytes).unwrap(), record);
            for bad in [&bytes[1..], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
                match SessionRecord::decode(account, id, bad) {
                    Err(StoreError::Damaged { kind: "session", .. }) => {}
                    // A byte less at the front can make another session, never this one.
                    other => prop_assert_ne!(other.unwrap().encode().unwrap(), bytes.clone()),
                }
            }
        }
    }

    #[test]
    fn a_session_of_a_browser_is_small() {
        let now = from_millis(NOW);
        let mut record = SessionRecord {
            session: Session {
                account: AccountId::new(now),
                id: SessionId::new(now),
                created_at: now,
                expires_at: from_millis(NOW + 30 * 86_400_000),
                idle_expires_at: from_millis(NOW + 15 * 86_400_000),
                last_seen_at: from_millis(NOW + 86_400_000),
                visits: 300,
                chain: Chain {
                    number: 299,
                    at: from_millis(NOW + 86_400_000),
                    left: 250,
                    left_at: from_millis(NOW + 80_000_000),
                },
                remember: true,
                transport: Transport::Cookie,
                user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, \
                             like Gecko) Chrome/143.0.0.0 Safari/537.36"
                    .to_owned(),
                copied_at: None,
            },
            epoch: 3,
            days: VisitDays::default(),
        };
        let bytes = record.encode().unwrap().len();
        assert!(bytes <= 48, "{bytes} bytes");
        // All on one day, as nearly always: one byte for the day, and the count.
        record.days = VisitDays::from_parts(day_of(record.session.last_seen_at), &[100]).unwrap();
        assert_eq!(record.encode().unwrap().len(), bytes + 2);
    }

    #[test]
    fn days_that_are_none_are_damaged() {
        let seen = from_millis(NOW);
        let days = VisitDays::from_parts(day_of(seen) - 3, &[5, 0, 300]).unwrap();
        let good = push_days(Vec::new(), &days, seen).unwrap();
        assert_eq!(good, [6, 5, 0, 172, 2]);
        assert_eq!(read_days(&good, seen).unwrap(), days);
        assert_eq!(read_days(&[], seen).unwrap(), VisitDays::default());
        let most = [&[0][..], &[1; KEPT_DAYS]].concat();
        assert!(read_days(&most, seen).is_ok());
        let more = [&most[..], &[1]].concat();
        let endless = [255; 5];
        let none = postcard::to_allocvec(&day_of(seen)).unwrap();
        for bad in [&good[..1], &good[..3], &good[..4], &[0, 0], &[0, 1, 0], &more, &endless, &none]
        {
            assert!(read_days(bad, seen).is_err(), "{bad:?}");
        }
    }
}
