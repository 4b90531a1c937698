//! One private key, one file: `DIR/KID.json`, a JWK with the time it was made and, once another key
//! signs, the time until which it verifies.
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

use super::{KeyDefect, KeyError, jwk::Jwk, jws};
use crate::model::Timestamp;

/// More than any key file has, in bytes.
const MAX_BYTES: u64 = 16 * 1024;

/// A key and its life.
pub(super) struct KeyFile {
    pub(super) jwk: Jwk,
    pub(super) dates: Dates,
}

/// When a key was made, and until when it verifies; without an end it signs.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Dates {
    pub(super) created_at: Timestamp,
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

/// Makes the folder if it is not there, for its owner alone.
pub(super) fn create_dir(dir: &Path) -> Result<(), KeyError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .and_then(|()| dir.parent().map_or(Ok(()), sync_dir))
        .map_err(|error| KeyError::io("create the directory", dir, &error))?;
    let mode = fs::metadata(dir)
        .map_err(|error| KeyError::io("look at", dir, &error))?
        .permissions()
        .mode();
    closed(dir, mode, 0o022, 0o700)
}

/// All keys of the folder, in the order of their age.
pub(super) fn read_all(dir: &Path) -> Result<Vec<KeyFile>, KeyError> {
    let failed = |error: io::Error| KeyError::io("list", dir, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // A name that starts with a dot has no extension unless it has a second one.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "json") {
            files.push(read(&path)?);
        }
    }
    files.sort_by(|a, b| (a.dates.created_at, a.jwk.kid()).cmp(&(b.dates.created_at, b.jwk.kid())));
    Ok(files)
}

fn read(path: &Path) -> Result<KeyFile, KeyError> {
    let failed = |error: io::Error| KeyError::io("read", path, &error);
    let unusable = |defect| KeyError::Unusable { path: path.to_owned(), defect };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    closed(path, mode, 0o077, 0o600)?;
    let mut json = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES).read_to_end(&mut json).map_err(failed)?;

    let jwk = Jwk::parse(&json).map_err(unusable)?;
    let dates = jws::read_object(&json).ok_or_else(|| unusable(KeyDefect::Undated))?;
    // The name, the `kid` and the key are one: none can be swapped for another.
    let thumbprint = jwk.thumbprint().map_err(unusable)?;
    let named = path.file_stem().is_some_and(|name| name == thumbprint.as_str());
    if !named || jwk.kid() != Some(thumbprint.as_str()) {
        return Err(unusable(KeyDefect::Kid));
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

    /// Whether it does not verify any more at `now`.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.dates.verify_until.is_some_and(|until| until <= now)
    }

    /// Writes the file, or replaces it. When this returns it is on the disk.
    pub(super) fn write(&self, dir: &Path) -> Result<(), KeyError> {
        let path = self.path(dir);
        let unfinished = dir.join(format!(".{}.json.new", self.kid()));
        let written = Written { jwk: &self.jwk, dates: &self.dates };
        let json = serde_json::to_vec_pretty(&written).expect("texts and times are JSON");
        let json = Zeroizing::new(json);
        replace(&path, &unfinished, &json)
            .and_then(|()| sync_dir(dir))
            .map_err(|error| KeyError::io("write", &path, &error))
    }
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
fn sync_dir(dir: &Path) -> io::Result<()> {
    // The parent of a relative path of one part is the empty path.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}
