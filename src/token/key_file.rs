//! One private key, one file: `DIR/KID.json`, a JWK with the time it was made, the time from which it
//! signs if that is a later one, and, once another key signs, the time until which it verifies.
//!
//! A file appears whole or not at all: it is written under a name with a dot in front, synced and
//! then renamed, and the folder is synced. Such leftovers of a crash are no keys and are left alone;
//! so is every other file that does not end in `.json`.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyDefect, KeyError, device::REMEMBERED, jwk::Jwk, jws};
use crate::model::{Timestamp, clock::later};

/// More than any key file has, in bytes.
const MAX_BYTES: u64 = 16 * 1024;

/// A key and its life.
pub(super) struct KeyFile {
    pub(super) jwk: Jwk,
    pub(super) dates: Dates,
}

/// When a key was made, from when it signs, and until when it verifies session tokens; without an end
/// it signs. Devices it knows for longer.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Dates {
    pub(super) created_at: Timestamp,
    /// If that is later than when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sign_from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) verify_until: Option<Timestamp>,
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    jwk: &'a Jwk,
    #[serde(flatten)]
    dates: &'a Dates,
}

impl Dates {
    /// From when it signs.
    pub(super) fn starts_at(self) -> Timestamp {
        self.sign_from.unwrap_or(self.created_at)
    }

    /// Of several keys, the one that comes last by this signs at `now`: one whose time has come
    /// rather than one whose time is yet to come, the one without an end, the one that was retired
    /// last, the newest.
    pub(super) fn precedence(self, now: Timestamp) -> (bool, Timestamp, Timestamp) {
        let end = self.verify_until.unwrap_or(Timestamp::MAX);
        (self.starts_at() <= now, end, self.starts_at())
    }

    /// Whether session tokens are good at `now`, as far as it goes by the key.
    pub(super) fn verifies(self, now: Timestamp) -> bool {
        self.verify_until.is_none_or(|until| now < until)
    }

    /// When it is good for nothing any more: a device that it signed a token for on its last day is
    /// forgotten by then.
    pub(super) fn over_at(self) -> Option<Timestamp> {
        self.verify_until.map(|until| later(until, REMEMBERED))
    }

    /// Whether it is good for nothing any more at `now`, not even for devices.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        self.over_at().is_some_and(|end| end <= now)
    }
}

/// Makes the folder if it is not there, for its owner alone.
pub(super) fn create_dir(dir: &Path) -> Result<(), KeyError> {
    if !dir.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .and_then(|()| dir.parent().map_or(Ok(()), sync_dir))
            .map_err(|error| KeyError::io("create the directory", dir, &error))?;
    }
    let mode = fs::metadata(dir)
        .map_err(|error| KeyError::io("look at", dir, &error))?
        .permissions()
        .mode();
    closed(dir, mode, 0o022, 0o700)
}

/// All keys of the folder, in the order of their age.
pub(super) fn read_all(dir: &Path) -> Result<Vec<KeyFile>, KeyError> {
    let mut files = Vec::new();
    for path in paths(dir)? {
        files.push(read(&path)?);
    }
    files.sort_by(|a, b| a.age().cmp(&b.age()));
    Ok(files)
}

/// Whether there are keys in the folder, if there is one.
pub(super) fn has_any(dir: &Path) -> Result<bool, KeyError> {
    Ok(dir.exists() && !paths(dir)?.is_empty())
}

/// The files of the folder that should be keys.
fn paths(dir: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let failed = |error: io::Error| KeyError::io("list", dir, &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // A name that starts with a dot has no extension unless it has a second one.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn read(path: &Path) -> Result<KeyFile, KeyError> {
    let failed = |error: io::Error| KeyError::io("read", path, &error);
    let unusable = |defect| KeyError::Unusable { path: path.to_owned(), defect };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    closed(path, mode, 0o077, 0o600)?;
    let mut json = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES).read_to_end(&mut json).map_err(failed)?;

    let file = parse(&json).map_err(unusable)?;
    if path.file_stem().is_none_or(|name| name != file.kid()) {
        return Err(unusable(KeyDefect::Kid));
    }
    Ok(file)
}

/// The key that a file's content is.
pub(super) fn parse(json: &[u8]) -> Result<KeyFile, KeyDefect> {
    let jwk = Jwk::parse(json)?;
    let dates = jws::read_object(json).ok_or(KeyDefect::Undated)?;
    // The name, the `kid` and the key are one: none can be swapped for another.
    if jwk.kid() != Some(jwk.thumbprint()?.as_str()) {
        return Err(KeyDefect::Kid);
    }
    Ok(KeyFile { jwk, dates })
}

