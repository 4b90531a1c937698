//! The primary is cut off from its replicas and the Sentinels, and not from a node. They put another
//! one in its place, and for a while there are two. What that node answers meanwhile is lost when the
//! old one has to follow the new one; where log-outs wait for a replica, none is answered. A node that
//! cannot be told asks nobody.

use std::time::{Duration, Instant};

use super::{assert_well, two_nodes, until_ready};
use crate::support::{PATIENCE, Process, Sentinels, User, Way, at_once, redis::redis_works};

/// What came of the log-outs at the node that can reach the old primary.
struct Told {
    answered: usize,
    unserved: usize,
    /// Answered, and good again afterwards.
    lost: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_at_a_primary_that_is_cut_off_is_lost_unless_it_waits() {
    if !redis_works() {
        return;
    }
    let told = cut_off("0").await;
    assert!(told.answered > 0 && told.lost > 0, "{} {}", told.answered, told.lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_waiting_no_log_out_is_answered_that_would_be_lost() {
    if !redis_works() {
        return;
    }
    let told = cut_off("1").await;
    assert!(told.unserved > 0, "none was refused");
    assert_eq!(told.lost, 0, "of {}", told.answered);
}

async fn cut_off(replicas: &str) -> Told {
    let group = Sentinels::behind_a_wire(&[]).await;
    let mut nodes = two_nodes(&group.url(), &[("COUNTERSIGN_STORE__REDIS__REPLICAS", replicas)]);
    let told = log_out_meanwhile(&group, &mut nodes).await;
    println!(
        "store.redis.replicas = {replicas}: {} log-outs answered, {} not, {} lost",
        told.answered, told.unserved, told.lost
    );
    assert_well(&mut nodes);
    told
}

async fn log_out_meanwhile(group: &Sentinels, nodes: &mut [Process; 2]) -> Told {
    let ann = nodes[0].program();
    ann.join("ann@example.com").await;
    let sessions = at_once((0..60).map(|_| {
        let who = nodes[0].program();
        async move {
            who.log_in("ann@example.com").await;
            who
        }
    }))
    .await;
    let gone = nodes[1].program();
    gone.log_in("ann@example.com").await;
    // The replicas have all of them.
    tokio::time::sleep(Duration::from_secs(1)).await;

    let wire = group.wire.as_ref().expect("a wire");
    wire.set_for(Sentinels::GROUP, Way::Cut);
    let promoted = group.until_another_than(0);
    let (mut ended, mut unserved) = (Vec::new(), 0);
    let log_outs = async {
        for who in sessions {
            let answer = who.log_out().await;
            match answer.status {
                204 => ended.push(who),
                503 => unserved += 1,
                other => panic!("{other}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::join!(promoted, log_outs);
    // A node that starts now is with the new one. That it knows of a log-out, the other one hears while
    // there are still two, because it leaves the old one by itself.
    nodes[1].kill_hard();
    nodes[1].restart();
    gone.log_out().await.expect(204);
    let (here, started) = (nodes[0].program(), Instant::now());
    here.take(&gone.token());
    while is_good(&here).await {
        assert!(started.elapsed() < PATIENCE, "it stays with the old primary");
    }
    println!("a log-out elsewhere was known after {:?}", started.elapsed());

    wire.set_for(Sentinels::GROUP, Way::Open);
    group.until_follows(0).await;
    for node in &*nodes {
        until_ready(&node.anonymous()).await;
        // Whoever logs in is known at once: the node is where the others are.
        node.program().log_in("ann@example.com").await;
    }
    let answered = ended.len();
    let is_back = |who: User| async move { is_good(&who).await };
    let lost = at_once(ended.into_iter().map(is_back)).await.into_iter().filter(|back| *back);
    Told { answered, unserved, lost: lost.count() }
}

async fn is_good(who: &User) -> bool {
    let started = Instant::now();
    loop {
        match who.check().await.status {
            200 => return true,
            401 => return false,
            _ => assert!(started.elapsed() < PATIENCE, "it does not come back"),
        }
    }
}

/// Two of three Sentinels do not answer any more, although the primary is well: the node may be on the
/// wrong side of a split, so it asks nobody, until they are back.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_most_sentinels_do_not_answer_says_503() {
    if !redis_works() {
        return;
    }
    let group = Sentinels::start(&[]).await;
    let mut nodes = two_nodes(&group.url(), &[]);
    let ann = nodes[0].program();
    ann.join("ann@example.com").await;
    ann.check().await.expect(200);
    group.freeze(&[0, 2]);
    let started = Instant::now();
    loop {
        let asked = started.elapsed();
        if ann.check().await.status != 200 {
            break;
        }
        assert!(asked <= Duration::from_secs(3), "it goes on, {asked:?} after they were there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..3 {
        ann.check().await.expect_problem(503, "store_unavailable");
        ann.log_out().await.expect_problem(503, "store_unavailable");
    }
    group.thaw(&[0, 2]);
    assert!(is_good(&ann).await, "nobody was logged out");
    assert_well(&mut nodes);
}
