//! Redis is killed and starts again with what its file has; or it is stopped, and goes on. The nodes
//! are not touched.

use super::{
    assert_all_holds, assert_well,
    crowd::{Crowd, Outcome},
    rounds, two_nodes, until_ready,
};
use crate::support::{RedisServer, redis::redis_works};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_redis_being_killed_under_load() {
    if !redis_works() {
        return;
    }
    assert_all_holds(&killed(&[]).await);
}

/// Checks are answered from memory, and what was answered holds all the same.
#[tokio::test(flavor = "multi_thread")]
async fn with_checks_from_memory_it_survives_as_well() {
    if !redis_works() {
        return;
    }
    let mut outcome = killed(&[("COUNTERSIGN_STORE__REDIS__CHECKS", "local")]).await;
    // The number that a check tells may be half a minute old.
    outcome.lost.visits = 0;
    assert_all_holds(&outcome);
}

async fn killed(more: &[(&str, &str)]) -> Outcome {
    let mut redis = RedisServer::start();
    let mut nodes = two_nodes(redis.url().as_str(), more);
    let crowd = Crowd::start("redis", &[&nodes[0], &nodes[1]]).await;
    for _ in 0..2 * rounds() {
        crowd.until_answers(100).await;
        redis.kill_hard();
        crowd.until_unserved(10).await;
        redis.restart();
    }
    crowd.until_answers(100).await;
    let outcome = crowd.holds().await;
    assert_well(&mut nodes);
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stops_and_goes_on_loses_nothing_and_logs_nobody_out() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let mut nodes = two_nodes(redis.url().as_str(), &[]);
    let crowd = Crowd::start("frozen", &[&nodes[0], &nodes[1]]).await;
    for _ in 0..rounds() {
        crowd.until_answers(100).await;
        redis.freeze();
        crowd.until_unserved(10).await;
        redis.thaw();
    }
    for node in &nodes {
        until_ready(&node.anonymous()).await;
    }
    crowd.until_answers(100).await;
    let outcome = crowd.holds().await;
    assert_all_holds(&outcome);
    assert_well(&mut nodes);
}
