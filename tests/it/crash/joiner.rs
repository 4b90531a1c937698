//! Signs up, under one address after the other.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::json;

use super::Answers;
use crate::support::{PASSWORD, Process, User};

/// A client, and what it was told.
#[derive(Clone)]
pub(super) struct Joiner {
    who: User,
    name: String,
    /// Sign-ups that were answered, and sign-ups that were sent.
    told: Arc<Mutex<(usize, usize)>>,
}

impl Joiner {
    pub(super) fn new(server: &Process, name: String) -> Self {
        Self { who: server.program(), name, told: Arc::default() }
    }

    fn email(&self, n: usize) -> String {
        format!("{}-{n}@example.com", self.name)
    }

    /// Until the connection breaks.
    pub(super) async fn go(self, answers: Answers) {
        for n in 0.. {
            let body = json!({"email": self.email(n), "password": PASSWORD});
            let sign_up = self.who.api(Method::POST, "/accounts").json(&body);
            self.told.lock().1 = n + 1;
            let Ok(answer) = sign_up.try_send().await else { return };
            answer.expect(201);
            self.told.lock().0 = n + 1;
            super::answered(&answers);
        }
    }

    /// Asks the server that came back. Gives how many sign-ups were answered.
    pub(super) async fn holds(self) -> usize {
        let (answered, sent) = *self.told.lock();
        for n in 0..sent {
            let email = self.email(n);
            let logged_in = self.who.try_log_in(&email, PASSWORD, json!({})).await.status;
            let taken = self.who.sign_up(&email).await.status;
            let whole = (logged_in, taken) == (201, 409);
            let none = (logged_in, taken) == (401, 201);
            assert!(whole || n >= answered, "an answered sign-up is lost: {logged_in} {taken}");
            assert!(whole || none, "half an account is left: {logged_in} {taken}");
        }
        answered
    }
}
