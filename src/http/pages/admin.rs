//! `/admin`: the page that counts. Each view of it is one visit.

use std::sync::Arc;

use askama::Template;
use jiff::Timestamp;
use poem::{Request, Response, handler, http::StatusCode, web::Data};

use super::{
    chart::Chart,
    failed::signed_out,
    page,
    sessions::{self, Moment, Row},
    signed_in,
};
use crate::{
    http::{HttpError, Site, csrf, session_cookie::CookieSlot},
    session::{Credential, Error, SignedIn},
};

#[derive(Template)]
#[template(path = "admin.html")]
struct Admin<'a> {
    email: &'a str,
    visits: u64,
    /// The SVG paths of the visits as tally marks.
    tally: Vec<&'static str>,
    /// Whether there are more visits than marks.
    more: bool,
    chart: Chart,
    copied_at: Option<Moment>,
    sessions: Vec<Row>,
}

/// `GET /admin`: counts a visit and hands out the next cookie. A prefetch does neither.
#[handler]
pub(in crate::http) async fn show(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
    Data(slot): Data<&CookieSlot>,
) -> Result<Response, HttpError> {
    if csrf::is_prefetch(request) {
        return uncounted(request, site).await;
    }
    let Some(credential) = site.shown_cookie(request)? else {
        return signed_out(request);
    };
    let issued = match site.sessions.visit(&credential).await {
        Ok(issued) => issued,
        Err(Error::NotSignedIn(_)) => return signed_out(request),
        Err(error) => return Err(error.into()),
    };
    // The list below is for who is signed in, which only a token proves: the one just signed.
    let next = Credential { token: issued.token.clone(), ..credential };
    let who = match site.sessions.authenticate(&next).await {
        Ok(who) => who,
        Err(Error::NotSignedIn(_)) => return signed_out(request),
        Err(error) => return Err(error.into()),
    };
    let answer = view(site, &who, issued.session.visits).await?;
    slot.set(issued);
    Ok(answer)
}

/// `HEAD /admin`: counts nothing. Without a handler of its own, poem would run that of GET.
#[handler]
pub(in crate::http) async fn head(
    request: &Request,
    Data(site): Data<&Arc<Site>>,
) -> Result<Response, HttpError> {
    uncounted(request, site).await
}

async fn uncounted(request: &Request, site: &Site) -> Result<Response, HttpError> {
    match signed_in(site, request).await? {
        Some(who) => view(site, &who, who.session.visits).await,
        None => signed_out(request),
    }
}

async fn view(site: &Site, who: &SignedIn, visits: u64) -> Result<Response, HttpError> {
    let rows = sessions::list(site, who).await?;
    let (days, now) = site.sessions.own_visit_days(who).await?;
    let chart = Chart::of(&days, now);
    Ok(rendered(who.email().as_str(), visits, chart, who.session.copied_at, rows))
}

fn rendered(
    email: &str,
    visits: u64,
    chart: Chart,
    copied_at: Option<Timestamp>,
    sessions: Vec<Row>,
) -> Response {
    let admin = Admin {
        email,
        visits,
        tally: tally(visits),
        more: visits > MOST_TALLIED,
        chart,
        copied_at: copied_at.map(Moment),
        sessions,
    };
    page(StatusCode::OK, &admin)
}

/// The most visits that are shown as tally marks.
const MOST_TALLIED: u64 = 50;

/// One to five strokes, the fifth across the others.
const STROKES: [&str; 5] = [
    "M5 3v18",
    "M5 3v18M11 3v18",
    "M5 3v18M11 3v18M17 3v18",
    "M5 3v18M11 3v18M17 3v18M23 3v18",
    "M5 3v18M11 3v18M17 3v18M23 3v18M1 18 27 6",
];

fn tally(visits: u64) -> Vec<&'static str> {
    let mut left = usize::try_from(visits.min(MOST_TALLIED)).unwrap_or_default();
    let mut marks = Vec::new();
    while left > 0 {
        let strokes = left.min(STROKES.len());
        marks.push(STROKES[strokes - 1]);
        left -= strokes;
    }
    marks
}

#[cfg(test)]
mod tests {
    use poem::http::Method;
    use scraper::{Html, Selector};

    use super::{super::testing::Service, *};
    use crate::{
        model::{SessionId, VisitDays, clock::from_millis},
        session::Registration,
    };

    fn a_row() -> Row {
        Row {
            id: SessionId::new(from_millis(0)),
            device: "<b>curl</b>".into(),
            user_agent: "\"><script>".into(),
            current: true,
            bearer: false,
            created: Moment(from_millis(1_700_000_000_000)),
            last_seen: Moment(from_millis(1_700_000_060_000)),
            visits: 3,
        }
    }

