//! Commands of requests that come at the same time go to Redis together.
//!
//! Each on its own would be a system call here, one there, and one more each for its answer: half of
//! what a check costs. So the first command that has to go does not go at once: a task is begun, and
//! comes to its turn when all requests that are ready have run, which say meanwhile what they ask
//! for, too. Then all of it goes as one pipeline. Nobody is waited for who is not there yet: a command
//! that is alone goes as fast as before.

use std::{mem, sync::Arc};

use ::redis::{Cmd, Value};
use parking_lot::Mutex;
use tokio::{sync::oneshot, task::yield_now};

use super::link::Link;
use crate::store::{Result, StoreError};

/// What goes next.
#[derive(Default)]
pub(super) struct Gather {
    next: Mutex<Batch>,
}

/// Commands, and who waits for the answer of each.
#[derive(Default)]
struct Batch {
    commands: ::redis::Pipeline,
    waiting: Vec<oneshot::Sender<Result<Value>>>,
}

impl Gather {
    /// Sends a command over the link, with others that come meanwhile, and waits for its answer. Once
    /// asked for it is sent, also when nobody waits for it any more.
    pub(super) async fn ask(self: &Arc<Self>, link: &Arc<Link>, command: &Cmd) -> Result<Value> {
        let (answer, waits) = oneshot::channel();
        let is_first = {
            let mut next = self.next.lock();
            next.commands.add_command(command.clone());
            next.waiting.push(answer);
            next.waiting.len() == 1
        };
        if is_first {
            let (gather, link) = (Arc::clone(self), Arc::clone(link));
            tokio::spawn(async move {
                yield_now().await;
                gather.send(&link).await;
            });
        }
        let closed = |_| Err(StoreError::Unavailable("Redis: the service ends".to_owned()));
        waits.await.unwrap_or_else(closed)
    }

    async fn send(&self, link: &Link) {
        let Batch { commands, waiting } = mem::take(&mut *self.next.lock());
        let answers = link.ask_all(commands).await;
        for (answer, waits) in answers.into_iter().zip(waiting) {
            // Who does not wait any more has hung up.
            drop(waits.send(answer));
        }
    }
}
