//! Checks that are answered from memory, while the node hears which sessions end.
//!
//! Whether a node remembers a session is seen by freezing Redis: who has to ask then is not answered.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use countersign::{
    model::{Account, AccountState, Role, Session},
    store::{
        AuditBounds, BackupRecord, RedisChecks, RedisOptions, RedisReplacement, RedisStore, Store,
        StoreError, VariableChange, Visited,
    },
};
use jiff::SignedDuration;

use super::cost::asked;
use crate::{
    store_world::{
        LOCAL, PLENTY, alive, at, cause, count, email, hash, join, log_in, open_redis_with,
        open_shards_with, session, succession, visit,
    },
    support::{RedisServer, Way, Wire, redis::redis_works},
};

/// The root of the store.
const ROOT: &str = "countersign:{store}";

/// By then everything is heard, however busy the machine is. Less than sessions are remembered for
/// and than the lag of [`LOCAL`]: who has not heard by then would still answer from memory.
const SOON: Duration = Duration::from_secs(15);

/// One that notices in half a second what no entry tells, and remembers for long without hearing.
fn node(server: &RedisServer) -> RedisStore {
    node_with(server, Duration::from_secs(25))
}

fn node_with(server: &RedisServer, max_lag: Duration) -> RedisStore {
    let checks = RedisChecks::Local { max_lag, most: 1_000 };
    let patience = Duration::from_secs(1);
    let options = RedisOptions { patience, checks, ..RedisOptions::default() };
    RedisStore::open(&server.url(), options).unwrap()
}

/// Whether it is answered from memory that the session is alive.
async fn is_remembered(server: &RedisServer, store: &dyn Store, one: &Session) -> bool {
    server.freeze();
    let check = store.session(one.account, one.id, at(1));
    let answer = tokio::time::timeout(Duration::from_millis(300), check).await;
    server.thaw();
    matches!(answer, Ok(Ok(Some(_))))
}

