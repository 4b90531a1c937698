//! The signing keys that all nodes share: sealed, in one hash beside the generations, so that a
//! restored backup leaves them as they are.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{Functions, RedisStore, Waiting, codec};
use crate::store::{KeptKeys, KeyVault, Result};

/// What errors call a key.
const KIND: &str = "signing key";

/// The field that is no key.
const REVISION: &[u8] = b"revision";

/// The [`KeyVault`] of a [`RedisStore`].
pub struct RedisKeys {
    functions: Functions,
    /// Where changes go: a key that signs must not be lost with the primary.
    waiting: Option<Waiting>,
}

impl RedisStore {
    /// The signing keys in it, over the same connection.
    #[must_use]
    pub fn keys(&self) -> RedisKeys {
        let waiting = self.waiting.as_ref();
        RedisKeys {
            functions: self.functions.clone(),
            waiting: waiting.map(|(link, replicas)| (link.another(), *replicas)),
        }
    }
}

impl RedisKeys {
    /// The same keys, with connections of their own and nothing else in common: what is under way in a
    /// Tokio runtime ends with that, and nobody may wait for it elsewhere.
    #[must_use]
    pub fn anew(&self) -> Self {
        let Functions { link, gather: _, root, generation } = &self.functions;
        let functions = Functions {
            link: Arc::new(link.anew()),
            gather: Arc::default(),
            root,
            generation: generation.clone(),
        };
        let waiting = self.waiting.as_ref();
        Self { functions, waiting: waiting.map(|(link, replicas)| (link.anew(), *replicas)) }
    }
}

#[async_trait]
impl KeyVault for RedisKeys {
    fn name(&self) -> &str {
        self.functions.root
    }

    async fn keys(&self) -> Result<KeptKeys> {
        let answer = self.functions.ask(&self.functions.read("keys")).await?;
        let mut parts = codec::Parts::of(KIND, answer)?.rest();
        let mut kept = KeptKeys { revision: 0, keys: BTreeMap::new() };
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let name = codec::bytes(KIND, name)?;
            if name == REVISION {
                kept.revision = codec::count(KIND, &value)?;
            } else {
                // What is no text was sealed by nobody, and is found out when it is opened.
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                kept.keys.insert(text(name), text(codec::bytes(KIND, value)?));
            }
        }
        Ok(kept)
    }

    async fn put(&self, keys: &BTreeMap<String, String>, revision: u64) -> Result<bool> {
        let mut command = self.functions.change("put_keys");
        command.arg(revision);
        for (id, sealed) in keys {
            command.arg(id).arg(sealed);
        }
        let answer = self.functions.ask_replicated(self.waiting.as_ref(), &command).await?;
        Ok(codec::count(KIND, &answer)? == 1)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        sync::atomic::{AtomicBool, Ordering},
        thread,
        time::Duration,
    };

    use futures_util::FutureExt as _;
    use tokio::time::timeout;

    use super::*;
    use crate::store::{RedisOptions, RedisServers, RedisServersAre, redis::Finder, waiting};

    /// A Sentinel that names itself the primary, and is one without keys. As a Sentinel it says nothing
    /// while it `is_silent`.
    fn serve(is_silent: Arc<AtomicBool>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let is_silent = Arc::clone(&is_silent);
                thread::spawn(move || answer(stream, port, &is_silent));
            }
        });
        port
    }

    fn answer(mut stream: TcpStream, port: u16, is_silent: &AtomicBool) {
        let mut said = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut said) {
            for command in String::from_utf8_lossy(&said[..count]).split("\r\n*") {
                let answer = if command.contains("SENTINEL") {
                    if is_silent.load(Ordering::SeqCst) {
                        continue;
                    }
                    let length = port.to_string().len();
                    format!("*2\r\n$9\r\n127.0.0.1\r\n${length}\r\n{port}\r\n")
                } else if command.contains("\r\nINFO") {
                    let info = "redis_version:7.0.0\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n\
                                aof_enabled:1\r\n";
                    format!("${}\r\n{info}\r\n", info.len())
                } else if command.contains("WAIT") {
                    ":0\r\n".to_owned()
                } else if command.contains("FCALL") {
                    "*0\r\n".to_owned()
                } else {
                    "+OK\r\n".to_owned()
                };
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }

    /// What a start asks in a runtime of its own may be under way when that ends.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_asked_in_a_runtime_that_is_gone_is_waited_for_by_nobody() {
        let is_silent = Arc::new(AtomicBool::new(true));
        let port = serve(Arc::clone(&is_silent));
        let servers = RedisServers {
            named: vec![format!("redis://127.0.0.1:{port}").parse().unwrap()],
            are: RedisServersAre::Sentinels { primary: "main".to_owned(), password: None },
        };
        let patience = Duration::from_secs(20);
        let finder = Arc::new(Finder::new(&servers, patience, true).unwrap());
        let options = RedisOptions { patience, replicas: 1, ..RedisOptions::default() };
        let keys = RedisStore::on(&finder, options, super::super::ROOT, "").keys();

        let begun =
            async |keys: RedisKeys| timeout(Duration::from_millis(50), keys.keys()).await.is_err();
        assert!(waiting(begun(keys.anew())).unwrap(), "nobody said where the primary is");
        let put = async |keys: RedisKeys| {
            timeout(Duration::from_millis(50), keys.put(&BTreeMap::new(), 0)).await.is_err()
        };
        assert!(waiting(put(keys.anew())).unwrap());
        // Nor does a command stay behind that was to go together with others.
        let gathered = async |keys: RedisKeys| keys.keys().now_or_never().is_none();
        assert!(waiting(gathered(keys.anew())).unwrap());
        is_silent.store(false, Ordering::SeqCst);
        let kept = timeout(patience / 4, keys.keys()).await.expect("it is asked anew").unwrap();
        assert_eq!(kept, KeptKeys::default());
    }
}