    async fn html(visits: u64, copied_at: Option<Timestamp>) -> String {
        let days = VisitDays::from_parts(19_675, &[3, 0, 2]).unwrap();
        let chart = Chart::of(&days, from_millis(1_700_000_000_000));
        let page = rendered("o'b&co@example.com", visits, chart, copied_at, vec![a_row()]);
        page.into_body().into_string().await.unwrap()
    }

    fn count(html: &str, selector: &str) -> usize {
        Html::parse_document(html).select(&Selector::parse(selector).unwrap()).count()
    }

    #[tokio::test]
    async fn the_page_says_who_and_how_often_and_how_to_leave() {
        let html = html(3, None).await;
        let text: String = Html::parse_document(&html).root_element().text().collect();
        for sentence in [
            "Hello o'b&co@example.com",
            "This is visit number 3",
            "Refresh page to increase visits",
            "14 Nov 2023, 22:13 UTC",
        ] {
            assert!(text.contains(sentence), "{sentence}");
        }
        assert!(html.contains("This is visit number 3"), "in one piece");
        let log_out = r#"form[method="post"][action="/logout"] button"#;
        assert_eq!(count(&html, log_out), 1);
        assert_eq!(count(&html, r#"time[datetime="2023-11-14T22:13:20Z"]"#), 1);
    }

    #[tokio::test]
    async fn the_visits_of_the_last_days_are_drawn_and_told() {
        let html = html(3, None).await;
        assert_eq!(count(&html, "svg.chart[aria-hidden=true] > text[y='98%']"), 14);
        assert_eq!(count(&html, "svg.chart rect"), 2, "one for each day with visits");
        assert_eq!(count(&html, "svg.chart > .today"), 2, "its number and its day");
        assert_eq!(count(&html, "svg.chart > .today ~ text:not(.today)"), 0, "it is the last");
        let page = Html::parse_document(&html);
        let section = Selector::parse("section[aria-labelledby=days]").unwrap();
        let text: String = page.select(&section).next().unwrap().text().collect();
        assert!(text.contains("5 visits since 1 November 2023, 3 of them today"), "{text}");
        let told = Selector::parse("section[aria-labelledby=days] ul.unseen li").unwrap();
        let told: Vec<String> = page.select(&told).map(|day| day.text().collect()).collect();
        assert_eq!(told, ["12 November 2023: 2", "14 November 2023: 3"]);
    }

    #[tokio::test]
    async fn the_visit_of_this_page_is_drawn_already() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        for (method, told) in [
            (Method::HEAD, "No visits since 8 September 2026."),
            (Method::GET, "1 visit since 8 September 2026."),
            (Method::GET, "2 visits since 8 September 2026, all of them today."),
        ] {
            let page = service.ask(method, "/admin", &cookie, "").await;
            let html = page.into_body().into_string().await.unwrap();
            assert!(html.contains(told), "{html}");
        }
    }

    #[tokio::test]
    async fn the_session_one_looks_from_comes_first() {
        let service = Service::new(Registration::Open);
        let cookie = service.cookie().await;
        service.clock.advance(jiff::SignedDuration::from_mins(1));
        let log_in = "email=ann%40example.com&password=correct+horse+battery";
        let elsewhere = service.ask(Method::POST, "/login", "", log_in).await;
        assert_eq!(elsewhere.header("location"), Some("/admin"));
        // Counts nothing, so the session elsewhere stays the one last seen.
        let page = service.ask(Method::HEAD, "/admin", &cookie, "").await;
        let html = page.into_body().into_string().await.unwrap();
        assert_eq!(count(&html, "tbody tr"), 2);
        assert_eq!(count(&html, "tbody tr:first-child[aria-current=true]"), 1);
        assert_eq!(count(&html, "[aria-current]"), 1);
    }

    #[tokio::test]
    async fn what_a_device_calls_itself_is_text() {
        let html = html(3, None).await;
        assert_eq!(count(&html, "script, td b"), 0);
    }

    #[tokio::test]
    async fn a_copied_session_is_told_once_it_is_known() {
        assert_eq!(count(&html(1, None).await, "[role=alert]"), 0);
        let told = html(1, Some(from_millis(1_700_000_000_000))).await;
        assert_eq!(count(&told, "[role=alert] time"), 1);
    }

    #[test]
    fn visits_are_tallied_in_fives() {
        assert_eq!(tally(0), Vec::<&str>::new());
        assert_eq!(tally(7), [STROKES[4], STROKES[1]]);
        assert_eq!(tally(u64::MAX).len(), 10);
    }
}
