//! Visits, and logs out after some visits.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use reqwest::Method;

use super::Answers;
use crate::support::{Process, User};

/// Whose sessions all visitors have.
pub(super) const EMAIL: &str = "ann@example.com";

/// One client's session, and what it was told.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) who: User,
    /// After how many visits it logs out.
    visits: u64,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    /// Visits that were answered, and visits that were sent.
    answered: AtomicU64,
    sent: AtomicU64,
    logged_out: AtomicBool,
    logout_sent: AtomicBool,
}

impl Visitor {
    pub(super) async fn new(server: &Process, visits: u64) -> Self {
        let who = server.program();
        who.log_in(EMAIL).await;
        Self { who, visits, told: Arc::default() }
    }

    /// Until the connection breaks.
    pub(super) async fn go(self, answers: Answers) {
        for _ in 0..self.visits {
            let visit = self.who.api(Method::POST, "/session/visits");
            self.told.sent.fetch_add(1, SeqCst);
            let Ok(answer) = visit.try_send().await else { return };
            answer.expect(200);
            self.told.answered.fetch_add(1, SeqCst);
            super::answered(&answers);
        }
        let logout = self.who.api(Method::DELETE, "/session");
        self.told.logout_sent.store(true, SeqCst);
        if let Ok(answer) = logout.try_send().await {
            answer.expect(204);
            self.told.logged_out.store(true, SeqCst);
            super::answered(&answers);
        }
    }

    /// How many of its visits were answered.
    pub(super) fn answered(&self) -> u64 {
        self.told.answered.load(SeqCst)
    }

    /// Asks the server that came back. Gives whether the session is alive.
    pub(super) async fn holds(self) -> bool {
        let answer = self.who.check().await;
        if self.told.logged_out.load(SeqCst) {
            assert_eq!(answer.status, 401, "an answered logout does not hold");
            return false;
        }
        if answer.status == 401 {
            assert!(self.told.logout_sent.load(SeqCst), "a session was lost");
            return false;
        }
        let visits = answer.expect(200).json()["visits"].as_u64().unwrap();
        let (answered, sent) = (self.answered(), self.told.sent.load(SeqCst));
        assert!(
            (answered..=sent).contains(&visits),
            "{answered} visits were answered and {sent} sent, {visits} are counted"
        );
        true
    }
}
