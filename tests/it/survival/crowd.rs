//! Many who go on while things die, and keep books: what they asked for, and what they were told.
//!
//! Each tries again what was not served (502, 503, 504, a connection that broke), as a client should.
//! So in the end everything that somebody wanted was answered, and only the number of visits is
//! between what was answered and what was tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

use super::wishes::{Bookkeeper, Person};
use crate::support::{Answer, Balancer, PATIENCE, Process, User, at_once, in_time, user::Draft};

/// Where people come in: a node or a balancer.
pub(super) trait Door {
    fn program(&self) -> User;
    fn browser(&self) -> User;
}

macro_rules! is_a_door {
    ($($what:ty)*) => {$(
        impl Door for $what {
            fn program(&self) -> User {
                self.program()
            }
            fn browser(&self) -> User {
                self.browser()
            }
        }
    )*};
}

is_a_door!(Process Balancer);

/// What all of them have met.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Met {
    pub(super) answers: u64,
    pub(super) unserved: u64,
    /// The longest that anybody waited for either.
    pub(super) longest: Duration,
}

/// Through what everybody asks.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) stop: Arc<AtomicBool>,
    met: Arc<watch::Sender<Met>>,
}

impl Asking {
    /// Asks once. Nothing when it was not served.
    pub(super) async fn once(&self, draft: Draft) -> Option<Answer> {
        let started = Instant::now();
        let answer = draft.try_send().await;
        let took = started.elapsed();
        let served = answer.ok().filter(|answer| {
            let served = ![502, 503, 504].contains(&answer.status);
            if !served {
                assert_eq!(answer.set_cookies(), Vec::<String>::new(), "nobody loses a cookie");
            }
            served
        });
        self.met.send_modify(|met| {
            met.longest = met.longest.max(took);
            *(if served.is_some() { &mut met.answers } else { &mut met.unserved }) += 1;
        });
        if served.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        served
    }

    /// Asks until it is served. Gives how often it was not.
    pub(super) async fn patiently(&self, mut draft: impl FnMut() -> Draft) -> (Answer, u64) {
        let started = Instant::now();
        for unserved in 0.. {
            if let Some(answer) = self.once(draft()).await {
                return (answer, unserved);
            }
            assert!(started.elapsed() < 2 * PATIENCE, "it does not come back");
        }
        unreachable!("it asks until it is answered")
    }
}

/// A session that is visited from every door at once.
struct Visits {
    /// With the token that it began with, which says nothing of any visit.
    whose: User,
    tried: AtomicU64,
    /// The numbers that were answered, and how often.
    told: Mutex<BTreeMap<u64, u64>>,
    /// Whether it was unknown once.
    refused: AtomicBool,
}

/// All of them.
pub(super) struct Crowd {
    pub(super) asking: Asking,
    visits: Vec<Arc<Visits>>,
    books: Arc<Bookkeeper>,
    tasks: Vec<JoinHandle<()>>,
}

/// What had been answered and was not so afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) visits: u64,
    /// Numbers that two visits were given.
    pub(super) numbers: u64,
    pub(super) log_ins: u64,
    /// Passwords that should be good.
    pub(super) accounts: u64,
    /// Sessions that had been ended and were good again, and how they had been ended.
    pub(super) log_outs: u64,
    pub(super) passwords: u64,
    pub(super) locks: u64,
}

/// How much was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) visits: u64,
    pub(super) log_ins: u64,
    pub(super) log_outs: u64,
    pub(super) passwords: u64,
    pub(super) locks: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) met: Met,
    pub(super) answered: Answered,
    pub(super) lost: Lost,
}

impl Crowd {
    /// Lets them begin. `name` tells them from those of another crowd.
    pub(super) async fn start(name: &str, doors: &[&dyn Door]) -> Self {
        let met = Arc::new(watch::Sender::new(Met::default()));
        let asking = Asking { stop: Arc::default(), met };
        let mut crowd = Self {
            asking: asking.clone(),
            visits: Vec::new(),
            books: Arc::default(),
            tasks: vec![],
        };
        for n in 0..3 {
            let whose = doors[n % doors.len()].program();
            whose.join(&format!("{name}-visitor-{n}@example.com")).await;
            let visits = crowd.new_visits(&whose);
            for door in doors {
                let who = door.program();
                who.take(&visits.whose.token());
                crowd.tasks.push(tokio::spawn(visit(asking.clone(), Arc::clone(&visits), who)));
            }
        }
        for (n, door) in doors.iter().cycle().take(2).enumerate() {
            let who = door.browser();
            who.join(&format!("{name}-reader-{n}@example.com")).await;
            let visits = crowd.new_visits(&who);
            crowd.tasks.push(tokio::spawn(visit(asking.clone(), visits, who)));
        }
        for (n, door) in doors.iter().cycle().take(3).enumerate() {
            let person =
                Person::new(asking.clone(), Arc::clone(&crowd.books), *door, format!("{name}-{n}"));
            let going = match n {
                0 | 1 => tokio::spawn(person.comes_and_goes()),
                _ => tokio::spawn(person.changes_the_password()),
            };
            crowd.tasks.push(going);
        }
        crowd
    }

