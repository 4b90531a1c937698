//! `admin.json` in the data directory: where the running server's admin interface is, and the token
//! that proves one may use it. Only who can read the data directory can. It says which store the server
//! has, too, for commands that ask both.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::http::admin::OperatorToken;

const NAME: &str = "admin.json";

/// What the file says.
#[derive(Serialize, Deserialize)]
pub(super) struct AdminFile {
    /// Where the admin interface is.
    pub(super) url: String,
    token: String,
    /// Which store the server is on: no secret. Empty where a server of before wrote it.
    #[serde(default)]
    pub(super) store: String,
}

impl AdminFile {
    /// The file's content for a new server: with a new token, good as long as it runs.
    pub(super) fn new(url: String, store: String) -> io::Result<Self> {
        Ok(Self { url, token: OperatorToken::random()?.expose().to_owned(), store })
    }

    /// The token.
    pub(super) fn token(&self) -> OperatorToken {
        OperatorToken::new(self.token.clone())
    }

    /// Where it is.
    pub(super) fn path(data_dir: &Path) -> PathBuf {
        data_dir.join(NAME)
    }

    /// Writes it: nobody else can read it, and nobody sees half of it.
    pub(super) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let temporary = data_dir.join("admin.json.new");
        // What a killed server left half done: `create_new` makes sure of the mode.
        remove(&temporary)?;
        let write = || {
            let mut file: File =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&temporary, Self::path(data_dir))
        };
        // Half of it is of no use to anybody. If it cannot be removed either, the first error says
        // enough.
        write().inspect_err(|_| drop(remove(&temporary)))
    }

    /// Reads it. `None` when there is none: no server runs, or none was stopped cleanly.
    pub(super) fn read(data_dir: &Path) -> io::Result<Option<Self>> {
        use io::ErrorKind::{NotADirectory, NotFound};

        match fs::read(Self::path(data_dir)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            // That the data directory is none is found out by whoever opens it, and told better.
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes it away.
    pub(super) fn remove(data_dir: &Path) -> io::Result<()> {
        remove(&Self::path(data_dir))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn it_is_written_for_its_owner_alone_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        assert!(AdminFile::read(dir.path()).unwrap().is_none());
        let file = AdminFile::new("http://127.0.0.1:3001".into(), "sled".into()).unwrap();
        // A file that lay in the way, readable by all, lends its mode to nothing.
        fs::write(dir.path().join("admin.json.new"), "").unwrap();
        file.write(dir.path()).unwrap();
        let mode = fs::metadata(AdminFile::path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = AdminFile::read(dir.path()).unwrap().unwrap();
        assert_eq!((read.url, &read.token, read.store), (file.url, &file.token, file.store));
        assert_eq!(URL_SAFE_NO_PAD.decode(&file.token).unwrap().len(), 32);
        AdminFile::remove(dir.path()).unwrap();
        AdminFile::remove(dir.path()).unwrap();
        assert!(AdminFile::read(dir.path()).unwrap().is_none());
    }

    #[test]
    fn each_server_has_a_token_of_its_own() {
        let token = || AdminFile::new(String::new(), String::new()).unwrap().token;
        assert_ne!(token(), token());
    }
}
