//! Checks that ask nobody: what a node remembers, and who follows what makes it untrue.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::counter;
use tokio::task::AbortHandle;

use super::{
    Functions,
    follower::{Follower, tell_lag},
    remembered::Remembered,
};
use crate::{
    model::{AccountId, Session, SessionId, Timestamp},
    store::Result,
};

/// How checks of sessions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisChecks {
    /// Redis is asked every time: what ended anywhere is refused everywhere.
    Strict,
    /// From what the node remembers of earlier answers, while it hears which sessions end.
    Local {
        /// For how long it may have heard nothing. Up to then, a session that was ended at another
        /// node may still pass as alive at this one.
        max_lag: Duration,
        /// About how many sessions it remembers, of some 400 bytes each.
        most: usize,
    },
}

impl RedisChecks {
    /// How many sessions to remember, where nothing speaks for another number.
    pub const MOST: usize = 1 << 16;

    /// The same for one of so many shards, which are equal parts.
    pub(super) fn of_one_in(self, shards: usize) -> Self {
        match self {
            Self::Strict => self,
            Self::Local { max_lag, most } => Self::Local { max_lag, most: most.div_ceil(shards) },
        }
    }
}

/// What there is in [`RedisChecks::Local`].
pub(super) struct Local {
    pub(super) remembered: Arc<Remembered>,
    /// The follower's, with a link of their own.
    functions: Functions,
    wait: Duration,
    /// The follower, and who tells how far it is.
    tasks: OnceLock<[AbortHandle; 2]>,
}

impl Local {
    /// `patience` is how long an answer may take on the link of `functions`.
    pub(super) fn new(
        functions: Functions,
        patience: Duration,
        max_lag: Duration,
        most: usize,
    ) -> Self {
        Self {
            remembered: Arc::new(Remembered::new(most, max_lag)),
            functions,
            wait: (max_lag / 4).min(patience / 2),
            tasks: OnceLock::new(),
        }
    }

    /// The session from memory, or as it is answered now.
    pub(super) async fn session(
        &self,
        account: AccountId,
        id: SessionId,
        now: Timestamp,
        ask: impl Future<Output = Result<Option<Session>>>,
    ) -> Result<Option<Session>> {
        self.follow();
        if let Some(session) = self.remembered.find(account, id, now) {
            counter!("countersign_redis_checks_total", "answered" => "from_memory").increment(1);
            return Ok(Some(session));
        }
        counter!("countersign_redis_checks_total", "answered" => "by_redis").increment(1);
        let mark = self.remembered.mark(account);
        // Nothing is asked before this.
        let session = ask.await?;
        if let (Some(mark), Some(session)) = (mark, &session) {
            self.remembered.keep(mark, session);
        }
        Ok(session)
    }

    pub(super) fn close(&self) {
        self.remembered.close();
        self.tasks.get().into_iter().flatten().for_each(AbortHandle::abort);
        self.functions.link.close();
    }

    /// Begins with the first check, for whoever opens a store need not have a runtime. If the runtime
    /// ends before the store does, nothing is heard any more, and Redis is asked.
    fn follow(&self) {
        self.tasks.get_or_init(|| {
            let follower = Follower {
                functions: self.functions.clone(),
                remembered: Arc::clone(&self.remembered),
                wait: self.wait,
            };
            let follower = tokio::spawn(follower.run());
            let heard = follower.abort_handle();
            let remembered = Arc::clone(&self.remembered);
            let told = tokio::spawn(tell_lag(self.functions.root, remembered, follower));
            [heard, told.abort_handle()]
        });
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.close();
    }
}
