//! Carries out an operator's commands, by one of three ways that callers need not tell apart: the
//! running server is asked through its admin interface; when none runs, the store is opened here;
//! and another machine's server is asked through its API, as an administrator.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::Deserialize;

use super::{
    Failure,
    admin_file::AdminFile,
    remote::{Remote, Through},
    serve::StartError,
};
use crate::{
    config::{Config, StoreUrl},
    http::admin::OperatorToken,
    model::{By, clock::SystemClock},
    service::{self, OpenError, Service},
    session::{
        Backup, Sessions,
        operate::{Command, Reply},
    },
    store,
    token::KeyInfo,
};

/// How long the server may take for one command.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever carries commands out.
pub(super) struct Operator<'a> {
    config: &'a Config,
    way: Way,
}

enum Way {
    /// The server that `admin.json` names, if it answers.
    Server(Box<Server>),
    /// The store, opened here.
    Store(Box<Sessions>),
    /// A server anywhere.
    Remote(Box<Remote>),
}

struct Server {
    client: Client,
    url: String,
    token: OperatorToken,
    /// Which store it has.
    store: String,
}

/// What became of asking the server.
enum Asked<T> {
    Answered(T),
    /// Nobody is there, or somebody else: the command reached no server of this data directory.
    Nobody,
}

/// A backup that somebody makes.
pub(super) enum BackupSource {
    /// The server: what it sends, and who it is.
    Server(Response, String),
    /// The store, opened here.
    Store(Box<Backup>),
}

impl BackupSource {
    /// The next bytes of it; `None` after the last.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Store(backup) => Ok(backup.chunk().await?),
            Self::Server(response, url) => match response.chunk().await {
                Ok(chunk) => Ok(chunk.map(Into::into)),
                Err(_) => Err(Failure::Unreachable(format!(
                    "the server at {url} broke the backup off; its log says why"
                ))),
            },
        }
    }
}

impl<'a> Operator<'a> {
    /// Finds out whom to ask.
    pub(super) async fn of(config: &'a Config, through: &Through) -> Result<Self, Failure> {
        if let Some((server, administrator)) = through.remote()? {
            let remote = Remote::log_in(server, administrator).await?;
            return Ok(Self { config, way: Way::Remote(Box::new(remote)) });
        }
        Self::here(config)
    }

    /// Finds out whom to ask on this machine.
    pub(super) fn here(config: &'a Config) -> Result<Self, Failure> {
        let way = match admin_file(config)? {
            Some(file) => Way::Server(Box::new(Server::of(file)?)),
            None => Way::Store(Box::new(open(config, None)?)),
        };
        Ok(Self { config, way })
    }

    /// Carries out one command.
    pub(super) async fn run(&mut self, command: Command) -> Result<Reply, Failure> {
        if let Way::Server(server) = &self.way {
            match server.operate(&command).await? {
                Asked::Answered(reply) => return Ok(reply),
                Asked::Nobody => self.way = instead_of(server, self.config)?,
            }
        }
        match &self.way {
            Way::Store(sessions) => Ok(sessions.operate(command, &By::COMMAND_LINE).await?),
            Way::Remote(remote) => remote.run(command).await,
            Way::Server(_) => Err(unexpected()),
        }
    }

    /// Begins a backup. With `keys_beside`, that are those of the configured store, it is refused where
    /// the server has another one: keys and sessions would not belong together.
    pub(super) async fn backup(&mut self, keys_beside: bool) -> Result<BackupSource, Failure> {
        if let Way::Server(server) = &self.way {
            match server.back_up().await? {
                Asked::Answered(response) => {
                    if keys_beside {
                        server.must_have(&service::store_name(self.config))?;
                    }
                    return Ok(BackupSource::Server(response, server.url.clone()));
                }
                Asked::Nobody => self.way = instead_of(server, self.config)?,
            }
        }
        match &self.way {
            Way::Store(sessions) => {
                Ok(BackupSource::Store(Box::new(sessions.backup(&By::COMMAND_LINE).await?)))
            }
            Way::Server(_) | Way::Remote(_) => Err(unexpected()),
        }
    }

    /// Lets go of the store, if it was opened here, or logs out.
    pub(super) async fn close(self) -> Result<(), Failure> {
        match self.way {
            Way::Server(_) => Ok(()),
            Way::Store(sessions) => Ok(sessions.close().await?),
            Way::Remote(remote) => remote.log_out().await,
        }
    }
}

/// Carries out one command and lets go.
pub(super) async fn run(
    config: &Config,
    through: &Through,
    command: Command,
) -> Result<Reply, Failure> {
    let mut operator = Operator::of(config, through).await?;
    let reply = operator.run(command).await;
    let closed = operator.close().await;
    // What went wrong first is what the person needs to know.
    let reply = reply?;
    closed?;
    Ok(reply)
}

/// Announces a new signing key: in Redis, or by the server that runs on the files, or among the files
/// where none runs. Returns all keys.
pub(super) async fn rotate_keys(config: &Config) -> Result<Vec<KeyInfo>, Failure> {
    let mut silent = None;
    if config.store.url == StoreUrl::Sled
        && let Some(file) = admin_file(config)?
    {
        let server = Server::of(file)?;
        let request = server.client.post(format!("{}/keys", server.url)).timeout(PATIENCE);
        if let Asked::Answered(answer) = server.ask(request).await? {
            return answer.json().await.map_err(|_| unexpected());
        }
        silent = Some(server.url);
    }
    let rotated = service::keys::rotate(config, &SystemClock).await;
    rotated.map_err(|error| not_opened(error, silent.as_deref()))
}

