//! The files of `packaging/two-nodes` do what their README says: Redis, two nodes and HAProxy are
//! started with them as they are written, with other ports, paths and passwords.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use super::until_ready;
use crate::{
    nodes::{certificates, openssl_works},
    support::{
        Balancer, PASSWORD, PATIENCE, Process, SECRET, User, balancer::Program, port,
        redis::redis_works, user::Kind,
    },
};

const NAME: &str = "login.example.com";

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/two-nodes");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The file with each of these words replaced, each of which must be there.
fn with(name: &str, changes: &[(&str, &str)]) -> String {
    let mut text = file(name);
    for (from, to) in changes {
        assert!(text.contains(from), "{name}: {from}");
        text = text.replace(from, to);
    }
    text
}

/// Ends with this value.
struct Redis {
    child: Child,
    _dir: TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn redis(port: &str) -> Redis {
    let dir = TempDir::new().unwrap();
    let place = dir.path().display().to_string();
    let acl = with("users.acl", &[("CHANGE-ME-TOO", "operators"), ("CHANGE-ME", "secret")]);
    fs::write(dir.path().join("users.acl"), acl).unwrap();
    let configuration = with(
        "redis.conf",
        &[
            ("bind 10.0.0.7", "bind 127.0.0.1"),
            ("port 6379", &format!("port {port}")),
            ("/var/lib/redis", &place),
            ("/etc/redis", &place),
        ],
    );
    fs::write(dir.path().join("redis.conf"), configuration).unwrap();
    let child = Command::new("redis-server")
        .arg(dir.path().join("redis.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let login = ["--user", "operator", "--pass", "operators", "--no-auth-warning", "PING"];
    while !Command::new("redis-cli")
        .args(["-p", port])
        .args(login)
        .output()
        .unwrap()
        .stdout
        .starts_with(b"PONG")
    {
        assert!(started.elapsed() < PATIENCE, "Redis does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    Redis { child, _dir: dir }
}

/// A node with these files.
fn node(redis: &str, port: u16) -> Process {
    Process::wrapped(|dir| {
        let listen = format!("127.0.0.1:{port}");
        let toml =
            with("countersign.toml", &[("0.0.0.0:3000", &listen), ("10.0.0.2", "127.0.0.1")]);
        fs::write(dir.join("countersign.toml"), toml).unwrap();
        let variables = with(
            "countersign.env",
            &[
                ("TOKEN__SECRET=CHANGE-ME", &format!("TOKEN__SECRET={SECRET}")),
                ("CHANGE-ME", "secret"),
                ("10.0.0.7:6379", &format!("127.0.0.1:{redis}")),
            ],
        );
        let variables = variables.lines().filter(|line| line.starts_with("COUNTERSIGN_"));
        // The ports are those of the file; two nodes on one machine want two admin addresses.
        let mut words: Vec<_> = ["env", "-u", "COUNTERSIGN_LISTEN"].map(str::to_owned).into();
        words.push("COUNTERSIGN_ADMIN__LISTEN=127.0.0.1:0".into());
        words.extend(variables.map(str::to_owned));
        words
    })
}

/// HAProxy gives up its privileges, where it has any.
fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

fn balancer(nodes: [u16; 2], plain: u16, pem: &Path) -> Balancer {
    Balancer::start(Program::HaProxy, |port, _| {
        let [one, two] = nodes.map(|port| format!("127.0.0.1:{port}"));
        let mut configuration = with(
            "haproxy.cfg",
            &[
                ("bind :443", &format!("bind 127.0.0.1:{port}")),
                ("bind :80", &format!("bind 127.0.0.1:{plain}")),
                ("/etc/haproxy/login.example.com.pem", pem.to_str().unwrap()),
                ("10.0.0.11:3000", &one),
                ("10.0.0.12:3000", &two),
            ],
        );
        if !is_root() {
            configuration =
                configuration.replace("    user haproxy\n", "").replace("    group haproxy\n", "");
        }
        configuration
    })
}

/// Asks until it is served, as a person who presses the button again.
async fn again(who: &User, path: &str) -> crate::support::Answer {
    let started = Instant::now();
    loop {
        let answer = who.request(reqwest::Method::GET, path).try_send().await;
        match answer {
            Ok(answer) if ![502, 503, 504].contains(&answer.status) => return answer,
            _ => assert!(started.elapsed() < PATIENCE, "nobody serves {path}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_for_two_nodes_tell_the_whole_story() {
    if !redis_works() || !openssl_works() || !Program::HaProxy.works() {
        return;
    }
    let dir = TempDir::new().unwrap();
    certificates(dir.path(), NAME);
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let pem = dir.path().join("both.pem");
    fs::write(&pem, read("cert.pem") + &read("key.pem")).unwrap();

    let redis_port = port::free().to_string();
    let _redis = redis(&redis_port);
    let ports = [port::free(), port::free()];
    let mut first = node(&redis_port, ports[0]);
    let mut second = node(&redis_port, ports[1]);
    let plain = port::free();
    let mut balancer = balancer(ports, plain, &pem);
    let bound = balancer.address().port().unwrap();
    balancer.known_as(&format!("https://{NAME}:{bound}"), &format!("https://{NAME}"));
    let client = |last: u8, secure: bool| {
        let authority = reqwest::Certificate::from_pem(read("ca.pem").as_bytes()).unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], if secure { bound } else { plain }));
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_certs_only([authority])
            .resolve(NAME, to)
            .local_address(IpAddr::from(Ipv4Addr::new(127, 0, 0, last)))
            .build()
            .unwrap()
    };

    let ann = balancer.user(Kind::Browser, client(1, true));
    until_ready(&ann).await;
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    ann.post("/signup", &fields).await.expect_redirect("/admin");
    for number in 1..=4 {
        assert_eq!(again(&ann, "/admin").await.expect_page(200).visit_number(), number);
    }
    let set_cookie = ann.get("/admin").await.set_cookies().remove(0);
    assert!(set_cookie.starts_with("__Host-session=") && set_cookie.contains("Secure"));

    // Either node alone does.
    for node in [&mut first, &mut second] {
        let before = again(&ann, "/admin").await.expect_page(200).visit_number();
        node.kill_hard();
        let after = again(&ann, "/admin").await.expect_page(200).visit_number();
        assert!((before + 1..before + 100).contains(&after), "{before} {after}");
        node.restart();
        until_ready(&node.anonymous()).await;
    }

    // Whoever guesses is known by their own address, not by the balancer's.
    let guess = async |last: u8| {
        let stranger = balancer.user(Kind::Stranger, client(last, true));
        stranger.try_log_in("ann@example.com", "wrong and wrong again", json!({})).await.status
    };
    for _ in 0..10 {
        assert_eq!(guess(3).await, 401);
    }
    assert_eq!((guess(3).await, guess(4).await), (429, 401));

    let copy = ann.copy();
    ann.post("/logout", &[]).await.expect_redirect("/");
    assert_eq!(ann.cookie(), None);
    for _ in 0..4 {
        again(&copy, "/admin").await.expect_page(401);
    }
    let http = client(1, false).get(format!("http://{NAME}:{plain}/admin")).send().await.unwrap();
    assert_eq!(http.status().as_u16(), 308);
    assert!(http.headers()["location"].to_str().unwrap().starts_with("https://login.example.com"));
    for mut node in [first, second] {
        assert!(node.terminate().success());
    }
}
