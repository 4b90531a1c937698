//! Carries commands out from anywhere: logs in at a server as an administrator, asks its API, and
//! logs out. What only the server's own machine may do is refused here, before anything is sent.

use std::{error::Error as _, time::Duration};

use clap::Args;
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use url::Url;

use super::{Failure, account::email, input, operator::unexpected};
use crate::{
    config::PublicUrl,
    model::{AccountState, Email},
    session::{
        Error,
        operate::{
            ACCOUNTS_PER_PAGE, AccountLine, Command, DetailsLine, EventLine, Reply, SessionLine,
        },
    },
};

/// How long the server may take for one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where commands are carried out, if not on this machine.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Through {
    /// Ask the server at this address, from anywhere [default: the one of the data directory]
    #[arg(long, value_name = "URL", global = true)]
    server: Option<PublicUrl>,
    /// Log in there as this administrator; the password is asked for, or is the first line of
    /// standard input
    #[arg(long = "as", value_name = "EMAIL", global = true, value_parser = email)]
    administrator: Option<Email>,
}

impl Through {
    /// The server and who is to log in there; `None` for this machine.
    pub(super) fn remote(&self) -> Result<Option<(&PublicUrl, &Email)>, Failure> {
        match (&self.server, &self.administrator) {
            (None, None) => Ok(None),
            (Some(server), Some(administrator)) => Ok(Some((server, administrator))),
            (Some(_), None) => Err(Failure::Input(
                "--server needs --as EMAIL: the administrator to log in as".into(),
            )),
            (None, Some(_)) => {
                Err(Failure::Input("--as needs --server URL: where to log in".into()))
            }
        }
    }

    /// Refuses what is done on the server's own machine alone, if another one was asked for.
    pub(super) fn must_be_here(&self, what: &str) -> Result<(), Failure> {
        match self.remote()? {
            None => Ok(()),
            Some(_) => Err(Failure::Input(format!(
                "{what} on the server's own machine alone: run this there, without --server"
            ))),
        }
    }
}

/// A server at which somebody is logged in.
pub(super) struct Remote {
    client: Client,
    server: PublicUrl,
    administrator: Email,
    /// As long as nobody is logged in: none.
    token: String,
}

impl Remote {
    /// Asks for the password and logs in.
    pub(super) async fn log_in(server: &PublicUrl, administrator: &Email) -> Result<Self, Failure> {
        if server.is_exposed() {
            return Err(Failure::Input(format!(
                "a password is not sent to {server} in clear text: use https, or an address of \
                 this machine"
            )));
        }
        let password = input::password(&format!("Password of {administrator} at {server}: "))?;
        let mut client = Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            // A proxy of the environment is not to see the password.
            .no_proxy()
            .redirect(redirect::Policy::none());
        if server.url().scheme() == "http" {
            // Then there may be no certificates on this machine either.
            client = client.tls_certs_only([]);
        }
        let client = client
            .build()
            .map_err(|error| Failure::System("set up an HTTP client", cause(&error)))?;
        let (server, administrator) = (server.clone(), administrator.clone());
        let mut remote = Self { client, server, administrator, token: String::new() };
        let body = json!({
            "email": remote.administrator,
            "password": password.expose(),
            "transport": "bearer",
        });
        let request = remote.client.post(remote.at("/session")).json(&body);
        let answer = request.send().await.map_err(|error| remote.unreachable(&error))?;
        let LoggedIn { token } = read(remote.accepted(answer).await?).await?;
        remote.token = token;
        Ok(remote)
    }

    /// Carries out one command.
    pub(super) async fn run(&self, command: Command) -> Result<Reply, Failure> {
        match command {
            Command::ListAccounts { search, after } => {
                let mut url = self.at("/admin/accounts");
                url.query_pairs_mut()
                    .append_pair("search", &search)
                    .append_pair("limit", &ACCOUNTS_PER_PAGE.to_string())
                    .extend_pairs(after.as_ref().map(|after| ("after", after.as_str())));
                let Found { accounts, next } = self.ask(self.client.get(url)).await?;
                Ok(Reply::Accounts { accounts, next })
            }
            Command::ShowAccount { email } => {
                let url = self.of_account(&email, "").await?;
                let account: DetailsLine = self.ask(self.client.get(url)).await?;
                Ok(Reply::Account { account })
            }
            Command::DisableAccount { email } => {
                self.set_state(&email, AccountState::Disabled).await
            }
            Command::EnableAccount { email } => self.set_state(&email, AccountState::Active).await,
            Command::ListSessions { email } => {
                let url = self.of_account(&email, "/sessions").await?;
                let sessions: Vec<SessionLine> = self.ask(self.client.get(url)).await?;
                Ok(Reply::Sessions { sessions })
            }
            Command::RevokeSession { email, session } => {
                let url = self.of_account(&email, &format!("/sessions/{session}")).await?;
                self.send(self.client.delete(url)).await?;
                Ok(Reply::Ended { ended: 1 })
            }
            Command::RevokeSessions { email } => {
                let url = self.of_account(&email, "/sessions").await?;
                let Ended { ended } = self.ask(self.client.delete(url)).await?;
                Ok(Reply::Ended { ended })
            }
            Command::RevokeAll => {
                self.send(self.client.delete(self.at("/admin/sessions"))).await?;
                Ok(Reply::AllEnded)
            }
            Command::ListEvents { account, before, limit } => {
                let id = match &account {
                    Some(email) => Some(self.account(email).await?.id),
                    None => None,
                };
                let mut url = self.at("/admin/events");
                url.query_pairs_mut()
                    .append_pair("limit", &limit.to_string())
                    .extend_pairs(id.map(|id| ("account", id.to_string())))
                    .extend_pairs(before.map(|before| ("before", before)));
                let Events { events, next } = self.ask(self.client.get(url)).await?;
                Ok(Reply::Events { events, next })
            }
            Command::AddAccount { .. }
            | Command::SetPassword { .. }
            | Command::RemoveAccount { .. }
            | Command::SetRole { .. } => {
                Err(Failure::Input("this is done on the server's own machine alone".into()))
            }
        }
    }

