//! Waiting, where nothing can be awaited, for what is asynchronous: a service is opened by functions
//! that block, perhaps inside of a runtime.

use std::{io, panic, thread};

use tokio::runtime;

/// Runs something to its end, on a thread and in a runtime of its own. It must leave nothing behind
/// that is to go on in that runtime, and use nothing of another.
///
/// # Errors
/// The system has no thread for it.
pub(crate) fn waiting<T: Send>(work: impl Future<Output = T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new().spawn_scoped(scope, || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(work))
        })?;
        worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}
