//! `countersign openapi`: the API as a document.

use clap::{Args, ValueEnum};

use super::{Failure, output};
use crate::http::{openapi_json, openapi_yaml};

/// Print the OpenAPI document of the JSON API
#[derive(Debug, Args)]
#[command(after_help = "Example:
  countersign openapi --format yaml > countersign.yaml")]
pub(super) struct Openapi {
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Json,
    Yaml,
}

impl Openapi {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        let document = match self.format {
            Format::Json => openapi_json(),
            Format::Yaml => openapi_yaml(),
        };
        output::say(document.trim_end_matches('\n'))
    }
}
