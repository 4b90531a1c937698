//! Copies of key files, for a backup, and what becomes of files that are not used any more.

use std::{
    fs,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{KeyError, key_file};

/// A copy of a key file. It holds the private key.
#[derive(Clone)]
pub struct KeyCopy {
    /// The key's name.
    pub kid: String,
    /// What the file says.
    pub json: Zeroizing<Vec<u8>>,
}

impl KeyCopy {
    pub(super) fn of(file: &key_file::KeyFile) -> Self {
        Self { kid: file.kid().to_owned(), json: file.json() }
    }
}

/// Whether there are keys in `dir`, which need not be there.
///
/// # Errors
/// [`KeyError`]: it cannot be listed.
pub fn has_keys(dir: &Path) -> Result<bool, KeyError> {
    key_file::has_any(dir)
}

/// Gives the folder another name beside the one it has, so that no key is read there any more: `name`,
/// or that with a number. Returns where it is now.
///
/// # Errors
/// [`KeyError::Io`]; it is where it was.
pub fn put_aside(dir: &Path, name: &str) -> Result<PathBuf, KeyError> {
    let mut aside = dir.with_file_name(name);
    for number in 2.. {
        if !aside.exists() {
            break;
        }
        aside = dir.with_file_name(format!("{name}.{number}"));
    }
    fs::rename(dir, &aside)
        .and_then(|()| dir.parent().map_or(Ok(()), key_file::sync_dir))
        .map_err(|error| KeyError::io("rename", dir, &error))?;
    Ok(aside)
}

/// Copies of all keys in `dir`.
///
/// # Errors
/// [`KeyError`], naming the file and the cure.
pub fn copy_keys(dir: &Path) -> Result<Vec<KeyCopy>, KeyError> {
    Ok(key_file::read_all(dir)?.iter().map(KeyCopy::of).collect())
}

/// Puts copies into `dir`, which is made if it is not there. A key that is there already stays as
/// it is. Returns how many were not.
///
/// # Errors
/// [`KeyError`]. All copies are looked at before the first is written.
pub fn place_keys(dir: &Path, copies: &[KeyCopy]) -> Result<usize, KeyError> {
    let mut files = Vec::with_capacity(copies.len());
    for copy in copies {
        // The key's own thumbprint is its name: whatever the copy says, it leads nowhere else.
        let file = key_file::parse(&copy.json)
            .map_err(|defect| KeyError::Unusable { path: dir.join("(a copy)"), defect })?;
        files.push(file);
    }
    key_file::create_dir(dir)?;
    let mut placed = 0;
    for file in files {
        if !file.path(dir).exists() {
            file.write(dir)?;
            placed += 1;
        }
    }
    Ok(placed)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::token::{Algorithm, KeyDefect, KeySet, list_keys, testing::*};

    #[test]
    fn copies_are_put_back_as_they_were_and_replace_nothing() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hour = SignedDuration::from_hours(1);
        KeySet::open(old.path(), Algorithm::Es256, now(), hour).unwrap();
        KeySet::open(old.path(), Algorithm::EdDsa, after(1), hour).unwrap();
        let copies = copy_keys(old.path()).unwrap();
        let keys = new.path().join("keys");
        assert_eq!(place_keys(&keys, &copies).unwrap(), 2);
        assert_eq!(list_keys(&keys, now()).unwrap(), list_keys(old.path(), now()).unwrap());
        for copy in &copies {
            let name = format!("{}.json", copy.kid);
            let (was, is) = (fs::read(old.path().join(&name)), fs::read(keys.join(&name)));
            assert_eq!(was.unwrap(), is.unwrap());
        }

        // One that retired since the copy was made is not put back to work.
        let hour = SignedDuration::from_hours(1);
        KeySet::open(&keys, Algorithm::Es256, after(2), hour).unwrap();
        let before = list_keys(&keys, now()).unwrap();
        assert_eq!(place_keys(&keys, &copies).unwrap(), 0);
        assert_eq!(list_keys(&keys, now()).unwrap(), before);
    }

    #[test]
    fn what_is_put_aside_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        for expected in ["aside", "aside.2", "aside.3"] {
            KeySet::open(&keys, Algorithm::EdDsa, now(), SignedDuration::ZERO).unwrap();
            let (aside, before) = (dir.path().join(expected), list_keys(&keys, now()).unwrap());
            assert_eq!(put_aside(&keys, "aside").unwrap(), aside);
            assert!(!keys.exists());
            assert_eq!(list_keys(&aside, now()).unwrap(), before);
        }
        assert!(matches!(put_aside(&keys, "aside"), Err(KeyError::Io { .. })));
    }

    #[test]
    fn a_copy_that_is_no_key_is_refused_before_anything_is_written() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hour = SignedDuration::from_hours(1);
        KeySet::open(old.path(), Algorithm::EdDsa, now(), hour).unwrap();
        let good = copy_keys(old.path()).unwrap().remove(0);
        let text = String::from_utf8(good.json.to_vec()).unwrap();
        let renamed = text.replace(&good.kid, "../../evil");
        let bad = KeyCopy { kid: "../../evil".to_owned(), json: renamed.into_bytes().into() };
        let keys = new.path().join("keys");
        let error = place_keys(&keys, &[good, bad]).unwrap_err();
        assert!(matches!(error, KeyError::Unusable { defect: KeyDefect::Kid, .. }), "{error}");
        assert!(!keys.exists());
    }
}
