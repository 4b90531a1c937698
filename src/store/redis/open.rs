//! The start: each primary is looked at, and given the functions.

use std::sync::Arc;

use ::redis::{ErrorKind, RedisError, ServerErrorKind, aio::MultiplexedConnection};

use super::{
    RedisOptions,
    finder::{Finder, Primary},
    library, link,
    servers::RedisServers,
    trust::connect_to,
};
use crate::store::{OpenError, waiting};

/// Looks at each primary and loads the library. Returns how they are found.
pub(super) fn open(
    servers: &RedisServers,
    options: &RedisOptions,
) -> Result<Arc<Finder>, OpenError> {
    let refused = |address: String| move |reason| OpenError::Redis { address, reason };
    let finder = Finder::new(servers, options.patience, options.must_append);
    let finder = finder.map_err(refused(servers.address()))?;
    let looked = waiting(async {
        let said = |address: String, error: &RedisError| refused(address)(reason(error));
        let primaries = finder.primaries().await;
        let primaries = primaries.map_err(|error| said(finder.address().to_owned(), &error))?;
        for (address, primary) in primaries {
            load(&finder, &primary).await.map_err(|error| said(address, &error))?;
        }
        Ok(())
    });
    looked
        .unwrap_or_else(|error| Err(refused(servers.address())(error.to_string())))
        .map(|()| Arc::new(finder))
}

async fn load(finder: &Finder, primary: &Primary) -> Result<(), RedisError> {
    let mut connection = connect_to(primary, finder).await?;
    match link::load().exec_async(&mut connection).await {
        // Where memory is full nothing is loaded, and what is there can be called.
        Err(error) if error.code() == Some("OOM") && has_library(&mut connection).await => Ok(()),
        loaded => loaded,
    }
}

/// Whether the functions are there. Without a key one fails, but it is found, on each node of a
/// cluster.
async fn has_library(connection: &mut MultiplexedConnection) -> bool {
    let mut call = ::redis::cmd("FCALL_RO");
    call.arg(library::function("is_empty")).arg(0);
    let called = call.exec_async(connection).await;
    called.is_err_and(|error| !error.is_io_error() && !link::is_unknown_function(&error))
}

/// Why a server cannot be used.
fn reason(error: &RedisError) -> String {
    let detail = error.detail().unwrap_or_default();
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            "it refuses the user or the password of `store.url`".to_owned()
        }
        ErrorKind::Server(ServerErrorKind::NoPerm) => format!(
            "its user may not do what is needed ({detail}): docs/more-than-one-node.md has the \
             rules"
        ),
        _ => match error.code() {
            Some("NOAUTH") => "it wants a password: write it into `store.url`".to_owned(),
            Some("WRONGPASS") => "it refuses the user or the password of `store.url`".to_owned(),
            Some(code) => format!("it says {code} {detail}"),
            None if error.kind() == ErrorKind::Client && !detail.is_empty() => detail.to_owned(),
            None if error.is_timeout() => "it does not answer in time".to_owned(),
            None => error.to_string(),
        },
    }
}
