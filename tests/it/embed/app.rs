//! An app with sessions of ours: poem's own server on a free port, the library in it, a clock that is
//! moved by hand, and a store that can be held.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use countersign::{
    Countersign, Session, Visitor,
    config::{Config, Period},
    http::HttpError,
    library::{Builder, VariableError},
    model::clock::{ManualClock, from_millis},
};
use parking_lot::Mutex;
use poem::{
    Endpoint, EndpointExt as _, IntoResponse, Response, Route, Server, get, handler,
    http::StatusCode,
    listener::{Acceptor as _, Listener as _, TcpListener},
    post,
    web::{Data, Form, Path, Redirect},
};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use url::Url;

use crate::support::{Control, User, in_time, user::Kind};

const START: i64 = 1_795_424_400_000;

/// A running app and all that it stands on.
pub(crate) struct App {
    pub(crate) clock: ManualClock,
    pub(crate) control: Control,
    pub(crate) sessions: Countersign,
    /// How often `POST /count` ran.
    pub(crate) runs: Arc<AtomicU64>,
    config: Config,
    _directory: TempDir,
    address: Arc<Mutex<Url>>,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}, |builder| builder).await
    }

    pub(crate) async fn with(
        configure: impl FnOnce(&mut Config),
        build: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: directory.path().join("data"), ..Config::default() };
        config.password.memory_kib = 8;
        config.password.passes = 1;
        config.store.cache_mib = 8;
        config.store.sweep_interval = Period::hours(24);
        configure(&mut config);
        let (clock, control) = (ManualClock::new(from_millis(START)), Control::default());
        let sessions = open(&config, &clock, &control, build);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let mut app = Self {
            clock,
            control,
            sessions,
            runs: Arc::default(),
            config,
            _directory: directory,
            address: Arc::new(Mutex::new(Url::parse("http://127.0.0.1:1").unwrap())),
            http,
            stop: None,
            task: None,
        };
        app.run().await;
        app
    }

    async fn run(&mut self) {
        let routes = routes(&self.sessions, Arc::clone(&self.runs));
        let (address, stop, task) = serve(routes).await;
        *self.address.lock() = address;
        (self.stop, self.task) = (Some(stop), Some(task));
    }

    /// Stops the server; the service stays open.
    pub(crate) async fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        in_time("stopping", self.task.take().unwrap()).await.unwrap();
    }

    /// Stops it all and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.sessions.close().await.unwrap();
        self.restart_closed().await;
    }

    /// The same, when it is closed already.
    pub(crate) async fn restart_closed(&mut self) {
        self.stop().await;
        self.sessions = open(&self.config, &self.clock, &self.control, |builder| builder);
        self.run().await;
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn browser(&self) -> User {
        self.user(Kind::Browser)
    }

    pub(crate) fn stranger(&self) -> User {
        self.user(Kind::Stranger)
    }

    fn user(&self, kind: Kind) -> User {
        User::new(
            self.http.clone(),
            Arc::clone(&self.address),
            self.config.public_url.url().clone(),
            kind,
            Arc::new(self.clock.clone()),
        )
    }
}

fn open(
    config: &Config,
    clock: &ManualClock,
    control: &Control,
    build: impl FnOnce(Builder) -> Builder,
) -> Countersign {
    let control = control.clone();
    let builder = Countersign::builder(config.clone())
        .clock(clock.clone())
        .wrap_store(move |store| control.wrap(store));
    build(builder).open().unwrap()
}

/// Serves on a free port. Gives where, what stops it, and what it ends with.
pub(super) async fn serve(
    app: impl Endpoint + 'static,
) -> (Url, oneshot::Sender<()>, JoinHandle<()>) {
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
    let address = acceptor.local_addr()[0].as_socket_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        let server = Server::new_with_acceptor(acceptor);
        server.run_with_graceful_shutdown(app, stopped, None).await.unwrap();
    });
    (Url::parse(&format!("http://{address}")).unwrap(), stop, task)
}

