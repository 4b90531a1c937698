//! The `countersign` program: parse, run, exit code.

use std::process::ExitCode;

use countersign::{cli::Cli, telemetry::printable};
use mimalloc::MiMalloc;

/// Requests are answered by whichever thread is free, and the store's thread frees what they made:
/// the system's allocator makes threads wait for each other then.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::read().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("countersign: {}", printable(&failure.to_string()));
            ExitCode::FAILURE
        }
    }
}
