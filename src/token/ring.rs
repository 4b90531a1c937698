//! All keys of a service with their dates, and the rule by which one takes over from another. It is
//! the same wherever they are kept: as files ([`KeySet::open`]), or sealed in a store that several
//! nodes share.
//!
//! # The rule
//! The newest key that has no end is the one in force, if it is of the configured algorithm.
//! Otherwise the newest key of that algorithm is taken up again, while it is still good, or a new one
//! is made. All others get an end: as long as the last session token they may sign can live. Devices
//! they know for as long as those are [remembered](super::device::REMEMBERED) after that.
//!
//! Where several nodes verify, a new key is known to all before it signs: it is made with a notice,
//! and until that is over the one before it signs. So is one that an operator [asks
//! for](KeyRing::rotate), wherever it is kept: the world may know the keys.

mod rotate;

use std::{collections::BTreeMap, path::Path};

use jiff::SignedDuration;

use super::{
    Algorithm, KeyCopy, KeyDefect, KeyError, KeySet, Seal,
    jwk::Jwk,
    key_file::{self, Dates, KeyFile},
    keys::{Key, KeyInfo, describe},
};
use crate::model::{Timestamp, clock::later};

/// How keys take over from one another.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What new tokens are signed with.
    pub algorithm: Algorithm,
    /// The longest time from the signing of a session token to its `exp`.
    pub longest_token: SignedDuration,
    /// How long a new key is known before it signs, and how much longer than its tokens an old one
    /// verifies: whoever verifies has read the keys anew by then. Zero where there is nobody else.
    pub notice: SignedDuration,
}

/// All keys, private halves included, oldest first.
#[derive(Default)]
pub struct KeyRing {
    keys: Vec<Loaded>,
}

/// A key together with what is kept of it.
struct Loaded {
    file: KeyFile,
    key: Key,
    changed: bool,
}

