//! A primary of a real cluster that dies, and what it had not told its replica.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use countersign::{
    model::{Account, AccountId, Email},
    store::{AuditBounds, ClusterStore, Created, EmailChange, MemoryStore, RedisOptions, Store},
};
use tokio::{task::JoinSet, time::timeout};

use super::{hasty, sweep_all, unavailable, until};
use crate::{
    store_contract::backup::export,
    store_world::{
        PLENTY, account, alive, at, cause, email, everybody, join, log_in, open_shards, session,
        succession,
    },
    support::{RedisCluster, cluster::primary_of, redis::redis_works},
};

/// An e-mail whose claim lies on that primary.
fn email_on(primary: usize, name: &str) -> Email {
    let mut emails = (0..).map(|n| email(&format!("{name}{n}")));
    emails.find(|email| primary_of(email.as_str().as_bytes()) == primary).unwrap()
}

/// An account that lies on that primary.
fn account_on(primary: usize, email: &Email) -> Account {
    let mut ids = (0..).map(|_| AccountId::new(at(0)));
    let id = ids.find(|id| primary_of(id.as_bytes()) == primary).unwrap();
    Account { id, email: email.clone(), ..account("x") }
}

/// One that waits for a replica.
fn open(cluster: &RedisCluster) -> ClusterStore {
    let patience = Duration::from_secs(2);
    let options = RedisOptions { patience, replicas: 1, ..RedisOptions::default() };
    ClusterStore::open(cluster.servers(), options).unwrap()
}

/// What the primary is told from now on, its replica does not hear.
fn cut_off(cluster: &RedisCluster, primary: usize) {
    cluster.nodes[primary + 3].freeze();
    // Or it would find it in its socket when it goes on.
    cluster.nodes[primary].ask(&["CLIENT", "KILL", "TYPE", "replica"]);
}

/// The primary dies, its replica knows what it knew, and then it is the other way round.
async fn fail_over(cluster: &mut RedisCluster, primary: usize) {
    cluster.nodes[primary].kill_hard();
    let replica = primary + 3;
    cluster.nodes[replica].thaw();
    until("the replica takes over", async || {
        cluster.nodes[replica].ask(&["ROLE"]).starts_with("master")
    })
    .await;
    cluster.nodes[primary].restart();
    until("the old primary follows", async || {
        let said = cluster.nodes[primary].ask(&["INFO", "replication"]);
        said.contains("role:slave") && said.contains("master_link_status:up")
    })
    .await;
}

