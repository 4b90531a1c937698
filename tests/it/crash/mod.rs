//! `kill -9` in the middle of everything, again and again.
//!
//! A real server, and clients that do something until it is gone. Each writes down what it asks
//! before it asks, and what it was told; after the restart it looks whether that holds. What was
//! answered does; what was not is there as a whole or not at all; nothing that ended is back.
//!
//! | file | what it does, and what must hold |
//! |---|---|
//! | `visitor` | visits and logs out: each answered visit is there, none counted twice, the log-out holds |
//! | `changer` | changes the password: old refused, new good, the other sessions over, its own alive |
//! | `joiner` | signs up: whoever was answered can log in, whoever was not can sign up |
//!
//! `COUNTERSIGN_CRASH_ROUNDS` sets how often; the seed is printed, and `COUNTERSIGN_CRASH_SEED`
//! repeats one.

mod changer;
mod joiner;
mod visitor;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

use self::{changer::Changer, joiner::Joiner, visitor::Visitor};
use crate::support::{Dice, Process, User, at_once, in_time, number};

/// How many visitors there are. Of the others there are two of a kind.
const VISITORS: usize = 8;

/// Where clients tell of every answer as soon as they have it.
type Answers = watch::Sender<u64>;

fn answered(answers: &Answers) {
    answers.send_modify(|n| *n += 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_kill_9() {
    let rounds = number("COUNTERSIGN_CRASH_ROUNDS").unwrap_or(8);
    let mut dice = Dice::of("COUNTERSIGN_CRASH_SEED");
    let mut server = Process::with(&[
        ("COUNTERSIGN_LOG__FILTER", "warn"),
        // Old passwords are tried after each round, all from one address.
        ("COUNTERSIGN_LOGIN__ATTEMPTS", "1000000"),
        ("COUNTERSIGN_LOGIN__ATTEMPTS_PER_ACCOUNT", "1000000"),
        ("COUNTERSIGN_LOGIN__ATTEMPTS_PER_ADDRESS", "1000000"),
    ]);
    server.anonymous().sign_up(visitor::EMAIL).await.expect(201);

    let mut ended: Vec<User> = Vec::new();
    let (mut visits, mut logouts, mut passwords, mut joined) = (0, 0, 0, 0);
    for round in 0..rounds {
        let name = |what: &str, n: usize| format!("{what}-{round}-{n}");
        let visits_of_each = [0; VISITORS].map(|_| dice.roll(16));
        let visitors = join_all(visits_of_each.map(|visits| Visitor::new(&server, visits))).await;
        let changers = [0, 1].map(|n| Changer::new(&server, name("changer", n)));
        let changers = join_all(changers).await;
        let joiners = [0, 1].map(|n| Joiner::new(&server, name("joiner", n)));
        let (answers, mut told) = watch::channel(0);
        let mut tasks = Vec::new();
        tasks.extend(visitors.iter().map(|it| tokio::spawn(it.clone().go(answers.clone()))));
        tasks.extend(changers.iter().map(|it| tokio::spawn(it.clone().go(answers.clone()))));
        tasks.extend(joiners.iter().map(|it| tokio::spawn(it.clone().go(answers.clone()))));
        drop(answers);
        // At the very moment of an answer: what it says must be on the disk already.
        let enough = dice.roll(10 * VISITORS as u64);
        // The clients are done before as many answers came, or a machine is very slow: then it is now.
        let _ =
            tokio::time::timeout(Duration::from_secs(10), told.wait_for(|n| *n >= enough)).await;
        server.kill_hard();
        for task in tasks {
            in_time("a client", task).await.unwrap();
        }
        server.restart();

        visits += visitors.iter().map(Visitor::answered).sum::<u64>();
        let alive = at_once(visitors.iter().cloned().map(Visitor::holds)).await;
        for (visitor, alive) in visitors.into_iter().zip(alive) {
            if alive {
                visitor.who.log_out().await.expect(204);
            } else {
                logouts += 1;
            }
            ended.push(visitor.who);
        }
        for (answered, others) in at_once(changers.into_iter().map(Changer::holds)).await {
            passwords += answered;
            ended.extend(others);
        }
        joined += at_once(joiners.into_iter().map(Joiner::holds)).await.iter().sum::<usize>();
        // Nothing that ended in an earlier round is back.
        let some = ended.iter().rev().skip(VISITORS).step_by(7).take(16).cloned();
        at_once(some.map(|who| async move {
            who.check().await.expect(401);
        }))
        .await;
    }
    at_once(ended.into_iter().map(|who| async move {
        who.check().await.expect(401);
    }))
    .await;
    println!(
        "{rounds} rounds; answered before a crash: {visits} visits, {logouts} logouts, {passwords} \
         password changes, {joined} sign-ups"
    );
    let enough = visits > rounds && logouts > 0 && passwords > 0 && joined > 0;
    assert!(enough, "the crashes came too early to show anything");
}