    /// Ends the session. One that has ended with all others is over, too.
    pub(super) async fn log_out(self) -> Result<(), Failure> {
        let request = self.client.delete(self.at("/session")).bearer_auth(&self.token);
        let status = request.send().await.map(|answer| answer.status());
        match status {
            Ok(StatusCode::NO_CONTENT | StatusCode::UNAUTHORIZED) => Ok(()),
            Ok(_) | Err(_) => Err(Failure::Unreachable(format!(
                "could not log out at {}: this command's session there ends when it was not used \
                 for a while",
                self.server
            ))),
        }
    }

    async fn set_state(&self, email: &Email, state: AccountState) -> Result<Reply, Failure> {
        let url = self.of_account(email, "/state").await?;
        let request = self.client.put(url).json(&json!({ "state": state }));
        let Ended { ended } = self.ask(request).await?;
        Ok(Reply::Ended { ended })
    }

    /// The address of something of an account.
    async fn of_account(&self, email: &Email, behind: &str) -> Result<Url, Failure> {
        let id = self.account(email).await?.id;
        Ok(self.at(&format!("/admin/accounts/{id}{behind}")))
    }

    async fn account(&self, email: &Email) -> Result<AccountLine, Failure> {
        let mut url = self.at("/admin/accounts");
        url.query_pairs_mut().append_pair("email", email.as_str());
        let Found { accounts, .. } = self.ask(self.client.get(url)).await?;
        let account = accounts.into_iter().find(|account| account.email == *email);
        // In the words of the other ways.
        Ok(account.ok_or(Error::NoSuchAccount)?)
    }

    /// The address of an operation.
    fn at(&self, path: &str) -> Url {
        let mut url = self.server.url().clone();
        url.set_path(&format!("/api/v1{path}"));
        url
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        read(self.send(request).await?).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let sent = request.bearer_auth(&self.token).send().await;
        self.accepted(sent.map_err(|error| self.unreachable(&error))?).await
    }

    /// The answer, if it is one to what was asked for.
    async fn accepted(&self, answer: Response) -> Result<Response, Failure> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        let Ok(Problem { code, detail }) = answer.json().await else {
            return Err(Failure::Unreachable(format!(
                "what answers at {} is no Countersign server",
                self.server
            )));
        };
        Err(match code.as_str() {
            "not_an_administrator" => Failure::Refused(format!(
                "{} is no administrator at {}",
                self.administrator, self.server
            )),
            // There is no such operation.
            "not_found" | "method_not_allowed" => unexpected(),
            _ => Failure::answered(&detail),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let server = &self.server;
        Failure::Unreachable(if error.is_connect() {
            format!("cannot reach the server at {server}: {}", cause(error))
        } else if error.is_timeout() {
            let seconds = PATIENCE.as_secs();
            format!(
                "the server at {server} did not answer within {seconds} s; whether the command was \
                 carried out is not known"
            )
        } else {
            format!(
                "the server at {server} broke the connection off; whether the command was carried \
                 out is not known"
            )
        })
    }
}

async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, Failure> {
    answer.json().await.map_err(|_| unexpected())
}

/// What lies at the bottom of it, in few words and without the address.
fn cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| "it cannot be said why".to_owned(), ToString::to_string)
}

#[derive(Deserialize)]
struct LoggedIn {
    token: String,
}

#[derive(Deserialize)]
struct Found {
    accounts: Vec<AccountLine>,
    next: Option<Email>,
}

#[derive(Deserialize)]
struct Events {
    events: Vec<EventLine>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Ended {
    ended: u64,
}

/// The parts of an RFC 9457 answer that count here.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}