/// Asks until it is remembered.
pub(super) async fn remember(server: &RedisServer, store: &dyn Store, one: &Session) {
    let started = Instant::now();
    loop {
        // While it is on its way back, Redis may be away.
        let answer = store.session(one.account, one.id, at(1)).await;
        assert!(!matches!(answer, Ok(None)), "it is alive");
        if answer.is_ok() && is_remembered(server, store, one).await {
            return;
        }
        assert!(started.elapsed() < SOON, "it is not remembered: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the session is refused: soon, though nothing was asked for lately.
async fn until_refused(store: &dyn Store, one: &Session, why: &str) {
    let started = Instant::now();
    loop {
        match store.session(one.account, one.id, at(1)).await {
            Ok(None) => return,
            answer => assert!(started.elapsed() < SOON, "{why}: {answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_ask_once_and_again_after_an_end() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    // It looks after itself so seldom that it is not counted.
    let store = open_redis_with(&server, AuditBounds::default(), LOCAL);
    let ann = join(&store, "ann").await;
    let (one, other) = (log_in(&store, &ann, 0).await, log_in(&store, &ann, 0).await);
    remember(&server, &store, &one).await;
    remember(&server, &store, &other).await;
    let nothing = BTreeMap::new();
    let step = BTreeMap::from([("fcall".to_owned(), 1)]);
    let check = BTreeMap::from([("fcall_ro".to_owned(), 1)]);
    asked(&server);
    for second in 1..50 {
        assert_eq!(store.session(ann.id, one.id, at(second)).await.unwrap(), Some(one.clone()));
    }
    assert_eq!(asked(&server), nothing, "checks");
    let counted = store.visit(visit(&one, 0, 0, 50)).await.unwrap();
    let Visited::Counted(counted) = counted else { panic!("{counted:?}") };
    assert_eq!(asked(&server), step, "a visit");
    assert_eq!(store.session(ann.id, one.id, at(50)).await.unwrap(), Some(counted));
    assert_eq!(asked(&server), nothing, "what a visit answered is remembered");
    let renewed = store.renew_session(ann.id, one.id, at(60), SignedDuration::from_hours(1)).await;
    assert_eq!(store.session(ann.id, one.id, at(60)).await.unwrap(), renewed.unwrap());
    assert_eq!(asked(&server), step, "so is what a renewal answered");
    let new = log_in(&store, &ann, 60).await;
    assert!(alive(&store, &new, 61).await);
    assert_eq!(asked(&server), step, "and a log-in");

    // One that nobody knows is asked for each time; so is one that is over.
    for _ in 0..3 {
        assert!(!alive(&store, &session(ann.id, 0), 61).await);
        assert!(!alive(&store, &new, 60 + 30 * 60).await);
    }
    assert_eq!(asked(&server), BTreeMap::from([("fcall_ro".to_owned(), 6)]));

    let bob = join(&store, "bob").await;
    let his = log_in(&store, &bob, 0).await;
    asked(&server);
    assert!(store.revoke_session(ann.id, one.id, cause(at(61))).await.unwrap());
    assert!(!alive(&store, &one, 61).await);
    // The other is asked for once, and once more if the end was heard only then.
    while asked(&server).contains_key("fcall_ro") {
        assert!(alive(&store, &other, 61).await);
    }
    asked(&server);
    assert!(alive(&store, &his, 61).await);
    assert!(asked(&server).len() <= check.len(), "another account's is remembered still");
}

/// What may have to be done by somebody, and which of the sessions it ends.
async fn ends_heard(name: &str, end: impl AsyncFn(&RedisStore, &RedisServer, &Account, &Session)) {
    let server = RedisServer::start();
    let (here, there) = (node(&server), node(&server));
    let ann = join(&here, "ann").await;
    let (one, bob) = (log_in(&here, &ann, 0).await, join(&here, "bob").await);
    let his = log_in(&here, &bob, 0).await;
    remember(&server, &there, &one).await;
    remember(&server, &there, &his).await;
    end(&here, &server, &ann, &one).await;
    until_refused(&there, &one, name).await;
    assert!(!alive(&here, &one, 1).await, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_at_one_node_is_refused_at_the_other_when_that_is_heard() {
    if !redis_works() {
        return;
    }
    ends_heard("log-out", async |here, _, ann, one| {
        assert!(here.revoke_session(ann.id, one.id, cause(at(1))).await.unwrap());
    })
    .await;
    ends_heard("all others", async |here, _, ann, _| {
        assert_eq!(here.revoke_sessions(ann.id, None, cause(at(1))).await.unwrap(), 1);
    })
    .await;
    ends_heard("everybody's", async |here, _, _, _| {
        here.revoke_all_sessions(cause(at(1))).await.unwrap();
    })
    .await;
    ends_heard("copied", async |here, _, ann, one| {
        assert!(here.revoke_copied_session(ann.id, one.id, cause(at(1))).await.unwrap());
    })
    .await;
    ends_heard("found to be copied by a visit", async |here, _, _, one| {
        for (visits, second) in [(0, 0), (1, 100), (2, 200)] {
            let counted = here.visit(visit(one, visits, second, second)).await.unwrap();
            assert!(matches!(counted, Visited::Counted(_)), "{counted:?}");
        }
        assert_eq!(here.visit(visit(one, 0, 0, 300)).await.unwrap(), Visited::Copied);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_an_account_at_one_node_is_heard_at_the_other() {
    if !redis_works() {
        return;
    }
    ends_heard("disabled", async |here, _, ann, _| {
        let ended = here.set_account_state(ann.id, AccountState::Disabled, cause(at(1))).await;
        assert_eq!(ended.unwrap(), Some(1));
    })
    .await;
    ends_heard("another role", async |here, _, ann, _| {
        assert_eq!(here.set_role(ann.id, Role::Admin, cause(at(1))).await.unwrap(), Some(1));
    })
    .await;
    ends_heard("removed", async |here, _, ann, _| {
        assert_eq!(here.remove_account(ann.id, cause(at(1))).await.unwrap(), Some(1));
    })
    .await;
    ends_heard("closed", async |here, _, ann, one| {
        assert_eq!(here.close_account(ann.id, one.id, cause(at(1))).await.unwrap(), Some(1));
    })
    .await;
    ends_heard("another password", async |here, _, ann, one| {
        let goes_on = Some(succession(one, 1));
        here.change_password(ann.id, Some(&ann.password), hash("second"), goes_on, cause(at(1)))
            .await
            .unwrap();
    })
    .await;
    ends_heard("another e-mail", async |here, _, ann, one| {
        here.change_email(ann.id, email("carol"), succession(one, 1), cause(at(1))).await.unwrap();
    })
    .await;
    ends_heard("password shown again", async |here, _, ann, one| {
        let goes_on = succession(one, 1);
        let new = here.reauthenticate_session(ann.id, &ann.password, goes_on, cause(at(1))).await;
        assert!(alive(here, &new.unwrap().unwrap(), 1).await);
    })
    .await;
    ends_heard("too many", async |here, _, ann, _| {
        let new = session(ann.id, 1);
        here.create_session(new, &ann.password, 1, cause(at(1))).await.unwrap();
    })
    .await;
    ends_heard("a later epoch", async |here, _, _, _| {
        here.import(vec![BackupRecord::Epoch(7)]).await.unwrap();
    })
    .await;
    ends_heard("another generation", async |_, server, _, _| {
        let options = RedisOptions::default();
        let new = RedisReplacement::begin(&server.url(), options, false).await.unwrap();
        new.finish().await.unwrap();
    })
    .await;
    ends_heard("wiped", async |_, server, _, _| {
        server.ask(&["FLUSHALL"]);
    })
    .await;
}

/// Takes the sessions of everybody away, and tells nobody.
const LOSE: &str =
    "for _, key in ipairs(redis.call('KEYS', '*:0:s*')) do redis.call('DEL', key) end ";

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_goes_on_where_it_was_and_misses_nothing() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let (here, there) = (node(&server), node(&server));
    let (ann, bob) = (join(&here, "ann").await, join(&here, "bob").await);
    let his = log_in(&here, &bob, 0).await;
    for round in 0..5 {
        let one = log_in(&here, &ann, 0).await;
        remember(&server, &there, &one).await;
        remember(&server, &there, &his).await;
        if round % 2 == 0 {
            server.ask(&["FUNCTION", "FLUSH"]);
        }
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        // The connection of this one is gone, too; it is asked for at most once.
        while here.revoke_session(ann.id, one.id, cause(at(1))).await.is_err() {}
        until_refused(&there, &one, "ended while nobody listened").await;
        assert!(is_remembered(&server, &there, &his).await, "nothing else was forgotten");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_forgotten_whole() {
    if !redis_works() {
        return;
    }
    // In the time in which the stream was cut off, something may have ended of which nothing is left.
    let server = RedisServer::start();
    let store = node(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    remember(&server, &store, &one).await;
    let cut = "for _, key in ipairs(redis.call('KEYS', '*:0:ends')) do for n = 1, 3 do \
               redis.call('XADD', key, '*', 'a', 'another account!') end \
               redis.call('XTRIM', key, 'MAXLEN', 2) end";
    server.ask(&["EVAL", &format!("{LOSE}{cut}"), "0"]);
    until_refused(&store, &one, "cut off").await;

    // Started again, Redis may have lost what was read and written something else in its place.
    let mut server = RedisServer::start();
    let store = node(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    remember(&server, &store, &one).await;
    server.kill_hard();
    assert!(alive(&store, &one, 1).await, "it is not long ago that something was heard");
    server.restart();
    server.ask(&["EVAL", LOSE, "0"]);
    until_refused(&store, &one, "another run").await;
}

/// Each shard is followed for itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_in_any_shard_is_heard() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let open = || open_shards_with(&server.url(), AuditBounds::default(), LOCAL);
    let (here, there) = (open(), open());
    let mut sessions = Vec::new();
    for n in 0..40 {
        let person = join(&here, &format!("user{n}")).await;
        let one = log_in(&here, &person, 0).await;
        sessions.push(one);
    }
    for (n, one) in sessions.iter().enumerate().skip(20) {
        remember(&server, &there, one).await;
        assert!(here.revoke_session(one.account, one.id, cause(at(1))).await.unwrap());
        until_refused(&there, one, &format!("{n}")).await;
    }
    for one in &sessions[..20] {
        remember(&server, &there, one).await;
    }
    here.revoke_all_sessions(cause(at(1))).await.unwrap();
    for one in &sessions[..20] {
        until_refused(&there, one, "all").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hears_nothing_asks_and_says_so_when_nobody_answers() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let max_lag = Duration::from_secs(4);
    let store = node_with(&server, max_lag);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    for _ in 0..2 {
        remember(&server, &store, &one).await;
        server.freeze();
        let (answered, answer) = until_it_says_so(&store, &one, max_lag).await;
        assert!(matches!(answer, StoreError::Unavailable(_)), "{answer}");
        assert!(answered > max_lag / 4, "{answered:?}: it may remember for a while");
        server.thaw();
    }
    remember(&server, &store, &one).await;
    store.close().await.unwrap();
    assert!(store.session(ann.id, one.id, at(1)).await.is_err(), "closed");
}

/// Checks a session of which nothing can be heard from now on, until somebody would have to be asked.
/// Returns how long it was still answered, which is no longer than it may be, and what came then.
async fn until_it_says_so(
    store: &RedisStore,
    one: &Session,
    max_lag: Duration,
) -> (Duration, StoreError) {
    let (began, mut answered) = (Instant::now(), Duration::ZERO);
    loop {
        let asked = began.elapsed();
        match store.session(one.account, one.id, at(1)).await {
            Ok(found) => {
                assert_eq!(found.as_ref(), Some(one));
                assert!(asked <= max_lag, "{asked:?} after anything was heard");
                answered = asked;
            }
            Err(error) => return (answered, error),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the lag is for: a session is ended elsewhere while this node, and it alone, hears nothing. In
/// whatever way it is cut off, that session passes no longer than the lag.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_accepts_no_longer_than_the_lag_what_ended_elsewhere() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let wire = Wire::to(server.port()).await;
    let max_lag = Duration::from_secs(2);
    let options = RedisOptions {
        checks: RedisChecks::Local { max_lag, most: 1_000 },
        ..RedisOptions::default()
    };
    let cut_off = RedisStore::open(&wire.redis().parse().unwrap(), options).unwrap();
    let elsewhere = super::open(&server);
    let ann = join(&elsewhere, "ann").await;
    for way in [Way::Cut, Way::Held, Way::AnswersHeld] {
        let one = log_in(&elsewhere, &ann, 0).await;
        remember(&server, &cut_off, &one).await;
        wire.set(way);
        let (ended, told) = tokio::join!(
            elsewhere.revoke_session(ann.id, one.id, cause(at(1))),
            until_it_says_so(&cut_off, &one, max_lag)
        );
        assert!(ended.unwrap() && !alive(&elsewhere, &one, 1).await, "{way:?}");
        assert!(told.0 > max_lag / 4, "{way:?}: for a while it passes: {:?}", told.0);
        wire.set(Way::Open);
        until_refused(&cut_off, &one, "it is heard at last").await;
    }
}

/// An entry of the same name in the stream of another generation is none of this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_the_stream_is_one_of_its_generation() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = node(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    remember(&server, &store, &one).await;
    let script = "local ends = KEYS[1] .. ':0:ends' \
                  local last = redis.call('XREVRANGE', ends, '+', '-', 'COUNT', 1)[1][1] \
                  redis.call('XADD', KEYS[1] .. ':other:ends', last, 'a', 'another account!') \
                  redis.call('SET', KEYS[1], 'other')";
    server.ask(&["EVAL", script, "1", ROOT]);
    until_refused(&store, &one, "another generation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_has_is_not_heard() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = node_with(&server, Duration::from_secs(3));
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    remember(&server, &store, &one).await;
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    // What it would have to say is not heard, and so it is asked, which it does not answer either.
    let (_, error) = until_it_says_so(&store, &one, Duration::from_secs(3)).await;
    assert!(error.to_string().contains("replica"), "{error}");
    // Not even over a connection that is still there.
    let library = server.ask(&["FUNCTION", "LIST"]);
    let function = library.split_whitespace().find(|word| word.starts_with("cs_ended_since_"));
    let said =
        server.ask(&["FCALL_RO", function.unwrap(), "1", ROOT, "", "run", "ends", "0-0", "1"]);
    assert!(said.contains("READONLY"), "{said}");
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    remember(&server, &store, &one).await;
}

/// A change that is under way, and of which nobody waits for the answer any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_waits_for_is_heard() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let (store, there) = (node(&server), node(&server));
    let ann = join(&store, "ann").await;
    for _ in 0..20 {
        let one = log_in(&store, &ann, 0).await;
        remember(&server, &store, &one).await;
        remember(&server, &there, &one).await;
        let end = store.revoke_session(ann.id, one.id, cause(at(1)));
        let given_up = tokio::time::timeout(Duration::from_micros(200), end).await.is_err();
        let is_over = !alive(&store, &one, 1).await;
        assert!(given_up || is_over, "it was answered");
        // It was sent, and nobody asks for it again.
        until_refused(&store, &one, "it is heard").await;
        until_refused(&there, &one, "and at the other node").await;
        assert!(!alive(&store, &one, 1).await, "and stays so");
    }
}

/// Where nothing ends, nothing is written into the stream, and it goes when nothing ended for long.
#[tokio::test(flavor = "multi_thread")]
async fn only_ends_are_told_and_not_for_ever() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = super::open(&server);
    let told = || {
        let script = "local n = 0 for _, key in ipairs(redis.call('KEYS', '*:0:ends')) do \
                      n = n + redis.call('XLEN', key) end return n";
        server.ask(&["EVAL", script, "0"]).trim().parse::<u64>().unwrap()
    };
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    count(&store, &one, 1).await;
    store.renew_session(ann.id, one.id, at(2), SignedDuration::from_hours(1)).await.unwrap();
    let changed = store.change_variable(ann.id, one.id, "a".into(), Some(vec![1]), at(2)).await;
    assert!(matches!(changed.unwrap(), VariableChange::Made { .. }));
    assert!(!store.revoke_session(ann.id, session(ann.id, 0).id, cause(at(2))).await.unwrap());
    assert_eq!(store.revoke_sessions(ann.id, Some(one.id), cause(at(2))).await.unwrap(), 0);
    store.set_account_state(ann.id, AccountState::Active, cause(at(2))).await.unwrap();
    assert_eq!(told(), 0);
    for _ in 0..3 {
        log_in(&store, &ann, 2).await;
    }
    assert_eq!(store.revoke_sessions(ann.id, None, cause(at(2))).await.unwrap(), 4);
    assert_eq!(told(), 1, "one entry, however many end");
    for n in 0..12_000 {
        let new = session(ann.id, 3);
        store
            .create_session(new, &ann.password, PLENTY.min(1), cause(at(3 + n / 1_000)))
            .await
            .unwrap();
    }
    assert!((10_000..10_300).contains(&told()), "{}", told());
    let script = "return redis.call('PTTL', redis.call('KEYS', '*:0:ends')[1])";
    let life: u64 = server.ask(&["EVAL", script, "0"]).trim().parse().unwrap();
    assert!(life <= 3_600_000, "{life}");
}
