//! What the tests stand on.
//!
//! | file | what it gives |
//! |---|---|
//! | `app` | [`TestApp`]: the real server in this process, on a clock that is moved by hand |
//! | `process` | [`Process`]: the real binary, to be killed and started again |
//! | `user` | [`User`]: who sends requests (a stranger, a browser, a program) |
//! | `jar` | [`Jar`]: cookies as a browser keeps them (RFC 6265bis) |
//! | `answer` | [`Answer`]: what came back, and what is asserted about it all the time |
//! | `capture` | what `just secrets` looks through, when it runs the suite |
//! | `dice` | [`Dice`]: chance that can be repeated by its seed |
//! | `cluster` | [`RedisCluster`]: a real cluster of them |
//! | `redis` | [`RedisServer`]: a real Redis, to be killed, frozen and started again |
//! | `sentinels` | [`Sentinels`]: a primary, its replicas, and who promotes one of them |
//! | `balancer` | [`Balancer`]: a real HAProxy or nginx |
//! | `wire` | [`Wire`]: a network that is cut, held, or slow |
//! | `port` | ports for what is started again on the same one |
//! | `store` | [`HeldStore`]: a store whose steps can be held at a gate, or fail |
//! | `raw` | requests that no well-behaved client can send |
//! | `routes` | every route there is, from the OpenAPI document and the list of pages |

pub(crate) mod answer;
pub(crate) mod app;
pub(crate) mod balancer;
pub(crate) mod capture;
pub(crate) mod cluster;
pub(crate) mod dice;
pub(crate) mod jar;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod routes;
pub(crate) mod sentinels;
pub(crate) mod store;
pub(crate) mod user;
pub(crate) mod wire;

use std::{future::Future, time::Duration};

pub(crate) use self::{
    answer::Answer,
    app::TestApp,
    balancer::Balancer,
    cluster::{RedisCluster, SharedCluster},
    dice::{Dice, number},
    jar::Jar,
    process::{Process, SECRET},
    redis::RedisServer,
    sentinels::Sentinels,
    store::{Control, Op, When},
    user::User,
    wire::{Way, Wire},
};

/// Everybody's password, of the least length that is allowed.
pub(crate) const PASSWORD: &str = "correct horse b";

/// Long enough for a busy machine. Only a hang takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a future that would hang for ever if the thing under test did.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

/// Starts all of them at once, on threads of their own, and gives what came of each in order.
pub(crate) async fn at_once<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    in_time("a crowd of requests", async {
        let mut outputs = Vec::with_capacity(tasks.len());
        for task in tasks {
            outputs.push(task.await.expect("a request panicked"));
        }
        outputs
    })
    .await
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> serde_json::Value {
    part(token, 1)
}

/// The header of a token, unverified.
pub(crate) fn header(token: &str) -> serde_json::Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> serde_json::Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = token.split('.').nth(index).expect("three parts");
    let json = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&json).expect("JSON")
}
