//! What a server must be before it is trusted with sessions. What would quietly lose a log-out is
//! refused, in one line that says what to do.
//!
//! It is looked at whenever a connection is made, not at the start alone: after a failover another
//! server is the primary, and what that was set to nobody has seen yet.

use std::collections::BTreeMap;

use ::redis::{Cmd, ErrorKind, RedisError, Value, aio::MultiplexedConnection};
use parking_lot::Mutex;

use super::finder::{Finder, Primary, connect};

/// The version that brought functions.
const LEAST_VERSION: (u32, u32) = (7, 0);

/// What is wanted of a server.
pub(super) struct Trust {
    pub(super) in_cluster: bool,
    /// Whether one without an append-only file is refused.
    pub(super) must_append: bool,
    /// The runs of servers that were warned of, and as what: many connections are made to each.
    pub(super) warned_of: Mutex<BTreeMap<String, String>>,
}

/// A connection to a server that can be trusted, and that says itself that it is a primary: one that
/// was replaced may not have heard of it, and a replica answers what was true a moment ago.
pub(super) async fn connect_to(
    primary: &Primary,
    finder: &Finder,
) -> Result<MultiplexedConnection, RedisError> {
    let mut connection = connect(&primary.client, finder.patience()).await?;
    finder.trust.look(&mut connection).await?;
    Ok(connection)
}

/// Asks whether it is a primary, where that goes with each check: `WAIT` for no replica is answered at
/// once, and a replica does not take it.
pub(super) fn still_primary() -> Cmd {
    let mut wait = ::redis::cmd("WAIT");
    wait.arg(0).arg(0);
    wait
}

impl Trust {
    async fn look(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let mut asked = ::redis::pipe();
        asked.cmd("INFO").cmd("CONFIG").arg("GET").arg("appendfsync").add_command(still_primary());
        let answers = connection.send_packed_commands(&asked, 0, 3).await?;
        let mut answers = answers.into_iter().map(Value::extract_error);
        let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
        let text: String = ::redis::from_redis_value(next()?)?;
        // Who may not ask is not told; a server in the cloud seldom lets anybody.
        let sync = next().and_then(|said| Ok(::redis::from_redis_value(said)?));
        let sync: Vec<String> = sync.unwrap_or_default();
        let may_ask = next();
        let info = parse(&text);
        let judged = judge(&info, self.in_cluster, self.must_append);
        let warning =
            judged.map_err(|reason| (ErrorKind::Client, "it cannot be trusted", reason))?;
        may_ask?;
        if let Some(warning) = warning.or_else(|| judge_sync(&sync)) {
            self.warn(info.get("run_id").copied().unwrap_or_default(), warning);
        }
        Ok(())
    }

    /// Says it, once of each run of a server.
    fn warn(&self, run: &str, warning: String) {
        let mut warned_of = self.warned_of.lock();
        if warned_of.get(run) != Some(&warning) {
            tracing::warn!(event = "redis", "{warning}");
            warned_of.insert(run.to_owned(), warning);
        }
    }
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
    // Until then it says that it has no append-only file.
    if said("loading") == "1" {
        return Err("it is still reading its file".to_owned());
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
            ("aof_enabled:1", "loading:1\r\naof_enabled:0", "still reading"),
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