fn routes(sessions: &Countersign, runs: Arc<AtomicU64>) -> impl Endpoint + use<> {
    let guarded = Route::new()
        .at("/", get(home))
        .at("/admin", get(admin))
        .at("/whoami", get(whoami))
        .at("/login", get(log_in).post(log_in))
        .at("/enter", post(enter))
        .at("/signup", post(sign_up))
        .at("/logout", get(log_out).post(log_out))
        .at("/leave", post(leave))
        .at("/variable/:name", get(variable).post(set_variable).delete(remove_variable))
        .at("/public", get(public))
        .at("/kept", get(kept))
        .at("/kept-visit", get(kept_visit))
        .at("/broken", get(broken))
        .at("/count", get(count).post(count))
        .nest_no_strip("/api/v1", sessions.api())
        .data(runs)
        .with(sessions.middleware());
    Route::new().nest("/", guarded).at("/outside", get(whoami))
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
    #[serde(default)]
    remember: bool,
}

#[handler]
fn home(session: Option<Session>) -> String {
    session.map_or("nobody".into(), |session| session.email().to_owned())
}

#[handler]
async fn admin(session: Session) -> Result<String, HttpError> {
    let number = session.visit().await?;
    assert_eq!(session.visits(), number);
    Ok(number.to_string())
}

#[handler]
async fn whoami(session: Session) -> String {
    format!("{} {}", session.email(), session.visits())
}

#[handler]
async fn log_in(visitor: Visitor, form: Option<Form<Credentials>>) -> Result<Redirect, HttpError> {
    let (email, password, remember) =
        form.map_or_else(Default::default, |Form(form)| (form.email, form.password, form.remember));
    visitor.remember(remember).log_in(&email, password).await?;
    Ok(Redirect::see_other("/admin"))
}

/// Logs in, and uses the session at once.
#[handler]
async fn enter(visitor: Visitor, Form(form): Form<Credentials>) -> Result<String, HttpError> {
    let session = visitor.log_in(&form.email, form.password).await?;
    session.visit().await?;
    let number = visitor.session().unwrap().visit().await?;
    assert_eq!(session.visits(), number, "it is one session");
    Ok(number.to_string())
}

#[handler]
async fn sign_up(visitor: Visitor, Form(form): Form<Credentials>) -> Result<Redirect, HttpError> {
    visitor.sign_up(&form.email, form.password).await?;
    Ok(Redirect::see_other("/admin"))
}

#[handler]
async fn log_out(visitor: Visitor) -> Result<Redirect, HttpError> {
    if let Some(session) = visitor.session() {
        session.end().await?;
        assert!(visitor.session().is_none(), "nobody is left");
    }
    Ok(Redirect::see_other("/"))
}

#[handler]
async fn variable(session: Session, Path(name): Path<String>) -> Result<String, VariableError> {
    Ok(match session.get::<Vec<String>>(&name).await? {
        Some(value) => value.join(" "),
        None => "nothing".into(),
    })
}

/// Sets it to the words of the body; to a text, where there is only one.
#[handler]
async fn set_variable(
    session: Session,
    Path(name): Path<String>,
    body: String,
) -> Result<(), VariableError> {
    match body.split_once(' ') {
        Some(_) => session.set(&name, &body.split(' ').collect::<Vec<_>>()).await,
        None => session.set(&name, &body).await,
    }
}

#[handler]
async fn remove_variable(
    session: Session,
    Path(name): Path<String>,
) -> Result<String, VariableError> {
    Ok(session.remove(&name).await?.to_string())
}

/// Goes on with a session that it has ended.
#[handler]
async fn leave(session: Session) -> Result<String, HttpError> {
    session.visit().await?;
    session.end().await?;
    session.end().await?;
    Err(session.visit().await.unwrap_err())
}

#[handler]
fn public() -> &'static str {
    "for all"
}

#[handler]
async fn kept(_session: Session) -> Response {
    "mine".with_header("cache-control", "private, max-age=60").into_response()
}

#[handler]
async fn kept_visit(session: Session) -> Result<Response, HttpError> {
    session.visit().await?;
    Ok("mine".with_header("cache-control", "public, max-age=60").into_response())
}

#[handler]
fn broken() -> poem::Result<()> {
    Err(poem::Error::from_string("short and stout", StatusCode::IM_A_TEAPOT))
}

#[handler]
fn count(Data(runs): Data<&Arc<AtomicU64>>) {
    runs.fetch_add(1, Ordering::SeqCst);
}
