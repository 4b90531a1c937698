//! Where the primary is: at the address that was named, where the Sentinels say, or where the cluster
//! says.
//!
//! All that were named are asked at once, and what most of those say holds: one that is cut off from
//! the others may go on naming a primary that is none any more. It is asked again every [`RECHECK`],
//! while commands come, and what was said longer than [`GOOD_FOR`] ago holds no more: so a node that
//! can still reach such a primary leaves it, and one that most Sentinels do not answer asks nobody. It
//! might be on the wrong side, where nobody knows who was logged out on the other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, RedisError, Value, aio::MultiplexedConnection,
};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, Shared},
    stream::FuturesUnordered,
};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::{
    servers::{PORT, RedisServers, RedisServersAre, SENTINEL_PORT},
    trust::Trust,
};

/// What was found out so short a time ago is not asked for again: many ask when a primary is gone.
const FRESH: Duration = Duration::from_millis(100);

/// How often it is asked whether the primary is still the same.
const RECHECK: Duration = Duration::from_secs(1);

/// For how long what was said holds: less than the time after which another primary is made, which for
/// Sentinels is 30 s where nothing else is set.
const GOOD_FOR: Duration = Duration::from_secs(3);

/// How many slots a cluster has.
const SLOTS: u16 = 16_384;

/// Finds the primary, as often as it is another one.
pub(super) struct Finder {
    are: RedisServersAre,
    named: Vec<Client>,
    /// How a primary is connected to, wherever it is.
    primary: ConnectionInfo,
    address: String,
    patience: Duration,
    /// What is wanted of a primary.
    pub(super) trust: Arc<Trust>,
    known: Mutex<Known>,
}

/// What was found out.
#[derive(Default)]
struct Known {
    /// When it was asked for that was answered, and the answer.
    owners: Option<(Instant, Arc<Owners>)>,
    /// When it was last asked for, and that.
    latest: Option<(Instant, Look)>,
}

type Look = Shared<BoxFuture<'static, Result<Arc<Owners>, RedisError>>>;

/// The address of a server: host and port.
type Address = (String, u16);

/// Which primary has which slots: the first, the last, where it is; in their order.
#[derive(Debug, PartialEq, Eq)]
struct Owners(Vec<(u16, u16, Address)>);

impl Owners {
    fn of(&self, slot: u16) -> Option<&Address> {
        let mut all = self.0.iter();
        all.find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(_, _, address)| address)
    }
}

/// A server that is said to be the primary.
pub(super) struct Primary {
    pub(super) client: Client,
    /// Nothing where there is only one that it can be.
    address: Option<Address>,
}

impl Finder {
    /// # Errors
    /// One line that says what is wrong with the URLs.
    pub(super) fn new(
        servers: &RedisServers,
        patience: Duration,
        must_append: bool,
    ) -> Result<Self, String> {
        let mut named: Vec<Client> = Vec::with_capacity(servers.named.len());
        let mut primary = None;
        for url in &servers.named {
            let info = url.clone().into_connection_info();
            let info = info.map_err(|_| "`store.url` is no address of a Redis".to_owned())?;
            // Answers wait for no others, and a server that is gone is noticed.
            let tcp = info.tcp_settings().clone().set_nodelay(true);
            let tcp = tcp.set_user_timeout(patience.max(Duration::from_secs(1)) * 2);
            let info = info.set_tcp_settings(tcp);
            let asked = match &servers.are {
                RedisServersAre::Primary | RedisServersAre::Cluster => info.clone(),
                RedisServersAre::Sentinels { password, .. } => {
                    sentinel(&info, url.port().is_none(), password.as_deref())
                }
            };
            primary.get_or_insert(info);
            let client = Client::open(asked).map_err(|error| error.to_string())?;
            // Named twice, one would have two voices.
            if named.iter().all(|other| address_of(other) != address_of(&client)) {
                named.push(client);
            }
        }
        Ok(Self {
            are: servers.are.clone(),
            named,
            primary: primary.ok_or("`store.url` names no server")?,
            address: servers.address(),
            patience,
            trust: Arc::new(Trust {
                in_cluster: servers.are == RedisServersAre::Cluster,
                must_append,
                warned_of: Mutex::default(),
            }),
            known: Mutex::default(),
        })
    }

    /// One that finds the same, and knows nothing yet. What is being asked for belongs to the runtime
    /// in which it was begun, and would never be answered in another.
    pub(super) fn anew(&self) -> Self {
        Self {
            are: self.are.clone(),
            named: self.named.clone(),
            primary: self.primary.clone(),
            address: self.address.clone(),
            patience: self.patience,
            trust: Arc::clone(&self.trust),
            known: Mutex::default(),
        }
    }

