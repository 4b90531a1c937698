//! The primary is killed, and the Sentinels put a replica in its place. With `store.redis.replicas = 1`
//! nothing that ended a session is lost, nodes follow without a new start, and they are not misled by
//! the old primary when it comes back.

use super::{BOUND, assert_well, crowd, crowd::Crowd, two_nodes};
use crate::support::{Sentinels, redis::redis_works};

#[tokio::test(flavor = "multi_thread")]
async fn no_answered_end_of_a_session_is_lost_with_the_primary() {
    if !redis_works() {
        return;
    }
    let mut group = Sentinels::start(&[]).await;
    let mut nodes = two_nodes(&group.url(), &[("COUNTERSIGN_STORE__REDIS__REPLICAS", "1")]);
    let root = crowd::administrator(&nodes[0]).await;
    let mut crowd = Crowd::start("failover", &[&nodes[0], &nodes[1]]).await;
    crowd.and_an_administrator("failover", &nodes[1], root);
    for _ in 0..2 {
        crowd.until_answers(200).await;
        let old = group.primary().expect("a primary");
        group.server(old).kill_hard();
        crowd.until_unserved(10).await;
        group.until_another_than(old).await;
        crowd.until_answers(100).await;
        // It takes writes until the Sentinels have found it. Nobody may be on it.
        group.server(old).restart();
        crowd.until_answers(100).await;
        group.until_whole().await;
    }
    crowd.until_answers(100).await;
    let outcome = crowd.holds().await;
    println!("{outcome:?}");
    let (lost, answered) = (outcome.lost, outcome.answered);
    assert_eq!((lost.log_outs, lost.passwords, lost.locks), (0, 0, 0));
    for some in [answered.visits, answered.log_outs, answered.passwords, answered.locks] {
        assert!(some > 0, "too little happened: {answered:?}");
    }
    assert!(outcome.met.longest < BOUND, "{:?}", outcome.met);
    assert_well(&mut nodes);
}
