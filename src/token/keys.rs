//! The keys in use: which signs, and which verify.
//!
//! One key signs: the one in force. Every other key has been retired, which means that it is known
//! until when it verifies: as long as the last session token it signed can live. After that it is
//! published no more and still knows devices, for as long as those are
//! [remembered](super::device::REMEMBERED); then it is not even loaded. Which key takes over from which,
//! and when, is the rule of [`KeyRing`].
//!
//! Of files, nothing is deleted: a key file is the operator's.

use std::path::Path;

use jiff::SignedDuration;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};

use super::{
    Algorithm, KeyDefect, KeyError, KeyRing, Rule,
    jws::{self, Header},
    jwt::TYPE,
    key_file::{self, Dates, KeyFile},
    signing::{SigningKey, VerifyingKey},
};
use crate::model::Timestamp;

/// The keys of the service, ready for use.
pub struct KeySet {
    /// The one in force first, for it is asked for most. There is one at least.
    keys: Vec<Key>,
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
    pub(super) dates: Dates,
}

/// What can be told of a key to an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum KeyStatus {
    /// It signs, and verifies without end.
    Signing,
    /// It verifies, and is to sign when all nodes know it.
    Announced {
        /// From when.
        from: Timestamp,
    },
    /// It was retired: session tokens it signed are good until then at most.
    Verifying {
        /// When the last of them has expired.
        until: Timestamp,
    },
    /// The last session token it signed has expired. Devices it knows until they are forgotten.
    Expired,
}

impl Key {
    /// Whether session tokens that it signed are good at `now`, as far as it goes by the key.
    pub(super) fn verifies(&self, now: Timestamp) -> bool {
        self.dates.verifies(now)
    }
}

impl KeySet {
    /// Opens the keys in `dir`, and makes the first one at the first start.
    ///
    /// Of two that have no end the newest of `algorithm` signs, also if it was retired and still
    /// verifies: going back and forth between two algorithms leaves no trail of keys. All others are
    /// retired now unless they are already: they verify for `longest_token`, the longest time from
    /// the signing of a token to its `exp`.
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
        let mut ring = KeyRing::read(dir, now)?;
        ring.settle(&Rule { algorithm, longest_token, notice: SignedDuration::ZERO }, now)?;
        ring.write(dir)?;
        ring.into_set(now)
    }

    /// One new key that is kept nowhere: for tests, and where sessions need not outlive the process.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn generate(algorithm: Algorithm, now: Timestamp) -> Self {
        let rule =
            Rule { algorithm, longest_token: SignedDuration::ZERO, notice: SignedDuration::ZERO };
        let mut ring = KeyRing::default();
        let made = ring.settle(&rule, now).and_then(|_| ring.into_set(now));
        made.expect("the system has randomness")
    }

    /// Of these keys, if there are any.
    pub(super) fn of(mut keys: Vec<Key>, now: Timestamp) -> Option<Self> {
        let signing = in_force(keys.iter().map(|key| (key.dates, key.kid.as_str())), now)?;
        keys[..=signing].rotate_right(1);
        Some(Self { keys })
    }

    /// All keys that are loaded, the signing one first.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<KeyInfo> {
        let one = |key: &Key| (key.kid.clone(), key.algorithm, key.dates);
        describe(self.in_order(now).map(one).collect(), now)
    }

    /// The key that signs at `now`: it changes by itself when the time of an announced one comes.
    pub(super) fn signing(&self, now: Timestamp) -> &Key {
        let keys = self.keys.iter().map(|key| (key.dates, key.kid.as_str()));
        &self.keys[in_force(keys, now).unwrap_or(0)]
    }

    /// For tests that break it.
    #[cfg(test)]
    pub(super) fn signing_mut(&mut self) -> &mut Key {
        &mut self.keys[0]
    }

    /// The key of this name, if it verifies session tokens at `now`.
    pub(super) fn find(&self, kid: &str, now: Timestamp) -> Option<&Key> {
        self.iter().find(|key| key.kid == kid && key.verifies(now))
    }

    /// The key of this name, if it knows devices at `now`.
    pub(super) fn find_for_device(&self, kid: &str, now: Timestamp) -> Option<&Key> {
        self.iter().find(|key| key.kid == kid && !key.dates.is_over(now))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    /// All, the one first that signs at `now`.
    pub(super) fn in_order(&self, now: Timestamp) -> impl Iterator<Item = &Key> {
        let signing = self.signing(now);
        std::iter::once(signing).chain(self.iter().filter(|key| key.kid != signing.kid))
    }
}