impl KeyRing {
    /// The keys that are files in `dir` and not over at `now`. What is over is not even looked at.
    ///
    /// # Errors
    /// [`KeyError`], naming the file and the cure.
    pub fn read(dir: &Path, now: Timestamp) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for file in key_file::read_all(dir)? {
            if !file.is_over(now) {
                let path = file.path(dir);
                let unusable = |defect| KeyError::Unusable { path, defect };
                keys.push(Loaded::new(file).map_err(unusable)?);
            }
        }
        Ok(Self { keys })
    }

    /// The keys that were [sealed](Self::sealed), by their ids.
    ///
    /// # Errors
    /// [`KeyError::Secret`], [`KeyError::Sealed`].
    pub fn open(sealed: &BTreeMap<String, String>, seal: &Seal) -> Result<Self, KeyError> {
        let mut ring = Self::default();
        for (kid, sealed) in sealed {
            let content = seal.open(kid, sealed)?;
            // What was sealed under this name is this key: nobody else can have sealed it.
            let damaged = |_: KeyDefect| KeyError::Sealed { kid: kid.clone() };
            let file = key_file::parse(&content).map_err(damaged)?;
            if file.kid() != kid {
                return Err(damaged(KeyDefect::Kid));
            }
            ring.keys.push(Loaded::new(file).map_err(damaged)?);
        }
        ring.sort();
        Ok(ring)
    }

    /// The keys that are copies, but for those that are over at `now`.
    ///
    /// # Errors
    /// [`KeyError::Copy`]
    pub fn of_copies(copies: &[KeyCopy], now: Timestamp) -> Result<Self, KeyError> {
        let mut ring = Self::default();
        for copy in copies {
            let file = key_file::parse(&copy.json).map_err(KeyError::Copy)?;
            if !file.is_over(now) {
                ring.keys.push(Loaded::new(file).map_err(KeyError::Copy)?);
            }
        }
        ring.sort();
        Ok(ring)
    }

    fn sort(&mut self) {
        self.keys.sort_by(|a, b| a.file.age().cmp(&b.file.age()));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Brings the keys in line with the rule, and makes one where that needs one. Returns whether
    /// anything changed.
    ///
    /// # Errors
    /// [`KeyError::Generation`]
    pub fn settle(&mut self, rule: &Rule, now: Timestamp) -> Result<bool, KeyError> {
        let in_force = self.newest(|key| key.dates().verify_until.is_none());
        let in_force = in_force.filter(|at| self.keys[*at].key.algorithm == rule.algorithm);
        let signing = match in_force {
            Some(at) => at,
            None => self.take_over(rule, now)?,
        };
        let from = self.keys[signing].dates().starts_at();
        for (at, other) in self.keys.iter_mut().enumerate() {
            let dates = other.dates();
            if at != signing && dates.verify_until.is_none() {
                let last_token = now.max(from).max(dates.starts_at());
                let until = later(later(last_token, rule.longest_token), rule.notice);
                other.change(Dates { verify_until: Some(until), ..dates });
            }
        }
        Ok(self.keys.iter().any(|key| key.changed))
    }

    /// Takes up an old key of the algorithm again, or makes a new one. Returns where it is.
    fn take_over(&mut self, rule: &Rule, now: Timestamp) -> Result<usize, KeyError> {
        // What is over for some node before this one's word reaches it stays retired.
        let least = later(now, rule.notice);
        let is_good = |key: &Loaded| {
            key.key.algorithm == rule.algorithm
                && key.dates().verify_until.is_none_or(|until| until > least)
        };
        if let Some(at) = self.newest(is_good) {
            let key = &mut self.keys[at];
            let dates = key.dates();
            let from = dates.starts_at().max(now);
            key.change(Dates { sign_from: Some(from), verify_until: None, ..dates });
            return Ok(at);
        }
        self.announce(rule, now)
    }

    /// Makes a new key, which signs when all know it: at once if there is no other. Returns where it
    /// is.
    fn announce(&mut self, rule: &Rule, now: Timestamp) -> Result<usize, KeyError> {
        let alone = !self.verifies(now);
        let from = if alone { now } else { later(now, rule.notice) };
        let dates =
            Dates { created_at: now, sign_from: (from > now).then_some(from), verify_until: None };
        self.keys.push(Loaded::make(rule.algorithm, dates)?);
        Ok(self.keys.len() - 1)
    }

    fn verifies(&self, now: Timestamp) -> bool {
        self.keys.iter().any(|key| key.key.verifies(now))
    }

    fn newest(&self, is_meant: impl Fn(&Loaded) -> bool) -> Option<usize> {
        let meant = self.keys.iter().enumerate().filter(|(_, key)| is_meant(key));
        let age = |key: &Loaded| (key.dates().starts_at(), key.file.kid().to_owned());
        meant.max_by_key(|(_, key)| age(key)).map(|(at, _)| at)
    }

    /// Adds the keys that are not there yet. Among others they verify, for the life of a token, and
    /// sign nothing for now. Returns how many were added.
    pub fn admit(&mut self, others: Self, rule: &Rule, now: Timestamp) -> usize {
        let is_first = self.is_empty();
        let before = self.len();
        for mut other in others.keys {
            if self.keys.iter().any(|key| key.file.kid() == other.file.kid()) {
                continue;
            }
            if !is_first {
                let dates = other.dates();
                let end = later(later(now, rule.longest_token), rule.notice);
                other.file.dates = Dates {
                    sign_from: Some(dates.starts_at().max(later(now, rule.notice))),
                    verify_until: Some(dates.verify_until.map_or(end, |until| until.min(end))),
                    ..dates
                };
            }
            other.change(other.dates());
            self.keys.push(other);
        }
        self.sort();
        self.len() - before
    }

    /// Writes the files of those that changed.
    pub(super) fn write(&mut self, dir: &Path) -> Result<(), KeyError> {
        // The one that signs first: until it is there, none of the others is retired.
        for is_retired in [false, true] {
            for key in &mut self.keys {
                if key.changed && key.dates().verify_until.is_some() == is_retired {
                    key.file.write(dir)?;
                    key.changed = false;
                }
            }
        }
        Ok(())
    }

    /// What each is sealed in, by its id.
    ///
    /// # Errors
    /// [`KeyError::Sealing`]
    pub fn sealed(&self, seal: &Seal) -> Result<BTreeMap<String, String>, KeyError> {
        let sealed = |key: &Loaded| {
            let kid = key.file.kid();
            Ok((kid.to_owned(), seal.seal(kid, &key.file.json())?))
        };
        self.keys.iter().map(sealed).collect()
    }

    /// When each that has an end is good for nothing any more.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<String, Timestamp> {
        let end = |key: &Loaded| Some((key.file.kid().to_owned(), key.dates().over_at()?));
        self.keys.iter().filter_map(end).collect()
    }

    /// Copies of all.
    #[must_use]
    pub fn copies(&self) -> Vec<KeyCopy> {
        self.keys.iter().map(|key| KeyCopy::of(&key.file)).collect()
    }

    /// What can be told of them, oldest first.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<KeyInfo> {
        let one = |key: &Loaded| (key.key.kid.clone(), key.key.algorithm, key.dates());
        describe(self.keys.iter().map(one).collect(), now)
    }

    /// Whether all of the others are among these.
    #[must_use]
    pub fn has_all(&self, others: &Self) -> bool {
        let has = |other: &Loaded| self.keys.iter().any(|key| key.file.kid() == other.file.kid());
        others.keys.iter().all(has)
    }

    /// Those that are good for something at `now`, ready for use.
    ///
    /// # Errors
    /// [`KeyError::None`]: none verifies.
    pub fn into_set(self, now: Timestamp) -> Result<KeySet, KeyError> {
        if !self.verifies(now) {
            return Err(KeyError::None);
        }
        let good = self.keys.into_iter().filter(|key| !key.file.is_over(now));
        KeySet::of(good.map(|loaded| loaded.key).collect(), now).ok_or(KeyError::None)
    }
}

