//! Sessions in an app of one's own: `cargo run --example embed`, then <http://localhost:3000>.

use countersign::{Countersign, Session, Visitor, http::HttpError};
use poem::{
    Endpoint, EndpointExt as _, Route, Server, get, handler,
    listener::TcpListener,
    post,
    web::{Form, Html, Redirect},
};
use serde::Deserialize;

/// What `POST /login` and `POST /signup` take.
#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

const FORM: &str = r#"<form method="post" action="/login">
<label>E-mail <input type="email" name="email" autocomplete="username" required></label>
<label>Password <input type="password" name="password" autocomplete="current-password" required></label>
<button>Log in</button> <button formaction="/signup">Sign up</button>
</form>"#;

const SIGNED_IN: &str = r#"<a href="/admin">Your page</a>
<form method="post" action="/logout"><button>Log out</button></form>"#;

#[handler]
fn home(session: Option<Session>) -> Html<&'static str> {
    Html(session.map_or(FORM, |_| SIGNED_IN))
}

#[handler]
async fn log_in(visitor: Visitor, Form(form): Form<Credentials>) -> Result<Redirect, HttpError> {
    visitor.log_in(&form.email, form.password).await?;
    Ok(Redirect::see_other("/admin"))
}

#[handler]
async fn sign_up(visitor: Visitor, Form(form): Form<Credentials>) -> Result<Redirect, HttpError> {
    visitor.sign_up(&form.email, form.password).await?;
    Ok(Redirect::see_other("/admin"))
}

#[handler]
async fn admin(session: Session) -> Result<String, HttpError> {
    let number = session.visit().await?;
    Ok(format!("Hello {}\nThis is visit number {number}", session.email()))
}

#[handler]
async fn log_out(session: Session) -> Result<Redirect, HttpError> {
    session.end().await?;
    Ok(Redirect::see_other("/"))
}

/// The app's routes, with sessions.
pub(crate) fn app(sessions: &Countersign) -> impl Endpoint + use<> {
    Route::new()
        .at("/", get(home))
        .at("/login", post(log_in))
        .at("/signup", post(sign_up))
        .at("/admin", get(admin))
        .at("/logout", post(log_out))
        .with(sessions.middleware())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = Countersign::open("data")?;
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    Server::new(TcpListener::bind("127.0.0.1:3000"))
        .run_with_graceful_shutdown(app(&sessions), stop, None)
        .await?;
    Ok(sessions.close().await?)
}