/// Which of several keys signs at `now`: the rule of [`Dates::precedence`]. One that is over signs
/// only if all are.
fn in_force<'a>(keys: impl Iterator<Item = (Dates, &'a str)>, now: Timestamp) -> Option<usize> {
    let precedence = |dates: Dates, kid| (dates.verifies(now), dates.precedence(now), kid);
    keys.enumerate().max_by_key(|(_, (dates, kid))| precedence(*dates, *kid)).map(|(at, _)| at)
}

/// All keys of the folder, also those that are not good for anything any more, oldest first. Reads
/// only: what [`KeySet::open`] would change is shown as it is.
///
/// # Errors
/// [`KeyError`], naming the file and the cure.
pub fn list_keys(dir: &Path, now: Timestamp) -> Result<Vec<KeyInfo>, KeyError> {
    let one = |file: &KeyFile| {
        let algorithm = file
            .jwk
            .algorithm()
            .map_err(|defect| KeyError::Unusable { path: file.path(dir), defect })?;
        Ok((file.kid().to_owned(), algorithm, file.dates))
    };
    let keys = key_file::read_all(dir)?.iter().map(one).collect::<Result<_, _>>()?;
    Ok(describe(keys, now))
}

/// What can be told of keys.
pub(super) fn describe(keys: Vec<(String, Algorithm, Dates)>, now: Timestamp) -> Vec<KeyInfo> {
    let signing = in_force(keys.iter().map(|(kid, _, dates)| (*dates, kid.as_str())), now);
    let one = |(at, (kid, algorithm, dates)): (usize, (String, Algorithm, Dates))| KeyInfo {
        kid,
        algorithm,
        created_at: dates.created_at,
        status: match dates.verify_until {
            Some(until) if until <= now => KeyStatus::Expired,
            _ if signing == Some(at) => KeyStatus::Signing,
            Some(until) => KeyStatus::Verifying { until },
            None if dates.starts_at() > now => KeyStatus::Announced { from: dates.starts_at() },
            None => KeyStatus::Signing,
        },
    };
    keys.into_iter().enumerate().map(one).collect()
}

impl Key {
    /// A key, ready for use.
    pub(super) fn load(file: &KeyFile) -> Result<Self, KeyDefect> {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        model::{AccountId, clock::later},
        token::{Defect, Device, Tokens, device::REMEMBERED, testing::*},
    };

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    /// Opened `seconds` after [`now`].
    fn open(dir: &Path, algorithm: Algorithm, seconds: i64) -> Tokens {
        with_keys(KeySet::open(dir, algorithm, after(seconds), HOUR).unwrap())
    }

    fn kid(tokens: &Tokens) -> String {
        tokens.keys().signing(after(1_000_000)).kid.clone()
    }

    /// A token that outlives the keys of these tests.
    fn long_token(tokens: &Tokens) -> String {
        let email = email();
        let grant = crate::token::Grant { expires_at: after(100_000), ..grant(&email) };
        tokens.issue(&grant).unwrap()
    }

    fn statuses(dir: &Path, seconds: i64) -> Vec<(Algorithm, KeyStatus)> {
        list_keys(dir, after(seconds))
            .unwrap()
            .into_iter()
            .map(|key| (key.algorithm, key.status))
            .collect()
    }

