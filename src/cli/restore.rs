//! `countersign restore`: a backup becomes the store of a data directory.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    mem,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Failure, failure::NOTHING_CHANGED, output, progress::Progress, serve::StartError};
use crate::{
    config::{Config, StoreUrl},
    model::{AuditKind, By, Cause, Clock as _, clock::SystemClock},
    service::{self, KEYS_DIR, redis_options, redis_servers, sled_options},
    store::{
        BackupRecord, OpenError, RedisReplacement, RedisReplacementError, Replacement,
        ReplacementError, Store,
        backup::{BackupKey, Counts, Decoder, Entry, Item},
    },
    token::KeyCopy,
};

/// How many records are imported in one step of the store.
const BATCH: usize = 1_000;

/// How much of the file is read at once.
const CHUNK: usize = 64 * 1024;

/// Make the store from a backup
///
/// Looks at the whole file first: what is damaged, of another program or of a later format changes
/// nothing. The server must not be running.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign restore /backup/countersign-2026-09-21
  age -d backup.age | countersign restore --replace -

Sessions that ended after the backup was made are alive again, until they would have expired:
--end-sessions logs everybody out instead. Signing keys are restored if the backup has them; put
the directory `keys` of the old data directory in its place otherwise. In Redis they are sealed with
the secret for it; keys that are there already stay as they are.")]
pub(super) struct Restore {
    /// The backup; `-` is standard input
    file: PathBuf,
    /// Replace a store that is not empty: what is in it is lost
    #[arg(long)]
    replace: bool,
    /// End every session
    #[arg(long)]
    end_sessions: bool,
}

/// What came of reading a backup.
#[derive(Default)]
struct Found {
    counts: Counts,
    keys: Vec<KeyCopy>,
    /// How many of the keys were put where keys are.
    placed: usize,
}

impl Restore {
    /// Does it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let mut source = Source::open(&self.file).map_err(|error| self.failed(error))?;
        if let Source::File(file, size) = &mut source {
            let progress = Progress::of("check", Some(*size));
            read(file, progress, None).await.map_err(|error| self.failed(error))?;
            file.rewind().map_err(|error| self.failed(error))?;
        }
        let replacement = self.begin(config).await?;
        let found = match self.fill(&mut source, replacement.store(), config).await {
            Ok(found) => found,
            Err(error) => {
                // What is left of it is removed by the next restore; why this one failed is what
                // whoever reads this needs.
                replacement.discard().await;
                return Err(error);
            }
        };
        let finished = match replacement {
            New::Sled(new) => new.finish().await.map_err(|error| self.refused(error)),
            New::Redis(new) => new.finish().await.map_err(|error| self.refused_by_redis(error)),
        };
        finished.map_err(|failure| failure.after_keys(found.placed))?;
        self.say(&found, config)
    }

    /// The new store beside the one that is there.
    async fn begin(&self, config: &Config) -> Result<New, Failure> {
        match &config.store.url {
            StoreUrl::Sled => {
                let options = sled_options(config);
                let new = Replacement::begin(&config.data_dir, options, !self.replace).await;
                new.map(New::Sled).map_err(|error| self.refused(error))
            }
            StoreUrl::Redis(url) => {
                let options = redis_options(config).map_err(|error| self.refused(error.into()))?;
                let new = RedisReplacement::begin(redis_servers(url), options, !self.replace).await;
                new.map(|new| New::Redis(Box::new(new)))
                    .map_err(|error| self.refused_by_redis(error))
            }
        }
    }

    /// Everything but the last step, after which there is no way back.
    async fn fill(
        &self,
        source: &mut Source,
        store: &dyn Store,
        config: &Config,
    ) -> Result<Found, Failure> {
        let progress = Progress::of("restore", source.size());
        let found = read(source, progress, Some(store)).await;
        let mut found = found.map_err(|error| self.failed(error))?;
        if self.end_sessions {
            let (what, at) = (AuditKind::AllSessionsEnded, SystemClock.now());
            let cause = Cause { what, by: By::COMMAND_LINE, at };
            let ended = store.revoke_all_sessions(cause).await;
            ended.map_err(|error| self.failed(error))?;
        }
        // Before the store: without its keys everybody would have to log in again, and they do nothing
        // without it.
        if !found.keys.is_empty() {
            let placed = service::keys::place(config, &found.keys, &SystemClock).await;
            found.placed = placed.map_err(StartError::from)?;
        }
        Ok(found)
    }

    fn say(&self, found: &Found, config: &Config) -> Result<(), Failure> {
        let Counts { accounts, sessions, keys, .. } = found.counts;
        let ended = if self.end_sessions { " (all ended)" } else { "" };
        output::say(&format!(
            "restored from {}: accounts {accounts}, sessions {sessions}{ended}, signing keys {keys}",
            self.file.display()
        ))?;
        let keys_dir = config.data_dir.join(KEYS_DIR);
        if keys == 0 && config.store.url == StoreUrl::Sled && !keys_dir.exists() {
            output::say(&format!(
                "it has no signing keys: put the old ones into {} before the server starts, or \
                 everybody has to log in again",
                keys_dir.display()
            ))?;
        }
        Ok(())
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    fn failed(&self, reason: impl ToString) -> Failure {
        let (file, reason) = (self.file.clone(), reason.to_string());
        Failure::Restore { file, reason, changed: NOTHING_CHANGED }
    }

    fn refused(&self, error: ReplacementError) -> Failure {
        match error {
            ReplacementError::Open(OpenError::Locked { dir, pid }) => {
                let pid = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
                self.failed(format!("a server{pid} runs on {}; stop it first", dir.display()))
            }
            ReplacementError::NotEmpty { dir } => self.failed(format!(
                "the store in {} is not empty; --replace puts the backup in its place",
                dir.display()
            )),
            error => Failure::Input(error.to_string()),
        }
    }

    fn refused_by_redis(&self, error: RedisReplacementError) -> Failure {
        match error {
            RedisReplacementError::NotEmpty => self
                .failed("the store in Redis is not empty; --replace puts the backup in its place"),
            RedisReplacementError::Store(error) => self.failed(error),
            RedisReplacementError::Open(error) => Failure::Input(error.to_string()),
            error @ (RedisReplacementError::TakenOver
            | RedisReplacementError::Interrupted(_)
            | RedisReplacementError::InForce(_)
            | RedisReplacementError::Unknown(_)) => {
                Failure::Unfinished { file: self.file.clone(), reason: error.to_string() }
            }
        }
    }
}

