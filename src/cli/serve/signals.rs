//! When to stop.

use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// What a process says that was ended by ctrl-c: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Ends with the first SIGTERM or SIGINT. The second one ends the process at once.
pub(super) fn stop() -> io::Result<impl Future<Output = ()> + Send> {
    // Both are caught from here on, also while the server is still starting.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            warn!(event = "stopping", "told to stop twice: stopping at once");
            process::exit(INTERRUPTED);
        });
    })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