/// Whether nobody but the owner has the permissions `open`.
fn closed(path: &Path, mode: u32, open: u32, cure: u32) -> Result<(), KeyError> {
    if mode & open == 0 {
        return Ok(());
    }
    Err(KeyError::Permissions { path: path.to_owned(), mode: mode & 0o777, cure })
}

impl KeyFile {
    /// The file's path in `dir`.
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.json", self.kid()))
    }

    /// The key's name. A key that was read or made here has one.
    pub(super) fn kid(&self) -> &str {
        self.jwk.kid().unwrap_or_default()
    }

    /// What keys are sorted by.
    pub(super) fn age(&self) -> (Timestamp, &str) {
        (self.dates.created_at, self.kid())
    }

    /// Whether it is good for nothing any more at `now`.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.dates.is_over(now)
    }

    /// What the file says.
    pub(super) fn json(&self) -> Zeroizing<Vec<u8>> {
        let written = Written { jwk: &self.jwk, dates: &self.dates };
        let json = serde_json::to_vec_pretty(&written).expect("texts and times are JSON");
        Zeroizing::new(json)
    }

    /// Writes the file, or replaces it. When this returns it is on the disk.
    pub(super) fn write(&self, dir: &Path) -> Result<(), KeyError> {
        let path = self.path(dir);
        let unfinished = dir.join(format!(".{}.json.new", self.kid()));
        replace(&path, &unfinished, &self.json())
            .and_then(|()| sync_dir(dir))
            .map_err(|error| KeyError::io("write", &path, &error))
    }
}

/// Takes the file of the key `kid` away, if there is one.
pub(super) fn remove(dir: &Path, kid: &str) -> Result<(), KeyError> {
    let path = dir.join(format!("{kid}.json"));
    let removed = match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed,
    };
    removed.and_then(|()| sync_dir(dir)).map_err(|error| KeyError::io("remove", &path, &error))
}