/// Each shard has a connection of its own.
async fn until_it_is_back(store: &ClusterStore) {
    until("all is there again", async || store.find_accounts("", None, 9).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_up_by_a_claim_that_no_replica_has_is_not_answered() {
    if !redis_works() {
        return;
    }
    let mut cluster = RedisCluster::start(3, true);
    let store = open(&cluster);
    let (wanted, new) = (email_on(0, "ann"), email_on(0, "anna"));
    let (ann, bob) = (account_on(1, &wanted), account_on(2, &wanted));
    let carol = account_on(1, &email_on(1, "carol"));
    assert!(store.create_account(carol.clone(), cause(at(0))).await.unwrap());
    let one = log_in(&store, &carol, 0).await;
    cut_off(&cluster, 0);
    let why = unavailable(store.create_account(ann.clone(), cause(at(0))).await);
    assert!(why.contains("0 of 1"), "{why}");
    let goes_on = succession(&one, 1);
    let changed = store.change_email(carol.id, new.clone(), goes_on, cause(at(1))).await;
    assert!(unavailable(changed).contains("0 of 1"));
    fail_over(&mut cluster, 0).await;
    // Who could not be told that they have an e-mail do not have it.
    until("Bob signs up", async || {
        store.create_account(bob.clone(), cause(at(0))).await.unwrap_or_default()
    })
    .await;
    let dora = account_on(2, &new);
    until("Dora signs up", async || {
        store.create_account(dora.clone(), cause(at(0))).await.unwrap_or_default()
    })
    .await;
    until_it_is_back(&store).await;
    assert_eq!(store.account(ann.id).await.unwrap(), None);
    assert_eq!(store.account(carol.id).await.unwrap(), Some(carol));
    assert_eq!(store.account_by_email(&wanted).await.unwrap(), Some(bob));
    assert_eq!(store.account_by_email(&new).await.unwrap(), Some(dora));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_given_an_email_that_a_replica_would_give_back() {
    if !redis_works() {
        return;
    }
    let mut cluster = RedisCluster::start(3, true);
    let store = open(&cluster);
    let (old, new) = (email_on(0, "ann"), email_on(0, "anna"));
    let (ann, bob) = (account_on(1, &old), account_on(2, &old));
    assert!(store.create_account(ann.clone(), cause(at(0))).await.unwrap());
    let (one, other) = (log_in(&store, &ann, 0).await, log_in(&store, &ann, 0).await);
    // From here on the replica has her.
    assert!(store.revoke_session(ann.id, other.id, cause(at(0))).await.unwrap());
    cut_off(&cluster, 1);
    let goes_on = succession(&one, 1);
    let changed = store.change_email(ann.id, new.clone(), goes_on, cause(at(1))).await;
    assert!(unavailable(changed).contains("0 of 1"));
    let anna = Account { email: new.clone(), ..ann.clone() };
    assert_eq!(store.account(ann.id).await.unwrap(), Some(anna), "it was done");
    let why = unavailable(store.create_account(bob.clone(), cause(at(1))).await);
    assert!(why.contains("0 of 1"), "{why}");
    // Nor does a sweep free it.
    unavailable(sweep_all(&store).await);
    fail_over(&mut cluster, 1).await;
    until_it_is_back(&store).await;
    assert!(alive(&store, &one, 1).await);
    assert_eq!(store.account_by_email(&old).await.unwrap(), Some(ann.clone()), "she has it again");
    assert!(!store.create_account(bob, cause(at(1))).await.unwrap());
    // What she claimed in vain is free when her time is over.
    let carol = account_on(2, &new);
    until("Carol signs up", async || {
        store.create_account(carol.clone(), cause(at(1))).await.unwrap_or_default()
    })
    .await;
    assert_eq!(everybody(&store).await.len(), 2);
    sweep_all(&store).await.unwrap();
    let copy = MemoryStore::new();
    copy.import(export(&store).await).await.unwrap();
    assert_eq!(everybody(&copy).await, everybody(&store).await);
}

/// What somebody was told about an account in the end.
struct Told {
    account: Account,
    /// Whether its e-mail was answered in a way that waits for replicas.
    changed: bool,
    removed: bool,
}

/// Signs up, takes another e-mail, and leaves, again and again, under names that others want, too.
async fn comes_and_goes(
    store: Arc<ClusterStore>,
    stop: Arc<AtomicBool>,
    first: usize,
) -> Vec<Told> {
    let mut books = Vec::new();
    for n in first.. {
        if stop.load(SeqCst) {
            break;
        }
        let wanted = |n: usize| email(&format!("name{}", n % 17));
        let mut account = Account { email: wanted(n), ..account("x") };
        if !matches!(store.create_account(account.clone(), cause(at(0))).await, Ok(true)) {
            continue;
        }
        let (mut changed, mut removed) = (false, false);
        let one = session(account.id, 0);
        let one = store.create_session(one, &account.password, PLENTY, cause(at(0))).await;
        if let Ok(Created::Added { session, .. }) = one {
            let (goes_on, new) = (succession(&session, 1), wanted(n * 7 + 3));
            match store.change_email(account.id, new.clone(), goes_on, cause(at(1))).await {
                Ok(EmailChange::Changed { .. }) => (changed, account.email) = (true, new),
                Ok(EmailChange::Taken | EmailChange::AccountChanged) => {}
                // Whether it has the one or the other, nobody knows.
                Err(_) => continue,
            }
        }
        if n % 3 > 0 {
            match store.remove_account(account.id, cause(at(2))).await {
                Ok(found) => removed = found.is_some(),
                Err(_) => continue,
            }
        }
        books.push(Told { account, changed, removed });
    }
    books
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_primary_is_replaced_an_email_stays_one_accounts() {
    if !redis_works() {
        return;
    }
    let mut cluster = RedisCluster::start(3, true);
    let store = Arc::new(open(&cluster));
    let stop = Arc::new(AtomicBool::new(false));
    let mut people = JoinSet::new();
    for n in 0..8 {
        people.spawn(comes_and_goes(Arc::clone(&store), Arc::clone(&stop), n * 1_000));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    fail_over(&mut cluster, 1).await;
    stop.store(true, SeqCst);
    let books: Vec<_> = people.join_all().await.into_iter().flatten().collect();
    until("it is swept", async || sweep_all(&*store).await.is_ok()).await;
    until_it_is_back(&store).await;

    let there = everybody(&*store).await;
    let emails: BTreeSet<_> = there.iter().map(|person| &person.email).collect();
    assert_eq!(emails.len(), there.len(), "an e-mail is two accounts': {there:?}");
    for person in &there {
        let found = store.account_by_email(&person.email).await.unwrap();
        assert_eq!(found.as_ref(), Some(person));
    }
    let (mut changes, mut ends) = (0, 0);
    for told in books {
        let found = there.iter().find(|person| person.id == told.account.id);
        if told.removed {
            assert_eq!(found, None, "it was removed");
            ends += 1;
        } else if told.changed {
            assert_eq!(found, Some(&told.account), "it was changed");
            changes += 1;
        }
    }
    println!("{changes} changes of e-mail and {ends} removals were answered");
    assert!(changes > 0 && ends > 0);
    let copy = MemoryStore::new();
    copy.import(export(&*store).await).await.unwrap();
    assert_eq!(everybody(&copy).await, there);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_all_shards_waits_for_all_and_a_node_is_ready_with_some() {
    if !redis_works() {
        return;
    }
    let mut cluster = RedisCluster::start(3, false);
    let store = hasty(cluster.servers());
    let mut sessions = Vec::new();
    for n in 0..24 {
        let person = join(&store, &format!("user{n}")).await;
        sessions.push(log_in(&store, &person, 0).await);
    }
    // A balancer waits for nobody who says nothing.
    let patient = open_shards(cluster.servers(), AuditBounds::default());
    cluster.nodes[2].freeze();
    timeout(Duration::from_secs(10), patient.ping()).await.expect("no wait").unwrap();
    cluster.nodes[2].thaw();
    cluster.nodes[2].kill_hard();
    let why = unavailable(store.revoke_all_sessions(cause(at(1))).await);
    assert!(why.contains("asked for again"), "{why}");
    store.ping().await.unwrap();
    unavailable(store.find_accounts("", None, 9).await);

    cluster.nodes[2].restart();
    let away = |session: &&countersign::model::Session| primary_of(session.account.as_bytes()) == 2;
    until_it_is_back(&store).await;
    for session in sessions.iter().filter(away) {
        assert!(alive(&store, session, 1).await, "its shard did not hear of it");
    }
    until("all have ended", async || store.revoke_all_sessions(cause(at(2))).await.is_ok()).await;
    for session in &sessions {
        assert!(!alive(&store, session, 2).await);
    }
    for node in &mut cluster.nodes {
        node.kill_hard();
    }
    unavailable(store.ping().await);
}
