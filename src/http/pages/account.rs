//! `/account`: one's own account. Its sessions, its password, its e-mail address, a copy of what is
//! kept, and its end.
//!
//! What needs a recent authentication asks for the password in its own form: it is shown first, as
//! in `reauthenticate`, and then the thing is done. A visit of this page is not counted.
//!
//! A new form is a [`Task`], its handler, and its section in the template.

use std::sync::Arc;

use askama::Template;
use poem::{
    Request, Response, handler,
    http::{StatusCode, header},
    web::Data,
};

use super::{
    failed::signed_out,
    form::AccountForm,
    page, see_other,
    sessions::{self, Moment, Row},
    signed_in,
};
use crate::{
    http::{
        Code, HttpError, Site, credential, csrf::is_deliberate, headers::SCRIPTED_PAGE_POLICY,
        session_cookie::CookieSlot,
    },
    model::{Email, SessionId, Transport},
    session::{Credential, Error, SignedIn},
};

/// What one of the forms is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    EndSessions,
    ChangePassword,
    ChangeEmail,
    Close,
}

/// What went wrong with which form.
struct Refused<'a> {
    task: Task,
    /// The name of the field that it is about.
    field: &'static str,
    sentence: &'a str,
    status: StatusCode,
    /// What was typed as the new e-mail.
    email: &'a str,
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account<'a> {
    email: &'a str,
    created: Moment,
    visits: u64,
    sessions: Vec<Row>,
    min_chars: usize,
    /// What was just done.
    done: Option<&'static str>,
    refused: Option<Refused<'a>>,
}

impl Account<'_> {
    /// The sentence at a field of a form.
    fn error(&self, task: Task, field: &str) -> Option<&str> {
        let refused = self.refused.as_ref()?;
        (refused.task == task && refused.field == field).then_some(refused.sentence)
    }

    /// What was typed as the new e-mail.
    fn typed_email(&self) -> &str {
        self.refused.as_ref().map_or("", |refused| refused.email)
    }
}

#[derive(Template)]
#[template(path = "closed.html")]
struct Closed;

/// `GET /account`. Counts nothing; renews the session when that is due.
#[handler]
pub(in crate::http) async fn show(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
) -> Result<Response, HttpError> {
    let Some(who) = signed_in(site, request).await? else {
        return signed_out(request);
    };
    // A link from another site must not say that something was done here.
    let query = request.uri().query().filter(|_| is_deliberate(request, &site.public_url));
    let done = match query {
        Some("done=sessions") => Some("The sessions have ended."),
        Some("done=password") => {
            Some("Your password is changed, and all your other sessions have ended.")
        }
        Some("done=email") => {
            Some("Your e-mail address is changed, and all your other sessions have ended.")
        }
        _ => None,
    };
    let answer = view(site, &who, done, None).await?;
    credential::renew(request, &who).await?;
    Ok(answer)
}

/// `POST /account/sessions`: ends one of the other sessions, or all of them.
#[handler]
pub(in crate::http) async fn end_sessions(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
    form: AccountForm,
) -> Result<Response, HttpError> {
    carry_out(request, site, Task::EndSessions, &form, async |who| {
        // What is no id names no session.
        let one = match form.session.as_str() {
            "others" => None,
            sid => Some(sid.parse::<SessionId>().map_err(|_| Error::NoSuchSession)?),
        };
        *who = prove(site, slot, who, &form).await?;
        match one {
            Some(id) => site.sessions.end_session(who, id).await?,
            None => site.sessions.end_other_sessions(who).await.map(|_| ())?,
        }
        Ok(see_other("/account?done=sessions"))
    })
    .await
}

/// `POST /account/password`.
#[handler]
pub(in crate::http) async fn change_password(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
    form: AccountForm,
) -> Result<Response, HttpError> {
    carry_out(request, site, Task::ChangePassword, &form, async |who| {
        let (current, new) = (form.current.clone(), form.new.clone());
        slot.set(site.sessions.change_password(who, current, new).await?);
        Ok(see_other("/account?done=password"))
    })
    .await
}

