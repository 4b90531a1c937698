//! How answers get from the writer's thread to those who wait.
//!
//! To wake a task from a thread outside the runtime costs a lock and often a system call. So the
//! writer wakes one task, which is given the whole group and wakes the others from inside.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use super::job::Job;
use crate::store::Result;

/// The way to the task that answers, if there is one.
pub(super) struct Answers(Option<UnboundedSender<Group>>);

impl Answers {
    /// Starts the task in the runtime that the caller is in. Without one, or in one of a single
    /// thread (which may not be driven while others wait), the writer answers by itself.
    pub(super) fn new() -> Self {
        let runtime = Handle::try_current().ok();
        let shared = |handle: &Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
        Self(runtime.filter(shared).map(|runtime| {
            // Bounded by the queue: whoever waits for an answer has no second change in it.
            let (sender, mut groups) = unbounded_channel();
            runtime.spawn(async move {
                while let Some(group) = groups.recv().await {
                    drop(group);
                }
            });
            sender
        }))
    }

    /// Tells each what its step returned, or that it could not be `recorded`.
    pub(super) fn send(&self, jobs: Vec<Box<dyn Job>>, recorded: Result<()>) {
        let group = Group { jobs, recorded };
        if group.jobs.is_empty() {
            return;
        }
        match &self.0 {
            // If the runtime is gone, the group is dropped here instead.
            Some(sender) => drop(sender.send(group)),
            None => drop(group),
        }
    }
}

/// Those who wait, and whether it is recorded. They are answered when it is dropped, wherever that
/// may be: what is recorded must not be reported as lost because a runtime ended.
struct Group {
    jobs: Vec<Box<dyn Job>>,
    recorded: Result<()>,
}

impl Drop for Group {
    fn drop(&mut self) {
        for job in self.jobs.drain(..) {
            job.answer(self.recorded.clone());
        }
    }
}
