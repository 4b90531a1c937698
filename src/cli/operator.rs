//! Carries out an operator's commands, by one of two ways that callers need not tell apart: the
//! running server is asked through its admin interface; when none runs, the store is opened here.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;

use super::{
    Failure,
    admin_file::AdminFile,
    serve::{StartError, open_sessions},
};
use crate::{
    config::Config,
    http::admin::OperatorToken,
    model::clock::SystemClock,
    session::{
        Sessions,
        operate::{Command, Reply},
    },
    store::OpenError,
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
}

struct Server {
    client: Client,
    url: String,
    token: OperatorToken,
}

/// What became of asking the server.
enum Asked {
    Answered(Reply),
    /// Nobody is there, or somebody else: the command reached no server of this data directory.
    Nobody,
}

impl<'a> Operator<'a> {
    /// Finds out whom to ask.
    pub(super) fn of(config: &'a Config) -> Result<Self, Failure> {
        let file = AdminFile::read(&config.data_dir).map_err(|error| {
            let path = AdminFile::path(&config.data_dir);
            Failure::Unreachable(format!("cannot read {}: {error}", path.display()))
        })?;
        let way = match file {
            Some(file) => Way::Server(Box::new(Server::of(file)?)),
            None => Way::Store(Box::new(open(config, None)?)),
        };
        Ok(Self { config, way })
    }

    /// Carries out one command.
    pub(super) async fn run(&mut self, command: Command) -> Result<Reply, Failure> {
        if let Way::Server(server) = &self.way {
            match server.ask(&command).await? {
                Asked::Answered(reply) => return Ok(reply),
                // Left behind by a server that was killed.
                Asked::Nobody => {
                    self.way = Way::Store(Box::new(open(self.config, Some(&server.url))?));
                }
            }
        }
        match &self.way {
            Way::Store(sessions) => Ok(sessions.operate(command).await?),
            Way::Server(_) => Err(unexpected()),
        }
    }

    /// Lets go of the store, if it was opened here.
    pub(super) async fn close(self) -> Result<(), Failure> {
        match self.way {
            Way::Server(_) => Ok(()),
            Way::Store(sessions) => Ok(sessions.close().await?),
        }
    }
}

/// Carries out one command and lets go.
pub(super) async fn run(config: &Config, command: Command) -> Result<Reply, Failure> {
    let mut operator = Operator::of(config)?;
    let reply = operator.run(command).await;
    operator.close().await?;
    reply
}

/// The server and the command line are of different versions: a reply that fits no command.
pub(super) fn unexpected() -> Failure {
    Failure::Unreachable("the server gave an answer of another version: restart it".into())
}

fn open(config: &Config, silent: Option<&str>) -> Result<Sessions, Failure> {
    match open_sessions(config, Arc::new(SystemClock), |store| store) {
        Ok(opened) => Ok(opened.sessions),
        Err(StartError::Store(OpenError::Locked { dir, pid })) => {
            let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
            let where_ = silent.map_or_else(
                || "has no admin interface yet".to_owned(),
                |url| format!("does not answer at {url}"),
            );
            Err(Failure::Unreachable(format!(
                "another process{who} has the data directory {} open and {where_}: if it is \
                 starting or stopping, try again in a moment",
                dir.display()
            )))
        }
        Err(error) => Err(error.into()),
    }
}

impl Server {
    fn of(file: AdminFile) -> Result<Self, Failure> {
        let client = Client::builder()
            .timeout(PATIENCE)
            // It is this machine: a proxy of the environment is not to see the token.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| Failure::System("set up an HTTP client", error.to_string()))?;
        let token = file.token();
        Ok(Self { client, url: file.url, token })
    }

    async fn ask(&self, command: &Command) -> Result<Asked, Failure> {
        let request = self
            .client
            .post(format!("{}/operate", self.url))
            .bearer_auth(self.token.expose())
            .json(command);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Ok(Asked::Nobody),
            Err(error) => return Err(self.lost(&error)),
        };
        let status = answer.status();
        if status.is_success() {
            let reply = answer.json().await.map_err(|_| unexpected())?;
            return Ok(Asked::Answered(reply));
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

/// The part of an RFC 9457 answer that is for people.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}
