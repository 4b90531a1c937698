//! Looking for people, what is known of one, and what can be done: end sessions, lock, unlock.

use std::sync::Arc;

use askama::Template;
use poem::{Request, Response, handler, http::StatusCode, web::Data};
use url::form_urlencoded;

use super::{
    Dashboard, Entered, Frame, Posted, base,
    events::{self, Line, Whom},
    page, see_other,
    words::{At, grouped, many},
};
use crate::{
    http::{Code, HttpError, pages::device},
    model::{AccountId, AccountState, Email, Role, SessionId, Transport},
    session::{
        Error,
        operate::{AccountLine, Command, Reply, SessionLine},
    },
};

/// How many accounts a page lists.
const ACCOUNTS: usize = 50;

/// How many events of one account are shown.
const EVENTS: usize = 20;

#[derive(Template)]
#[template(path = "accounts.html")]
struct Accounts {
    frame: Frame,
    search: String,
    found: Vec<Found>,
    /// Where the next ones are.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "person.html")]
struct Person {
    frame: Frame,
    email: Email,
    is_disabled: bool,
    is_admin: bool,
    created: At,
    visits: String,
    sessions: Vec<Row>,
    events: Vec<Line>,
}

/// An account in a list.
struct Found {
    id: AccountId,
    email: Email,
    is_disabled: bool,
    role: Role,
    created: At,
}

/// A session in the list of one account.
struct Row {
    id: SessionId,
    device: String,
    user_agent: String,
    bearer: bool,
    created: At,
    last_seen: At,
    expires: At,
    visits: String,
}

/// `GET /dashboard/PLACE/accounts?search=…&after=…`: those with this in their addresses.
#[handler]
pub(super) async fn find(
    request: &Request,
    Entered(stay): Entered,
    Data(dashboard): Data<&Arc<Dashboard>>,
) -> Result<Response, HttpError> {
    let search = asked(request, "search").unwrap_or_default();
    // What is no address was never handed out.
    let after = asked(request, "after").map(|after| Email::parse(&after)).transpose();
    let after = after.map_err(|_| Code::BadRequest)?;
    let command = Command::ListAccounts { search: search.clone(), after };
    let Reply::Accounts { mut accounts, mut next } = dashboard.operate(command).await? else {
        return Err(Code::Internal.into());
    };
    if accounts.len() > ACCOUNTS {
        accounts.truncate(ACCOUNTS);
        next = accounts.last().map(|account| account.email.clone());
    }
    let base = base(&stay);
    let next = next.map(|next| {
        let pairs = [("search", search.as_str()), ("after", next.as_str())];
        format!("{base}/accounts?{}", query(&pairs))
    });
    let found = accounts.into_iter().map(found).collect();
    let accounts = Accounts { frame: dashboard.frame(&stay), search, found, next };
    Ok(page(StatusCode::OK, &accounts))
}

/// `GET /dashboard/PLACE/account?email=…`: one account, its sessions, its events.
#[handler]
pub(super) async fn show(
    request: &Request,
    Entered(stay): Entered,
    Data(dashboard): Data<&Arc<Dashboard>>,
) -> Result<Response, HttpError> {
    let email = parsed(&asked(request, "email").unwrap_or_default())?;
    let command = Command::ShowAccount { email: email.clone() };
    let Reply::Account { account } = dashboard.operate(command).await? else {
        return Err(Code::Internal.into());
    };
    let command = Command::ListSessions { email: email.clone() };
    let Reply::Sessions { mut sessions } = dashboard.operate(command).await? else {
        return Err(Code::Internal.into());
    };
    sessions.sort_by_key(|session| std::cmp::Reverse(session.last_seen_at));
    let person = Person {
        events: events::list(dashboard, Some(email), EVENTS).await?,
        frame: dashboard.frame(&stay),
        is_disabled: account.account.state == AccountState::Disabled,
        is_admin: account.account.role == Role::Admin,
        created: At(account.account.created_at),
        email: account.account.email,
        visits: grouped(account.visits),
        sessions: sessions.into_iter().map(row).collect(),
    };
    Ok(page(StatusCode::OK, &person))
}

fn found(account: AccountLine) -> Found {
    let AccountLine { id, email, state, role, created_at } = account;
    Found { id, email, is_disabled: state == AccountState::Disabled, role, created: At(created_at) }
}

fn row(session: SessionLine) -> Row {
    Row {
        id: session.id,
        device: device::name(&session.user_agent),
        user_agent: session.user_agent,
        bearer: session.transport == Transport::Bearer,
        created: At(session.created_at),
        last_seen: At(session.last_seen_at),
        expires: At(session.expires_at),
        visits: grouped(session.visits),
    }
}

/// `POST /dashboard/PLACE/account/sessions`: ends one session of an account, or all of them.
#[handler]
pub(super) async fn end_sessions(
    posted: Posted,
    Data(dashboard): Data<&Arc<Dashboard>>,
) -> Result<Response, HttpError> {
    let email = parsed(&posted.email)?;
    let command = if posted.session == "all" {
        Command::RevokeSessions { email: email.clone() }
    } else {
        // What is no id names no session.
        let session = posted.session.parse().map_err(|_| Code::NoSuchSession)?;
        Command::RevokeSession { email: email.clone(), session }
    };
    carry_out(dashboard, &posted, command, &email, "").await
}

/// `POST /dashboard/PLACE/account/state`: locks an account, which ends its sessions, or unlocks it.
#[handler]
pub(super) async fn set_state(
    posted: Posted,
    Data(dashboard): Data<&Arc<Dashboard>>,
) -> Result<Response, HttpError> {
    let email = parsed(&posted.email)?;
    let (command, said) = match posted.state.as_str() {
        "disabled" => {
            (Command::DisableAccount { email: email.clone() }, "The account is disabled. ")
        }
        "active" => (Command::EnableAccount { email: email.clone() }, "The account is enabled. "),
        _ => return Err(Code::BadRequest.into()),
    };
    carry_out(dashboard, &posted, command, &email, said).await
}

/// Carries it out, and leads back to the account, where it stands what happened.
async fn carry_out(
    dashboard: &Dashboard,
    posted: &Posted,
    command: Command,
    email: &Email,
    said: &str,
) -> Result<Response, HttpError> {
    let told = match dashboard.operate(command).await {
        Ok(Reply::Ended { ended: 0 }) if said.is_empty() => "No session was there to end.".into(),
        Ok(Reply::Ended { ended: 0 }) => said.to_owned(),
        Ok(Reply::Ended { ended }) => format!("{said}{} ended.", many(ended, "session")),
        // Somebody was faster.
        Err(Error::NoSuchSession) => "The session had ended already.".into(),
        Ok(_) => return Err(Code::Internal.into()),
        Err(error) => return Err(error.into()),
    };
    dashboard.door.tell(&posted.stay, told);
    let query = query(&[("email", email.as_str())]);
    Ok(see_other(&format!("{}/account?{query}", base(&posted.stay))))
}

/// What is asked for under a name in the query.
fn asked(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(asked, _)| asked == name).map(|(_, value)| value.into_owned())
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What cannot be an address belongs to nobody.
fn parsed(email: &str) -> Result<Email, HttpError> {
    Email::parse(email).map_err(|_| Code::NoSuchAccount.into())
}
