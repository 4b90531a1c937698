//! Which shard something is in, and where the shards are.

use crate::model::{AccountId, AttemptKey, Email};

/// How many shards a store over a cluster has, for ever: what is in them was dealt out by it.
pub const SHARDS: usize = 32;

/// The roots of the shards. The numbers behind the last hyphen were looked for: with them the slots
/// are evenly spaced, so that whichever equal parts the primaries of a cluster have, each has an equal
/// part of the shards.
pub(super) const ROOTS: [&str; SHARDS] = [
    "countersign:{store-00-71}",
    "countersign:{store-01-152}",
    "countersign:{store-02-129}",
    "countersign:{store-03-38}",
    "countersign:{store-04-125}",
    "countersign:{store-05-50}",
    "countersign:{store-06-19}",
    "countersign:{store-07-27}",
    "countersign:{store-08-45}",
    "countersign:{store-09-144}",
    "countersign:{store-10-120}",
    "countersign:{store-11-13}",
    "countersign:{store-12-27}",
    "countersign:{store-13-19}",
    "countersign:{store-14-32}",
    "countersign:{store-15-3}",
    "countersign:{store-16-37}",
    "countersign:{store-17-121}",
    "countersign:{store-18-17}",
    "countersign:{store-19-29}",
    "countersign:{store-20-33}",
    "countersign:{store-21-237}",
    "countersign:{store-22-44}",
    "countersign:{store-23-233}",
    "countersign:{store-24-139}",
    "countersign:{store-25-13}",
    "countersign:{store-26-245}",
    "countersign:{store-27-64}",
    "countersign:{store-28-126}",
    "countersign:{store-29-39}",
    "countersign:{store-30-245}",
    "countersign:{store-31-51}",
];

/// The shard of what has this name: its CRC-32 (ISO 3309, as in gzip), modulo [`SHARDS`]. Ids begin
/// with a time, so that their first bytes would not do.
///
/// The name of an account is its id, that of a claim the e-mail, that of attempts the first two bytes
/// of their key, which are their place in the table.
#[must_use]
pub fn shard_of(name: &[u8]) -> usize {
    crc32fast::hash(name) as usize % SHARDS
}

pub(super) fn of_account(id: AccountId) -> usize {
    shard_of(id.as_bytes())
}

pub(super) fn of_email(email: &Email) -> usize {
    shard_of(email.as_str().as_bytes())
}

pub(super) fn of_attempts(key: &AttemptKey) -> usize {
    shard_of(&key.as_bytes()[..2])
}

#[cfg(test)]
mod tests {
    use super::{super::super::finder::slot_of, *};

    #[test]
    fn each_shard_has_its_slot_in_its_own_part_of_all() {
        for (shard, root) in ROOTS.iter().enumerate() {
            let slot = usize::from(slot_of(root));
            assert_eq!(slot * SHARDS / 16_384, shard, "{root} has {slot}");
        }
    }

    #[test]
    fn names_are_dealt_out_evenly_and_for_ever() {
        assert_eq!(shard_of(b"123456789"), 0xcbf4_3926 % SHARDS);
        let mut counts = [0; SHARDS];
        for n in 0..32_000_u32 {
            // As ids that were made at one moment.
            let id = [&[7; 8][..], &n.to_be_bytes(), &[9; 4]].concat();
            counts[shard_of(&id)] += 1;
        }
        assert!(counts.iter().all(|count| (900..=1_100).contains(count)), "{counts:?}");
    }
}
