//! Attempts at a password: counted, looked up, forgotten.

use jiff::SignedDuration;

use super::audit;
use crate::{
    model::{AttemptKey, Attempts, AuditEvent, Timestamp, clock::later},
    store::{
        AuditBounds, Result,
        records::{self, Bucket},
        view::{Read, Write},
    },
};

pub(in crate::store) fn find(
    r: &dyn Read,
    keys: &[AttemptKey],
    now: Timestamp,
) -> Result<Vec<Attempts>> {
    let none = Attempts { count: 0, until: now };
    keys.iter().map(|key| Ok(load(r, *key)?.find(*key, now).unwrap_or(none))).collect()
}

pub(in crate::store) fn count(
    w: &mut dyn Write,
    keys: &[AttemptKey],
    window: SignedDuration,
    now: Timestamp,
    event: Option<&AuditEvent>,
    bounds: AuditBounds,
) -> Result<()> {
    for key in keys {
        let mut bucket = load(w, *key)?;
        bucket.count(*key, now, later(now, window));
        save(w, records::bucket_key(*key), &bucket)?;
    }
    event.map_or(Ok(()), |event| audit::append(w, event, bounds))
}

/// Whether there is something to forget.
pub(in crate::store) fn is_known(r: &dyn Read, key: AttemptKey) -> Result<bool> {
    Ok(load(r, key)?.forget(key))
}

pub(in crate::store) fn forget(w: &mut dyn Write, key: AttemptKey) -> Result<()> {
    let mut bucket = load(w, key)?;
    if bucket.forget(key) {
        save(w, records::bucket_key(key), &bucket)?;
    }
    Ok(())
}

/// Forgets what is over in a bucket, for the sweep.
pub(super) fn forget_over(w: &mut dyn Write, bucket_key: &[u8], now: Timestamp) -> Result<()> {
    let Some(value) = w.get(bucket_key)? else {
        return Ok(());
    };
    let mut bucket = Bucket::decode(&value)?;
    if bucket.forget_over(now) {
        save(w, bucket_key.to_vec(), &bucket)?;
    }
    Ok(())
}

fn load(r: &dyn Read, key: AttemptKey) -> Result<Bucket> {
    let value = r.get(&records::bucket_key(key))?;
    value.map_or_else(|| Ok(Bucket::default()), |value| Bucket::decode(&value))
}

fn save(w: &mut dyn Write, key: records::Key, bucket: &Bucket) -> Result<()> {
    if bucket.is_empty() {
        w.remove(key);
    } else {
        w.put(key, bucket.encode()?);
    }
    Ok(())
}
