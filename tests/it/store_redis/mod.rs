//! The store on a real Redis: what the contract's suites, which run on it as on every store, do not
//! show.
//!
//! | file | what it shows |
//! |---|---|
//! | `away` | its library lost, itself killed and frozen: an error in bounded time, and then it goes on |
//! | `refused` | which servers are not trusted with sessions |
//! | `replicas` | what ends sessions waits for as many as it is told |
//! | `cost` | how many commands an operation is, and that nothing stays for ever |
//! | `local` | checks from memory, and who makes them forget |
//! | `together` | what is asked at the same time goes together, and nobody is the worse for it |
//! | `moved` | from and to other stores |
//! | `replaced` | one generation in the place of another, on one server and in shards |

mod away;
pub(crate) mod cost;
mod local;
pub(crate) mod moved;
mod refused;
pub(crate) mod replaced;
mod replicas;
mod together;

use std::time::Duration;

use countersign::store::{AuditBounds, RedisOptions, RedisStore};

use crate::{store_world::open_redis, support::RedisServer};

fn open(server: &RedisServer) -> RedisStore {
    open_redis(server, AuditBounds::default())
}

/// One that does not wait for long.
fn hasty(server: &RedisServer) -> RedisStore {
    let options = RedisOptions { patience: Duration::from_secs(1), ..RedisOptions::default() };
    RedisStore::open(&server.url(), options).unwrap()
}
