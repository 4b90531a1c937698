//! A backup: what a store holds at one moment, as one stream of bytes that proves itself whole.
//!
//! The records are logical, not sled's: every store [exports](super::Store::export) and
//! [imports](super::Store::import) the same ones, so that what one wrote another can read.
//!
//! ```text
//! countersign backup 1\n                     what it is, and the version of the format
//! frame 'h'                                  when it was made, by which version of the program
//! frame 'k' *                                signing keys, if they were asked for
//! frame 'a' | 's' | 'v' | 'e' | 'u' *        accounts, sessions, their variables, the epoch, audit events, in any order
//! frame 'z': count, SHA-256                  how many entries, and the sum of all bytes before it
//!
//! frame   = kind (1 byte), length (4 bytes), payload
//! payload = version (1 byte), postcard value     but for the last one: 8 + 32 bytes
//! ```
//!
//! Numbers of fixed length are big-endian. Nothing follows the last frame. The sum finds damage,
//! not forgery: whoever can write the file can write the sum.
//!
//! To change a record's form, raise its version in `record` and keep reading the old one; for a new
//! kind, add a frame. Either is refused by name in older programs. `tests/records/` has a file of
//! every version that ever was; it must open for ever.
//!
//! | file | what it holds |
//! |---|---|
//! | `record` | the bytes of each entry |
//! | `encoder`, `decoder` | the stream, written and read piece by piece, without any I/O |

mod decoder;
mod encoder;
mod record;

use std::fmt;

use zeroize::Zeroizing;

pub use self::{
    decoder::{Decoder, Item},
    encoder::Encoder,
};
use super::Result;
use crate::model::{
    Account, AccountId, AuditEvent, AuditTrail, Session, SessionId, Timestamp, Variables, VisitDays,
};

/// The version of the format that this program writes, and the latest that it reads.
pub const FORMAT: u32 = 1;

/// What the file begins with; the version and a line break follow.
const WORDS: &[u8] = b"countersign backup ";

/// The longest payload: many times what any entry has, so that a damaged length is found out
/// instead of waited for.
const MAX_PAYLOAD: usize = 64 * 1024;

/// Kind and length.
const FRAME_HEAD: usize = 5;

/// How many audit events make a run. All but the last of a trail have so many.
pub const EVENTS_IN_RUN: u64 = 32;

/// One record of a store, whatever kind of store it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupRecord {
    /// An account.
    Account {
        /// Itself.
        account: Account,
        /// The visits of its sessions that have left the store.
        ended_visits: u64,
        /// Those of the latest days among them.
        ended_days: VisitDays,
    },
    /// A session, dead ones that were not swept yet included: their visits belong to the total.
    Session {
        /// Itself.
        session: Session,
        /// The epoch it was made in; dead if that is not the store's.
        epoch: u64,
        /// Its visits of the latest days.
        days: VisitDays,
    },
    /// The variables of a session.
    Variables {
        /// The account of the session.
        account: AccountId,
        /// The session.
        session: SessionId,
        /// Themselves.
        variables: Variables,
    },
    /// The store's epoch. Without it: zero.
    Epoch(u64),
    /// A run of audit events that followed one another, at most [`EVENTS_IN_RUN`] of them.
    Events {
        /// Which they are kept with.
        trail: AuditTrail,
        /// The number of the first in its trail, a multiple of [`EVENTS_IN_RUN`].
        first: u64,
        /// In the order in which they happened.
        events: Vec<AuditEvent>,
    },
}

/// The file of a signing key.
#[derive(Clone, PartialEq, Eq)]
pub struct BackupKey {
    /// The key's name.
    pub kid: String,
    /// The file's content.
    pub json: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The moment that it shows, nearly: when it was begun.
    pub created_at: Timestamp,
    /// The version of the program that made it.
    pub program: String,
}

/// One thing in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are records")]
pub enum Entry {
    /// A record of the store.
    Record(BackupRecord),
    /// A signing key.
    Key(BackupKey),
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Sessions.
    pub sessions: u64,
    /// Signing keys.
    pub keys: u64,
    /// All entries.
    pub entries: u64,
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        match entry {
            Entry::Record(BackupRecord::Account { .. }) => self.accounts += 1,
            Entry::Record(BackupRecord::Session { .. }) => self.sessions += 1,
            Entry::Record(
                BackupRecord::Epoch(_)
                | BackupRecord::Variables { .. }
                | BackupRecord::Events { .. },
            ) => {}
            Entry::Key(_) => self.keys += 1,
        }
    }
}

/// Why bytes are not a backup that can be used. Says nothing of what is in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Something else altogether.
    #[error("it is not a Countersign backup")]
    Foreign,
    /// Of a later format.
    #[error(
        "it has backup format {found}, this program reads format {FORMAT}: use the version of \
         Countersign that wrote it"
    )]
    Version {
        /// The format it has.
        found: u32,
    },
    /// An entry that this version does not know, or whose kind is damaged.
    #[error("it has an entry that this version of Countersign does not know, or is damaged")]
    Unknown,
    /// It ends early.
    #[error("it is not whole: its end is missing")]
    Truncated,
    /// It is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// What a store holds at one moment, handed out page by page.
///
/// It shows the moment at which [`Store::export`](super::Store::export) was answered, whatever
/// changes meanwhile. Dropping it ends it.
#[async_trait::async_trait]
pub trait Export: Send {
    /// Some more records, in any order; perhaps none, though more will come. `None` at the end.
    ///
    /// # Errors
    /// [`Unavailable`](super::StoreError::Unavailable): the moment cannot be shown any more. Begin anew.
    async fn next(&mut self) -> Result<Option<Vec<BackupRecord>>>;
}
