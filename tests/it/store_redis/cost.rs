//! How much Redis is asked, and that what is over leaves it by itself.

use std::collections::BTreeMap;

use countersign::{
    model::{AuditKind, By, Cause, Session, clock::later},
    store::{AuditFilter, BackupRecord, Store},
};
use jiff::SignedDuration;

use super::open;
use crate::{
    store_contract::backup::export,
    store_world::{
        PLENTY, alive, at, cause, count, join, log_in, session, succession, visit, visit_days,
    },
    support::{RedisServer, redis::redis_works},
};

/// How often each command was asked for since the last look, but for those of a function.
pub(crate) fn asked(server: &RedisServer) -> BTreeMap<String, u64> {
    let asked = asked_so_far(server);
    server.ask(&["CONFIG", "RESETSTAT"]);
    asked
}

/// The same, and the next look has it, too.
pub(crate) fn asked_so_far(server: &RedisServer) -> BTreeMap<String, u64> {
    let mut asked = BTreeMap::new();
    for line in server.ask(&["INFO", "commandstats"]).lines() {
        let Some((name, rest)) = line.trim().split_once(":calls=") else { continue };
        let name = name.trim_start_matches("cmdstat_");
        if ["fcall", "fcall_ro", "eval", "evalsha", "multi", "exec"].contains(&name) {
            asked.insert(name.to_owned(), rest.split(',').next().unwrap().parse().unwrap());
        }
    }
    asked
}

#[tokio::test]
async fn a_check_a_visit_and_a_login_are_one_round_trip_each() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    let read = BTreeMap::from([("fcall_ro".to_owned(), 1)]);
    let changed = BTreeMap::from([("fcall".to_owned(), 1)]);
    asked(&server);
    store.session(ann.id, one.id, at(1)).await.unwrap();
    assert_eq!(asked(&server), read, "a check");
    store.account(ann.id).await.unwrap();
    assert_eq!(asked(&server), read, "an account");
    store.visit(visit(&one, 0, 0, 1)).await.unwrap();
    assert_eq!(asked(&server), changed, "a visit");
    let session = session(ann.id, 2);
    store.create_session(session, &ann.password, PLENTY, cause(at(2))).await.unwrap();
    assert_eq!(asked(&server), changed, "a log-in");
    store
        .change_password(
            ann.id,
            Some(&ann.password),
            ann.password.clone(),
            Some(succession(&one, 3)),
            cause(at(3)),
        )
        .await
        .unwrap();
    assert_eq!(asked(&server), changed, "a change of password");
    store.remove_account(ann.id, cause(at(4))).await.unwrap();
    assert_eq!(asked(&server), changed, "a removal");
}

