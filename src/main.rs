//! The `countersign` program: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use countersign::{cli::Cli, telemetry::printable};

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("countersign: {}", printable(&failure.to_string()));
            ExitCode::FAILURE
        }
    }
}