    /// Whom errors name: without user and password.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// How long a server may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Where the primary of that slot is now.
    pub(super) async fn primary(&self, slot: u16) -> Result<Primary, RedisError> {
        if let Some(alone) = self.alone() {
            return Ok(alone);
        }
        let (_, owners) = self.look().await?;
        let address =
            owners.of(slot).ok_or_else(|| failed("no node of the cluster has its slot"))?;
        self.at(address)
    }

    /// All primaries, by their addresses.
    pub(super) async fn primaries(&self) -> Result<Vec<(String, Primary)>, RedisError> {
        if let Some(alone) = self.alone() {
            return Ok(vec![(self.address.clone(), alone)]);
        }
        // Not kept: whoever opens a store does so with a runtime that is gone afterwards.
        let owners = ask_all(self.named.clone(), self.are.clone(), self.patience).await?;
        let mut addresses: Vec<_> = owners.0.iter().map(|(_, _, address)| address).collect();
        addresses.sort();
        addresses.dedup();
        let named = |at: &Address| Ok((format!("{}:{}", at.0, at.1), self.at(at)?));
        addresses.into_iter().map(named).collect()
    }

    /// Whether the primary of that slot is still that one. Waits only where nobody said so lately.
    pub(super) async fn is_still(
        self: &Arc<Self>,
        slot: u16,
        primary: &Primary,
    ) -> Result<bool, RedisError> {
        // Nobody else knows: whether it is one still, it says itself, with each check.
        let Some(address) = &primary.address else {
            return Ok(true);
        };
        let known = {
            let mut known = self.known.lock();
            let said = known.owners.clone();
            if said.as_ref().is_none_or(|(at, _)| at.elapsed() > RECHECK) && !known.is_asked() {
                let look = self.begin(&mut known);
                let finder = Arc::clone(self);
                // What cannot be found out now is asked for again, by then with somebody waiting.
                tokio::spawn(async move { finder.learn(look).await.ok() });
            }
            said.filter(|(at, _)| at.elapsed() <= GOOD_FOR)
        };
        let owners = if let Some((_, owners)) = known {
            owners
        } else {
            let (at, owners) = self.look().await?;
            // It may have been on its way for long.
            if at.elapsed() > GOOD_FOR {
                return Err(failed("it is not said in time where it is"));
            }
            owners
        };
        Ok(owners.of(slot) == Some(address))
    }

    /// What was found out is not true any more.
    pub(super) fn forget(&self) {
        *self.known.lock() = Known::default();
    }

    fn alone(&self) -> Option<Primary> {
        if self.are != RedisServersAre::Primary {
            return None;
        }
        self.named.first().map(|client| Primary { client: client.clone(), address: None })
    }

    fn at(&self, address: &Address) -> Result<Primary, RedisError> {
        let (host, port) = address.clone();
        let at = match self.primary.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        let client = Client::open(self.primary.clone().set_addr(at))?;
        Ok(Primary { client, address: Some(address.clone()) })
    }

    /// What was found out, and when that was asked for.
    async fn look(&self) -> Result<(Instant, Arc<Owners>), RedisError> {
        let look = {
            let mut known = self.known.lock();
            match &known.latest {
                Some(latest) if known.is_asked() => latest.clone(),
                _ => self.begin(&mut known),
            }
        };
        self.learn(look).await
    }

    fn begin(&self, known: &mut Known) -> (Instant, Look) {
        let look = ask_all(self.named.clone(), self.are.clone(), self.patience).boxed().shared();
        let latest = (Instant::now(), look);
        known.latest = Some(latest.clone());
        latest
    }

    async fn learn(
        &self,
        (at, look): (Instant, Look),
    ) -> Result<(Instant, Arc<Owners>), RedisError> {
        let found = look.await?;
        let mut known = self.known.lock();
        // Unless it was forgotten, or more is known by now.
        let is_latest = known.latest.as_ref().is_some_and(|(latest, _)| *latest == at);
        if is_latest {
            known.owners = Some((at, Arc::clone(&found)));
        }
        Ok((at, found))
    }
}

impl Known {
    /// Whether it is being asked for, or was so short a time ago.
    fn is_asked(&self) -> bool {
        let latest = self.latest.as_ref();
        latest.is_some_and(|(at, look)| at.elapsed() < FRESH || look.peek().is_none())
    }
}

