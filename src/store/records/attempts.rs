//! Attempts in their table: a fixed number of buckets, each a record that has room for so many keys
//! and no more.
//!
//! Whoever makes up e-mails and has many addresses can count under as many keys as they like. The
//! table cannot grow beyond 65,536 times [`MOST`] of them, a million, in about 25 MB. A bucket
//! that is full forgets the key with the fewest attempts, so that a count that nearly reached its
//! limit is the last to go: to push one of ten out, an attacker needs ten attempts under each of
//! sixteen keys of that bucket, and the buckets of keys are as good as random.

use serde::{Deserialize, Serialize};

use super::{ATTEMPTS, Key, Result, Value, damaged};
use crate::model::{AttemptKey, Attempts, Timestamp, clock::from_millis};

/// The first byte of the value.
const VERSION: u8 = 1;

/// How many bytes of a key choose its bucket. The rest stands in it.
const PREFIX: usize = 2;

/// How long the key of a bucket is.
pub(in crate::store) const KEY_BYTES: usize = ATTEMPTS.len() + PREFIX;

/// How many buckets there are.
#[cfg(test)]
const BUCKETS: usize = 1 << (8 * PREFIX);

/// How many keys a bucket has room for.
pub(in crate::store) const MOST: usize = 16;

/// A bucket as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Bucket(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    rest: [u8; REST],
    attempts: Attempts,
}

/// What of a key stands in its bucket.
const REST: usize = AttemptKey::BYTES - PREFIX;

#[derive(Serialize, Deserialize)]
struct Stored {
    rest: [u8; REST],
    count: u32,
    until: i64,
}

/// Where the bucket of a key is.
pub(in crate::store) fn bucket_key(key: AttemptKey) -> Key {
    [ATTEMPTS, &key.as_bytes()[..PREFIX]].concat()
}

impl Bucket {
    /// What was counted under the key, if that is not over at `now`.
    pub(in crate::store) fn find(&self, key: AttemptKey, now: Timestamp) -> Option<Attempts> {
        let found = self.0.iter().find(|entry| entry.rest == rest(key))?;
        Some(found.attempts).filter(|attempts| !attempts.is_over(now))
    }

    /// Counts one more under the key. If it is the first, all are forgotten at `until`.
    pub(in crate::store) fn count(&mut self, key: AttemptKey, now: Timestamp, until: Timestamp) {
        self.forget_over(now);
        let rest = rest(key);
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.rest == rest) {
            entry.attempts.count = entry.attempts.count.saturating_add(1);
            return;
        }
        if self.0.len() >= MOST {
            let fewest = self.0.iter().enumerate().min_by_key(|(_, entry)| {
                let Attempts { count, until } = entry.attempts;
                (count, until)
            });
            if let Some((at, _)) = fewest {
                self.0.swap_remove(at);
            }
        }
        self.0.push(Entry { rest, attempts: Attempts { count: 1, until } });
    }

    /// Forgets what was counted under the key. Returns whether there was something.
    pub(in crate::store) fn forget(&mut self, key: AttemptKey) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.rest != rest(key));
        self.0.len() < before
    }

    /// Forgets what is over at `now`. Returns whether there was something.
    pub(in crate::store) fn forget_over(&mut self, now: Timestamp) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| !entry.attempts.is_over(now));
        self.0.len() < before
    }

    /// Whether nothing is in it: then it needs no record.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::store) fn encode(&self) -> Result<Value> {
        let stored: Vec<_> = self
            .0
            .iter()
            .map(|Entry { rest, attempts }| Stored {
                rest: *rest,
                count: attempts.count,
                until: attempts.until.as_millisecond(),
            })
            .collect();
        postcard::to_extend(&stored, vec![VERSION]).map_err(|error| damaged("attempts", error))
    }

    pub(in crate::store) fn decode(value: &[u8]) -> Result<Self> {
        let stored: Vec<Stored> = match value.split_first() {
            Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((stored, [])) => stored,
                Ok(_) => return Err(damaged("attempts", "bytes are left over")),
                Err(error) => return Err(damaged("attempts", error)),
            },
            Some((version, _)) => {
                return Err(damaged("attempts", format!("it has version {version}")));
            }
            None => return Err(damaged("attempts", "it is empty")),
        };
        let entry = |Stored { rest, count, until }| Entry {
            rest,
            attempts: Attempts { count, until: from_millis(until) },
        };
        Ok(Self(stored.into_iter().map(entry).collect()))
    }
}

fn rest(key: AttemptKey) -> [u8; REST] {
    let mut rest = [0; REST];
    rest.copy_from_slice(&key.as_bytes()[PREFIX..]);
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    const NOW: i64 = 1_790_000_000_000;

    fn key(last: u8) -> AttemptKey {
        let mut bytes = [7; AttemptKey::BYTES];
        bytes[AttemptKey::BYTES - 1] = last;
        AttemptKey::from_bytes(bytes)
    }

    fn at(seconds: i64) -> Timestamp {
        from_millis(NOW + seconds * 1_000)
    }

    #[test]
    fn a_full_bucket_stays_small_and_forgets_the_fewest() {
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            bucket.count(key(0), at(0), at(900));
        }
        bucket.count(key(1), at(1), at(901));
        // Sixteen places: the fourteen that are left, and then one after the other of the rest.
        for n in 2..200 {
            bucket.count(key(n), at(2), at(902));
            assert!(bucket.0.len() <= MOST);
        }
        let count = |n| bucket.find(key(n), at(3)).map(|attempts| attempts.count);
        assert_eq!(count(0), Some(3), "who tried most is remembered");
        assert_eq!(count(1), None, "of those who tried once, the one that ends first goes");
        assert_eq!(count(199), Some(1));
        let bytes = bucket.encode().unwrap().len() + KEY_BYTES;
        assert!(bytes * BUCKETS <= 25_000_000, "{bytes} bytes in each of {BUCKETS} buckets");
    }

    #[test]
    fn a_bucket_comes_back_as_it_was_and_what_is_none_is_damaged() {
        let mut bucket = Bucket::default();
        bucket.count(key(1), at(0), at(900));
        bucket.count(key(2), at(0), at(600));
        let good = bucket.encode().unwrap();
        assert_eq!(Bucket::decode(&good).unwrap(), bucket);
        let mut newer = good.clone();
        newer[0] = VERSION + 1;
        let longer = [&good[..], &[0]].concat();
        for bad in [&[] as &[u8], &good[..good.len() - 1], &newer, &longer] {
            let error = Bucket::decode(bad).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { kind: "attempts", .. }));
        }
    }
}
