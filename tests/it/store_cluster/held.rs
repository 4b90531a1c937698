//! A Redis whose commands can be held on their way.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use url::Url;

use crate::support::RedisServer;

/// Stands between a store and its server.
pub(crate) struct Held {
    port: u16,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    /// What is in the command that is held: all of these words.
    words: Mutex<Option<Vec<String>>>,
    reached: Notify,
    opened: Notify,
    /// What is in the commands that are lost: all of these words.
    lost: Mutex<Option<Vec<String>>>,
}

impl Held {
    pub(crate) async fn before(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, gate) = (listener.local_addr().unwrap().port(), Arc::<Gate>::default());
        let (there, held) = (server.port(), Arc::clone(&gate));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", there)).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&held)));
            }
        });
        Self { port, gate }
    }

    pub(crate) fn url(&self) -> Url {
        Url::parse(&format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    /// Holds the next command with all of these words in it.
    pub(crate) fn hold(&self, words: &[&str]) {
        *self.gate.words.lock() = Some(owned(words));
    }

    /// Waits until it came.
    pub(crate) async fn reached(&self) {
        self.gate.reached.notified().await;
    }

    pub(crate) fn release(&self) {
        self.gate.opened.notify_one();
    }

    /// Loses each command with all of these words in it, and the connection it came over.
    pub(crate) fn lose(&self, words: &[&str]) {
        *self.gate.lost.lock() = Some(owned(words));
    }
}

async fn pass(client: TcpStream, server: TcpStream, gate: Arc<Gate>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async { copy(&mut from_server, &mut to_client).await.map(drop) };
    let commands = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = from_client.read(&mut buffer).await?;
            if length == 0 {
                return std::io::Result::Ok(());
            }
            if gate.loses(&buffer[..length]) {
                return Ok(());
            }
            if gate.holds(&buffer[..length]) {
                gate.reached.notify_one();
                gate.opened.notified().await;
            }
            to_server.write_all(&buffer[..length]).await?;
        }
    };
    tokio::select! {
        _ = answers => {}
        _ = commands => {}
    }
}

impl Gate {
    fn holds(&self, command: &[u8]) -> bool {
        self.words.lock().take_if(|words| has_all(command, words)).is_some()
    }

    fn loses(&self, command: &[u8]) -> bool {
        self.lost.lock().as_ref().is_some_and(|words| has_all(command, words))
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn has_all(command: &[u8], words: &[String]) -> bool {
    let has = |word: &String| command.windows(word.len()).any(|part| part == word.as_bytes());
    words.iter().all(has)
}
