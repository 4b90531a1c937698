//! Probes for whoever watches the process.

use std::sync::Arc;

use poem::{handler, web::Data};

use super::{HttpError, Site};

/// `/healthz`: the process runs and answers.
#[handler]
pub(super) fn alive() -> &'static str {
    "ok\n"
}

/// `/readyz`: changes can be recorded. 503 when they cannot: send no new work here.
#[handler]
pub(super) async fn ready(Data(site): Data<&Arc<Site>>) -> poem::Result<&'static str> {
    site.sessions.ready().await.map_err(HttpError::from)?;
    Ok("ready\n")
}
