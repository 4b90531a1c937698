//! What may be lost of what was answered, where the configuration promises less than all. Measured for
//! `docs/more-than-one-node.md` by `just failover-loss`; nothing here can fail but by being impossible.
//!
//! Nobody asks for anything more once the primary is dead, so that nothing mends what was lost: a token
//! that says of more visits than are counted raises their number.

use std::{
    io::{Seek as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use super::{
    crowd::{Answered, Crowd, Lost, Outcome},
    two_nodes,
};
use crate::support::{RedisServer, Sentinels, Way, number, redis::redis_works};

/// A row of the table.
#[derive(Default)]
struct Row {
    rounds: u64,
    lost_in: u64,
    answered: Answered,
    lost: Lost,
}

impl Row {
    fn add(&mut self, outcome: &Outcome) {
        self.rounds += 1;
        self.lost_in += u64::from(outcome.lost != Lost::default());
        let (sum, more) = (&mut self.answered, outcome.answered);
        sum.visits += more.visits;
        sum.log_ins += more.log_ins;
        sum.log_outs += more.log_outs + more.passwords;
        let (sum, more) = (&mut self.lost, outcome.lost);
        sum.visits += more.visits;
        sum.log_ins += more.log_ins + more.accounts;
        sum.log_outs += more.log_outs + more.passwords;
    }

    fn print(&self, what: &str) {
        println!(
            "| {what} | {} of {} | {} of {} | {} of {} | {} of {} |",
            self.lost_in,
            self.rounds,
            self.lost.log_outs,
            self.answered.log_outs,
            self.lost.log_ins,
            self.answered.log_ins,
            self.lost.visits,
            self.answered.visits
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: just failover-loss"]
async fn is_measured() {
    assert!(redis_works());
    let rounds = number("COUNTERSIGN_LOSS_ROUNDS").unwrap_or(5);
    println!("| what happens | rounds that lost something | log-outs lost | log-ins | visits |");
    println!("|---|---|---|---|---|");
    for replicas in [0, 1] {
        for behind in [0, 20, 200] {
            let mut row = Row::default();
            for _ in 0..rounds {
                row.add(&failed_over(replicas, Duration::from_millis(behind)).await);
            }
            row.print(&format!("failover, `replicas = {replicas}`, replicas {behind} ms away"));
        }
    }
    for (policy, is_busy) in [("everysec", false), ("everysec", true), ("always", true)] {
        let mut row = Row::default();
        for _ in 0..2 * rounds {
            row.add(&killed(policy, is_busy).await);
        }
        let disk = if is_busy { "a busy disk" } else { "an idle disk" };
        row.print(&format!("`kill -9`, `appendfsync {policy}`, {disk}"));
    }
}

/// The primary is killed, and a replica that everything reaches so much later takes its place.
async fn failed_over(replicas: u64, behind: Duration) -> Outcome {
    let mut group = Sentinels::behind_a_wire(&[]).await;
    let replicas = replicas.to_string();
    let mut nodes = two_nodes(&group.url(), &[("COUNTERSIGN_STORE__REDIS__REPLICAS", &replicas)]);
    let way = if behind.is_zero() { Way::Open } else { Way::Slow(behind) };
    group.wire.as_ref().expect("a wire").set_for(Sentinels::GROUP, way);
    let crowd = Crowd::start("loss", &[&nodes[0], &nodes[1]]).await;
    crowd.until_answers(300).await;
    group.server(0).kill_hard();
    // What was on its way is gone with the machine.
    group.wire.as_ref().expect("a wire").set_for(Sentinels::GROUP, Way::Cut);
    crowd.stop();
    group.until_another_than(0).await;
    let outcome = crowd.holds().await;
    for node in &mut nodes {
        node.kill_hard();
    }
    outcome
}

/// Redis is killed and started again, perhaps while somebody else writes much to its disk.
async fn killed(policy: &str, is_busy: bool) -> Outcome {
    let mut redis = RedisServer::with(&["--appendfsync", policy]);
    let mut nodes = two_nodes(redis.url().as_str(), &[]);
    let stop = Arc::new(AtomicBool::new(!is_busy));
    let writer = write_until(Arc::clone(&stop));
    let crowd = Crowd::start("killed", &[&nodes[0], &nodes[1]]).await;
    crowd.until_answers(300).await;
    redis.kill_hard();
    crowd.stop();
    stop.store(true, SeqCst);
    redis.restart();
    let outcome = crowd.holds().await;
    writer.join().unwrap();
    for node in &mut nodes {
        node.kill_hard();
    }
    outcome
}

fn write_until(stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut file = tempfile::tempfile().unwrap();
        let some = vec![7; 8 << 20];
        while !stop.load(SeqCst) {
            file.rewind().unwrap();
            for _ in 0..8 {
                file.write_all(&some).unwrap();
            }
            file.sync_all().unwrap();
        }
    })
}
