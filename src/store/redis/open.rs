//! What a server must be before it is trusted with sessions. What would quietly lose a log-out is
//! refused, in one line that says what to do.

use std::{collections::BTreeMap, sync::Arc};

use ::redis::{ErrorKind, RedisError, ServerErrorKind, aio::MultiplexedConnection};

use super::{
    RedisOptions,
    finder::{Finder, Primary, connect},
    library, link,
    servers::RedisServers,
};
use crate::store::{OpenError, waiting};

/// The version that brought functions.
const LEAST_VERSION: (u32, u32) = (7, 0);

/// Looks at each primary and loads the library. Returns how they are found.
pub(super) fn open(
    servers: &RedisServers,
    options: &RedisOptions,
) -> Result<Arc<Finder>, OpenError> {
    let refused = |address: String| move |reason| OpenError::Redis { address, reason };
    let finder = Finder::new(servers, options.patience).map_err(refused(servers.address()))?;
    let looked = waiting(async {
        let primaries = finder.primaries().await;
        let primaries =
            primaries.map_err(|error| refused(finder.address().to_owned())(reason(&error)))?;
        for (address, primary) in primaries {
            look(&primary, finder.is_cluster(), options).await.map_err(refused(address))?;
        }
        Ok(())
    });
    looked
        .unwrap_or_else(|error| Err(refused(servers.address())(error.to_string())))
        .map(|()| Arc::new(finder))
}

async fn look(primary: &Primary, in_cluster: bool, options: &RedisOptions) -> Result<(), String> {
    let said = |error: RedisError| reason(&error);
    let mut connection = connect(&primary.client, options.patience).await.map_err(said)?;
    let text: String =
        ::redis::cmd("INFO").arg("everything").query_async(&mut connection).await.map_err(said)?;
    let mut warning = judge(&parse(&text), in_cluster, options.must_append)?;
    if let Err(error) = link::load().exec_async(&mut connection).await
        // Where memory is full nothing is loaded, and what is there can be called.
        && !(error.code() == Some("OOM") && has_library(&mut connection).await)
    {
        return Err(said(error));
    }
    if warning.is_none() {
        // Who may not ask is not told; a server in the cloud seldom lets anybody.
        let mut asked = ::redis::cmd("CONFIG");
        asked.arg("GET").arg("appendfsync");
        let said: Option<Vec<String>> = asked.query_async(&mut connection).await.ok();
        warning = said.and_then(|said| judge_sync(&said));
    }
    if let Some(warning) = warning {
        tracing::warn!(event = "redis", "{warning}");
    }
    Ok(())
}

/// Whether the functions are there. Without a key one fails, but it is found, on each node of a
/// cluster.
async fn has_library(connection: &mut MultiplexedConnection) -> bool {
    let mut call = ::redis::cmd("FCALL_RO");
    call.arg(library::function("is_empty")).arg(0);
    let called = call.exec_async(connection).await;
    called.is_err_and(|error| !error.is_io_error() && !link::is_unknown_function(&error))
}

/// The lines of `INFO`.
fn parse(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.trim_end().split_once(':')).collect()
}

/// Whether a server that says this of itself can be trusted; what to warn of.
fn judge(
    info: &BTreeMap<&str, &str>,
    in_cluster: bool,
    must_append: bool,
) -> Result<Option<String>, String> {
    let said = |name: &str| info.get(name).copied().unwrap_or("unknown");
    let version = said("redis_version");
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < LEAST_VERSION {
        return Err(format!("it is of version {version}; Redis or Valkey 7.0 or later is needed"));
    }
    match (in_cluster, said("cluster_enabled") == "1") {
        (false, true) => {
            return Err(
                "it is a node of a cluster: name that as `redis+cluster://` in `store.url`"
                    .to_owned(),
            );
        }
        (true, false) => {
            return Err(
                "it is no node of a cluster: name it as `redis://` in `store.url`".to_owned()
            );
        }
        _ => {}
    }
    if said("role") != "master" {
        return Err("it is a read-only replica: name its primary in `store.url`".to_owned());
    }
    let policy = said("maxmemory_policy");
    if policy != "noeviction" {
        return Err(format!(
            "its maxmemory-policy is {policy}, by which it may forget that a session ended: set \
             `maxmemory-policy noeviction`"
        ));
    }
    if said("aof_enabled") == "1" {
        return Ok(None);
    }
    let without = "it has no append-only file and loses what was answered when it ends";
    if must_append {
        return Err(format!(
            "{without}: set `appendonly yes`, or `store.redis.must_append = false` here"
        ));
    }
    Ok(Some(format!("Redis: {without}")))
}

/// What to warn of where the file is not synced before each answer.
fn judge_sync(said: &[String]) -> Option<String> {
    let policy = said.get(1).filter(|policy| *policy != "always")?;
    Some(format!(
        "Redis: its appendfsync is {policy}: when it is killed, the last seconds of log-outs may be \
         forgotten; `appendfsync always` forgets none"
    ))
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
            None if error.is_timeout() => "it does not answer in time".to_owned(),
            None => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nrole:master\r\ncluster_enabled:0\r\n\
                        maxmemory_policy:noeviction\r\naof_enabled:1\r\n";

    fn refused(line: &str, instead: &str) -> String {
        assert!(GOOD.contains(line), "{line}");
        judge(&parse(&GOOD.replace(line, instead)), false, true).unwrap_err()
    }

    #[test]
    fn what_would_lose_a_logout_is_refused_and_the_reason_named() {
        assert_eq!(judge(&parse(GOOD), false, true), Ok(None));
        for (line, instead, word) in [
            ("7.0.15", "6.2.14", "6.2.14"),
            ("7.0.15", "what", "7.0 or later"),
            ("role:master", "role:slave", "replica"),
            ("noeviction", "allkeys-lru", "allkeys-lru"),
            ("maxmemory_policy", "other", "unknown"),
            ("cluster_enabled:0", "cluster_enabled:1", "cluster"),
            ("aof_enabled:1", "aof_enabled:0", "append-only"),
            ("aof_enabled", "other", "append-only"),
        ] {
            let reason = refused(line, instead);
            assert!(reason.contains(word) && !reason.contains('\n'), "{reason}");
        }
        let node = GOOD.replace("cluster_enabled:0", "cluster_enabled:1");
        assert_eq!(judge(&parse(&node), true, true), Ok(None));
        assert!(judge(&parse(GOOD), true, true).unwrap_err().contains("no node of a cluster"));
        for version in ["7.2.4", "8.0.0", "10.1.0"] {
            assert_eq!(judge(&parse(&GOOD.replace("7.0.15", version)), false, true), Ok(None));
        }
        let said = |policy: &str| ["appendfsync".to_owned(), policy.to_owned()];
        assert_eq!((judge_sync(&said("always")), judge_sync(&[])), (None, None));
        assert!(judge_sync(&said("everysec")).unwrap().contains("everysec"));
        let without = GOOD.replace("aof_enabled:1", "aof_enabled:0");
        assert!(
            judge(&parse(&without), false, false).unwrap().is_some_and(|it| it.contains("append"))
        );
    }
}
