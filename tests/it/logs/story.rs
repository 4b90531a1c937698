//! A whole story by the real binary: every page, every operation and every command, with tokens that
//! are good and tokens that are not, through a restart and a `kill -9`; and in all that was written
//! to stdout and stderr, by the server and by the commands, nothing that was secret.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    attacks::forge::private_keys,
    support::{Answer, PASSWORD, Process, User, capture, routes, user::Draft},
};

/// All that must not be written, as the story goes.
#[derive(Default)]
struct Secrets(BTreeSet<String>);

impl Secrets {
    fn keep(&mut self, secret: &str) {
        assert!(secret.len() >= 8, "too short to be looked for: {secret}");
        self.0.insert(secret.to_owned());
        // A token is one by its signature, whatever stands before it.
        if let Some((_, signature)) = secret.rsplit_once('.').filter(|(_, last)| last.len() > 30) {
            self.0.insert(signature.to_owned());
        }
    }

    /// Sends it, and keeps every token of the answer.
    async fn ask(&mut self, draft: Draft) -> Answer {
        let answer = draft.send().await;
        for cookie in answer.set_cookies() {
            let value = cookie.split(['=', ';']).nth(1).unwrap();
            if !value.is_empty() {
                self.keep(value);
            }
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some(token) = body["token"].as_str() {
            self.keep(token);
        }
        answer
    }
}

struct Story {
    server: Process,
    secrets: Secrets,
    /// What the commands wrote.
    written: String,
}

impl Story {
    /// Logs in with a password that is kept.
    async fn log_in(&mut self, who: &User, email: &str, password: &str) -> Answer {
        self.secrets.keep(password);
        let answer = who.try_log_in(email, password, json!({})).await;
        if answer.status == 201 {
            self.secrets.keep(&who.token());
        }
        answer
    }

    /// Every route, as each kind of person, and with a token that was touched.
    async fn everywhere(&mut self, email: &str) {
        let (browser, program) = (self.server.browser(), self.server.program());
        let stranger = self.server.anonymous();
        for route in routes::all() {
            self.secrets.ask(route.ask(&stranger)).await;
            for who in [&browser, &program] {
                // One of them closes the account.
                let made = stranger.sign_up(email).await.status;
                assert!([201, 409].contains(&made), "{made}");
                self.log_in(who, email, PASSWORD).await.expect(201);
                let token = who.token();
                self.secrets.ask(route.ask(who)).await;
                for touched in
                    [format!("{token}A"), token.replace('.', "%2E"), token.to_lowercase()]
                {
                    self.secrets.keep(&touched);
                    let touched = if who.is_browser() {
                        ("cookie", format!("session={touched}"))
                    } else {
                        ("authorization", format!("Bearer {touched}"))
                    };
                    let draft = route.ask(&stranger).header(touched.0, &touched.1);
                    self.secrets.ask(draft).await;
                }
                // In every place where it must not be, the address among them.
                let mut lost = route.clone();
                lost.path
                    .push_str(&format!("?token={token}&password={PASSWORD}").replace(' ', "+"));
                let draft = lost.ask(&stranger).header("x-access-token", &token);
                self.secrets.ask(draft.header("referer", &format!("http://a/{token}"))).await;
                self.secrets.ask(route.ask(&stranger).json(&json!({"token": token}))).await;
            }
        }
    }

    /// What is typed wrong is as secret as what is right.
    async fn mistakes(&mut self, email: &str) {
        let who = self.server.program();
        who.sign_up(email).await;
        self.log_in(&who, email, PASSWORD).await.expect(201);
        for (nth, path) in ["/session", "/accounts", "/account/password"].iter().enumerate() {
            let method = if nth == 2 { Method::PUT } else { Method::POST };
            let typed = format!("typed wrong in place {nth}");
            self.secrets.keep(&typed);
            for body in [
                json!({"email": email, "password": typed, "current": typed, "new": typed}),
                json!({"email": email, "password": typed}),
                json!({"email": typed, "password": [typed]}),
                json!({"email": {"a": typed}, "password": {typed.clone(): 1}}),
                json!({"current": typed, "new": typed}),
                json!({"current": [typed], "new": typed}),
                json!([typed, typed]),
                json!(typed),
            ] {
                let draft = who.api(method.clone(), path).json(&body);
                let answer = self.secrets.ask(draft).await;
                assert!(answer.status >= 400 && !answer.mentions(&typed), "{}", answer.status);
            }
            let cut_off = format!("{{\"password\": \"{typed}").into_bytes();
            let draft = who.api(method, path).body("application/json", cut_off);
            self.secrets.ask(draft).await.expect(400);
        }
        for path in ["/login", "/signup"] {
            let typed = "typed wrong into a form";
            self.secrets.keep(typed);
            for fields in [
                &[("email", email), ("password", typed)][..],
                &[("email", email), ("password", typed), ("pass", typed)],
                &[("email", "no address"), ("password", typed)],
            ] {
                let form = self.server.browser().request(Method::POST, path).form(fields);
                self.secrets.ask(form).await;
            }
        }
    }

