//! What a business step sees of a backend: ordered keys to read and, for a change, to write.
//!
//! A step never writes to a backend. It writes to an [`Overlay`], which remembers the [`Changes`]
//! and lets the step read what it wrote; the backend then takes the changes over whole, or, when
//! the step failed, not at all.

use std::{collections::BTreeMap, iter::Peekable};

use super::{
    Result,
    records::{Key, Value},
};

/// Records as of one moment.
pub(super) trait Read {
    /// The record at `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Value>>;

    /// The records whose keys begin with `prefix`, from the key `start` on, in the order of keys.
    fn scan<'a>(&'a self, prefix: &'a [u8], start: &[u8]) -> Scan<'a>;
}

/// Records that can be changed.
pub(super) trait Write: Read {
    /// Sets the record at `key`.
    fn put(&mut self, key: Key, value: Value);

    /// Removes the record at `key`.
    fn remove(&mut self, key: Key);
}

/// Records in the order of their keys.
pub(super) type Scan<'a> = Box<dyn Iterator<Item = Result<(Key, Value)>> + 'a>;

/// New values of records; `None` removes one.
pub(super) type Changes = BTreeMap<Key, Option<Value>>;

/// `base` as it is once `changes` are made.
pub(super) struct Layer<'a> {
    pub(super) base: &'a dyn Read,
    pub(super) changes: &'a Changes,
}

impl Read for Layer<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        changed(self.base, self.changes, key)
    }

    fn scan<'a>(&'a self, prefix: &'a [u8], start: &[u8]) -> Scan<'a> {
        merged(self.base, self.changes, prefix, start)
    }
}

/// The entries of `map` that a [`Read::scan`] asks for.
pub(super) fn range<'a, V>(
    map: &'a BTreeMap<Key, V>,
    prefix: &'a [u8],
    start: &[u8],
) -> impl Iterator<Item = (&'a Key, &'a V)> + use<'a, V> {
    let start = start.max(prefix).to_vec();
    map.range(start..).take_while(move |(key, _)| key.starts_with(prefix))
}

fn changed(base: &dyn Read, changes: &Changes, key: &[u8]) -> Result<Option<Value>> {
    match changes.get(key) {
        Some(value) => Ok(value.clone()),
        None => base.get(key),
    }
}

fn merged<'a>(
    base: &'a dyn Read,
    changes: &'a Changes,
    prefix: &'a [u8],
    start: &[u8],
) -> Scan<'a> {
    let base = base.scan(prefix, start);
    if changes.is_empty() {
        return base;
    }
    Box::new(Merged { base: base.peekable(), changes: range(changes, prefix, start).peekable() })
}

/// Two scans merged into one; where both have a key, the changes win.
struct Merged<'a, C: Iterator<Item = (&'a Key, &'a Option<Value>)>> {
    base: Peekable<Scan<'a>>,
    changes: Peekable<C>,
}

impl<'a, C: Iterator<Item = (&'a Key, &'a Option<Value>)>> Iterator for Merged<'a, C> {
    type Item = Result<(Key, Value)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((changed, _)) = self.changes.peek() else {
                return self.base.next();
            };
            match self.base.peek() {
                Some(Err(_)) => return self.base.next(),
                Some(Ok((key, _))) if key < *changed => return self.base.next(),
                Some(Ok((key, _))) if key == *changed => drop(self.base.next()),
                _ => {}
            }
            if let Some((key, Some(value))) = self.changes.next() {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    }
}

/// A base that is only read, and what a step changes of it.
pub(super) struct Overlay<'a> {
    base: &'a dyn Read,
    changes: Changes,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(base: &'a dyn Read) -> Self {
        Self { base, changes: Changes::new() }
    }

    pub(super) fn into_changes(self) -> Changes {
        self.changes
    }
}

impl Read for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        changed(self.base, &self.changes, key)
    }

    fn scan<'a>(&'a self, prefix: &'a [u8], start: &[u8]) -> Scan<'a> {
        merged(self.base, &self.changes, prefix, start)
    }
}

impl Write for Overlay<'_> {
    fn put(&mut self, key: Key, value: Value) {
        self.changes.insert(key, Some(value));
    }

    fn remove(&mut self, key: Key) {
        self.changes.insert(key, None);
    }
}

/// A plain map is the simplest store there is.
impl Read for BTreeMap<Key, Value> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        Ok(BTreeMap::get(self, key).cloned())
    }

    fn scan<'a>(&'a self, prefix: &'a [u8], start: &[u8]) -> Scan<'a> {
        Box::new(range(self, prefix, start).map(|(key, value)| Ok((key.clone(), value.clone()))))
    }
}

/// Makes `changes` in a plain map.
pub(super) fn apply(map: &mut BTreeMap<Key, Value>, changes: Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small_keys() -> impl Strategy<Value = Key> {
        prop::collection::vec(0_u8..3, 0..4)
    }

    proptest! {
        /// Whatever is changed over whatever there was, reading through the overlay is reading
        /// the map in which the changes were made.
        #[test]
        fn an_overlay_reads_as_if_its_changes_were_made(
            base in prop::collection::btree_map(small_keys(), small_keys(), 0..12),
            below in prop::collection::btree_map(small_keys(), prop::option::of(small_keys()), 0..8),
            above in prop::collection::btree_map(small_keys(), prop::option::of(small_keys()), 0..8),
            prefix in small_keys(),
            start in small_keys(),
        ) {
            let layer = Layer { base: &base, changes: &below };
            let mut overlay = Overlay::new(&layer);
            for (key, value) in &above {
                match value {
                    Some(value) => overlay.put(key.clone(), value.clone()),
                    None => overlay.remove(key.clone()),
                }
            }
            let mut made = base.clone();
            apply(&mut made, below.clone());
            apply(&mut made, above.clone());

            let seen: Result<Vec<_>> = overlay.scan(&prefix, &start).collect();
            let expected: Result<Vec<_>> = made.scan(&prefix, &start).collect();
            prop_assert_eq!(seen.unwrap(), expected.unwrap());
            prop_assert_eq!(overlay.get(&start).unwrap(), Read::get(&made, &start).unwrap());
        }
    }
}
