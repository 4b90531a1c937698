//! A new key takes over from the one in force because an operator wants it to.

use std::path::Path;

use super::{KeyRing, Rule};
use crate::{
    model::Timestamp,
    token::{KeyError, key_file},
};

impl KeyRing {
    /// Announces a new key, as for another algorithm: it signs when its notice is over, and what is in
    /// force until then gets an end. Returns its id.
    ///
    /// One at a time: who asks twice because no answer came wants one new key.
    ///
    /// # Errors
    /// [`KeyError::Announced`], [`KeyError::NoneYet`], [`KeyError::Generation`]; nothing was changed.
    pub fn rotate(&mut self, rule: &Rule, now: Timestamp) -> Result<String, KeyError> {
        // Where a store has lost its keys, nodes that run put theirs back: a first one would be in
        // the way.
        if !self.verifies(now) {
            return Err(KeyError::NoneYet);
        }
        for key in &self.keys {
            let (dates, kid) = (key.dates(), key.file.kid());
            if dates.verify_until.is_none() && dates.starts_at() > now {
                return Err(KeyError::Announced { kid: kid.to_owned(), from: dates.starts_at() });
            }
        }
        let at = self.announce(rule, now)?;
        let kid = self.keys[at].file.kid().to_owned();
        self.settle(rule, now)?;
        Ok(kid)
    }

    /// The same with the keys that are files in `dir`. When this returns they are on the disk.
    ///
    /// Expects to be the only one who changes them, as [`KeySet::open`](crate::token::KeySet::open).
    ///
    /// # Errors
    /// Those of [`rotate`](Self::rotate); or [`KeyError::Io`], and then the files are as they were, as
    /// far as the disk obeys.
    pub fn rotate_files(dir: &Path, rule: &Rule, now: Timestamp) -> Result<Self, KeyError> {
        let (mut ring, before) = (Self::read(dir, now)?, Self::read(dir, now)?);
        let kid = ring.rotate(rule, now)?;
        if let Err(error) = ring.write(dir) {
            // Left there, it would sign from the next start on, and nobody was told of it. What failed
            // first is what the operator needs to know.
            drop(before.put_back(dir, &kid));
            return Err(error);
        }
        Ok(ring)
    }

    /// Makes the files those of before the key `kid`.
    fn put_back(mut self, dir: &Path, kid: &str) -> Result<(), KeyError> {
        key_file::remove(dir, kid)?;
        for key in &mut self.keys {
            key.changed = true;
        }
        self.write(dir)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use jiff::SignedDuration;

    use super::*;
    use crate::token::{Algorithm, KeySet, KeyStatus, ring::Loaded, testing::*};

    const RULE: Rule = Rule {
        algorithm: Algorithm::EdDsa,
        longest_token: SignedDuration::from_hours(1),
        notice: SignedDuration::from_secs(15),
    };

    fn settled(algorithm: Algorithm) -> KeyRing {
        let mut ring = KeyRing::default();
        ring.settle(&Rule { algorithm, ..RULE }, now()).unwrap();
        ring
    }

    fn statuses(ring: &KeyRing, seconds: i64) -> Vec<KeyStatus> {
        ring.list(after(seconds)).into_iter().map(|key| key.status).collect()
    }

    #[test]
    fn a_new_key_signs_after_its_notice_and_the_old_one_gets_an_end() {
        for algorithm in Algorithm::ALL {
            let mut ring = settled(algorithm);
            let kid = ring.rotate(&RULE, after(100)).unwrap();
            let from = after(115);
            assert_eq!(statuses(&ring, 100), [KeyStatus::Signing, KeyStatus::Announced { from }]);
            assert_eq!(statuses(&ring, 114), statuses(&ring, 100));
            let until = after(115 + 3_600 + 15);
            let over = [KeyStatus::Verifying { until }, KeyStatus::Signing];
            assert_eq!(statuses(&ring, 115), over);
            let new = &ring.list(after(115))[1];
            assert_eq!((&new.kid, new.algorithm), (&kid, Algorithm::EdDsa), "the configured one");
            ring.settle(&RULE, after(120)).unwrap();
            assert_eq!(statuses(&ring, 115), over, "a start changes nothing");
        }
    }

    #[test]
    fn one_at_a_time_and_none_where_there_is_none() {
        let nothing = KeyRing::default().rotate(&RULE, now());
        assert!(matches!(nothing, Err(KeyError::NoneYet)), "{nothing:?}");
        let mut ring = settled(Algorithm::EdDsa);
        let kid = ring.rotate(&RULE, after(100)).unwrap();
        for seconds in [100, 114] {
            let again = ring.rotate(&RULE, after(seconds)).unwrap_err();
            let from = after(115);
            assert!(
                matches!(&again, KeyError::Announced { kid: named, from: told }
                    if *named == kid && *told == from),
                "{again}"
            );
            assert_eq!(ring.len(), 2);
        }
        ring.rotate(&RULE, after(115)).unwrap();
        assert_eq!(ring.len(), 3);
        // One that was announced and has an end never signs: nobody waits for it.
        let mut ring = settled(Algorithm::Es256);
        ring.settle(&RULE, after(100)).unwrap();
        ring.settle(&Rule { algorithm: Algorithm::Es256, ..RULE }, after(105)).unwrap();
        ring.rotate(&RULE, after(106)).unwrap();
    }

    /// The files of the folder with what they say.
    fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            paths.filter(|it| it.is_file()).map(|it| (it.clone(), fs::read(it).unwrap())).collect();
        files.sort();
        files
    }

    #[test]
    fn what_could_not_be_written_leaves_the_files_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let open =
            |at| KeySet::open(dir.path(), RULE.algorithm, after(at), RULE.longest_token).unwrap();
        let old = open(0).signing(now()).kid.clone();
        let before = files(dir.path());
        // The new key has its file when the old one gets its end.
        let in_the_way = dir.path().join(format!(".{old}.json.new"));
        fs::create_dir(&in_the_way).unwrap();
        let failed = KeyRing::rotate_files(dir.path(), &RULE, after(100)).err().unwrap();
        assert!(failed.to_string().contains(&format!("{old}.json")), "{failed}");
        assert_eq!(files(dir.path()), before);

        fs::remove_dir(&in_the_way).unwrap();
        let ring = KeyRing::rotate_files(dir.path(), &RULE, after(100)).unwrap();
        assert_eq!(KeyRing::read(dir.path(), after(100)).unwrap().list(now()), ring.list(now()));
        let done = files(dir.path());
        assert!(matches!(
            KeyRing::rotate_files(dir.path(), &RULE, after(101)),
            Err(KeyError::Announced { .. })
        ));
        assert_eq!(files(dir.path()), done);
        // A power loss may also leave the end of the old one alone.
        let ends = |key: &Loaded| key.dates().verify_until.is_some();
        assert_eq!(ring.keys.iter().filter(|key| ends(key)).count(), 1);
        let new = ring.keys.iter().find(|key| !ends(key)).unwrap().file.path(dir.path());
        fs::remove_file(new).unwrap();
        assert_eq!(open(200).signing(after(200)).kid, old);
        assert_eq!(
            statuses(&KeyRing::read(dir.path(), after(200)).unwrap(), 200),
            [KeyStatus::Signing]
        );
    }
}
