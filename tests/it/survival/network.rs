//! What is between a node and Redis fails, in all the ways that networks do. What needs Redis is
//! answered 503 in time, nothing that ended is good at the node that cannot know of it, and afterwards
//! it goes on by itself.

use std::time::{Duration, Instant};

use super::{assert_all_holds, assert_well, crowd::Crowd, rounds, two_nodes, until_ready};
use crate::support::{PATIENCE, Process, RedisServer, User, Way, Wire, redis::redis_works};

/// The longest that an answer takes: twice the second that Redis is given, and what a busy machine
/// adds.
const BOUND: Duration = Duration::from_secs(6);

/// A node behind a wire, and another one that has its own way.
async fn one_behind_a_wire(redis: &RedisServer, timeout: &str) -> (Wire, [Process; 2]) {
    let wire = Wire::to(redis.port()).await;
    let timeout = [("COUNTERSIGN_STORE__REDIS__TIMEOUT", timeout)];
    let mut nodes = two_nodes(redis.url().as_str(), &timeout);
    assert!(nodes[0].terminate().success());
    nodes[0].configure("COUNTERSIGN_STORE__URL", &wire.redis());
    nodes[0].restart();
    (wire, nodes)
}

/// The same person, at another node.
fn at(node: &Process, who: &User) -> User {
    let there = node.browser();
    there.take(&who.token());
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_says_so_and_accepts_nobody_who_was_logged_out_elsewhere() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let (wire, mut nodes) = one_behind_a_wire(&redis, "1s").await;
    let ann = nodes[0].browser();
    ann.join("ann@example.com").await;
    let mut told = 0;
    for way in [Way::Cut, Way::Held, Way::AnswersHeld, Way::Slow(Duration::from_secs(3))] {
        println!("{way:?}");
        let (gone, unsure) = (nodes[1].browser(), nodes[0].browser());
        gone.log_in("ann@example.com").await;
        unsure.log_in("ann@example.com").await;
        // The node behind the wire knows it, too.
        let gone_here = at(&nodes[0], &gone);
        assert_eq!(gone_here.open_admin().await, 1);
        told = told.max(ann.open_admin().await);

        wire.set(way);
        let mut tried = 0;
        for _ in 0..3 {
            unserved(&ann, reqwest::Method::POST, "/api/v1/session/visits").await;
            unserved(&ann, reqwest::Method::GET, "/api/v1/session").await;
            tried += 1;
        }
        // It is cut off alone.
        let elsewhere = nodes[1].browser();
        elsewhere.log_in("ann@example.com").await;
        assert_eq!(elsewhere.open_admin().await, 1);
        at(&nodes[1], &gone).log_out().await.expect(204);
        for path in ["/api/v1/session", "/api/v1/sessions", "/admin"] {
            unserved(&gone_here, reqwest::Method::GET, path).await;
        }
        unserved(&unsure, reqwest::Method::DELETE, "/api/v1/session").await;
        nodes[0].anonymous().get("/readyz").await.expect(503);
        nodes[0].anonymous().get("/healthz").await.expect(200);
        if way == Way::AnswersHeld {
            let counted = at(&nodes[1], &ann).check().await.expect(200).json()["visits"].clone();
            assert!(counted.as_u64().unwrap() > told, "the first was done, and nobody heard");
        }

        wire.set(Way::Open);
        until_ready(&nodes[0].anonymous()).await;
        gone_here.check().await.expect(401);
        gone_here.get("/admin").await.expect_page(401);
        let (here, there) = (unsure.check().await.status, at(&nodes[1], &unsure).check().await);
        assert!([200, 401].contains(&here) && here == there.status, "both say the same: {here}");
        let number = ann.open_admin().await;
        assert!(
            (told + 1..=told + tried + 1).contains(&number),
            "{told} were answered, {tried} more tried, and the next is {number}"
        );
        told = number;
    }
    assert_well(&mut nodes);
}

/// Asks, and is answered 503 in time, and keeps the cookie.
async fn unserved(who: &User, method: reqwest::Method, path: &str) {
    let (cookie, started) = (who.cookie(), Instant::now());
    let answer = who.request(method, path).send().await.expect_no_cookie().expect(503);
    assert!(started.elapsed() < BOUND, "{path}: {:?}", started.elapsed());
    assert_eq!(who.cookie(), cookie);
    assert_eq!(answer.header("retry-after"), "1");
}

/// What a firewall does that loses its table: the connection is there, and nothing comes through it
/// any more. Who waits for its end waits for a quarter of an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_dead_without_an_end_is_given_up() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let (wire, mut nodes) = one_behind_a_wire(&redis, "1s").await;
    let ann = nodes[0].browser();
    ann.join("ann@example.com").await;
    for number in 1..=3 {
        assert_eq!(ann.open_admin().await, number);
        wire.forget_connections();
        unserved(&ann, reqwest::Method::GET, "/api/v1/session").await;
        until_ready(&nodes[0].anonymous()).await;
        ann.check().await.expect(200);
    }
    assert_well(&mut nodes);
}

/// Answers are lost after the work was done: what is sent again would be done twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_without_an_answer_is_not_done_again() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let (wire, mut nodes) = one_behind_a_wire(&redis, "1m").await;
    let ann = nodes[0].program();
    ann.join("ann@example.com").await;
    let mut numbers = Vec::new();
    for lost in 0..10 {
        numbers.push(ann.visit().await);
        wire.set(Way::AnswersHeld);
        let visit = tokio::spawn(ann.clone().api(reqwest::Method::POST, "/session/visits").send());
        // It is done: the other node sees it.
        let there = nodes[1].program();
        there.take(&ann.token());
        let started = Instant::now();
        while there.check().await.expect(200).json()["visits"].as_u64() != Some(2 * (lost + 1)) {
            assert!(started.elapsed() < PATIENCE / 2, "it is not done");
        }
        wire.reset_connections();
        visit.await.unwrap().expect(503);
        until_ready(&nodes[0].anonymous()).await;
    }
    assert_eq!(numbers, (0..10).map(|n| 2 * n + 1).collect::<Vec<_>>());
    assert_well(&mut nodes);
}

/// Both nodes have the same bad way to Redis.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_fails_under_load_loses_nothing() {
    if !redis_works() {
        return;
    }
    let redis = RedisServer::start();
    let wire = Wire::to(redis.port()).await;
    let mut nodes = two_nodes(&wire.redis(), &[]);
    let crowd = Crowd::start("network", &[&nodes[0], &nodes[1]]).await;
    let ways = [Way::Cut, Way::AnswersHeld, Way::Held, Way::Slow(Duration::from_secs(3))];
    for _ in 0..rounds() {
        for way in ways {
            crowd.until_answers(50).await;
            wire.set(way);
            crowd.until_unserved(10).await;
            wire.set(Way::Open);
        }
        // Moments, in which some commands are done and not answered.
        for _ in 0..5 {
            crowd.until_answers(20).await;
            wire.set(Way::AnswersHeld);
            tokio::time::sleep(Duration::from_millis(30)).await;
            wire.reset_connections();
        }
    }
    crowd.until_answers(50).await;
    let outcome = crowd.holds().await;
    assert_all_holds(&outcome);
    assert_well(&mut nodes);
}