/// `POST /account/email`.
#[handler]
pub(in crate::http) async fn change_email(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
    form: AccountForm,
) -> Result<Response, HttpError> {
    carry_out(request, site, Task::ChangeEmail, &form, async |who| {
        let email = Email::parse(&form.email)?;
        *who = prove(site, slot, who, &form).await?;
        slot.set(site.sessions.change_email(who, email).await?);
        Ok(see_other("/account?done=email"))
    })
    .await
}

/// `POST /account/close`.
#[handler]
pub(in crate::http) async fn close(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
    form: AccountForm,
) -> Result<Response, HttpError> {
    carry_out(request, site, Task::Close, &form, async |who| {
        *who = prove(site, slot, who, &form).await?;
        site.sessions.close_account(who).await?;
        slot.clear();
        Ok(page(StatusCode::OK, &Closed))
    })
    .await
}

/// Does what a form asks for, for who is signed in; or shows the form again. `work` leaves in its
/// argument who is signed in after it, also when it fails half-way.
async fn carry_out(
    request: &Request,
    site: &Site,
    task: Task,
    form: &AccountForm,
    work: impl AsyncFnOnce(&mut SignedIn) -> Result<Response, Error>,
) -> Result<Response, HttpError> {
    let Some(mut who) = signed_in(site, request).await? else {
        return signed_out(request);
    };
    match work(&mut who).await {
        Ok(answer) => Ok(answer),
        Err(error) => refuse(request, site, &who, task, form, error).await,
    }
}

/// Shows the password. The session goes on under a new id, so whatever comes of the rest, the
/// browser is given its cookie.
async fn prove(
    site: &Site,
    slot: &CookieSlot,
    who: &SignedIn,
    form: &AccountForm,
) -> Result<SignedIn, Error> {
    let current = form.current.clone();
    let issued = site.sessions.reauthenticate(who, current).await?;
    let (token, from) = (issued.token.clone(), who.by().from);
    let next = Credential { token, transport: Transport::Cookie, from };
    slot.set(issued);
    site.sessions.authenticate(&next).await
}

/// The page with its forms again, and what is wrong at the field that it is about. What is about no
/// field is an error like any other.
async fn refuse(
    request: &Request,
    site: &Site,
    who: &SignedIn,
    task: Task,
    form: &AccountForm,
    error: Error,
) -> Result<Response, HttpError> {
    let error = HttpError::from(error);
    let status = error.code.status();
    let field = match (task, error.code) {
        (_, Code::NotSignedIn) => return signed_out(request),
        (_, Code::WrongPassword) => "current",
        (Task::EndSessions, Code::NoSuchSession) => "session",
        (Task::ChangeEmail, Code::EmailTaken | Code::InvalidEmail) => "email",
        // The rules for passwords have many codes.
        (Task::ChangePassword, _) if status == StatusCode::UNPROCESSABLE_ENTITY => "new",
        _ => return Err(error),
    };
    let email = form.echoed_email();
    let refused = Refused { task, field, sentence: error.detail(), status, email };
    view(site, who, None, Some(refused)).await
}