/// The store that is made of the backup, until it is put in the place of the one that is there.
enum New {
    Sled(Replacement),
    Redis(Box<RedisReplacement>),
}

impl New {
    fn store(&self) -> &dyn Store {
        match self {
            Self::Sled(new) => new.store(),
            Self::Redis(new) => new.store(),
        }
    }

    /// Removes it again, as far as that can be done.
    async fn discard(self) {
        match self {
            Self::Sled(new) => drop(new.discard().await),
            Self::Redis(new) => drop(new.discard().await),
        }
    }
}

/// Why a backup could not be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Backup(#[from] crate::store::backup::BackupError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Reads a backup to its end, into `store` if there is one. What came before an error is of no use.
async fn read(
    source: &mut impl Read,
    mut progress: Progress,
    store: Option<&dyn Store>,
) -> Result<Found, Unread> {
    let mut decoder = Decoder::new();
    let mut found = Found::default();
    let mut batch: Vec<BackupRecord> = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match source.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length?,
        };
        if length == 0 {
            break;
        }
        progress.advance(length);
        decoder.feed(&chunk[..length]);
        while let Some(item) = decoder.read()? {
            match item {
                Item::Header(_) => {}
                Item::Entry(Entry::Key(BackupKey { kid, json })) => {
                    found.keys.push(KeyCopy { kid, json });
                }
                Item::Entry(Entry::Record(record)) => batch.push(record),
            }
            if batch.len() >= BATCH {
                import(store, &mut batch).await?;
            }
        }
    }
    found.counts = decoder.finish()?;
    import(store, &mut batch).await?;
    Ok(found)
}

async fn import(store: Option<&dyn Store>, batch: &mut Vec<BackupRecord>) -> Result<(), Unread> {
    let records = mem::take(batch);
    if let Some(store) = store {
        store.import(records).await?;
    }
    Ok(())
}

/// Where the backup comes from.
enum Source {
    /// What can be read twice, and its size.
    File(File, u64),
    /// What cannot: a pipe.
    Stream(Box<dyn Read + Send>),
}

impl Source {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stream(Box::new(io::stdin())));
        }
        let file = File::open(path)?;
        let found = file.metadata()?;
        Ok(if found.is_file() {
            Self::File(file, found.len())
        } else {
            Self::Stream(Box::new(file))
        })
    }

    fn size(&self) -> Option<u64> {
        match self {
            Self::File(_, size) => Some(*size),
            Self::Stream(_) => None,
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.read(buffer),
            Self::Stream(stream) => stream.read(buffer),
        }
    }
}
