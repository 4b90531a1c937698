//! Who asks for changes, one after the other, and writes down what was asked and told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use countersign::{
    model::{Account, PasswordHash, Session, SessionId},
    store::{Created, PasswordChange, Store, Visited},
};

use crate::{
    store_world::{PLENTY, account, at, cause, email, hash, session, succession, visit},
    support::Dice,
};

/// What the store knows of one client. `None` in its place: there is no such account.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Person {
    account: Account,
    visits: u64,
    /// The living sessions and their visits.
    sessions: BTreeMap<SessionId, u64>,
}

impl Person {
    pub(super) async fn find(store: &dyn Store, client: usize) -> Option<Self> {
        let account = store.account_by_email(&email(&name(client))).await.unwrap()?;
        let sessions = store.sessions(account.id, at(1)).await.unwrap();
        Some(Self {
            visits: store.total_visits(account.id).await.unwrap(),
            sessions: sessions.iter().map(|session| (session.id, session.visits)).collect(),
            account,
        })
    }
}

fn name(client: usize) -> String {
    // Long, so that the log is soon long, too.
    format!("{client}{:x>50}", "")
}

/// What one client was told, and what may be so because it asked for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) is: Option<Person>,
    pub(super) may_be: Option<Person>,
}

/// What all clients were told.
pub(super) type Book = Arc<Mutex<Vec<Told>>>;

/// One client: asks for one thing after the other, and writes down what it asks and is told.
pub(super) struct Client {
    number: usize,
    store: Arc<dyn Store>,
    book: Book,
    dice: Dice,
}

impl Client {
    pub(super) fn new(number: usize, store: Arc<dyn Store>, book: Book, dice: Dice) -> Self {
        Self { number, store, book, dice }
    }

    pub(super) async fn work(mut self, steps: usize) {
        for _ in 0..steps {
            let is = self.book.lock().unwrap()[self.number].is.clone();
            match is {
                None => self.join().await,
                Some(person) => self.go_on(person).await,
            }
        }
    }

    async fn join(&self) {
        let account = account(&name(self.number));
        let sessions = BTreeMap::new();
        self.asks(Some(Person { account: account.clone(), visits: 0, sessions }));
        assert!(self.store.create_account(account, cause(at(0))).await.unwrap());
        self.is_told();
    }

    async fn go_on(&mut self, mut then: Person) {
        let store = Arc::clone(&self.store);
        let account = then.account.clone();
        let one = self.dice.pick(then.sessions.keys().copied());
        let roll = self.dice.roll(32);
        match (roll, one) {
            (0, _) => {
                self.asks(None);
                assert!(store.remove_account(account.id, cause(at(0))).await.unwrap().is_some());
            }
            (1..=3, keep) => {
                then.account.password = hash(&format!("{:0>80}", self.dice.roll(1 << 31)));
                let goes_on = keep.map(|id| {
                    let from = session(account.id, 0);
                    succession(&Session { id, ..from }, 1)
                });
                let visits = keep.map(|id| then.sessions[&id]);
                then.sessions = goes_on.map(|goes_on| goes_on.to).into_iter().zip(visits).collect();
                let new: PasswordHash = then.account.password.clone();
                self.asks(Some(then));
                let old = &account.password;
                let changed =
                    store.change_password(account.id, Some(old), new, goes_on, cause(at(0))).await;
                assert!(matches!(changed, Ok(PasswordChange::Changed { .. })));
            }
            (4..=6, Some(id)) => {
                then.sessions.remove(&id);
                self.asks(Some(then));
                assert!(store.revoke_session(account.id, id, cause(at(1))).await.unwrap());
            }
            (7, keep) => {
                then.sessions.retain(|id, _| Some(*id) == keep);
                self.asks(Some(then));
                store.revoke_sessions(account.id, keep, cause(at(1))).await.unwrap();
            }
            (8..=12, _) | (_, None) => {
                let mut new = session(account.id, 0);
                new.user_agent = "Mozilla/5.0 (X11; Linux x86_64) ".repeat(6);
                then.sessions.insert(new.id, 0);
                self.asks(Some(then));
                let added =
                    store.create_session(new, &account.password, PLENTY, cause(at(0))).await;
                assert!(matches!(added, Ok(Created::Added { .. })));
            }
            (_, Some(id)) => {
                let visits = then.sessions[&id];
                then.visits += 1;
                then.sessions.insert(id, visits + 1);
                self.asks(Some(then));
                let mut session = session(account.id, 0);
                session.id = id;
                let visited = store.visit(visit(&session, visits, 1, 1)).await;
                assert!(matches!(visited, Ok(Visited::Counted(_))), "{visited:?}");
            }
        }
        self.is_told();
    }

    fn asks(&self, may_be: Option<Person>) {
        self.book.lock().unwrap()[self.number].may_be = may_be;
    }

    fn is_told(&self) {
        let told = &mut self.book.lock().unwrap()[self.number];
        told.is = told.may_be.clone();
    }
}
