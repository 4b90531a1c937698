//! What goes wrong, in one line for the person at the terminal.

use std::{io, path::PathBuf};

use super::serve::{StartError, StopError};
use crate::{config::ConfigError, http::HttpError, session, token::KeyError};

/// What is true of a restore that failed before its last step.
pub(super) const NOTHING_CHANGED: &str = "nothing was changed";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server, or the store for a command without one, could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server did not stop cleanly.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// The service refused the command; the same words whether it was asked here or there.
    #[error("{0}")]
    Refused(String),
    /// There is a running server, and it cannot be asked.
    #[error("{0}")]
    Unreachable(String),
    /// The keys cannot be listed.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A backup cannot be written.
    #[error("cannot write the backup {}: {reason}", .file.display())]
    Backup {
        /// Where to.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A backup cannot be restored.
    #[error("cannot restore {}: {reason}; {changed}", .file.display())]
    Restore {
        /// From where.
        file: PathBuf,
        /// Why.
        reason: String,
        /// What was done all the same.
        changed: &'static str,
    },
    /// A restore ended where the store may have changed.
    #[error("the restore of {} did not end well: {reason}", .file.display())]
    Unfinished {
        /// From where.
        file: PathBuf,
        /// What is so now.
        reason: String,
    },
    /// What was typed cannot be used.
    #[error("{0}")]
    Input(String),
    /// Standard input or output cannot be used.
    #[error("cannot use standard input or output: {0}")]
    Terminal(#[from] io::Error),
    /// Something of the machine failed.
    #[error("cannot {0}: {1}")]
    System(&'static str, String),
}

impl Failure {
    /// What a running server said.
    pub(super) fn answered(detail: &str) -> Self {
        // A line, not a sentence: without its capital and its full stop.
        let mut line = detail.trim_end_matches('.').to_owned();
        if let Some(first) = line.get_mut(0..1) {
            first.make_ascii_lowercase();
        }
        Self::Refused(line)
    }

    /// The same, where so many signing keys had been put in their place before.
    pub(super) fn after_keys(mut self, placed: usize) -> Self {
        if let Self::Restore { changed: changed @ NOTHING_CHANGED, .. } = &mut self
            && placed > 0
        {
            *changed = "signing keys of it were added, and nothing else was changed";
        }
        self
    }

    /// Whether whoever read the output has stopped reading: nobody's fault (`... | head`).
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Terminal(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<session::Error> for Failure {
    fn from(error: session::Error) -> Self {
        use session::Error::{Hashing, Signing, Store};
        match error {
            // What is broken here is told in full to who is here.
            Store(_) | Hashing(_) | Signing(_) => Self::Refused(error.to_string()),
            error => Self::answered(HttpError::from(error).detail()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_says_what_it_changed() {
        let failed = |changed, placed| {
            let failure =
                Failure::Restore { file: "backup".into(), reason: "away".to_owned(), changed };
            failure.after_keys(placed).to_string()
        };
        assert_eq!(failed(NOTHING_CHANGED, 0), "cannot restore backup: away; nothing was changed");
        assert_eq!(
            failed(NOTHING_CHANGED, 1),
            "cannot restore backup: away; signing keys of it were added, and nothing else was changed"
        );
        assert_eq!(failed("it is not known", 1), "cannot restore backup: away; it is not known");
    }
}
