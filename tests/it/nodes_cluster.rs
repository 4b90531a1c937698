//! Several servers on a real cluster of six, and a primary of it that dies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use countersign::model::AccountId;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    PASSWORD, PATIENCE, Process, RedisCluster, SharedCluster, User, at_once, cluster,
    redis::redis_works,
};

/// The longest that an answer takes while a primary is away: twice Redis's second, and what a busy
/// machine adds.
const BOUND: Duration = Duration::from_secs(6);

/// How many people there are: enough that every primary has some.
const PEOPLE: usize = 24;

fn node_on(cluster: &RedisCluster) -> Process {
    Process::with(&[
        ("COUNTERSIGN_STORE__URL", &cluster.url()),
        ("COUNTERSIGN_STORE__REDIS__REPLICAS", "1"),
    ])
}

/// The same person, at another node.
fn at(node: &Process, who: &User) -> User {
    let there = node.browser();
    there.take(&who.token());
    there
}

async fn id_of(who: &User) -> AccountId {
    let account = who.get("/api/v1/account").await.expect(200).json();
    account["id"].as_str().unwrap().parse().unwrap()
}

/// Which of three primaries has what belongs to a person.
async fn primary_of(who: &User) -> usize {
    cluster::primary_of(id_of(who).await.as_bytes())
}

async fn crowd(node: &Process) -> Vec<User> {
    at_once((0..PEOPLE).map(|n| {
        let who = node.browser();
        async move {
            who.join(&format!("user{n}@example.com")).await;
            who
        }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_on_a_cluster() {
    if !redis_works() {
        return;
    }
    let cluster = RedisCluster::start(3, false);
    let first = Process::with(&[("COUNTERSIGN_STORE__URL", &cluster.url())]);
    let second = first.beside();
    let people = crowd(&first).await;
    let numbers = at_once(people.iter().flat_map(|who| {
        [who.clone(), at(&second, who)].map(|who| async move { who.check().await.status })
    }))
    .await;
    assert!(numbers.iter().all(|status| *status == 200));
    let ann = &people[0];
    assert_eq!(ann.open_admin().await, 1);
    assert_eq!(at(&second, ann).open_admin().await, 2);
    let copy = ann.copy();
    at(&second, ann).log_out().await.expect(204);
    copy.check().await.expect(401);
    second.browser().sign_up("user1@example.com").await.expect_problem(409, "email_taken");
}

/// By the round that each node begins with.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_lost_is_put_back_and_an_email_that_two_have_is_told_of() {
    if !redis_works() {
        return;
    }
    let cluster = SharedCluster::take();
    let first = Process::with(&[("COUNTERSIGN_STORE__URL", &cluster.url())]);
    let (ann, bob) = (first.browser(), first.browser());
    ann.join("ann@example.com").await;
    bob.join("bob@example.com").await;
    for node in &cluster.nodes {
        for claims in node.ask(&["KEYS", "*:c"]).split_whitespace() {
            node.ask(&["DEL", claims]);
        }
    }
    let log_in = |email: &str| {
        let body = json!({"email": email, "password": PASSWORD, "transport": "bearer"});
        first.program().api(Method::POST, "/session").json(&body)
    };
    log_in("bob@example.com").send().await.expect(401);
    bob.check().await.expect(200);
    let other = first.browser();
    other.join("ann@example.com").await;
    let second = first.beside();
    let started = Instant::now();
    while log_in("bob@example.com").send().await.status != 201 {
        assert!(started.elapsed() < PATIENCE, "nobody puts it back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    while !second.output().contains("email_twice") {
        assert!(started.elapsed() < PATIENCE, "{}", second.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let said = second.output();
    let said = said.lines().find(|line| line.contains("email_twice")).unwrap();
    for who in [&ann, &other] {
        assert!(said.contains(&id_of(who).await.to_string()), "{said}");
    }
    assert!(!said.contains("ann@"), "{said}");
}

/// Under load, and with the promise that a log-out that was answered holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_killed_is_replaced_and_nobody_is_logged_out_or_back_in() {
    if !redis_works() {
        return;
    }
    let mut cluster = RedisCluster::start(3, true);
    let node = node_on(&cluster);
    let people = crowd(&node).await;
    let mut by_primary: [Vec<User>; 3] = Default::default();
    for who in people {
        by_primary[primary_of(&who).await].push(who);
    }
    let away = by_primary.iter().position(|of_it| of_it.len() >= 4).expect("a primary with people");
    // Those log out in the middle of it, one after the other.
    let mut leaving = by_primary[away].split_off(2);

    let stop = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for (primary, who) in
        by_primary.iter().enumerate().flat_map(|(n, of)| of.iter().map(move |who| (n, who)))
    {
        let (who, stop) = (who.clone(), Arc::clone(&stop));
        load.spawn(async move {
            let (mut counted, mut failed, mut longest) = (0, 0, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let started = Instant::now();
                let answer = who.try_visit().await;
                longest = longest.max(started.elapsed());
                if answer.status == 200 {
                    counted += 1;
                } else {
                    answer.expect_no_cookie().expect_problem(503, "store_unavailable");
                    failed += 1;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (primary, who, counted, failed, longest)
        });
    }
    // One leaves before it dies, the others from then on, again and again until they are told that
    // they are out: with one replica, and that promoted, there is none that could have their end too,
    // and it is answered 503 until there is.
    let last = leaving.pop().unwrap();
    let mut left = vec![last.copy()];
    last.log_out().await.expect(204);
    cluster.nodes[away].kill_hard();
    let killed = Instant::now();
    let mut gone = JoinSet::new();
    for who in leaving {
        left.push(who.copy());
        gone.spawn(async move {
            loop {
                assert!(killed.elapsed() < PATIENCE, "no replica takes over");
                let started = Instant::now();
                let answer = who.copy().log_out().await;
                assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
                match answer.status {
                    204 | 401 => return,
                    _ => drop(answer.expect_no_cookie().expect_problem(503, "store_unavailable")),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    let back = &by_primary[away][0];
    while back.copy().try_visit().await.status != 200 {
        assert!(killed.elapsed() < PATIENCE, "no replica takes over");
        // Another node would have the same people away.
        node.browser().request(Method::GET, "/readyz").send().await.expect(200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("back after {:?}", killed.elapsed());
    // As a replica of the one that took over.
    cluster.nodes[away].restart();
    gone.join_all().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    for (primary, who, counted, failed, longest) in load.join_all().await {
        assert!(longest < BOUND, "{longest:?}");
        if primary == away {
            assert!(failed > 0, "its primary was away");
        } else {
            assert_eq!(failed, 0, "another primary's people go on");
        }
        // Nobody restarted anything, and the cookie is the same.
        let number = who.visit().await;
        assert!(
            number > counted && number <= counted + failed + 1,
            "{number} after {counted}, {failed}"
        );
    }
    for copy in left {
        copy.check().await.expect(401);
    }
    assert!(!node.output().contains("panic"), "{}", node.output());
}