/// How a Sentinel is connected to that was named beside the user and password of the primary.
fn sentinel(info: &ConnectionInfo, has_usual_port: bool, password: Option<&str>) -> ConnectionInfo {
    let mut at = info.addr().clone();
    if let ConnectionAddr::Tcp(_, port) | ConnectionAddr::TcpTls { port, .. } = &mut at
        && has_usual_port
    {
        *port = SENTINEL_PORT;
    }
    let mut asked = ::redis::RedisConnectionInfo::default();
    if let Some(password) = password {
        asked = asked.set_password(password);
    }
    info.clone().set_addr(at).set_redis_settings(asked)
}

/// Where a client connects to.
fn address_of(client: &Client) -> String {
    client.get_connection_info().addr().to_string()
}

/// Asks all of them, for half of the time that a server is given.
async fn ask_all(
    named: Vec<Client>,
    are: RedisServersAre,
    patience: Duration,
) -> Result<Arc<Owners>, RedisError> {
    let most = named.len() / 2 + 1;
    // A primary of a cluster that is cut off from most others refuses what it is asked by itself.
    let must_be_most = matches!(are, RedisServersAre::Sentinels { .. });
    let mut answers: FuturesUnordered<_> =
        named.iter().map(|client| timeout(patience / 2, ask(client, &are, patience))).collect();
    let mut votes: Vec<(Owners, usize)> = Vec::new();
    let mut failure = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(Ok(owners)) => match votes.iter_mut().find(|(other, _)| *other == owners) {
                Some((_, count)) => *count += 1,
                None => votes.push((owners, 1)),
            },
            Ok(Err(error)) => failure = Some(error),
            Err(_) => {
                failure.get_or_insert_with(|| {
                    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
                });
            }
        }
        if votes.iter().any(|(_, count)| *count >= most) {
            break;
        }
    }
    // Of two that as many say, what was said first.
    match votes.into_iter().rev().max_by_key(|(_, count)| *count) {
        Some((owners, count)) if count >= most || !must_be_most => Ok(Arc::new(owners)),
        Some(_) => Err(failed("fewer than half of its Sentinels agree where it is")),
        None => Err(failure.unwrap_or_else(|| failed("nobody says where the primary is"))),
    }
}

async fn ask(
    client: &Client,
    are: &RedisServersAre,
    patience: Duration,
) -> Result<Owners, RedisError> {
    let mut connection = connect(client, patience).await?;
    match are {
        RedisServersAre::Primary | RedisServersAre::Cluster => {
            let answer = ::redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
            let asked = match client.get_connection_info().addr() {
                ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str(),
                _ => "localhost",
            };
            Ok(slots(answer, asked))
        }
        RedisServersAre::Sentinels { primary, .. } => {
            let mut command = ::redis::cmd("SENTINEL");
            command.arg("GET-MASTER-ADDR-BY-NAME").arg(primary);
            let found: Option<(String, u16)> = command.query_async(&mut connection).await?;
            let unknown = || failed("its Sentinels watch no primary of that name");
            Ok(Owners(vec![(0, SLOTS - 1, found.ok_or_else(unknown)?)]))
        }
    }
}

/// What `CLUSTER SLOTS` says: lists of the first slot, the last, the primary and its replicas. A node
/// without a name is the one that was asked.
fn slots(answer: Value, asked: &str) -> Owners {
    let mut owners = Vec::new();
    if let Value::Array(ranges) = answer {
        for range in ranges {
            let Value::Array(parts) = range else { continue };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &parts[..]
            else {
                continue;
            };
            let host = match primary.first() {
                Some(Value::BulkString(name)) if name == b"?" => continue,
                Some(Value::BulkString(name)) if !name.is_empty() => {
                    String::from_utf8_lossy(name).into_owned()
                }
                _ => asked.to_owned(),
            };
            let port = match primary.get(1) {
                Some(Value::Int(port)) => u16::try_from(*port).unwrap_or(PORT),
                _ => PORT,
            };
            if let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(*last)) {
                owners.push((first, last, (host, port)));
            }
        }
    }
    owners.sort();
    Owners(owners)
}

/// A connection, in the time that a server has for it.
pub(super) async fn connect(
    client: &Client,
    patience: Duration,
) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    client.get_multiplexed_async_connection_with_config(&config).await
}

fn failed(why: &'static str) -> RedisError {
    (ErrorKind::Client, why).into()
}

