//! The store in shards: what the contract's suites, which run on it as on every store, do not show.
//!
//! | file | what it shows |
//! |---|---|
//! | `claims` | nobody takes an e-mail that somebody is at, and what is left of a claim goes |
//! | `held` | a Redis whose commands can be held on their way |
//! | `moved` | backups of all shards, and the replacement of all by one |
//! | `slots` | a slot that moves from one node of a real cluster to another |

mod claims;
mod held;
mod moved;
mod slots;

use std::time::Duration;

use countersign::store::{ClusterStore, RedisOptions, RedisServers};

use crate::support::RedisServer;

/// One that does not wait for long.
fn hasty(servers: impl Into<RedisServers>) -> ClusterStore {
    let options = RedisOptions { patience: Duration::from_secs(1), ..RedisOptions::default() };
    ClusterStore::open(servers, options).unwrap()
}

/// How many claims to e-mails there are.
fn claims(server: &RedisServer) -> u64 {
    let script = "local all = 0 for _, key in ipairs(redis.call('KEYS', '*:c')) do \
                  all = all + redis.call('HLEN', key) end return all";
    server.ask(&["EVAL", script, "0"]).trim().parse().unwrap()
}

/// Accounts are gone as nobody removes them, and so are their places in the lists: as if a node had
/// died in the middle of making them.
fn forget_accounts(server: &RedisServer) {
    let script = "for _, kind in ipairs { 'a*', 'e', 'i' } do \
                  for _, key in ipairs(redis.call('KEYS', '*:0:' .. kind)) do \
                  redis.call('DEL', key) end end";
    server.ask(&["EVAL", script, "0"]);
}