impl Loaded {
    fn new(file: KeyFile) -> Result<Self, KeyDefect> {
        let key = Key::load(&file)?;
        Ok(Self { file, key, changed: false })
    }

    fn make(algorithm: Algorithm, dates: Dates) -> Result<Self, KeyError> {
        let jwk = Jwk::generate(algorithm).map_err(|_| KeyError::Generation { algorithm })?;
        // Loaded as it will be at the next start: what cannot be loaded is not kept.
        let made = Self::new(KeyFile { jwk, dates });
        let made = made.map_err(|_| KeyError::Generation { algorithm })?;
        Ok(Self { changed: true, ..made })
    }

    fn dates(&self) -> Dates {
        self.file.dates
    }

    fn change(&mut self, dates: Dates) {
        self.file.dates = dates;
        self.key.dates = dates;
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Defect, KeyStatus, Tokens, device::REMEMBERED, testing::*};

    const LIFE: SignedDuration = SignedDuration::from_hours(1);

    fn rule(algorithm: Algorithm) -> Rule {
        Rule { algorithm, longest_token: LIFE, notice: SignedDuration::from_secs(15) }
    }

    fn settled(ring: &mut KeyRing, algorithm: Algorithm, seconds: i64) -> bool {
        ring.settle(&rule(algorithm), after(seconds)).unwrap()
    }

    /// As another node gets it, which knows of no change.
    fn read(ring: &KeyRing) -> KeyRing {
        let seal = Seal::new("a secret of thirty-two letters, and more", "store").unwrap();
        KeyRing::open(&ring.sealed(&seal).unwrap(), &seal).unwrap()
    }

    fn tokens(ring: &KeyRing, seconds: i64) -> Tokens {
        with_keys(read(ring).into_set(after(seconds)).unwrap())
    }

    /// What signs, by a node that read the keys `read_at` and signs at `seconds`.
    fn signs(ring: &KeyRing, read_at: i64, seconds: i64) -> Algorithm {
        tokens(ring, read_at).keys().signing(after(seconds)).algorithm
    }

    fn statuses(ring: &KeyRing, seconds: i64) -> Vec<KeyStatus> {
        ring.list(after(seconds)).into_iter().map(|key| key.status).collect()
    }

    #[test]
    fn the_first_key_signs_at_once_and_another_when_all_know_it() {
        let mut ring = KeyRing::default();
        assert!(settled(&mut ring, Algorithm::EdDsa, 0));
        assert_eq!(statuses(&ring, 0), [KeyStatus::Signing]);
        let mut ring = read(&ring);
        assert!(!settled(&mut ring, Algorithm::EdDsa, 5), "nothing to change");
        let old = tokens(&ring, 5);

        assert!(settled(&mut ring, Algorithm::Es256, 10));
        let ring = read(&ring);
        assert_eq!(
            statuses(&ring, 10),
            [KeyStatus::Signing, KeyStatus::Announced { from: after(25) }]
        );
        assert_eq!(signs(&ring, 10, 24), Algorithm::EdDsa);
        assert_eq!(signs(&ring, 10, 25), Algorithm::Es256, "without being told again");
        let mut second = read(&ring);
        assert!(!settled(&mut second, Algorithm::Es256, 12), "a second node changes nothing");
        // A token that was signed at the last moment, by a node that is late, too.
        let until = after(25 + 3_600 + 15);
        assert_eq!(statuses(&ring, 30), [KeyStatus::Verifying { until }, KeyStatus::Signing]);
        let email = email();
        let grant = crate::token::Grant { expires_at: after(100_000), ..grant(&email) };
        let token = old.issue(&grant).unwrap();
        let new = tokens(&ring, 10);
        assert!(new.verify(&token, after(25 + 3_614)).is_ok());
        assert_eq!(new.verify(&token, until), Err(Defect::UnknownKey));
        let (_, over) = ring.ends().pop_first().unwrap();
        assert_eq!(over, later(until, REMEMBERED), "devices are known for longer");
        let loaded = |at| read(&ring).into_set(at).unwrap().iter().count();
        let before = later(over, SignedDuration::from_millis(-1));
        assert_eq!((loaded(before), loaded(over)), (2, 1));
    }

