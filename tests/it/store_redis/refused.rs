//! What a start refuses: in one line each, which names the server and no password.

use countersign::store::{OpenError, RedisOptions, RedisStore};
use url::Url;

use crate::{
    store_world::LOCAL,
    support::{RedisServer, capture, redis::redis_works},
};

const PASSWORD: &str = "correct horse of the cache";

fn refused(url: &Url) -> String {
    capture::secret(capture::Kind::Password, PASSWORD);
    match RedisStore::open(url, RedisOptions::default()) {
        Err(error @ OpenError::Redis { .. }) => {
            let said = error.to_string();
            assert!(said.starts_with("cannot use the Redis at 127.0.0.1:"), "{said}");
            assert!(!said.contains('\n') && !said.contains(PASSWORD), "{said}");
            assert!(!format!("{error:?}").contains(PASSWORD));
            said
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// With the password, which has spaces in it.
fn with(server: &RedisServer, user: &str, password: &str) -> Url {
    let mut url = server.url();
    url.set_username(user).unwrap();
    url.set_password(Some(password)).unwrap();
    url
}

#[test]
fn a_server_that_could_forget_a_logout_is_refused() {
    if !redis_works() {
        return;
    }
    for (more, word) in [
        (&["--maxmemory-policy", "allkeys-lru"][..], "maxmemory-policy is allkeys-lru"),
        (&["--appendonly", "no"], "no append-only file"),
        (&["--cluster-enabled", "yes"], "cluster"),
        (&["--replicaof", "127.0.0.1 1"], "read-only replica"),
    ] {
        let server = RedisServer::with(more);
        let said = refused(&server.url());
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn one_without_a_file_is_taken_by_whoever_says_so() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::with(&["--appendonly", "no"]);
    let options = RedisOptions { must_append: false, ..RedisOptions::default() };
    assert!(RedisStore::open(&server.url(), options).is_ok());
}

#[test]
fn wrong_credentials_and_a_server_that_is_not_there_are_told_apart() {
    if !redis_works() {
        return;
    }
    let mut server = RedisServer::with(&["--requirepass", PASSWORD]);
    assert!(refused(&server.url()).contains("wants a password"));
    assert!(refused(&with(&server, "", "wrong")).contains("refuses the user or the password"));
    assert!(RedisStore::open(&with(&server, "", PASSWORD), RedisOptions::default()).is_ok());
    server.kill_hard();
    assert!(refused(&with(&server, "", PASSWORD)).contains("refused"));

    let server = RedisServer::start();
    server.ask(&[
        "ACL",
        "SETUSER",
        "little",
        "on",
        &format!(">{PASSWORD}"),
        "~*",
        "+ping",
        "+client",
    ]);
    assert!(refused(&with(&server, "little", PASSWORD)).contains("may not do what is needed"));
    // What docs/more-than-one-node.md says.
    let page = include_str!("../../../docs/more-than-one-node.md");
    let rules = page.lines().find_map(|line| line.strip_prefix("user countersign on "));
    let rules = rules.expect("the rules").replace(">PASSWORD", &format!(">{PASSWORD}"));
    // The password has spaces.
    let words = rules.replace(PASSWORD, "PASSWORD");
    let words: Vec<_> = words.split(' ').map(|word| word.replace("PASSWORD", PASSWORD)).collect();
    let mut command = vec!["ACL", "SETUSER", "countersign", "on"];
    command.extend(words.iter().map(String::as_str));
    server.ask(&command);
    let options = RedisOptions { checks: LOCAL, ..RedisOptions::default() };
    let store = RedisStore::open(&with(&server, "countersign", PASSWORD), options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ann = crate::store_world::join(&store, "ann").await;
        let one = crate::store_world::log_in(&store, &ann, 0).await;
        super::local::remember(&server, &store, &one).await;
        crate::store_world::count(&store, &one, 1).await;
        assert!(!super::super::store_contract::backup::export(&store).await.is_empty());
    });
}

#[test]
fn a_frozen_server_is_not_waited_for() {
    if !redis_works() {
        return;
    }
    let server = RedisServer::start();
    server.freeze();
    let started = std::time::Instant::now();
    assert!(!refused(&server.url()).is_empty());
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}
