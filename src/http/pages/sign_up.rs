//! `/signup`: make an account and be logged in with it.

use std::sync::Arc;

use askama::Template;
use poem::{Request, Response, handler, http::StatusCode, web::Data};

use super::{
    error,
    failed::accepts_page,
    form::{Form, Posted},
    page, see_other,
};
use crate::{
    http::{Code, HttpError, Site, session_cookie::CookieSlot},
    model::Email,
    session::{Error, Issued, PasswordRules, Registration},
};

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUp<'a> {
    /// What was typed before.
    email: &'a str,
    /// What is wrong with it.
    email_error: Option<&'a str>,
    password_error: Option<&'a str>,
    min_chars: usize,
}

/// `GET /signup`.
#[handler]
pub(in crate::http) fn show(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
) -> Result<Response, HttpError> {
    let policy = site.sessions.policy();
    if policy.registration == Registration::Closed {
        return closed(request);
    }
    Ok(form(&policy.passwords, "", None))
}

/// `POST /signup`.
#[handler]
pub(in crate::http) async fn submit(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
    Posted(posted): Posted,
) -> Result<Response, HttpError> {
    let posted = posted?;
    let policy = site.sessions.policy();
    if policy.registration == Registration::Closed {
        return closed(request);
    }
    match sign_up(site, request, &posted).await {
        Ok(issued) => {
            slot.set(issued);
            Ok(see_other("/admin"))
        }
        Err(error) if field(error.code).is_some() => {
            Ok(form(&policy.passwords, posted.echoed_email(), Some(&error)))
        }
        Err(error) => Err(error),
    }
}

async fn sign_up(site: &Site, request: &Request, form: &Form) -> Result<Issued, HttpError> {
    let how = form.log_in(site, request, site.shown_cookie(request)?);
    let email = Email::parse(&form.email).map_err(Error::from)?;
    let password = form.password.clone();
    Ok(site.sessions.sign_up_and_log_in(email, password, how).await?)
}

enum Field {
    Email,
    Password,
}

/// The field that an error is about.
fn field(code: Code) -> Option<Field> {
    match code {
        Code::EmailTaken | Code::InvalidEmail => Some(Field::Email),
        Code::PasswordTooShort
        | Code::PasswordTooLong
        | Code::PasswordTooCommon
        | Code::PasswordContainsContext
        | Code::PasswordTooPredictable => Some(Field::Password),
        _ => None,
    }
}

/// The form; after a refusal with the e-mail that was typed, never the password.
fn form(rules: &PasswordRules, email: &str, refused: Option<&HttpError>) -> Response {
    let mut sign_up =
        SignUp { email, email_error: None, password_error: None, min_chars: rules.min_chars };
    match refused.and_then(|error| field(error.code)) {
        Some(Field::Email) => sign_up.email_error = refused.map(HttpError::detail),
        Some(Field::Password) => sign_up.password_error = refused.map(HttpError::detail),
        None => {}
    }
    page(refused.map_or(StatusCode::OK, |error| error.code.status()), &sign_up)
}

fn closed(request: &Request) -> Result<Response, HttpError> {
    let closed = Code::RegistrationClosed.into();
    if accepts_page(request.headers()) { Ok(error(&closed)) } else { Err(closed) }
}

#[cfg(test)]
mod tests {
    use poem::http::Method;
    use scraper::{Html, Selector};

    use super::{super::testing::Service, *};
    use crate::session::password::Refused;

    const RULES: PasswordRules =
        PasswordRules { min_chars: 15, max_chars: 128, min_strength: 4, host: String::new() };

    async fn shown(email: &str, error: Error) -> (StatusCode, Html) {
        let page = form(&RULES, email, Some(&error.into()));
        let status = page.status();
        let html = page.into_body().into_string().await.unwrap();
        (status, Html::parse_document(&html))
    }

    fn attr<'a>(html: &'a Html, field: &str, name: &str) -> Option<&'a str> {
        let selector = Selector::parse(&format!("[name={field}]")).unwrap();
        html.select(&selector).next().unwrap().value().attr(name)
    }

    #[tokio::test]
    async fn an_error_stands_at_its_field_and_is_announced() {
        let short = Error::PasswordRefused(Refused::TooShort { min: 15 });
        for (error, status, at, other) in
            [(Error::EmailTaken, 409, "email", "password"), (short, 422, "password", "email")]
        {
            let told = HttpError::from(error);
            let (told, sentence) = (told.code, told.detail().to_owned());
            let page = form(&RULES, "ann@example.com", Some(&told.into()));
            assert_eq!(page.status(), status);
            assert!(!sentence.is_empty());
            let html = Html::parse_document(&page.into_body().into_string().await.unwrap());
            assert_eq!(attr(&html, at, "aria-invalid"), Some("true"));
            assert_eq!(attr(&html, other, "aria-invalid"), None);
            assert_eq!(attr(&html, "email", "value"), Some("ann@example.com"));
            assert_eq!(attr(&html, "password", "value"), None);
            let described = attr(&html, at, "aria-describedby").unwrap();
            let alert = Selector::parse("[role=alert]").unwrap();
            let alert = html.select(&alert).next().unwrap();
            let id = alert.value().attr("id").unwrap();
            assert!(described.split(' ').any(|word| word == id), "{described}");
        }
    }

    #[tokio::test]
    async fn where_registration_is_closed_no_form_is_shown_whatever_is_posted() {
        let service = Service::new(Registration::Closed);
        for (method, form) in [
            (Method::GET, ""),
            (Method::POST, "email=nonsense&password=short"),
            (Method::POST, "email=ann%40example.com&password=correct+horse+battery"),
        ] {
            let page = service.ask(method, "/signup", "", form).await;
            assert_eq!(page.status(), StatusCode::FORBIDDEN);
            let html = page.into_body().into_string().await.unwrap();
            assert!(!html.contains("<form"), "{html}");
        }
    }

    #[tokio::test]
    async fn the_rule_is_said_with_its_number() {
        let short = Error::PasswordRefused(Refused::TooShort { min: 15 });
        let (_, html) = shown("\"><b>", short).await;
        assert_eq!(attr(&html, "password", "minlength"), Some("15"));
        assert_eq!(attr(&html, "password", "maxlength"), None);
        assert_eq!(attr(&html, "password", "autocomplete"), Some("new-password"));
        let text: String = html.root_element().text().collect();
        assert!(text.contains("The password must have at least 15 characters."));
        assert_eq!(attr(&html, "email", "value"), Some("\"><b>"));
    }
}