/// A link that lets a browser into the dashboard of the running server.
pub(super) async fn dashboard_link(config: &Config) -> Result<String, Failure> {
    let nobody = || {
        Failure::Unreachable(format!(
            "no server runs on the data directory {}: the dashboard is a running server's",
            config.data_dir.display()
        ))
    };
    let server = Server::of(admin_file(config)?.ok_or_else(nobody)?)?;
    let request = server.client.post(format!("{}/codes", server.url)).timeout(PATIENCE);
    let Asked::Answered(answer) = server.ask(request).await? else {
        return Err(nobody());
    };
    let Code { code } = answer.json().await.map_err(|_| unexpected())?;
    Ok(format!("{}/dashboard/open?code={code}", server.url))
}

fn admin_file(config: &Config) -> Result<Option<AdminFile>, Failure> {
    AdminFile::read(&config.data_dir).map_err(|error| {
        let path = AdminFile::path(&config.data_dir);
        Failure::Unreachable(format!("cannot read {}: {error}", path.display()))
    })
}

/// The server and the command line are of different versions: a reply that fits no command.
pub(super) fn unexpected() -> Failure {
    Failure::Unreachable("the server gave an answer of another version: restart it".into())
}

/// What to do where the server is not: its `admin.json` was left behind when it was killed.
fn instead_of(server: &Server, config: &Config) -> Result<Way, Failure> {
    Ok(Way::Store(Box::new(open(config, Some(&server.url))?)))
}

fn open(config: &Config, silent: Option<&str>) -> Result<Sessions, Failure> {
    match Service::open_for_command(config, Arc::new(SystemClock)) {
        Ok(service) => Ok(service.sessions().clone()),
        Err(error) => Err(not_opened(error, silent)),
    }
}

/// Says why the data directory cannot be used here; `silent` is where its server should be.
fn not_opened(error: OpenError, silent: Option<&str>) -> Failure {
    match error {
        OpenError::Store(store::OpenError::Locked { dir, pid }) => {
            let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
            let where_ = silent.map_or_else(
                || "has no admin interface yet".to_owned(),
                |url| format!("does not answer at {url}"),
            );
            Failure::Unreachable(format!(
                "another process{who} has the data directory {} open and {where_}: if it is \
                 starting or stopping, try again in a moment",
                dir.display()
            ))
        }
        error => StartError::from(error).into(),
    }
}

impl Server {
    fn of(file: AdminFile) -> Result<Self, Failure> {
        let client = Client::builder()
            // Between any two signs of life: a backup may take long.
            .read_timeout(PATIENCE)
            // It is this machine: a proxy of the environment is not to see the token, and there
            // need be no certificates.
            .no_proxy()
            .tls_certs_only([])
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| Failure::System("set up an HTTP client", error.to_string()))?;
        let token = file.token();
        Ok(Self { client, url: file.url, token, store: file.store })
    }

    async fn operate(&self, command: &Command) -> Result<Asked<Reply>, Failure> {
        let request = self.client.post(format!("{}/operate", self.url)).json(command);
        match self.ask(request.timeout(PATIENCE)).await? {
            Asked::Answered(answer) => {
                Ok(Asked::Answered(answer.json().await.map_err(|_| unexpected())?))
            }
            Asked::Nobody => Ok(Asked::Nobody),
        }
    }

    fn must_have(&self, configured: &str) -> Result<(), Failure> {
        let store = match self.store.as_str() {
            "" => return Err(unexpected()),
            store => store,
        };
        if store == configured {
            return Ok(());
        }
        Err(Failure::Input(format!(
            "the server on this data directory has its store in {store}, and this command is told \
             {configured}: give it the configuration of the server, or the keys in the backup would not \
             be those of its sessions"
        )))
    }

    async fn back_up(&self) -> Result<Asked<Response>, Failure> {
        self.ask(self.client.get(format!("{}/backup", self.url))).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Asked<Response>, Failure> {
        let answer = match request.bearer_auth(self.token.expose()).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Ok(Asked::Nobody),
            Err(error) => return Err(self.lost(&error)),
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(Asked::Answered(answer));
        }
        // A server that does not know the token is another one, which took the address over.
        if status == StatusCode::UNAUTHORIZED {
            return Ok(Asked::Nobody);
        }
        match answer.json::<Problem>().await {
            Ok(problem) => Err(Failure::answered(&problem.detail)),
            // No such route, or no such language: it is no Countersign at all.
            Err(_) if status.is_client_error() => Ok(Asked::Nobody),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn lost(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_timeout() {
            format!("did not answer within {} s", PATIENCE.as_secs())
        } else {
            "broke the connection off".to_owned()
        };
        Failure::Unreachable(format!(
            "the server at {} {why}; whether the command was carried out is not known",
            self.url
        ))
    }
}

/// What lets a browser into the dashboard.
#[derive(Deserialize)]
struct Code {
    code: String,
}

/// The part of an RFC 9457 answer that is for people.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}
