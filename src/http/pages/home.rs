//! `/`: the log-in form, or on to `/admin` for who is signed in already.
//!
//! Never sets or clears a cookie: the home page is what browsers open by themselves.

use std::sync::Arc;

use askama::Template;
use poem::{Request, Response, handler, http::StatusCode, web::Data};

use super::{page, see_other, signed_in};
use crate::{
    http::{HttpError, Site},
    session::Registration,
};

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    /// What was typed before.
    email: &'a str,
    wrong: bool,
    can_sign_up: bool,
}

/// `GET /`.
#[handler]
pub(in crate::http) async fn show(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
) -> Result<Response, HttpError> {
    if signed_in(site, request).await?.is_some() {
        return Ok(see_other("/admin"));
    }
    Ok(form(site.sessions.policy().registration, None))
}

/// The log-in form; after a refusal with the e-mail that was typed.
///
/// Nothing else goes into it: the page of an unknown e-mail, a wrong password and a disabled
/// account must be one and the same, byte for byte (ASVS 6.3.8).
pub(super) fn form(registration: Registration, refused: Option<&str>) -> Response {
    let status = match refused {
        Some(_) => StatusCode::UNAUTHORIZED,
        None => StatusCode::OK,
    };
    let home = Home {
        email: refused.unwrap_or_default(),
        wrong: refused.is_some(),
        can_sign_up: registration == Registration::Open,
    };
    page(status, &home)
}

#[cfg(test)]
mod tests {
    use poem::http::Method;
    use scraper::{Html, Selector};

    use super::{super::testing::Service, *};

    async fn html(refused: Option<&str>) -> Html {
        let page = form(Registration::Open, refused);
        Html::parse_document(&page.into_body().into_string().await.unwrap())
    }

    fn count(html: &Html, selector: &str) -> usize {
        html.select(&Selector::parse(selector).unwrap()).count()
    }

    #[tokio::test]
    async fn the_form_says_what_password_managers_need() {
        let page = html(None).await;
        let form = r#"form[method="post"][action="/login"]"#;
        for input in [
            r#"input[name="email"][autocomplete="username"]"#,
            r#"input[name="password"][type="password"][autocomplete="current-password"]"#,
            r#"input[name="remember"][type="checkbox"]"#,
        ] {
            assert_eq!(count(&page, &format!("{form} {input}")), 1, "{input}");
        }
        assert_eq!(count(&page, r#"a[href="/signup"]"#), 1);
        assert_eq!(count(&page, "[role=alert], [maxlength], script"), 0);
    }

    #[tokio::test]
    async fn a_refusal_is_announced_and_keeps_the_e_mail_but_not_as_html() {
        let typed = r#""><script>alert(1)</script>'&amp;"#;
        let page = html(Some(typed)).await;
        assert_eq!(count(&page, "[role=alert]"), 1);
        assert_eq!(count(&page, "script"), 0);
        let email = Selector::parse("[name=email]").unwrap();
        let shown = page.select(&email).next().unwrap().value().attr("value");
        assert_eq!(shown, Some(typed));
        assert_eq!(count(&page, "[name=password][value]"), 0);
    }

    #[tokio::test]
    async fn nobody_is_shown_as_signed_out_when_that_cannot_be_told() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        service.sessions.close().await.unwrap();
        let signed_in = service.ask(Method::GET, "/", &cookie, "").await;
        assert_eq!(signed_in.status(), StatusCode::SERVICE_UNAVAILABLE);
        let stranger = service.ask(Method::GET, "/", "", "").await;
        assert_eq!(stranger.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn where_registration_is_closed_nothing_leads_to_it() {
        let page = form(Registration::Closed, None);
        let html = page.into_body().into_string().await.unwrap();
        assert!(!html.contains("/signup"));
    }
}
