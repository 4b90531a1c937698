//! A step in the writer's queue, and the way its answer takes.

use tokio::sync::oneshot;

use crate::store::{Result, view::Write};

/// A change that waits for the writer, which runs it, records what it wrote, and answers it.
///
/// Dropping a job unanswered is an answer too: nothing of it was recorded.
pub(super) trait Job: Send {
    /// Runs the step. Returns whether what it wrote is to be kept: not after an error.
    fn run(&mut self, w: &mut dyn Write) -> bool;

    /// Whether what it did may be answered before it is recorded. Asked after it ran.
    fn answer_first(&self) -> bool;

    /// Tells the one who waits what the step returned, or that it could not be recorded.
    fn answer(self: Box<Self>, recorded: Result<()>);
}

/// The one kind of [`Job`]: a step and who waits for it.
pub(super) struct Change<T, F> {
    step: Option<F>,
    outcome: Option<Result<T>>,
    answer_first: fn(&T) -> bool,
    waiting: oneshot::Sender<Result<T>>,
}

impl<T, F> Change<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Write) -> Result<T> + Send + 'static,
{
    /// A job of `step`, and where its answer will be.
    pub(super) fn queued(
        step: F,
        answer_first: fn(&T) -> bool,
    ) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>) {
        let (waiting, answer) = oneshot::channel();
        let change = Self { step: Some(step), outcome: None, answer_first, waiting };
        (Box::new(change), answer)
    }
}

impl<T, F> Job for Change<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Write) -> Result<T> + Send + 'static,
{
    fn run(&mut self, w: &mut dyn Write) -> bool {
        self.outcome = self.step.take().map(|step| step(w));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer_first(&self) -> bool {
        matches!(&self.outcome, Some(Ok(answer)) if (self.answer_first)(answer))
    }

    fn answer(self: Box<Self>, recorded: Result<()>) {
        if let Some(outcome) = self.outcome {
            // Whoever asked may be gone by now: a client that hung up. It is recorded all the same.
            drop(self.waiting.send(recorded.and(outcome)));
        }
    }
}
