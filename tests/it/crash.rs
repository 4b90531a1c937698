//! `kill -9` in the middle of everything, again and again.
//!
//! After each restart: every visit that was answered is there, none counted twice, every logout
//! that was answered holds, and nothing that ended is back. `COUNTERSIGN_CRASH_ROUNDS` sets how
//! often; the seed is printed, and `COUNTERSIGN_CRASH_SEED` repeats one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::support::{Dice, Process, User, at_once, number};

const CLIENTS: usize = 8;

/// One client's session, and what it was told.
#[derive(Clone)]
struct Told {
    who: User,
    /// Visits that were answered.
    answered: Arc<AtomicU64>,
    /// Visits that were sent and not answered.
    in_flight: Arc<AtomicU64>,
    logged_out: Arc<AtomicBool>,
    logout_sent: Arc<AtomicBool>,
}

impl Told {
    async fn new(server: &Process) -> Self {
        let who = server.program();
        who.log_in("ann@example.com").await;
        Self {
            who,
            answered: Arc::default(),
            in_flight: Arc::default(),
            logged_out: Arc::default(),
            logout_sent: Arc::default(),
        }
    }

    /// Visits until the connection breaks, and logs out after some visits.
    /// Tells of every answer as soon as it has it.
    async fn go(self, visits: u64, answers: watch::Sender<u64>) {
        for _ in 0..visits {
            let visit = self.who.api(reqwest::Method::POST, "/session/visits");
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            match visit.try_send().await {
                Ok(answer) if answer.status == 200 => {
                    self.in_flight.fetch_sub(1, Ordering::SeqCst);
                    self.answered.fetch_add(1, Ordering::SeqCst);
                    answers.send_modify(|n| *n += 1);
                }
                Ok(answer) => panic!("{} {}", answer.status, answer.beginning()),
                Err(_) => return,
            }
        }
        let logout = self.who.api(reqwest::Method::DELETE, "/session");
        self.logout_sent.store(true, Ordering::SeqCst);
        if let Ok(answer) = logout.try_send().await {
            answer.expect(204);
            self.logged_out.store(true, Ordering::SeqCst);
            answers.send_modify(|n| *n += 1);
        }
    }

    /// Asks the server that came back. Gives whether the session is alive.
    async fn holds(self) -> bool {
        let answer = self.who.check().await;
        let (answered, in_flight) =
            (self.answered.load(Ordering::SeqCst), self.in_flight.load(Ordering::SeqCst));
        if self.logged_out.load(Ordering::SeqCst) {
            assert_eq!(answer.status, 401, "an answered logout does not hold");
            return false;
        }
        if answer.status == 401 {
            let sent = self.logout_sent.load(Ordering::SeqCst);
            assert!(sent, "a session was lost");
            return false;
        }
        let visits = answer.expect(200).json()["visits"].as_u64().unwrap();
        assert!(
            (answered..=answered + in_flight).contains(&visits),
            "{answered} visits were answered and {in_flight} under way, {visits} are counted"
        );
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_kill_9() {
    let rounds = number("COUNTERSIGN_CRASH_ROUNDS").unwrap_or(50);
    let mut dice = Dice::of("COUNTERSIGN_CRASH_SEED");
    let mut server = Process::with(&[("COUNTERSIGN_LOG__FILTER", "warn")]);
    server.anonymous().sign_up("ann@example.com").await.expect(201);

    let mut ended: Vec<User> = Vec::new();
    let (mut answered, mut logouts) = (0, 0);
    for _ in 0..rounds {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(Told::new(&server).await);
        }
        let (answers, mut told) = watch::channel(0);
        let tasks: Vec<_> = clients
            .iter()
            .cloned()
            .map(|client| tokio::spawn(client.go(dice.roll(16), answers.clone())))
            .collect();
        drop(answers);
        // At the very moment of an answer: what it says must be on the disk already.
        let enough = dice.roll(8 * CLIENTS as u64);
        let patience = Duration::from_millis(500);
        // Time passes or the clients are done before as many answers came: then it is now.
        let _ = tokio::time::timeout(patience, told.wait_for(|n| *n >= enough)).await;
        server.kill_hard();
        for task in tasks {
            crate::support::in_time("a client", task).await.unwrap();
        }
        server.restart();
        let alive = at_once(clients.iter().cloned().map(Told::holds)).await;
        for (client, alive) in clients.into_iter().zip(alive) {
            answered += client.answered.load(Ordering::SeqCst);
            if alive {
                client.who.log_out().await.expect(204);
            } else {
                logouts += 1;
            }
            ended.push(client.who);
        }
        // Nothing that ended in an earlier round is back.
        let some = ended.iter().rev().skip(CLIENTS).step_by(7).take(16).cloned();
        at_once(some.map(|who| async move {
            who.check().await.expect(401);
        }))
        .await;
    }
    at_once(ended.into_iter().map(|who| async move {
        who.check().await.expect(401);
    }))
    .await;
    println!("{rounds} rounds, {answered} answered visits, {logouts} logouts before a crash");
    assert!(answered > rounds && logouts > 0, "the crashes came too early to show anything");
}