async fn view(
    site: &Site,
    who: &SignedIn,
    done: Option<&'static str>,
    refused: Option<Refused<'_>>,
) -> Result<Response, HttpError> {
    let summary = site.sessions.own_summary(who).await?;
    let status = refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
    let account = Account {
        email: summary.account.email.as_str(),
        created: Moment(summary.account.created_at),
        visits: summary.visits,
        sessions: sessions::list(site, who).await?,
        min_chars: site.sessions.policy().passwords.min_chars,
        done,
        refused,
    };
    let mut page = page(status, &account);
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, SCRIPTED_PAGE_POLICY);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use poem::http::Method;
    use scraper::{ElementRef, Html, Selector};

    use super::{super::testing::Service, *};
    use crate::session::Registration;

    async fn html(response: Response) -> Html {
        Html::parse_document(&response.into_body().into_string().await.unwrap())
    }

    fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
        html.select(&Selector::parse(selector).unwrap()).collect()
    }

    #[tokio::test]
    async fn every_form_posts_here_and_asks_for_the_password() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        let page = html(service.ask(Method::GET, "/account", &cookie, "").await).await;
        for action in ["sessions", "password", "email", "close"] {
            let form = format!(r#"form[method="post"][action="/account/{action}"]"#);
            let field = r#"input[name="current"][type="password"][required]"#;
            let field = format!(r#"{field}[autocomplete="current-password"]"#);
            // There is no other session to end yet.
            let expected = usize::from(action != "sessions");
            assert_eq!(all(&page, &format!("{form} {field}")).len(), expected, "{action}");
        }
        let ids: Vec<_> = all(&page, "[id]").iter().filter_map(|e| e.value().id()).collect();
        let mut once = ids.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "each id once");
        for label in all(&page, "label") {
            let target = label.value().attr("for").unwrap();
            assert!(ids.contains(&target), "{target}");
        }
        assert_eq!(all(&page, "[style], [role=alert], [role=status]").len(), 0);
        assert_eq!(all(&page, r#"a[href="/api/v1/account/export"]"#).len(), 1);
        assert_eq!(all(&page, r#"form[action="/logout"] button"#).len(), 1);
    }

    /// Of all its forms: what the others do ends with another cookie, another address or no account.
    #[tokio::test]
    async fn only_the_list_of_sessions_is_worked_in_place() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        let log_in = "email=ann%40example.com&password=correct+horse+battery";
        service.ask(Method::POST, "/login", "", log_in).await;
        let page = html(service.ask(Method::GET, "/account", &cookie, "").await).await;
        let forms = all(&page, "form[data-in-place]");
        let actions: Vec<_> = forms.iter().filter_map(|it| it.value().attr("action")).collect();
        assert_eq!(actions, ["/account/sessions"]);
        let section = r#"section[aria-labelledby="sessions"] > form[data-in-place]"#;
        assert_eq!(all(&page, section).len(), 1, "where the script looks for the heading");
    }

    #[tokio::test]
    async fn what_is_wrong_stands_at_its_field_and_what_was_typed_stays() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        for (action, form, status, field) in [
            ("password", "current=wrong&new=staple+after+staple", 403, "password-current"),
            ("password", "current=correct+horse+battery&new=short", 422, "password-new"),
            ("email", "current=wrong&email=%22%3E%3Cb%3E%40example.com", 422, "email-new"),
            ("email", "current=wrong&email=b%40example.com", 403, "email-current"),
            ("close", "current=wrong", 403, "close-current"),
        ] {
            let path = format!("/account/{action}");
            let answer = service.ask(Method::POST, &path, &cookie, form).await;
            assert_eq!(answer.status(), status, "{action} {form}");
            assert_eq!(answer.header("set-cookie"), None);
            let page = html(answer).await;
            let invalid = all(&page, "[aria-invalid=true]");
            assert_eq!(invalid.len(), 1, "{form}");
            assert_eq!(invalid[0].value().id(), Some(field));
            assert!(invalid[0].value().attr("autofocus").is_some());
            let alert = all(&page, "[role=alert]");
            assert_eq!(alert.len(), 1);
            let described = invalid[0].value().attr("aria-describedby").unwrap();
            let id = alert[0].value().id().unwrap();
            assert!(described.split(' ').any(|word| word == id), "{described}");
            assert_eq!(all(&page, "[type=password][value], b").len(), 0);
            let email = all(&page, "#email-new")[0].value().attr("value").unwrap().to_owned();
            assert_eq!(email.ends_with("@example.com"), action == "email", "{email}");
        }
    }

    #[tokio::test]
    async fn only_our_own_pages_say_that_something_was_done() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        for (query, told) in [("done=password", 1), ("done=anything", 0), ("", 0)] {
            let path = format!("/account?{query}");
            let page = html(service.ask(Method::GET, &path, &cookie, "").await).await;
            assert_eq!(all(&page, "[role=status]").len(), told, "{query}");
        }
    }
}