    /// A command, with its input; what it writes is collected.
    fn command(&mut self, args: &[&str], input: &str) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(args)
            .env_clear()
            .env("COUNTERSIGN_DATA_DIR", "data")
            .env("COUNTERSIGN_PASSWORD__MEMORY_KIB", "8")
            .env("COUNTERSIGN_PASSWORD__PASSES", "1")
            .env("COUNTERSIGN_LOG__FILTER", "trace")
            .current_dir(self.server.directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who reads no input may be gone already.
        let _gone = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = capture::finished(child.wait_with_output().unwrap());
        self.written.push_str(&String::from_utf8_lossy(&output.stdout));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        self.written.push_str(&stderr);
    }

    fn commands(&mut self, email: &str) {
        let password = "marble orchard 4 tin hush";
        self.secrets.keep(password);
        self.secrets.keep("quartz lantern 7 vow drift");
        self.command(&["account", "add", "carol@example.com"], password);
        self.command(&["account", "password", "carol@example.com"], "quartz lantern 7 vow drift");
        for args in [
            &["account", "list"][..],
            &["account", "list", "--json"],
            &["account", "disable", "carol@example.com"],
            &["account", "enable", "carol@example.com"],
            &["account", "remove", "carol@example.com"],
            &["session", "list", email],
            &["session", "list", email, "--json"],
            &["keys", "rotate"],
            &["keys", "list"],
            &["config", "show"],
            &["config", "check"],
            &["backup", "--with-keys", "with-keys.backup"],
            &["backup", "plain.backup"],
        ] {
            self.command(args, "");
        }
    }

    /// The same from elsewhere, as an administrator.
    fn remote_commands(&mut self, email: &str) {
        let password = "copper window 3 bay gust";
        self.secrets.keep(password);
        let server = self.server.address().to_string();
        self.command(&["account", "add", "root@example.com"], password);
        self.command(&["account", "role", "root@example.com", "admin"], "");
        for args in [
            &["account", "find", email][..],
            &["account", "show", email],
            &["session", "list", email],
            &["session", "revoke", email],
        ] {
            let through = ["--server", &server, "--as", "root@example.com"];
            self.command(&[args, &through].concat(), password);
        }
    }

    /// The keys, the operator's token, and the hashes as a backup has them.
    fn look_into_the_data(&mut self) {
        let data = self.server.data_dir();
        for key in private_keys(&data.join("keys")) {
            self.secrets.keep(key["d"].as_str().unwrap());
        }
        let admin: Value =
            serde_json::from_slice(&std::fs::read(data.join("admin.json")).unwrap()).unwrap();
        self.secrets.keep(admin["token"].as_str().unwrap());
        let backup = std::fs::read(self.server.directory().join("plain.backup"));
        let Ok(backup) = backup else { return };
        let text = String::from_utf8_lossy(&backup);
        let hashes: Vec<_> = text.split("$argon2id$").skip(1).collect();
        assert!(!hashes.is_empty(), "a backup has hashes");
        for hash in hashes {
            // The salt and the hash.
            for part in hash.split('$').skip(2).take(2) {
                let is_base64 = |c: &char| c.is_ascii_alphanumeric() || ['+', '/'].contains(c);
                self.secrets.keep(&part.chars().take_while(is_base64).collect::<String>());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_whole_story_is_in_any_output() {
    // Everything that can be logged is.
    let server = Process::with(&[
        ("COUNTERSIGN_LOG__FILTER", "trace"),
        // Many passwords are typed wrong.
        ("COUNTERSIGN_LOGIN__ATTEMPTS", "1000000"),
        ("COUNTERSIGN_LOGIN__ATTEMPTS_PER_ACCOUNT", "1000000"),
        ("COUNTERSIGN_LOGIN__ATTEMPTS_PER_ADDRESS", "1000000"),
    ]);
    let mut story = Story { server, secrets: Secrets::default(), written: String::new() };
    story.secrets.keep(PASSWORD);
    let email = "ann@example.com";
    story.server.anonymous().sign_up(email).await.expect(201);
    story.everywhere(email).await;
    story.mistakes(email).await;
    story.commands(email);
    story.remote_commands(email);
    story.look_into_the_data();
    story.server.kill_hard();
    story.server.restart();
    story.look_into_the_data();
    story.everywhere(email).await;
    story.command(&["session", "revoke", email, "--yes"], "");
    assert!(story.server.terminate().success());

    let output = story.server.output() + &story.written;
    assert!(output.len() > 100_000, "much was written: {}", output.len());
    let Secrets(secrets) = story.secrets;
    assert!(secrets.len() > 300, "{}", secrets.len());
    for secret in &secrets {
        assert!(!output.contains(secret.as_str()), "{secret} was written");
    }
    for secret in ["$argon2", "Bearer ey", "session=ey"] {
        assert!(!output.contains(secret), "{secret} was written");
    }
    // What every token begins with; in the middle of an id it stands by chance.
    let within = |c: char| c.is_ascii_alphanumeric() || ['-', '_'].contains(&c);
    for (at, _) in output.match_indices("eyJ") {
        let is_a_token = !output[..at].ends_with(within);
        assert!(!is_a_token, "a token was written: {}", &output[at..output.len().min(at + 40)]);
    }
}
