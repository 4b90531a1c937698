//! What requests that come at the same time ask of Redis goes there together.
//!
//! Each on its own would be a system call here, one there, and one more each for its answer; and each
//! would wake somebody. So the first command that has to go does not go at once: a task is begun, and
//! comes to its turn when all requests that are ready have run, which say meanwhile what they ask for,
//! too. It goes on gathering until it has as many as are under way (half of all, so that Redis has work
//! while the node has), until some of those are answered, or for a [moment](COMPANY). Then all of it goes
//! as one pipeline. A command that is alone, or one of two, goes at once.
//!
//! What is asked most of all, checks and visits, is not a command each: one call of a function takes
//! [many of them](Together). A call costs Redis as much as what a check does in it.

use std::{mem, sync::Arc, time::Duration};

use ::redis::{Cmd, Pipeline, Value};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    task::yield_now,
    time::timeout,
};

use super::{codec, link::Link};
use crate::store::{Result, StoreError};

/// How many one call takes. Redis does nothing else meanwhile: less than a millisecond.
const MOST_IN_CALL: usize = 128;

/// How long a command waits for company at the most. What is under way may hang.
const COMPANY: Duration = Duration::from_millis(1);

/// A function that takes any number of items, an argument each, and answers an array of as many: what
/// [it came to](codec::of_items). What is wrong with one of them is told of that one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Together {
    /// Sessions, looked up.
    Check,
    /// Visits, judged and counted.
    Visit,
}

/// What goes next.
#[derive(Default)]
pub(super) struct Gather {
    state: Mutex<State>,
    /// That it may be time to go.
    is_time: Notify,
}

#[derive(Default)]
struct State {
    next: Batch,
    /// How many are asked for and not answered.
    under_way: usize,
}

type Waiter = oneshot::Sender<Result<Value>>;

/// Commands with who waits for the answer of each, and calls of functions that take many.
#[derive(Default)]
struct Batch {
    commands: Pipeline,
    waiting: Vec<Waiter>,
    calls: Vec<Call>,
}

/// A call of a function that takes many, with who waits for what became of each.
struct Call {
    function: Together,
    command: Cmd,
    waiting: Vec<Waiter>,
}

impl Gather {
    /// Sends a command over the link, with others that come meanwhile, and waits for its answer. Once
    /// asked for it is sent, also when nobody waits for it any more.
    pub(super) async fn ask(self: &Arc<Self>, link: &Arc<Link>, command: Cmd) -> Result<Value> {
        self.add(link, |batch, waiting| {
            batch.commands.add_command(command);
            batch.waiting.push(waiting);
        })
        .await
    }

    /// The same for one item of a function that takes many; `begin` is how a call of it begins.
    pub(super) async fn ask_item(
        self: &Arc<Self>,
        link: &Arc<Link>,
        function: Together,
        begin: impl FnOnce() -> Cmd,
        item: &[u8],
    ) -> Result<Value> {
        self.add(link, |batch, waiting| batch.add_item(function, begin, item, waiting)).await
    }

    async fn add(
        self: &Arc<Self>,
        link: &Arc<Link>,
        add: impl FnOnce(&mut Batch, Waiter),
    ) -> Result<Value> {
        let (answer, waits) = oneshot::channel();
        let (count, is_time) = {
            let mut state = self.state.lock();
            add(&mut state.next, answer);
            (state.next.count(), state.is_time())
        };
        if count == 1 {
            let turn = Turn { gather: Arc::clone(self), under_way: 0 };
            let link = Arc::clone(link);
            tokio::spawn(async move { turn.take(&link).await });
        } else if is_time {
            self.is_time.notify_one();
        }
        let closed = |_| Err(StoreError::Unavailable("Redis: the service ends".to_owned()));
        waits.await.unwrap_or_else(closed)
    }

    async fn company(&self) {
        while !self.state.lock().is_time() {
            self.is_time.notified().await;
        }
    }
}

impl State {
    fn is_time(&self) -> bool {
        self.next.count() >= self.under_way
    }
}

/// Whose turn it is to send what is gathered.
struct Turn {
    gather: Arc<Gather>,
    /// How many it has sent.
    under_way: usize,
}

impl Turn {
    /// Sends what was gathered when it is time, and tells everybody what was answered.
    async fn take(mut self, link: &Link) {
        yield_now().await;
        // However that ends, it is time.
        drop(timeout(COMPANY, self.gather.company()).await);
        let batch = {
            let mut state = self.gather.state.lock();
            let batch = mem::take(&mut state.next);
            self.under_way = batch.count();
            state.under_way += self.under_way;
            batch
        };
        batch.send(link).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.gather.state.lock();
        if self.under_way == 0 {
            // The runtime ends. Whoever waits is told, and whoever comes next begins anew.
            drop(mem::take(&mut state.next));
        }
        state.under_way -= self.under_way;
        drop(state);
        self.gather.is_time.notify_one();
    }
}

impl Batch {
    fn count(&self) -> usize {
        self.waiting.len() + self.calls.iter().map(|call| call.waiting.len()).sum::<usize>()
    }

    fn add_item(
        &mut self,
        function: Together,
        begin: impl FnOnce() -> Cmd,
        item: &[u8],
        waiting: Waiter,
    ) {
        let has_room =
            |call: &&mut Call| call.function == function && call.waiting.len() < MOST_IN_CALL;
        if let Some(call) = self.calls.iter_mut().find(has_room) {
            call.command.arg(item);
            call.waiting.push(waiting);
        } else {
            let mut command = begin();
            command.arg(item);
            self.calls.push(Call { function, command, waiting: vec![waiting] });
        }
    }

    async fn send(self, link: &Link) {
        let Self { mut commands, waiting, calls } = self;
        let mut called = Vec::with_capacity(calls.len());
        for call in calls {
            commands.add_command(call.command);
            called.push(call.waiting);
        }
        let mut answers = link.ask_all(commands).await.into_iter();
        for (waits, answer) in waiting.into_iter().zip(&mut answers) {
            // Who does not wait any more has hung up.
            drop(waits.send(answer));
        }
        for (waiting, answer) in called.into_iter().zip(answers) {
            let each = codec::of_items(answer, waiting.len());
            for (waits, answer) in waiting.into_iter().zip(each) {
                drop(waits.send(answer));
            }
        }
    }
}
