//! A network that fails: a way to a server through the test, which can cut it, hold what is on it, or
//! be slow.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Connections are reset, also new ones.
    Cut,
    /// Nothing gets through, in either direction, and nobody is told. What was sent meanwhile arrives
    /// when the way is open again, as TCP has it.
    Held,
    /// The same, of what comes from the server: it hears and does, and nobody hears of that.
    AnswersHeld,
    /// Everything takes so much longer.
    Slow(Duration),
}

impl Way {
    fn lets(self, from_server: bool) -> bool {
        match self {
            Self::Open | Self::Slow(_) => true,
            Self::Cut | Self::Held => false,
            Self::AnswersHeld => !from_server,
        }
    }
}

/// How the way is for whom.
struct Ways {
    most: Way,
    some: HashMap<IpAddr, Way>,
    /// Connections of lower numbers are cut.
    reset: u64,
    /// Of the others, those of lower numbers are held for good.
    forgotten: u64,
}

/// Whose connection it is, and which.
#[derive(Clone, Copy)]
struct Connection {
    from: IpAddr,
    number: u64,
}

impl Ways {
    fn of(&self, connection: Connection) -> Way {
        if connection.number < self.reset {
            return Way::Cut;
        }
        if connection.number < self.forgotten {
            return Way::Held;
        }
        self.some.get(&connection.from).copied().unwrap_or(self.most)
    }
}

/// A way to a server of this machine.
pub(crate) struct Wire {
    port: u16,
    /// Where it leads.
    server: Arc<AtomicU16>,
    ways: Arc<watch::Sender<Ways>>,
    /// How many connections there were.
    accepted: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Wire {
    /// An open one to this port.
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ways = Ways { most: Way::Open, some: HashMap::new(), reset: 0, forgotten: 0 };
        let ways = Arc::new(watch::Sender::new(ways));
        let accepted = Arc::<AtomicU64>::default();
        let server = Arc::new(AtomicU16::new(server));
        let task = accept(listener, Arc::clone(&server), Arc::clone(&ways), Arc::clone(&accepted));
        Self { port, server, ways, accepted, task: tokio::spawn(task) }
    }

    /// New connections lead to this port: a name that means another server by now.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }

    /// Where it begins.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address of the Redis at its end.
    pub(crate) fn redis(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on it is so, for everybody.
    pub(crate) fn set(&self, way: Way) {
        self.ways.send_modify(|ways| {
            ways.most = way;
            ways.some.clear();
        });
    }

    /// From now on it is so for those who come from 127.0.0.`last`.
    pub(crate) fn set_for(&self, last: u8, way: Way) {
        self.ways.send_modify(|ways| {
            ways.some.insert(Ipv4Addr::new(127, 0, 0, last).into(), way);
        });
    }

    /// Connections that are there are reset. The way is open for new ones.
    pub(crate) fn reset_connections(&self) {
        self.ways.send_modify(|ways| {
            ways.reset = self.accepted.load(Ordering::SeqCst);
            ways.most = Way::Open;
        });
    }

    /// Connections that are there are held for good, as when a firewall on the way has forgotten them.
    /// New ones get through.
    pub(crate) fn forget_connections(&self) {
        self.ways.send_modify(|ways| ways.forgotten = self.accepted.load(Ordering::SeqCst));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: Arc<AtomicU16>,
    ways: Arc<watch::Sender<Ways>>,
    accepted: Arc<AtomicU64>,
) {
    // All end with this task.
    let mut connections = JoinSet::new();
    loop {
        let (stream, from) = listener.accept().await.expect("a connection");
        let number = accepted.fetch_add(1, Ordering::SeqCst);
        let connection = Connection { from: from.ip(), number };
        let server = server.load(Ordering::SeqCst);
        connections.spawn(carry(stream, connection, server, ways.subscribe()));
        while connections.try_join_next().is_some() {}
    }
}

/// Carries one connection until one of its ends is closed or the way is cut.
async fn carry(client: TcpStream, this: Connection, server: u16, ways: watch::Receiver<Ways>) {
    let mut cut = ways.clone();
    // What is dropped is reset: nobody takes it for a good end.
    client.set_zero_linger().unwrap();
    let both = async {
        // Whoever connects while the way is held waits.
        until(&mut ways.clone(), this, |way| way != Way::Held).await;
        let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
        server.set_zero_linger().unwrap();
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = pump(from_client, to_server, false, this, ways.clone()) => {}
            () = pump(from_server, to_client, true, this, ways.clone()) => {}
        }
    };
    tokio::select! {
        () = until(&mut cut, this, |way| way == Way::Cut) => {}
        () = both => {}
    }
}

async fn until(ways: &mut watch::Receiver<Ways>, this: Connection, is: impl Fn(Way) -> bool) {
    // The sender is gone with the wire, and this task with it.
    let _ = ways.wait_for(|ways| is(ways.of(this))).await;
}

/// Carries one direction until its end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    from_server: bool,
    this: Connection,
    mut ways: watch::Receiver<Ways>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer).await else { return };
        let now = ways.borrow().of(this);
        if let Way::Slow(by) = now {
            tokio::time::sleep(by).await;
        }
        until(&mut ways, this, |way| way.lets(from_server)).await;
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