/// The keys with no time to live, and the shortest and longest of the others, in seconds.
fn lives(server: &RedisServer) -> (Vec<String>, Option<(i64, i64)>) {
    let (mut for_ever, mut lives) = (Vec::new(), Vec::new());
    // Keys have bytes in them that are no text: they are asked for where they are.
    let script = "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
                  all[#all + 1] = key:match('^.-:.-:0:(%w)') or 'root' \
                  all[#all + 1] = redis.call('TTL', key) end return all";
    let said = server.ask(&["EVAL", script, "0"]);
    let words: Vec<_> = said.lines().collect();
    for pair in words.chunks(2) {
        match pair[1].parse().unwrap() {
            -1 => for_ever.push(pair[0].to_owned()),
            seconds => lives.push(seconds),
        }
    }
    for_ever.sort();
    for_ever.dedup();
    let ends = lives.iter().min().copied().zip(lives.iter().max().copied());
    (for_ever, ends)
}

/// Without a sweep: what is over is cleared away by Redis's own clock, and not before.
#[tokio::test]
async fn what_is_over_leaves_by_itself_and_what_lives_stays() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    let value = Some(b"1".to_vec());
    store.change_variable(ann.id, one.id, "cart".into(), value, at(0)).await.unwrap();
    let key = countersign::model::AttemptKey::from_bytes([7; 16]);
    let window = SignedDuration::from_mins(15);
    store.count_attempt(vec![key], window, at(0), None).await.unwrap();
    let (for_ever, Some((shortest, longest))) = lives(&server) else { panic!("none lives") };
    // The account, the indexes, where a trail goes on.
    assert_eq!(for_ever, ["a", "e", "i", "l", "o", "u"]);
    assert!(shortest >= 15 * 60 + 3_600 - 60, "{shortest} s: not before its end");
    assert!(longest <= (90 * 24 + 2) * 3_600, "{longest} s: that of audit events");

    let filter = AuditFilter::default();
    let place = store.audit_events(&filter, None, 1, at(1)).await.unwrap().next;
    assert_eq!(place.as_ref().map(ToString::to_string).as_deref(), Some("1-0"));

    // Each use moves the end on.
    count(&store, &one, 29 * 60).await;
    let late = later(at(29 * 60), SignedDuration::from_mins(30));
    let alive = store.session(ann.id, one.id, later(late, SignedDuration::from_millis(-1))).await;
    assert!(alive.unwrap().is_some());
    // By the clock of Redis all of it is over.
    server.ask(&[
        "EVAL",
        "for _, key in ipairs(redis.call('KEYS', '*')) do \
        if redis.call('TTL', key) > 0 then redis.call('UNLINK', key) end end",
        "0",
    ]);
    assert_eq!(store.session(ann.id, one.id, at(30)).await.unwrap(), None);
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 1, "a visit is not forgotten with it");
    assert_eq!(store.variables(ann.id, one.id, at(30)).await.unwrap(), None);
    assert_eq!(store.attempts(&[key], at(30)).await.unwrap()[0].count, 0);
    let records = export(&store).await;
    assert_eq!(records.len(), 1, "the account: {records:?}");
    // Events go on behind those that are gone, and so does everything else.
    let why = Cause { what: AuditKind::SignedUp, by: By::COMMAND_LINE, at: at(31) };
    store.write_event(why.about(ann.id)).await.unwrap();
    let page = store.audit_events(&filter, None, 9, at(31)).await.unwrap();
    assert_eq!((page.events, page.next), (vec![why.about(ann.id)], None));
    let page = store.audit_events(&filter, place, 9, at(31)).await.unwrap();
    assert_eq!((page.events, page.next), (Vec::new(), None), "behind every place there was");
    store.count_attempt(vec![key], window, at(31), None).await.unwrap();
    store.sweep(None, 100, at(32)).await.unwrap();
    let two = log_in(&store, &ann, 33).await;
    assert_eq!(count(&store, &two, 34).await.visits, 1);
}

/// A visit does not ask each time how long the key lives; yet it lives longer than what is in it.
#[tokio::test]
async fn a_session_that_is_used_all_day_does_not_leave_before_its_end() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    for minutes in (10..11 * 60).step_by(10) {
        // By the clock of Redis, too, ten minutes pass.
        let left = server.ask(&[
            "EVAL",
            "for _, key in ipairs(redis.call('KEYS', '*:s*')) do \
             if redis.call('TYPE', key).ok == 'hash' then \
             local left = redis.call('PTTL', key) - 600000 \
             redis.call('PEXPIRE', key, left) return left end end",
            "0",
        ]);
        let left: i64 = left.trim().parse().unwrap();
        assert!(left >= 25 * 60 * 1_000, "{left} ms are left after {minutes} minutes");
        let session = count(&store, &one, minutes * 60).await;
        let end = session.idle_expires_at.duration_since(at(minutes * 60)).as_millis();
        let (_, Some((shortest, _))) = lives(&server) else { panic!("none lives") };
        assert!(i128::from(shortest) * 1_000 >= end + 29 * 60 * 1_000, "{shortest} s");
    }
}

/// Also where the idle end is the later one, as in no session that the service makes.
#[tokio::test]
async fn a_session_ends_at_the_earlier_of_its_two_ends() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let ann = join(&store, "ann").await;
    let one = Session { expires_at: at(100), idle_expires_at: at(200), ..session(ann.id, 0) };
    store.create_session(one.clone(), &ann.password, PLENTY, cause(at(0))).await.unwrap();
    assert!(alive(&store, &one, 99).await && !alive(&store, &one, 100).await);
}

/// An account that is used all the time keeps no more dead sessions than some.
#[tokio::test]
async fn dead_sessions_of_an_account_that_logs_in_and_in_are_bounded() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let ann = join(&store, "ann").await;
    for n in 0..200 {
        let hour = n * 60 * 60;
        let one = log_in(&store, &ann, hour).await;
        count(&store, &one, hour).await;
    }
    let kept = export(&store).await;
    let kept = kept.iter().filter(|it| matches!(it, BackupRecord::Session { .. })).count();
    assert!(kept < 70, "{kept} are kept");
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 200);
    assert_eq!(visit_days(&store, ann.id).await.values().sum::<u32>(), 200);
}
