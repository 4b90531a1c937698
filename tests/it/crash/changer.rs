//! Changes its password, from one of two sessions, again and again.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::json;

use super::Answers;
use crate::support::{PASSWORD, Process, User};

/// A client with an account of its own, and what it was told.
#[derive(Clone)]
pub(super) struct Changer {
    email: String,
    /// Where the password is changed. It stays logged in through all changes.
    here: User,
    /// Where to log in anew.
    elsewhere: User,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    /// Changes that were answered, and changes that were sent.
    answered: usize,
    sent: usize,
    /// The other session that was there before each change that was sent.
    others: Vec<User>,
}

impl Changer {
    pub(super) async fn new(server: &Process, name: String) -> Self {
        let email = format!("{name}@example.com");
        let here = server.program();
        here.join(&email).await;
        Self { email, here, elsewhere: server.program(), told: Arc::default() }
    }

    /// The password after so many changes.
    fn password(&self, changes: usize) -> String {
        match changes {
            0 => PASSWORD.to_owned(),
            n => format!("{} number {n}", self.email),
        }
    }

    /// Until the connection breaks: logs in elsewhere, changes the password here.
    pub(super) async fn go(self, answers: Answers) {
        for changes in 0.. {
            let old = self.password(changes);
            let login = json!({"email": self.email, "password": old, "transport": "bearer"});
            let login = self.elsewhere.api(Method::POST, "/session").json(&login);
            let Ok(answer) = login.try_send().await else { return };
            let other = self.elsewhere.copy();
            other.take(answer.expect(201).json()["token"].as_str().unwrap());
            super::answered(&answers);

            let change = json!({"current": old, "new": self.password(changes + 1)});
            let change = self.here.api(Method::PUT, "/account/password").json(&change);
            {
                let mut told = self.told.lock();
                told.sent += 1;
                told.others.push(other);
            }
            let Ok(answer) = change.try_send().await else { return };
            self.here.keep(answer.expect(200));
            self.told.lock().answered += 1;
            super::answered(&answers);
        }
    }

    /// Asks the server that came back. Gives how many changes were answered, and every session
    /// that is over.
    pub(super) async fn holds(self) -> (usize, Vec<User>) {
        let (answered, sent, mut others) = {
            let told = self.told.lock();
            (told.answered, told.sent, told.others.clone())
        };
        let log_in = async |changes: usize| {
            let password = self.password(changes);
            self.elsewhere.try_log_in(&self.email, &password, json!({})).await.status
        };
        // The last change that was sent was made or was not; the one before it was.
        let made = if log_in(sent).await == 201 { sent } else { answered };
        // One that was made and not answered took the place of the session, whose new token is lost.
        self.here.check().await.expect(if made == answered { 200 } else { 401 });
        if made == answered && made != sent {
            assert_eq!(log_in(made).await, 201, "neither the old nor the new password is good");
            let other = others.pop().expect("one for each change");
            other.check().await.expect(200);
            other.log_out().await.expect(204);
            return self.over(answered, others).await;
        }
        if let Some(before) = made.checked_sub(1) {
            assert_eq!(log_in(before).await, 401, "the old password is still good");
        }
        self.over(answered, others).await
    }

    async fn over(&self, answered: usize, others: Vec<User>) -> (usize, Vec<User>) {
        for other in &others {
            let status = other.check().await.status;
            assert_eq!(status, 401, "a session outlives the change of its password");
        }
        (answered, others)
    }
}
