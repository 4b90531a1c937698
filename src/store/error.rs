//! What can go wrong with a store.

use std::path::PathBuf;

/// Why an operation was not done: nothing of it is recorded, or will show later; but for what
/// [another machine](super) was asked for and did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot record or read now: disk full, I/O error, connection lost, shutting down.
    /// It heals by itself when the cause is gone; the text is for the log, never for a client. What was
    /// asked of a Redis may have been done.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A record does not decode: written by another version, or damaged.
    #[error("a {kind} record in the store cannot be read: {reason}")]
    Damaged {
        /// What kind of record it is.
        kind: &'static str,
        /// Why, for the log.
        reason: String,
    },
}

/// Why a store could not be opened. Unless it says otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the data directory {dir} is in use by another process{}: stop it first, or choose another \
         directory with --data-dir",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The other process, if it left its number.
        pid: Option<u32>,
    },
    /// Not a store of this program.
    #[error("{dir} does not hold a Countersign store: choose another directory with --data-dir")]
    Foreign {
        /// The store's directory.
        dir: PathBuf,
    },
    /// Written by another version.
    #[error(
        "the store in {dir} has format {found}, this program writes format {expected}: run the \
         version that wrote it"
    )]
    Version {
        /// The store's directory.
        dir: PathBuf,
        /// The format it has.
        found: u32,
        /// The format this program reads and writes.
        expected: u32,
    },
    /// There is no room for what a start writes.
    #[error(
        "the disk of the data directory {dir} is full: make at least {needed_mib} MiB of room, or \
         choose another directory with --data-dir"
    )]
    Full {
        /// The data directory.
        dir: PathBuf,
        /// How much is needed.
        needed_mib: u64,
    },
    /// It cannot be trusted with sessions, or not be reached.
    #[error("cannot use the Redis at {address}: {reason}")]
    Redis {
        /// Where it is, without user and password.
        address: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The file system refused.
    #[error(
        "cannot use the data directory {dir}: {reason}; this user must be able to write to it, or \
         choose another with --data-dir"
    )]
    Io {
        /// The data directory.
        dir: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It is ours, and the database in it does not open. Something may have been written.
    #[error(
        "cannot open the store in {dir}: {reason}; if it stays so, `countersign restore --replace` \
         puts a backup in its place"
    )]
    Unreadable {
        /// The store's directory.
        dir: PathBuf,
        /// What the database said.
        reason: String,
    },
}
