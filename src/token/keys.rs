//! Which key signs, which keys still verify, and until when.
//!
//! One key signs: the newest of the configured algorithm. Every other key has been retired, which
//! means that its file says until when it verifies: as long as the last token it signed can live.
//! After that it is not even loaded. Nothing is deleted: a key file is the operator's.

use std::path::Path;

use jiff::SignedDuration;
use jsonwebtoken::DecodingKey;
use serde::Serialize;

use super::{
    Algorithm, KeyDefect, KeyError,
    jwk::Jwk,
    jws::{self, Header},
    jwt::TYPE,
    key_file::{self, Dates, KeyFile},
    signing::{SigningKey, VerifyingKey},
};
use crate::model::{Timestamp, clock::later};

/// The keys of the service, ready for use.
pub struct KeySet {
    signing: Key,
    retired: Vec<Key>,
}

/// One key, ready for use.
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) signing: SigningKey,
    pub(super) verifying: VerifyingKey,
    /// The header of the tokens it signs, encoded: it is the same for all of them.
    pub(super) header: String,
    /// What the world may know of it.
    pub(super) public: Option<jsonwebtoken::jwk::Jwk>,
    /// The same key for the second opinion of the self-test.
    pub(super) second_opinion: DecodingKey,
    dates: Dates,
}

/// What can be told of a key to an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name: the `kid` in the tokens it signed, and its file's name.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it is good for.
    #[serde(flatten)]
    pub status: KeyStatus,
}

/// What a key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum KeyStatus {
    /// It signs, and verifies without end.
    Signing,
    /// It was retired: tokens it signed are good until then at most.
    Verifying {
        /// When the last of them has expired.
        until: Timestamp,
    },
    /// The last token it signed has expired.
    Expired,
}

impl KeySet {
    /// Opens the keys in `dir`, and makes the first one at the first start.
    ///
    /// The newest key of `algorithm` signs, also if it was retired and still verifies: going back
    /// and forth between two algorithms leaves no trail of keys. All others are retired now unless
    /// they are already: they verify for `longest_token`, the longest time from the signing of a
    /// token to its `exp`.
    ///
    /// Expects to be the only one: the caller holds the lock of the data directory.
    ///
    /// # Errors
    /// [`KeyError`], naming the file and the cure.
    pub fn open(
        dir: &Path,
        algorithm: Algorithm,
        now: Timestamp,
        longest_token: SignedDuration,
    ) -> Result<Self, KeyError> {
        key_file::create_dir(dir)?;
        // All are loaded before anything is written: a start that fails has changed nothing.
        let mut loaded = Vec::new();
        for file in key_file::read_all(dir)? {
            if !file.is_over(now) {
                loaded.push(Loaded::new(file, dir)?);
            }
        }
        let newest = loaded.iter().rposition(|loaded| loaded.key.algorithm == algorithm);
        let mut signing = if let Some(at) = newest {
            loaded.remove(at)
        } else {
            let made = make(algorithm, now)?;
            made.file.write(dir)?;
            made
        };
        signing.set_end(None, dir)?;
        for other in &mut loaded {
            if other.file.dates.verify_until.is_none() {
                other.set_end(Some(later(now, longest_token)), dir)?;
            }
        }
        Ok(Self {
            signing: signing.key,
            retired: loaded.into_iter().map(|loaded| loaded.key).collect(),
        })
    }

    /// One new key that is kept nowhere: for tests, and where sessions need not outlive the process.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn generate(algorithm: Algorithm, now: Timestamp) -> Self {
        let made = make(algorithm, now).expect("the system has randomness");
        Self { signing: made.key, retired: Vec::new() }
    }

    /// All keys that are loaded, the signing one first.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<KeyInfo> {
        self.iter().map(|key| info(&key.kid, key.algorithm, key.dates, now)).collect()
    }

    /// The key that signs.
    pub(super) fn signing(&self) -> &Key {
        &self.signing
    }

    /// The key of this name, if it verifies at `now`.
    pub(super) fn find(&self, kid: &str, now: Timestamp) -> Option<&Key> {
        self.iter()
            .find(|key| key.kid == kid && key.dates.verify_until.is_none_or(|until| now < until))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.signing).chain(&self.retired)
    }
}

/// All keys of the folder, also those that are not good for anything any more, oldest first. Reads
/// only: what [`KeySet::open`] would change is shown as it is.
///
/// # Errors
/// [`KeyError`], naming the file and the cure.
pub fn list_keys(dir: &Path, now: Timestamp) -> Result<Vec<KeyInfo>, KeyError> {
    let describe = |file: &KeyFile| {
        let algorithm = file
            .jwk
            .algorithm()
            .map_err(|defect| KeyError::Unusable { path: file.path(dir), defect })?;
        Ok(info(file.kid(), algorithm, file.dates, now))
    };
    key_file::read_all(dir)?.iter().map(describe).collect()
}

fn info(kid: &str, algorithm: Algorithm, dates: Dates, now: Timestamp) -> KeyInfo {
    KeyInfo {
        kid: kid.to_owned(),
        algorithm,
        created_at: dates.created_at,
        status: match dates.verify_until {
            None => KeyStatus::Signing,
            Some(until) if now < until => KeyStatus::Verifying { until },
            Some(_) => KeyStatus::Expired,
        },
    }
}

/// A key together with the file it lives in.
struct Loaded {
    file: KeyFile,
    key: Key,
}

impl Loaded {
    fn new(file: KeyFile, dir: &Path) -> Result<Self, KeyError> {
        match Key::load(&file) {
            Ok(key) => Ok(Self { file, key }),
            Err(defect) => Err(KeyError::Unusable { path: file.path(dir), defect }),
        }
    }

    fn set_end(&mut self, until: Option<Timestamp>, dir: &Path) -> Result<(), KeyError> {
        if self.file.dates.verify_until != until {
            self.file.dates.verify_until = until;
            self.file.write(dir)?;
            self.key.dates = self.file.dates;
        }
        Ok(())
    }
}

fn make(algorithm: Algorithm, now: Timestamp) -> Result<Loaded, KeyError> {
    let jwk = Jwk::generate(algorithm).map_err(|_| KeyError::Generation { algorithm })?;
    let file = KeyFile { jwk, dates: Dates { created_at: now, verify_until: None } };
    // Loaded as it will be at the next start: what cannot be loaded is not kept.
    let key = Key::load(&file).map_err(|_| KeyError::Generation { algorithm })?;
    Ok(Loaded { file, key })
}

impl Key {
    fn load(file: &KeyFile) -> Result<Self, KeyDefect> {
        let algorithm = file.jwk.algorithm()?;
        let kid = file.kid().to_owned();
        let second_opinion = DecodingKey::from_jwk(&file.jwk.described()?);
        Ok(Self {
            header: jws::encode_header(&Header {
                alg: algorithm.name().to_owned(),
                kid: Some(kid.clone()),
                typ: Some(TYPE.to_owned()),
            }),
            kid,
            algorithm,
            signing: file.jwk.signing_key()?,
            verifying: file.jwk.verifying_key()?,
            public: file.jwk.public()?,
            second_opinion: second_opinion.map_err(|_| KeyDefect::Malformed)?,
            dates: file.dates,
        })
    }
}
