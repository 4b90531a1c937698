//! All records of one moment, read page by page while others go on changing them.
//!
//! What readers see changes in two places of [`committed`](super::committed) alone. There, before
//! it does, every snapshot that is being read takes the old image of each record that it has not
//! passed yet, unless it has one already. A page is what readers see now, with those images over
//! it; the images that it has passed are dropped.
//!
//! So a snapshot holds nobody up: its pages are short reads like all others, and a change costs one
//! more insertion into a map. Its price is memory, for what changes ahead of it: a snapshot that
//! would need more than [`MAX_IMAGES`] is given up, with an error to whoever reads it.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::Shared;
use crate::store::{
    Result, StoreError, export,
    records::{Key, Value},
    view::{Changes, Layer, Read},
};

/// How many records a page has: about a millisecond of reading.
const PAGE: usize = 256;

/// How many bytes of old images a snapshot holds at most.
const MAX_IMAGES: usize = 128 << 20;

/// What the map takes for an image beside its bytes, about.
const IMAGE_OVERHEAD: usize = 100;

/// What a snapshot keeps of the moment it shows.
#[derive(Debug)]
pub(super) struct Moment {
    /// From here on it has not been read; `None` once all was.
    next: Option<Key>,
    /// The records from there on that are not any more as they were.
    images: Changes,
    /// About how many bytes they take, and may take.
    bytes: usize,
    limit: usize,
    /// Why it cannot be shown any more.
    lost: Option<StoreError>,
}

impl Moment {
    /// The present one.
    pub(super) fn new() -> Self {
        Self::with_limit(MAX_IMAGES)
    }

    fn with_limit(limit: usize) -> Self {
        Self { next: Some(Key::new()), images: BTreeMap::new(), bytes: 0, limit, lost: None }
    }

    /// Takes the image that readers see of a record, which they are about to see changed.
    pub(super) fn keep(&mut self, key: &Key, seen: impl FnOnce() -> Result<Option<Value>>) {
        let ahead = self.next.as_ref().is_some_and(|next| key >= next);
        if !ahead || self.lost.is_some() || self.images.contains_key(key) {
            return;
        }
        match seen() {
            Ok(image) => {
                self.bytes += cost(key, image.as_ref());
                self.images.insert(key.clone(), image);
                if self.bytes > self.limit {
                    self.lose(StoreError::Unavailable(
                        "too much changed while it was being exported".to_owned(),
                    ));
                }
            }
            Err(error) => self.lose(error),
        }
    }

    fn lose(&mut self, why: StoreError) {
        self.images.clear();
        self.lost = Some(why);
    }

    /// The next page, over what readers see `now`.
    pub(super) fn page(&mut self, now: &dyn Read) -> Result<Option<Vec<(Key, Value)>>> {
        if let Some(error) = &self.lost {
            return Err(error.clone());
        }
        let Some(next) = &self.next else {
            return Ok(None);
        };
        let then = Layer { base: now, changes: &self.images };
        let mut page = then.scan(&[], next).take(PAGE + 1).collect::<Result<Vec<_>>>()?;
        self.next = if page.len() > PAGE { page.pop().map(|(key, _)| key) } else { None };
        let ahead = match &self.next {
            Some(next) => self.images.split_off(next),
            None => Changes::new(),
        };
        for (key, image) in std::mem::replace(&mut self.images, ahead) {
            self.bytes -= cost(&key, image.as_ref());
        }
        Ok(Some(page))
    }
}

fn cost(key: &Key, image: Option<&Value>) -> usize {
    key.len() + image.map_or(0, Vec::len) + IMAGE_OVERHEAD
}

/// A reader of one moment. When it is dropped, nothing is kept for it any more.
pub(super) struct Snapshot {
    pub(super) shared: Arc<Shared>,
    pub(super) moment: Arc<Mutex<Moment>>,
}

impl export::Snapshot for Snapshot {
    async fn page(&mut self) -> Result<Option<Vec<(Key, Value)>>> {
        // The lock is taken under that of the readers: as those do who keep images.
        self.shared.read(|now| self.moment.lock().page(now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::view::apply;

    fn records(numbers: std::ops::Range<u32>) -> BTreeMap<Key, Value> {
        numbers.map(|n| (n.to_be_bytes().to_vec(), vec![1])).collect()
    }

    /// Changes a record, as the writer does.
    fn change(now: &mut BTreeMap<Key, Value>, moment: &mut Moment, n: u32, to: Option<Value>) {
        let key = n.to_be_bytes().to_vec();
        moment.keep(&key, || Read::get(now, &key));
        apply(now, Changes::from([(key, to)]));
    }

    #[test]
    fn a_moment_shows_what_was_there_whatever_changes_before_and_behind_it() {
        let then = records(0..1_000);
        let mut now = then.clone();
        let mut moment = Moment::new();
        let mut seen = BTreeMap::new();
        let mut round = 0;
        while let Some(page) = moment.page(&now).unwrap() {
            assert!(page.len() <= PAGE);
            seen.extend(page);
            round += 1;
            // What was passed and what was not; changed, changed twice, removed, brought back, new.
            for n in (0..1_000).step_by(7) {
                change(&mut now, &mut moment, n, Some(vec![round]));
                change(&mut now, &mut moment, n, Some(vec![round, round]));
                change(&mut now, &mut moment, n + 1, None);
                change(&mut now, &mut moment, n + 2, None);
                change(&mut now, &mut moment, n + 2, Some(vec![9]));
                change(&mut now, &mut moment, 1_000 + n, Some(vec![9]));
            }
        }
        assert!(round >= 4);
        assert_eq!(seen, then);
        assert!(moment.images.is_empty() && moment.bytes == 0, "{} bytes are held", moment.bytes);
        change(&mut now, &mut moment, 5, None);
        assert!(moment.images.is_empty(), "nothing is kept after its end");
        assert_eq!(moment.page(&now).unwrap(), None, "it stays at its end");
    }

    #[test]
    fn a_moment_that_needs_too_much_is_given_up_and_says_so() {
        let mut now = records(0..1_000);
        let mut moment = Moment::with_limit(100 * (IMAGE_OVERHEAD + 5));
        for n in 0..100 {
            change(&mut now, &mut moment, n, None);
            change(&mut now, &mut moment, n, None);
        }
        assert_eq!(moment.images.len(), 100);
        assert_eq!(moment.page(&now).unwrap().unwrap().len(), PAGE);
        for n in 0..100 {
            change(&mut now, &mut moment, n, Some(vec![2]));
        }
        assert!(moment.images.is_empty(), "it has passed them");
        for n in 300..400 {
            change(&mut now, &mut moment, n, None);
        }
        assert!(moment.lost.is_none(), "what it passed does not count");
        change(&mut now, &mut moment, 400, None);
        assert!(moment.images.is_empty());
        assert!(moment.page(&now).is_err());
        change(&mut now, &mut moment, 401, None);
        assert!(moment.images.is_empty());
    }

    #[test]
    fn an_image_that_cannot_be_had_is_not_made_up() {
        let now = records(0..10);
        let mut moment = Moment::new();
        let fails = || Err(StoreError::Unavailable("the test says so".to_owned()));
        moment.keep(&vec![0], fails);
        assert!(moment.page(&now).is_err());
    }
}
