//! What is asked at the same time goes together: in how many calls, and that nobody is the worse for
//! the company.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use countersign::{
    model::{Account, Session},
    store::{RedisOptions, RedisStore, Store, StoreError, Visited},
};
use futures_util::future::join_all;

use super::{
    cost::{asked, asked_so_far},
    open,
};
use crate::{
    store_world::{alive, at, count, join, log_in, visit},
    support::{RedisServer, Way, Wire, in_time, redis::redis_works},
};

fn calls<const N: usize>(of: [(&str, u64); N]) -> BTreeMap<String, u64> {
    of.map(|(command, times)| (command.to_owned(), times)).into()
}

async fn people(store: &dyn Store, count: usize) -> Vec<(Account, Session)> {
    let mut people = Vec::new();
    for n in 0..count {
        let account = join(store, &format!("person{n}")).await;
        let session = log_in(store, &account, 0).await;
        people.push((account, session));
    }
    people
}

/// Makes what is kept of a session something that is none.
fn damage(server: &RedisServer, session: &Session) {
    let escaped: Vec<_> = session.id.as_bytes().iter().map(|byte| format!("\\{byte:03}")).collect();
    let hex = escaped.concat();
    let script = format!(
        "for _, key in ipairs(redis.call('KEYS', '*:s*')) do \
         if redis.call('HEXISTS', key, '{hex}') == 1 then \
         redis.call('HSET', key, '{hex}', '\\205\\1') return 1 end end return 0"
    );
    assert_eq!(server.ask(&["EVAL", &script, "0"]).trim(), "1");
}

#[tokio::test]
async fn checks_and_visits_that_come_together_are_one_call_of_each() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let people = people(&store, 20).await;
    asked(&server);
    // On one thread all of them say what they ask for before any of it goes.
    let checks = people.iter().map(|(_, session)| alive(&store, session, 1));
    assert_eq!(join_all(checks).await, [true; 20]);
    assert_eq!(asked(&server), calls([("fcall_ro", 1)]));
    let visits = people.iter().map(|(_, session)| store.visit(visit(session, 0, 0, 2)));
    for answer in join_all(visits).await {
        assert!(matches!(answer, Ok(Visited::Counted(session)) if session.visits == 1));
    }
    assert_eq!(asked(&server), calls([("fcall", 1)]));
    let (one, other) = (&people[0].1, &people[1].1);
    tokio::join!(alive(&store, one, 3), count(&store, one, 3), alive(&store, other, 3));
    assert_eq!(asked(&server), calls([("fcall", 1), ("fcall_ro", 1)]));
}

/// However many there are, one call takes no more than some, and each visit counts.
#[tokio::test]
async fn a_call_is_bounded_and_all_of_it_is_exact() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let ann = join(&store, "ann").await;
    let one = log_in(&store, &ann, 0).await;
    asked(&server);
    let answers = join_all((0..300).map(|_| store.visit(visit(&one, 0, 0, 1)))).await;
    assert_eq!(asked(&server), calls([("fcall", 3)]), "128, 128 and 44");
    let mut numbers = Vec::new();
    for answer in answers {
        let Visited::Counted(session) = answer.unwrap() else { panic!("it is alive") };
        numbers.push(session.visits);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
    assert_eq!(store.total_visits(ann.id).await.unwrap(), 300);
}

#[tokio::test]
async fn what_is_wrong_with_one_session_is_its_alone() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    let people = people(&store, 5).await;
    damage(&server, &people[2].1);
    let checks =
        people.iter().map(|(account, session)| store.session(account.id, session.id, at(1)));
    for (n, answer) in join_all(checks).await.into_iter().enumerate() {
        let is_damaged = matches!(answer, Err(StoreError::Unavailable(_)));
        assert_eq!(
            (n == 2, n != 2),
            (is_damaged, matches!(answer, Ok(Some(_)))),
            "{n}: {answer:?}"
        );
    }
    let visits = people.iter().map(|(_, session)| store.visit(visit(session, 0, 0, 1)));
    for (n, answer) in join_all(visits).await.into_iter().enumerate() {
        let is_damaged = matches!(answer, Err(StoreError::Unavailable(_)));
        let is_counted = matches!(answer, Ok(Visited::Counted(_)));
        assert_eq!((n == 2, n != 2), (is_damaged, is_counted), "{n}: {answer:?}");
    }
    for (n, (account, _)) in people.iter().enumerate() {
        assert_eq!(store.total_visits(account.id).await.unwrap(), u64::from(n != 2), "{n}");
    }
}

/// What is under way may hang for as long as Redis is given; what comes later goes all the same.
#[tokio::test]
async fn nobody_waits_for_company_for_long() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    let wire = Wire::to(server.port()).await;
    // Longer than the test waits.
    let patience = Duration::from_mins(10);
    let options = RedisOptions { patience, ..RedisOptions::default() };
    let address = wire.redis().parse::<url::Url>().unwrap();
    let opened = tokio::task::spawn_blocking(move || RedisStore::open(&address, options)).await;
    let store = Arc::new(opened.unwrap().unwrap());
    let ann = join(&*store, "ann").await;
    let one = log_in(&*store, &ann, 0).await;
    wire.set(Way::AnswersHeld);
    asked(&server);
    let ask = |visits: usize| {
        for _ in 0..visits {
            let (store, visit) = (Arc::clone(&store), visit(&one, 0, 0, 1));
            tokio::spawn(async move { store.visit(visit).await });
        }
    };
    let until_called = async |times: u64| {
        while asked_so_far(&server).get("fcall").is_none_or(|calls| *calls < times) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    ask(10);
    in_time("ten visits", until_called(1)).await;
    // Fewer than are under way, and none of those is answered.
    ask(1);
    in_time("a visit that waits for nobody", until_called(2)).await;
    wire.set(Way::Open);
    assert_eq!(count(&*store, &one, 2).await.visits, 12);
}