    #[test]
    fn the_first_start_makes_a_key_and_the_next_finds_it() {
        for algorithm in Algorithm::ALL {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path().join("data/keys");
            let first = open(&dir, algorithm, 0);
            let token = issue(&first);
            let second = open(&dir, algorithm, 1);
            assert_eq!(kid(&first), kid(&second));
            assert!(second.verify(&token, after(1)).is_ok());
            assert!(first.verify(&issue(&second), after(1)).is_ok());
            assert_eq!(statuses(&dir, 1), [(algorithm, KeyStatus::Signing)]);
            assert_eq!(first.keys().list(now()), list_keys(&dir, now()).unwrap());
        }
    }

    #[test]
    fn another_algorithm_signs_from_now_on_and_the_old_key_verifies_for_a_tokens_life() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let before = open(dir, Algorithm::EdDsa, 0);
        let old_token = long_token(&before);
        let tokens = open(dir, Algorithm::Es256, 10);
        let until = after(10 + 3_600);
        let both = [
            (Algorithm::EdDsa, KeyStatus::Verifying { until }),
            (Algorithm::Es256, KeyStatus::Signing),
        ];
        assert_eq!(statuses(dir, 10), both);
        assert_eq!(tokens.keys().signing(after(10)).algorithm, Algorithm::Es256);
        assert!(tokens.verify(&issue(&tokens), after(10)).is_ok());
        assert!(tokens.verify(&old_token, after(10)).is_ok());
        assert!(tokens.verify(&old_token, after(3_609)).is_ok());