    fn new_visits(&mut self, whose: &User) -> Arc<Visits> {
        let visits = Visits {
            whose: whose.copy(),
            tried: AtomicU64::new(0),
            told: Mutex::default(),
            refused: AtomicBool::new(false),
        };
        self.visits.push(Arc::new(visits));
        Arc::clone(&self.visits[self.visits.len() - 1])
    }

    /// With an administrator, who is already logged in, that locks accounts.
    pub(super) fn and_an_administrator(&mut self, name: &str, door: &dyn Door, who: User) {
        let (asking, books) = (self.asking.clone(), Arc::clone(&self.books));
        let person = Person::new(asking, books, door, format!("{name}-locked"));
        self.tasks.push(tokio::spawn(person.locks_accounts(who)));
    }

    /// Waits until so many more were answered.
    pub(super) async fn until_answers(&self, more: u64) {
        self.until(more, |met| met.answers).await;
    }

    /// Waits until so many more were not served.
    pub(super) async fn until_unserved(&self, more: u64) {
        self.until(more, |met| met.unserved).await;
    }

    async fn until(&self, more: u64, of: impl Fn(&Met) -> u64) {
        let mut met = self.asking.met.subscribe();
        let before = of(&met.borrow());
        let enough = in_time("what is waited for", met.wait_for(|met| of(met) >= before + more));
        enough.await.expect("the crowd is there");
    }

    /// Nobody begins anything more.
    pub(super) fn stop(&self) {
        self.asking.stop.store(true, SeqCst);
    }

    /// Lets everybody finish what they want, and then looks whether all that they were told holds.
    pub(super) async fn holds(self) -> Outcome {
        self.stop();
        for task in self.tasks {
            tokio::time::timeout(3 * PATIENCE, task).await.expect("an end").expect("no panic");
        }
        let met = *self.asking.met.borrow();
        let asking = Asking { stop: self.asking.stop, met: Arc::default() };
        let (mut answered, mut lost) = self.books.hold(&asking).await;
        let visits = self.visits.into_iter().map(|visits| visits.hold(asking.clone()));
        for (of_visits, gone, twice, is_known) in at_once(visits).await {
            answered.visits += of_visits;
            answered.log_ins += 1;
            lost.visits += gone;
            lost.numbers += twice;
            lost.log_ins += u64::from(!is_known);
        }
        Outcome { met, answered, lost }
    }
}

/// Visits until it is told to stop.
async fn visit(asking: Asking, visits: Arc<Visits>, who: User) {
    while !asking.stop.load(SeqCst) {
        let cookie = who.cookie();
        visits.tried.fetch_add(1, SeqCst);
        let draft = if who.is_browser() {
            who.request(Method::GET, "/admin")
        } else {
            who.api(Method::POST, "/session/visits")
        };
        let Some(answer) = asking.once(draft).await else {
            assert_eq!(who.cookie(), cookie, "nobody loses a cookie");
            continue;
        };
        if answer.status == 401 {
            visits.refused.store(true, SeqCst);
            return;
        }
        let number = if who.is_browser() {
            answer.expect_page(200).visit_number()
        } else {
            who.keep(answer.expect(200)).json()["visits"].as_u64().expect("a number")
        };
        *visits.told.lock().entry(number).or_default() += 1;
    }
}

impl Visits {
    /// How many were answered, how many of those are not counted, how many numbers were given twice,
    /// and whether the session is known.
    async fn hold(self: Arc<Self>, asking: Asking) -> (u64, u64, u64, bool) {
        let (answer, _) = asking.patiently(|| self.whose.api(Method::GET, "/session")).await;
        let told = self.told.lock().clone();
        let answered: u64 = told.values().sum();
        let twice = told.values().map(|times| times - 1).sum();
        if answer.status == 401 {
            return (answered, answered, twice, false);
        }
        let counted = answer.expect(200).json()["visits"].as_u64().expect("a number");
        let tried = self.tried.load(SeqCst);
        assert!(counted <= tried, "{counted} visits are counted, and {tried} were tried");
        let numbers: BTreeSet<_> = told.keys().copied().collect();
        let above = numbers.range(counted + 1..).count();
        let gone = answered.saturating_sub(counted).max(u64::try_from(above).unwrap());
        (answered, gone, twice, !self.refused.load(SeqCst))
    }
}

/// Makes this account an administrator at its node, and logs it in.
pub(super) async fn administrator(node: &Process) -> User {
    let who = node.program();
    who.sign_up("root@example.com").await.expect(201);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
        .env_clear()
        .args(["account", "role", "root@example.com", "admin"])
        .current_dir(node.directory())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let output = crate::support::capture::finished(output);
    assert!(output.status.success(), "{output:?}");
    who.log_in_with("root@example.com", json!({})).await;
    who
}
