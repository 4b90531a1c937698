//! `countersign backup`: accounts and sessions into one file, while the server runs or not.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use tempfile::NamedTempFile;

use super::{
    Failure, operator::Operator, output, progress::Progress, remote::Through, serve::StartError,
};
use crate::{
    config::{Config, StoreUrl},
    service::{self, KEYS_DIR, has_store},
    store::backup::{BackupKey, Counts, Decoder, Encoder, Entry, Item},
    token::KeyCopy,
};

/// Write accounts and sessions to a file
///
/// Shows one moment, whatever changes meanwhile; works beside a running server, which goes on
/// serving, and without one. The file holds password hashes: keep it as private as the data
/// directory.
#[derive(Debug, Args)]
#[command(mut_arg("server", |arg| arg.hide(true)), mut_arg("administrator", |arg| arg.hide(true)))]
#[command(after_help = "Examples:
  countersign backup /backup/countersign-2026-09-21
  countersign backup --with-keys - | age -r KEY > backup.age

Without --with-keys, keep the directory `keys` of the data directory, too: tokens that are out
verify only with the keys that signed them, and without those everybody has to log in again. Keys
that are in Redis are opened with the secret for it: in the backup they are readable, as in files.")]
pub(super) struct Backup {
    /// The file to write; `-` is standard output
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Put the signing keys in, too: whoever reads the file can then sign tokens
    #[arg(long)]
    with_keys: bool,
    #[command(flatten)]
    through: Through,
}

impl Backup {
    /// Does it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        self.through.must_be_here("backups are made")?;
        let mut target = Target::open(&self.file, self.force)?;
        if !has_store(config) {
            return Err(Failure::Input(format!(
                "there is no store in {}: name its directory with --data-dir",
                config.data_dir.display()
            )));
        }
        let keys = if self.with_keys {
            Some(service::keys::copies(config).await.map_err(StartError::from)?)
        } else {
            None
        };
        let mut operator = Operator::here(config)?;
        let copied = tokio::select! {
            copied = copy(&mut operator, keys, &mut target) => copied,
            // What was begun is removed on the way out.
            _ = tokio::signal::ctrl_c() => Err(Failure::Input("interrupted: no backup".into())),
        };
        operator.close().await?;
        let counts = copied?;
        if target.finish()? {
            say(&counts, &self.file, config)?;
        }
        Ok(())
    }
}

fn say(counts: &Counts, file: &Path, config: &Config) -> Result<(), Failure> {
    let Counts { accounts, sessions, keys, .. } = counts;
    output::say(&format!(
        "backed up to {}: accounts {accounts}, sessions {sessions}, signing keys {keys}",
        file.display()
    ))?;
    if *keys == 0 {
        let keys = match config.store.url {
            StoreUrl::Sled => {
                format!(
                    "keep {}, too (or use --with-keys)",
                    config.data_dir.join(KEYS_DIR).display()
                )
            }
            StoreUrl::Redis(_) => "the signing keys stay in Redis (or use --with-keys)".to_owned(),
        };
        output::say(&format!("{keys}: without those keys everybody has to log in again"))?;
    }
    Ok(())
}

/// Copies what the server or the store gives, and looks at every byte of it: what arrives torn or
/// damaged becomes no backup.
async fn copy(
    operator: &mut Operator<'_>,
    keys: Option<Vec<KeyCopy>>,
    target: &mut Target,
) -> Result<Counts, Failure> {
    let mut source = operator.backup(keys.is_some()).await?;
    let mut progress = Progress::of("backup", None);
    let mut reader = Decoder::new();
    let mut writer = None;
    let mut out = Vec::new();
    while let Some(chunk) = source.chunk().await? {
        reader.feed(&chunk);
        while let Some(item) = reader.read().map_err(torn)? {
            match (item, &mut writer) {
                (Item::Entry(entry), Some(writer)) => Encoder::add(writer, &entry, &mut out),
                (Item::Header(header), _) => {
                    let writer = writer.insert(Encoder::begin(&header, &mut out));
                    for KeyCopy { kid, json } in keys.iter().flatten() {
                        let key = BackupKey { kid: kid.clone(), json: json.clone() };
                        writer.add(&Entry::Key(key), &mut out);
                    }
                }
                (Item::Entry(_), None) => return Err(torn("its beginning is missing")),
            }
        }
        progress.advance(out.len());
        target.write(&mut out)?;
    }
    reader.finish().map_err(torn)?;
    let writer = writer.ok_or_else(|| torn("it is empty"))?;
    let counts = writer.finish(&mut out);
    target.write(&mut out)?;
    Ok(counts)
}

/// What came from the server is no backup.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn torn(why: impl ToString) -> Failure {
    Failure::Unreachable(format!("what the server sent cannot be used: {}", why.to_string()))
}

/// Where the backup goes.
enum Target {
    /// A file beside the one that is asked for, which takes its place when it is whole. Dropped
    /// before, it is removed.
    File {
        temporary: NamedTempFile,
        path: PathBuf,
        replace: bool,
    },
    Stdout,
}

impl Target {
    fn open(path: &Path, force: bool) -> Result<Self, Failure> {
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(Failure::Input("a backup is not for a terminal: name a file".into()));
            }
            return Ok(Self::Stdout);
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => return Err(unwritten(path)("it is not a file")),
            Ok(_) if !force => {
                return Err(unwritten(path)("it is there already; --force replaces it"));
            }
            _ => {}
        }
        // Readable by its owner alone, from the beginning.
        let temporary = tempfile::Builder::new()
            .prefix(".countersign-backup-")
            .tempfile_in(directory(path))
            .map_err(unwritten(path))?;
        Ok(Self::File { temporary, path: path.to_owned(), replace: force })
    }

    /// Writes what is in `out`, and empties it.
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::File { temporary, path, .. } => {
                temporary.write_all(out).map_err(unwritten(path))?;
            }
            Self::Stdout => io::stdout().lock().write_all(out)?,
        }
        out.clear();
        Ok(())
    }

    /// Gives the file its name once it is on the disk. Returns whether there is a file.
    fn finish(self) -> Result<bool, Failure> {
        let Self::File { temporary, path, replace } = self else {
            io::stdout().lock().flush()?;
            return Ok(false);
        };
        temporary.as_file().sync_all().map_err(unwritten(&path))?;
        let named = if replace {
            temporary.persist(&path)
        } else {
            // Somebody may have made it meanwhile.
            temporary.persist_noclobber(&path)
        };
        named.map_err(|error| unwritten(&path)(error.error))?;
        File::open(directory(&path)).and_then(|dir| dir.sync_all()).map_err(unwritten(&path))?;
        Ok(true)
    }
}

/// Where a file is, or is to be.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn unwritten<E: ToString>(path: &Path) -> impl Fn(E) -> Failure {
    move |reason| Failure::Backup { file: path.to_owned(), reason: reason.to_string() }
}
