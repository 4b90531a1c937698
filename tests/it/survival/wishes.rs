//! What people want beside visits, and the books of what they were told.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::json;

use super::crowd::{Answered, Asking, Door, Lost};
use crate::support::{PASSWORD, User, at_once};

/// How a session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    LogOut,
    Password,
    Lock,
}

/// What was answered.
#[derive(Default)]
pub(super) struct Bookkeeper {
    living: Mutex<Vec<User>>,
    ended: Mutex<Vec<(Ended, User)>>,
    /// Addresses with passwords that are good.
    joined: Mutex<Vec<(User, String, String)>>,
    /// How often a good password was refused.
    refused: AtomicU64,
}

/// Somebody who wants something again and again.
#[derive(Clone)]
pub(super) struct Person {
    asking: Asking,
    books: Arc<Bookkeeper>,
    who: User,
    name: String,
}

impl Person {
    pub(super) fn new(
        asking: Asking,
        books: Arc<Bookkeeper>,
        door: &dyn Door,
        name: String,
    ) -> Self {
        Self { asking, books, who: door.program(), name }
    }

    fn goes_on(&self) -> bool {
        !self.asking.stop.load(SeqCst)
    }

    /// Signs up under one address after the other, logs in twice, logs out once.
    pub(super) async fn comes_and_goes(self) {
        for n in 0.. {
            if !self.goes_on() {
                return;
            }
            let email = format!("{}-{n}@example.com", self.name);
            self.sign_up(&email).await;
            let (Some(stays), Some(goes)) =
                (self.log_in(&email, PASSWORD).await, self.log_in(&email, PASSWORD).await)
            else {
                // It was lost before its first use: found out in the end.
                continue;
            };
            self.books.living.lock().push(stays);
            self.log_out(goes).await;
        }
    }

    async fn sign_up(&self, email: &str) {
        let body = json!({"email": email, "password": PASSWORD});
        let draft = || self.who.api(Method::POST, "/accounts").json(&body);
        let (answer, unserved) = self.asking.patiently(draft).await;
        // One that was not answered may have been done.
        assert!(
            answer.status == 201 || (answer.status == 409 && unserved > 0),
            "{}: {}",
            answer.status,
            answer.beginning()
        );
        let joined = (self.who.copy(), email.to_owned(), PASSWORD.to_owned());
        self.books.joined.lock().push(joined);
    }

    /// Nothing if the account is lost.
    async fn log_in(&self, email: &str, password: &str) -> Option<User> {
        let body = json!({"email": email, "password": password, "transport": "bearer"});
        let draft = || self.who.api(Method::POST, "/session").json(&body);
        let (answer, _) = self.asking.patiently(draft).await;
        if answer.status == 401 {
            self.books.refused.fetch_add(1, SeqCst);
            return None;
        }
        let user = self.who.copy();
        user.take(answer.expect(201).json()["token"].as_str().expect("a token"));
        Some(user)
    }

    async fn log_out(&self, user: User) {
        let draft = || user.api(Method::DELETE, "/session");
        let (answer, unserved) = self.asking.patiently(draft).await;
        if answer.status == 401 && unserved == 0 {
            // The session was lost before: it is dead all the same.
            return;
        }
        assert!([204, 401].contains(&answer.status), "{}", answer.beginning());
        self.books.ended.lock().push((Ended::LogOut, user));
    }

    /// Logs in elsewhere and changes the password here.
    pub(super) async fn changes_the_password(self) {
        let email = format!("{}-changer@example.com", self.name);
        self.sign_up(&email).await;
        // Its password is another with every change.
        self.books.joined.lock().retain(|(_, joined, _)| *joined != email);
        let mut password = PASSWORD.to_owned();
        let mut here = self.log_in(&email, &password).await;
        for n in 0.. {
            let Some(who) = here.take().filter(|_| self.goes_on()) else { break };
            let Some(other) = self.log_in(&email, &password).await else { break };
            let new = format!("the {n}th of {email}");
            let body = json!({"current": password, "new": new});
            let draft = || who.api(Method::PUT, "/account/password").json(&body);
            let (answer, unserved) = self.asking.patiently(draft).await;
            here = if answer.status == 200 {
                who.keep(answer);
                Some(who)
            } else {
                // It was done when nobody heard of it, and this session goes on under a token that
                // nobody got; or else the session was lost.
                assert_eq!(answer.status, 401, "{}", answer.beginning());
                if unserved == 0 {
                    break;
                }
                self.log_in(&email, &new).await
            };
            if here.is_none() {
                break;
            }
            password = new;
            self.books.ended.lock().push((Ended::Password, other));
        }
        self.books.joined.lock().push((self.who.copy(), email, password));
    }

    /// Locks one account after the other, as the administrator `root`.
    pub(super) async fn locks_accounts(self, root: User) {
        for n in 0.. {
            if !self.goes_on() {
                return;
            }
            let email = format!("{}-{n}@example.com", self.name);
            self.sign_up(&email).await;
            self.books.joined.lock().retain(|(_, joined, _)| *joined != email);
            let Some(victim) = self.log_in(&email, PASSWORD).await else { continue };
            let (account, _) = self.asking.patiently(|| victim.api(Method::GET, "/account")).await;
            if account.status == 401 {
                continue;
            }
            let id = account.expect(200).json()["id"].as_str().expect("an id").to_owned();
            let path = format!("/admin/accounts/{id}/state");
            let draft = || root.api(Method::PUT, &path).json(&json!({"state": "disabled"}));
            let (answer, _) = self.asking.patiently(draft).await;
            if answer.status != 200 {
                // The account was lost before.
                assert_eq!(answer.status, 404, "{}", answer.beginning());
                continue;
            }
            self.books.ended.lock().push((Ended::Lock, victim));
        }
    }
}

impl Bookkeeper {
    /// Looks whether all of it holds.
    pub(super) async fn hold(&self, asking: &Asking) -> (Answered, Lost) {
        let (mut answered, mut lost) = (Answered::default(), Lost::default());
        let is_alive = async |users: Vec<User>| {
            at_once(users.into_iter().map(|user| {
                let asking = asking.clone();
                async move {
                    let (answer, _) = asking.patiently(|| user.api(Method::GET, "/session")).await;
                    assert!([200, 401].contains(&answer.status), "{}", answer.beginning());
                    answer.status == 200
                }
            }))
            .await
        };
        let living = self.living.lock().clone();
        for alive in is_alive(living).await {
            answered.log_ins += 1;
            lost.log_ins += u64::from(!alive);
        }
        let (how, ended): (Vec<_>, Vec<_>) = self.ended.lock().iter().cloned().unzip();
        for (how, alive) in how.into_iter().zip(is_alive(ended).await) {
            let (told, back) = match how {
                Ended::LogOut => (&mut answered.log_outs, &mut lost.log_outs),
                Ended::Password => (&mut answered.passwords, &mut lost.passwords),
                Ended::Lock => (&mut answered.locks, &mut lost.locks),
            };
            *told += 1;
            *back += u64::from(alive);
        }
        let joined = self.joined.lock().clone();
        let log_ins = joined.into_iter().map(|(who, email, password)| {
            let asking = asking.clone();
            async move {
                let body = json!({"email": email, "password": password, "transport": "bearer"});
                let draft = || who.api(Method::POST, "/session").json(&body);
                let status = asking.patiently(draft).await.0.status;
                assert!([201, 401].contains(&status), "{status}");
                status == 201
            }
        });
        for can_log_in in at_once(log_ins).await {
            lost.accounts += u64::from(!can_log_in);
        }
        lost.accounts += self.refused.load(SeqCst);
        (answered, lost)
    }
}