/// The slot of a key, by its part in braces: CRC16/XMODEM of it, see the cluster specification of
/// Redis.
pub(super) fn slot_of(key: &str) -> u16 {
    let part = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(part, _)| part);
    let part = part.filter(|part| !part.is_empty()).unwrap_or(key);
    let mut crc = 0_u16;
    for byte in part.bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use url::Url;

    use super::*;

    /// What `CLUSTER KEYSLOT` says of them.
    #[test]
    fn a_key_has_the_slot_that_redis_gives_it() {
        for (key, slot) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("{user1000}.following", 3443),
            ("foo{}{bar}", 8363),
            ("foo{{bar}}zap", 4015),
            ("foo{bar}{zap}", 5061),
        ] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }

    #[test]
    fn the_owners_of_slots_are_read_in_their_order() {
        let node =
            |host: &str, port| Value::Array(vec![Value::BulkString(host.into()), Value::Int(port)]);
        let range = |first, last, primary| {
            let replica = node("10.0.0.9", 6379);
            Value::Array(vec![Value::Int(first), Value::Int(last), primary, replica])
        };
        let answer = Value::Array(vec![
            range(8_000, 16_383, node("", 7_001)),
            range(0, 7_999, node("10.0.0.7", 7_000)),
            range(1, 2, node("?", 7_002)),
            Value::Nil,
        ]);
        let owners = slots(answer, "cache");
        assert_eq!(owners.of(0), Some(&("10.0.0.7".to_owned(), 7_000)));
        assert_eq!(owners.of(8_000), Some(&("cache".to_owned(), 7_001)));
        assert_eq!(owners.0.len(), 2);
        assert_eq!(slots(Value::Nil, "cache").of(0), None);
    }

    /// A Sentinel that names this port, or one that says nothing.
    async fn sentinel_naming(port: Option<u16>, after: Duration) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut said = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut said).await {
                        tokio::time::sleep(after).await;
                        for command in String::from_utf8_lossy(&said[..count]).split("\r\n*") {
                            let answer = match (command.contains("SENTINEL"), port) {
                                (false, _) => "+OK\r\n".to_owned(),
                                (true, None) => continue,
                                (true, Some(port)) => {
                                    let length = port.to_string().len();
                                    format!("*2\r\n$9\r\n127.0.0.1\r\n${length}\r\n{port}\r\n")
                                }
                            };
                            stream.write_all(answer.as_bytes()).await.unwrap();
                        }
                    }
                });
            }
        });
        format!("redis://ann:secret@127.0.0.1:{at}").parse().unwrap()
    }

    fn finder(named: Vec<Url>, patience: Duration) -> Finder {
        let are = RedisServersAre::Sentinels { primary: "main".to_owned(), password: None };
        Finder::new(&RedisServers { named, are }, patience, true).unwrap()
    }

    #[tokio::test]
    async fn one_that_is_named_twice_has_one_voice() {
        let mut named = vec![
            sentinel_naming(Some(1), Duration::ZERO).await,
            sentinel_naming(Some(7), Duration::ZERO).await,
        ];
        named.push(named[0].clone());
        let found = finder(named, Duration::from_secs(2)).primary(0).await;
        assert!(found.is_err(), "one of two is not the most");
    }

    /// It was asked for when the other primary may not have been there yet.
    #[tokio::test]
    async fn what_was_asked_for_long_ago_holds_no_more_when_it_is_answered() {
        for (after, is_good) in [(Duration::ZERO, true), (GOOD_FOR, false)] {
            // It is answered twice: how it is connected to, and where the primary is.
            let named = vec![sentinel_naming(Some(7), after).await];
            let finder = Arc::new(finder(named, 20 * GOOD_FOR));
            let primary = finder.at(&("127.0.0.1".to_owned(), 7)).unwrap();
            let is_still = finder.is_still(0, &primary).await;
            assert_eq!(is_still.is_ok_and(|is| is), is_good, "{after:?}");
        }
    }

    async fn named_by(ports: &[Option<u16>]) -> Option<u16> {
        let mut named = Vec::new();
        for port in ports {
            named.push(sentinel_naming(*port, Duration::ZERO).await);
        }
        let finder = finder(named, Duration::from_secs(2));
        let found = finder.primary(0).await.ok()?;
        found.address.map(|(_, port)| port)
    }

    #[tokio::test]
    async fn what_most_of_them_say_holds() {
        for ports in [[1, 7, 7], [7, 1, 7], [7, 7, 1]] {
            assert_eq!(named_by(&ports.map(Some)).await, Some(7), "{ports:?}");
        }
        // One that says nothing is not waited for where the others agree.
        assert_eq!(named_by(&[None, Some(7), Some(7)]).await, Some(7));
        assert_eq!(named_by(&[Some(7)]).await, Some(7));
        for fewer in [[None, Some(7), None], [Some(1), Some(7), None], [None; 3]] {
            assert_eq!(named_by(&fewer).await, None, "{fewer:?}");
        }
    }
}