    #[test]
    fn who_goes_back_takes_up_what_all_know_and_nobody_is_refused() {
        let mut ring = KeyRing::default();
        settled(&mut ring, Algorithm::EdDsa, 0);
        settled(&mut ring, Algorithm::Es256, 100);
        // A node that was not told of the change is started again before the new key signs.
        let mut ring = read(&ring);
        assert!(settled(&mut ring, Algorithm::EdDsa, 105));
        assert_eq!(ring.len(), 2);
        for seconds in [105, 114, 116, 200] {
            assert_eq!(signs(&ring, 105, seconds), Algorithm::EdDsa, "{seconds}");
        }
        // Others may have signed with the key that was announced, until they read this.
        let until = after(115 + 3_600 + 15);
        assert_eq!(statuses(&ring, 120)[1], KeyStatus::Verifying { until });
        // What is nearly over is not taken up again: some node may have forgotten it.
        let mut ring = read(&ring);
        let nearly = 115 + 3_600 + 1;
        assert!(settled(&mut ring, Algorithm::Es256, nearly));
        assert_eq!(ring.len(), 3);
        assert_eq!(signs(&ring, nearly, nearly), Algorithm::EdDsa);
        assert_eq!(signs(&ring, nearly, nearly + 15), Algorithm::Es256);
    }

    #[test]
    fn what_is_brought_in_verifies_and_signs_only_where_there_was_nothing() {
        let mut brought = KeyRing::default();
        settled(&mut brought, Algorithm::EdDsa, 50);
        let copies = brought.copies();
        let token = issue(&tokens(&brought, 50));
        let others = || KeyRing::of_copies(&copies, after(60)).unwrap();

        let mut empty = KeyRing::default();
        assert_eq!(empty.admit(others(), &rule(Algorithm::EdDsa), after(60)), 1);
        assert!(settled(&mut empty, Algorithm::EdDsa, 60), "it is to be written");
        assert_eq!(empty.list(after(60)), brought.list(after(60)), "as it was");
        assert_eq!(empty.admit(others(), &rule(Algorithm::EdDsa), after(61)), 0);

        let mut ring = KeyRing::default();
        settled(&mut ring, Algorithm::EdDsa, 0);
        let own = ring.list(after(0)).remove(0).kid;
        let mut ring = read(&ring);
        assert_eq!(ring.admit(others(), &rule(Algorithm::EdDsa), after(60)), 1);
        for seconds in [60, 70, 80] {
            let tokens = tokens(&ring, 60);
            assert_eq!(tokens.keys().signing(after(seconds)).kid, own, "the newer one does not");
            assert!(tokens.verify(&token, after(seconds)).is_ok());
        }
        let until = after(60 + 3_600 + 15);
        assert_eq!(statuses(&ring, 60)[1], KeyStatus::Verifying { until });
    }

    #[test]
    fn keys_that_were_replaced_are_gone_for_tokens_that_were_known_too() {
        let mut ring = KeyRing::default();
        settled(&mut ring, Algorithm::EdDsa, 0);
        let tokens = tokens(&ring, 0);
        let token = issue(&tokens);
        assert!(tokens.verify(&token, now()).is_ok());
        let mut other = KeyRing::default();
        settled(&mut other, Algorithm::EdDsa, 0);
        assert_eq!(other.admit(read(&ring), &rule(Algorithm::EdDsa), now()), 1);
        tokens.replace_keys(read(&other).into_set(now()).unwrap(), now()).unwrap();
        assert!(tokens.verify(&token, now()).is_ok(), "it is among them");
        assert_ne!(issue(&tokens).split('.').next(), token.split('.').next());
        other.keys.retain(|key| !ring.list(now()).iter().any(|it| it.kid == key.key.kid));
        tokens.replace_keys(read(&other).into_set(now()).unwrap(), now()).unwrap();
        assert_eq!(tokens.verify(&token, now()), Err(Defect::UnknownKey));
        assert_eq!(tokens.jwks(now()).keys.len(), 1);
    }

    #[test]
    fn a_ring_without_a_good_key_is_no_set() {
        assert!(matches!(KeyRing::default().into_set(now()), Err(KeyError::None)));
        // One that only knows devices does not sign.
        let mut ring = KeyRing::default();
        settled(&mut ring, Algorithm::EdDsa, 0);
        settled(&mut ring, Algorithm::Es256, 100);
        ring.keys.retain(|key| key.dates().verify_until.is_some());
        assert!(read(&ring).into_set(after(115)).is_ok());
        assert!(matches!(ring.into_set(after(10_000)), Err(KeyError::None)));
    }
}
