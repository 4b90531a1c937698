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
pub(super) struct Held {
    port: u16,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    /// What is in the command that is held: all of these words.
    words: Mutex<Option<Vec<String>>>,
    reached: Notify,
    opened: Notify,
}

impl Held {
    pub(super) async fn before(server: &RedisServer) -> Self {
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

    pub(super) fn url(&self) -> Url {
        Url::parse(&format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    /// Holds the next command with all of these words in it.
    pub(super) fn hold(&self, words: &[&str]) {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        *self.gate.words.lock() = Some(words);
    }

    /// Waits until it came.
    pub(super) async fn reached(&self) {
        self.gate.reached.notified().await;
    }

    pub(super) fn release(&self) {
        self.gate.opened.notify_one();
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
        let has = |word: &String| command.windows(word.len()).any(|part| part == word.as_bytes());
        let mut words = self.words.lock();
        words.take_if(|words| words.iter().all(has)).is_some()
    }
}