fn replace(path: &Path, unfinished: &Path, content: &[u8]) -> io::Result<()> {
    // What a crash left under this name may have other permissions, or be shorter than it looks.
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

/// Makes what was created or renamed in a folder survive power loss.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    // The parent of a relative path of one part is the empty path.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use jiff::SignedDuration;

    use super::*;
    use crate::token::{Algorithm, KeySet, testing::*};

    fn open(dir: &Path) -> Result<KeySet, KeyError> {
        let lifetime = SignedDuration::from_hours(1);
        KeySet::open(dir, Algorithm::EdDsa, now(), lifetime)
    }

    /// A folder with one key, and that key's file.
    fn with_one_key() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let kid = open(dir.path()).unwrap().signing(now()).kid.clone();
        let path = dir.path().join(format!("{kid}.json"));
        (dir, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_key_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let kid = open(&keys).unwrap().signing(now()).kid.clone();
        assert_eq!(mode(&keys), 0o700);
        assert_eq!(names(&keys), [format!("{kid}.json")], "nothing is left over");
        let path = keys.join(format!("{kid}.json"));
        assert_eq!(mode(&path), 0o600);

        // Rewritten too, when another algorithm takes over.
        let lifetime = SignedDuration::from_hours(1);
        let before = fs::read_to_string(&path).unwrap();
        KeySet::open(&keys, Algorithm::Es256, after(1), lifetime).unwrap();
        assert_ne!(fs::read_to_string(&path).unwrap(), before);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(names(&keys).len(), 2);
    }

    #[test]
    fn a_key_file_says_what_it_is() {
        let (_dir, path) = with_one_key();
        let text = fs::read_to_string(&path).unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let members: Vec<_> = file.as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "created_at", "crv", "d", "kid", "kty", "use", "x"]);
        assert_eq!(file["created_at"], "2026-09-21T14:13:20.5Z");
        assert_eq!(path.file_stem().unwrap(), file["kid"].as_str().unwrap());
    }

    #[test]
    fn a_key_that_others_could_read_is_refused_with_the_cure() {
        for open_to_others in [0o640, 0o604, 0o660, 0o644, 0o610, 0o601] {
            let (dir, path) = with_one_key();
            chmod(&path, open_to_others);
            let error = open(dir.path()).err().unwrap().to_string();
            let expected = format!(
                "{} is open to other users (mode {open_to_others:o}): run `chmod 600 ",
                path.display()
            );
            assert!(error.starts_with(&expected), "{error}");
            assert!(super::super::list_keys(dir.path(), now()).is_err());
            chmod(&path, 0o400);
            assert!(open(dir.path()).is_ok(), "less is fine");
        }
        for writable in [0o720, 0o702, 0o777] {
            let (dir, _path) = with_one_key();
            chmod(dir.path(), writable);
            let error = open(dir.path()).err().unwrap();
            assert!(matches!(error, KeyError::Permissions { cure: 0o700, .. }), "{error}");
            chmod(dir.path(), 0o750);
            assert!(open(dir.path()).is_ok(), "names are no secret");
        }
    }

    #[test]
    fn damage_is_named_and_not_repeated() {
        let (dir, path) = with_one_key();
        let good = fs::read_to_string(&path).unwrap();
        let key: serde_json::Value = serde_json::from_str(&good).unwrap();
        let secret = key["d"].as_str().unwrap();
        let swapped =
            |member: &str, value: &str| good.replace(key[member].as_str().unwrap(), value);
        for (damaged, defect) in [
            (String::new(), KeyDefect::Malformed),
            (good[..good.len() / 2].to_owned(), KeyDefect::Malformed),
            (good.replace("\"d\"", "d"), KeyDefect::Malformed),
            (format!("[{good}]"), KeyDefect::Malformed),
            (" ".repeat(1 << 20) + &good, KeyDefect::Malformed),
            (good.replace("EdDSA", "RS256"), KeyDefect::NotOffered),
            (good.replace("EdDSA", "ES256"), KeyDefect::Contradiction),
            (good.replace("\"sig\"", "\"enc\""), KeyDefect::Use),
            (swapped("kid", "nope"), KeyDefect::Kid),
            (swapped("x", &encode([7; 32])), KeyDefect::Kid),
            (good.replace("\"kid\"", "\"kid2\""), KeyDefect::Kid),
            (swapped("d", &encode([7; 32])), KeyDefect::Inconsistent),
            (good.replace("\"d\"", "\"e\""), KeyDefect::Incomplete),
            (good.replace("created_at", "made_at"), KeyDefect::Undated),
            (swapped("created_at", "yesterday"), KeyDefect::Undated),
            (
                good.replace("\"created_at\"", "\"verify_until\":\"soon\",\"created_at\""),
                KeyDefect::Undated,
            ),
        ] {
            assert_ne!(damaged, good);
            fs::write(&path, &damaged).unwrap();
            let error = open(dir.path()).err().unwrap();
            let shown = format!("{error} {error:?}");
            assert!(
                matches!(error, KeyError::Unusable { defect: found, .. } if found == defect),
                "{damaged}: {shown}"
            );
            assert!(shown.contains(path.to_str().unwrap()), "{shown}");
            assert!(!shown.contains(secret) && !shown.contains("nope"), "{shown}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "left for the operator");
        }
        fs::write(&path, &good).unwrap();
        assert!(open(dir.path()).is_ok());
    }

    #[test]
    fn a_file_of_another_name_does_not_pass() {
        let (dir, path) = with_one_key();
        fs::rename(&path, dir.path().join("mine.json")).unwrap();
        let error = open(dir.path()).err().unwrap();
        assert!(matches!(error, KeyError::Unusable { defect: KeyDefect::Kid, .. }), "{error}");
    }

    #[test]
    fn what_is_no_key_file_is_left_alone() {
        let (dir, path) = with_one_key();
        let kid = open(dir.path()).unwrap().signing(now()).kid.clone();
        // What a crash leaves: a beginning under the name of the unfinished.
        let leftover = dir.path().join(format!(".{kid}.json.new"));
        fs::write(&leftover, "{\"kty\":").unwrap();
        chmod(&leftover, 0o644);
        fs::write(dir.path().join(".hidden.json"), "x").unwrap();
        fs::write(dir.path().join("README.md"), "x").unwrap();
        fs::write(dir.path().join("key.json.bak"), "x").unwrap();
        let before = names(dir.path());
        assert_eq!(open(dir.path()).unwrap().signing(now()).kid, kid);
        assert_eq!(names(dir.path()), before);

        // The next writing of the same key starts afresh, as if nothing had been there.
        let lifetime = SignedDuration::from_hours(1);
        KeySet::open(dir.path(), Algorithm::Es256, after(1), lifetime).unwrap();
        assert!(!leftover.exists());
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read_all(dir.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        let error = open(&path.join("keys")).err().unwrap().to_string();
        assert!(error.contains("create the directory") && error.contains("file/keys"), "{error}");
    }
}