        // A later start does not move the end, and the token's own `exp` is not asked.
        let restarted = open(dir, Algorithm::Es256, 20);
        assert_eq!(statuses(dir, 20), both);
        for tokens in [&tokens, &restarted] {
            assert_eq!(tokens.verify(&old_token, until), Err(Defect::UnknownKey));
        }
        let late = open(dir, Algorithm::Es256, 3_610);
        assert_eq!(late.verify(&old_token, until), Err(Defect::UnknownKey));
        assert_eq!(late.jwks(after(3_610)).keys.len(), 1);
        let over = 3_610 + REMEMBERED.as_secs();
        let loaded = |at| open(dir, Algorithm::Es256, at).keys().iter().count();
        assert_eq!((loaded(over - 1), loaded(over)), (2, 1), "it is not even loaded");
        let published = |at| tokens.jwks(after(at)).keys.len();
        assert_eq!((published(3_609), published(3_610)), (2, 1), "nor published any more");
        assert_eq!(
            statuses(dir, 3_610),
            [(Algorithm::EdDsa, KeyStatus::Expired), (Algorithm::Es256, KeyStatus::Signing),]
        );
    }

    #[test]
    fn a_retired_key_knows_devices_for_as_long_as_they_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let before = open(dir, Algorithm::EdDsa, 0);
        let device = |at: i64| {
            let expires_at = later(after(at), REMEMBERED);
            Device { account: AccountId::from_bytes([7; 16]), expires_at }
        };
        let last = before.issue_device(device(9), after(9)).unwrap();
        let session = long_token(&before);
        open(dir, Algorithm::Es256, 10);
        let end = 9 + REMEMBERED.as_secs();
        for at in [10, 3_610, end - 1] {
            let tokens = open(dir, Algorithm::Es256, at);
            tokens.self_test(after(at)).unwrap();
            assert!(tokens.verify_device(&last, after(at)).is_some(), "{at}");
            assert_eq!(tokens.verify(&session, after(at)).is_ok(), at < 3_610, "{at}");
        }
        assert_eq!(open(dir, Algorithm::Es256, end).verify_device(&last, after(end)), None);
        // Whoever has stolen it makes no device that lives longer than it does.
        let forged = before.issue_device(device(1_000_000), after(9)).unwrap();
        let tokens = open(dir, Algorithm::Es256, 3_609);
        let over = 3_610 + REMEMBERED.as_secs();
        assert!(tokens.verify_device(&forged, after(over - 1)).is_some());
        assert_eq!(tokens.verify_device(&forged, after(over)), None);
    }

    #[test]
    fn going_back_takes_up_the_old_key_while_it_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let first = kid(&open(dir, Algorithm::EdDsa, 0));
        let between = kid(&open(dir, Algorithm::Es256, 10));
        assert_eq!(kid(&open(dir, Algorithm::EdDsa, 20)), first);
        let until = after(20 + 3_600);
        assert_eq!(
            statuses(dir, 20),
            [
                (Algorithm::EdDsa, KeyStatus::Signing),
                (Algorithm::Es256, KeyStatus::Verifying { until }),
            ]
        );
        // Past its end nobody expects it any more: it stays retired, and a new key is made.
        assert_ne!(kid(&open(dir, Algorithm::Es256, 3_620)), between);
        assert_eq!(list_keys(dir, after(3_620)).unwrap().len(), 3);
    }

    #[test]
    fn the_newest_key_signs_and_a_kid_stands_for_one_key() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let old = open(dir.path(), Algorithm::EdDsa, 0);
        let new = open(other.path(), Algorithm::EdDsa, 10);
        let name = format!("{}.json", kid(&new));
        fs::copy(other.path().join(&name), dir.path().join(&name)).unwrap();

        let tokens = open(dir.path(), Algorithm::EdDsa, 20);
        assert_eq!(kid(&tokens), kid(&new));
        assert!(tokens.verify(&issue(&old), now()).is_ok());
        let until = after(20 + 3_600);
        assert_eq!(tokens.keys().list(after(20))[1].status, KeyStatus::Verifying { until });
        tokens.self_test(now()).unwrap();

        // Signed by one, named as the other, both known: the signature does not fit.
        let named_as_old = signed(&new, header(&old).to_string(), claims(&new).to_string());
        assert_eq!(tokens.verify(&named_as_old, now()), Err(Defect::Signature));
    }

    #[test]
    fn listing_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), Algorithm::EdDsa, 0);
        let content = || -> Vec<_> {
            let mut files: Vec<_> = fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|path| {
                    (
                        fs::read(&path).unwrap(),
                        fs::metadata(&path).unwrap().modified().unwrap(),
                        path,
                    )
                })
                .collect();
            files.sort();
            files
        };
        let before = content();
        list_keys(dir.path(), after(1_000_000)).unwrap();
        assert_eq!(content(), before);
        let nowhere = dir.path().join("nowhere");
        assert!(matches!(list_keys(&nowhere, now()), Err(KeyError::Io { .. })));
        assert!(!nowhere.exists());
    }

    #[test]
    fn a_start_that_fails_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = open(dir.path(), Algorithm::EdDsa, 0);
        let path = dir.path().join(format!("{}.json", kid(&tokens)));
        let good = fs::read_to_string(&path).unwrap();
        // Damage that the thumbprint does not show: the private half.
        let key: serde_json::Value = serde_json::from_str(&good).unwrap();
        let damaged = good.replace(key["d"].as_str().unwrap(), &encode([7; 32]));
        fs::write(&path, &damaged).unwrap();
        let error = KeySet::open(dir.path(), Algorithm::Es256, after(1), HOUR).err().unwrap();
        let KeyError::Unusable { path: named, defect } = &error else { panic!("{error:?}") };
        assert_eq!((named, *defect), (&path, KeyDefect::Inconsistent));
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_operator_sees_plain_words() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), Algorithm::EdDsa, 0);
        open(dir.path(), Algorithm::Es256, 0);
        let keys = serde_json::to_value(list_keys(dir.path(), now()).unwrap()).unwrap();
        let mut keys = keys.as_array().unwrap().clone();
        keys.sort_by_key(|key| key["algorithm"].to_string());
        assert_eq!(keys[0]["algorithm"], "ES256");
        assert_eq!(keys[0]["status"], "signing");
        assert_eq!(keys[0]["created_at"], "2026-09-21T14:13:20.5Z");
        assert_eq!(keys[1]["algorithm"], "EdDSA");
        assert_eq!(keys[1]["status"], "verifying");
        assert_eq!(keys[1]["until"], "2026-09-21T15:13:20.5Z");
        let shown = format!("{keys:?}");
        assert!(!shown.contains("\"d\""));
    }
}
