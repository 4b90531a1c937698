//! The first page: what happens now, and what happened in the last hour or day.

use std::sync::Arc;

use askama::Template;
use poem::{Request, Response, handler, http::StatusCode, web::Data};

use super::{
    Dashboard, Entered, Frame,
    events::{self, Line, Whom},
    history::{Counts, Now, Range, View},
    page,
    plot::Plot,
    words::{At, duration, grouped, many, size},
};
use crate::http::HttpError;

/// How many audit events are shown.
const EVENTS: usize = 20;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    day: bool,
    since: At,
    store_size: String,
    store_healthy: Option<bool>,
    plots: Vec<Plot>,
    refusals: Vec<Refused>,
    /// `None` when they cannot be read now: the page is needed most when something is wrong.
    events: Option<Vec<Line>>,
}

/// A row of the table of refusals.
struct Refused {
    what: &'static str,
    reason: String,
    hour: String,
    day: String,
}

/// `GET /dashboard/PLACE`, of the last hour or, with `?range=day`, day.
#[handler]
pub(super) async fn show(
    request: &Request,
    Entered(stay): Entered,
    Data(dashboard): Data<&Arc<Dashboard>>,
) -> Result<Response, HttpError> {
    let history = &dashboard.history;
    let (hour, day) = (history.view(Range::Hour), history.view(Range::Day));
    let refusals = refusals(&hour, &day);
    let wants_day = request.uri().query() == Some("range=day");
    let (view, now) = (if wants_day { &day } else { &hour }, history.now());
    let events = events::list(dashboard, None, EVENTS).await;
    let events = events.inspect_err(|error| {
        tracing::warn!(event = "dashboard_incomplete", %error, "audit events cannot be read");
    });
    let overview = Overview {
        plots: plots(view, &now),
        refusals,
        events: events.ok(),
        day: wants_day,
        since: At(now.since),
        store_size: now.totals.store_bytes.map_or_else(|| "not measured yet".to_owned(), size),
        store_healthy: now.totals.store_healthy,
        frame: dashboard.frame(&stay),
    };
    Ok(page(StatusCode::OK, &overview))
}

fn plots(view: &View, now: &Now) -> Vec<Plot> {
    let minutes = f64::from(view.range.minutes());
    let span = match view.range {
        Range::Hour => "in the last hour",
        Range::Day => "in the last 24 hours",
    };
    let a_minute = |title, count: fn(&Counts) -> u64| {
        let plot =
            Plot::of(title, " a minute", view, |counts| Some(float(count(counts)) / minutes));
        plot.saying(grouped(count(&view.total)), span.to_owned())
    };
    let living = Plot::of("Living sessions", "", view, |counts| counts.living.map(float)).saying(
        now.totals.living.map_or_else(|| "–".to_owned(), grouped),
        "at the last count".to_owned(),
    );
    let commits = &view.total.commits;
    let within = commits.nearly_all_within().map_or_else(
        || "longer than all that is measured".to_owned(),
        |bound| format!("within {}", duration(bound)),
    );
    let commit = Plot::of("Commit of the store", " ms", view, |counts| {
        counts.commits.mean().map(|seconds| seconds * 1_000.0)
    });
    let commit = match commits.mean() {
        Some(mean) => commit.saying(
            duration(mean),
            format!("on average; {} {span}, 99 of 100 {within}", many(commits.count, "commit")),
        ),
        None => commit.saying("–".to_owned(), format!("no commit {span}")),
    };
    vec![
        living,
        a_minute("Visits", |counts| counts.visits),
        a_minute("Log-ins", |counts| counts.log_ins),
        commit,
    ]
}

/// The most frequent of the last day first.
fn refusals(hour: &View, day: &View) -> Vec<Refused> {
    let mut all: Vec<_> = day.total.refused.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let row = |(refusal, count): (&super::reading::Refusal, &u64)| Refused {
        what: refusal.what,
        reason: refusal.reason.clone(),
        hour: grouped(hour.total.refused.get(refusal).copied().unwrap_or_default()),
        day: grouped(*count),
    };
    all.into_iter().map(row).collect()
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures_util::FutureExt as _;
    use jiff::SignedDuration;
    use poem::{
        Endpoint,
        http::{Method, header},
    };
    use scraper::{Html, Selector};

    use super::*;
    use crate::{
        http::{History, admin, admin::OperatorToken},
        model::{
            Clock as _,
            clock::{ManualClock, from_millis},
        },
        session::testing::Fixture,
        token::KeyError,
    };

    const METRICS: &str = "\
countersign_visits_total 42
countersign_log_ins_total{result=\"ok\"} 6
countersign_log_ins_total{result=\"wrong_password\"} 9
countersign_refusals_total{reason=\"absent\"} 1200
countersign_sessions_living 1234
countersign_store_bytes 3145728
countersign_store_commit_seconds_bucket{le=\"0.005\"} 100
countersign_store_commit_seconds_bucket{le=\"+Inf\"} 100
countersign_store_commit_seconds_sum 0.25
countersign_store_commit_seconds_count 100
";

    /// The page, after these metrics took the place of those of a fresh process.
    async fn overview(metrics: &str, query: &str) -> Html {
        let clock = Arc::new(ManualClock::new(from_millis(1_790_000_000_000)));
        let history = Arc::new(History::new(clock.now()));
        history.record(clock.now(), "");
        clock.advance(SignedDuration::from_secs(90));
        history.record(clock.now(), metrics);
        let fixture = Fixture::new();
        fixture.signed_up("ann@example.com").await;
        let token = OperatorToken::new("of the operator".into());
        let rotate_keys = Box::new(|| ready(Err(KeyError::NoFiles)).boxed());
        let sessions = fixture.sessions.clone();
        let app = admin::app(sessions, token, rotate_keys, String::new, history, clock);
        let ask = async |method: Method, path: &str, name: &'static str, value: &str| {
            let request = Request::builder()
                .method(method)
                .uri_str(path)
                .header(header::HOST, "localhost")
                .header(name, value)
                .finish();
            app.get_response(request).await
        };
        let bearer = "Bearer of the operator";
        let issued = ask(Method::POST, "/codes", "authorization", bearer).await;
        let issued: serde_json::Value =
            serde_json::from_slice(&issued.into_body().into_bytes().await.unwrap()).unwrap();
        let open = format!("/dashboard/open?code={}", issued["code"].as_str().unwrap());
        let entered = ask(Method::GET, &open, "accept", "text/html").await;
        let place = entered.header(header::LOCATION).unwrap().to_owned();
        let cookie = entered.header(header::SET_COOKIE).unwrap().split(';').next().unwrap();
        let page = ask(Method::GET, &format!("{place}{query}"), "cookie", cookie).await;
        assert_eq!(page.status(), StatusCode::OK);
        Html::parse_document(&page.into_body().into_string().await.unwrap())
    }

    fn texts(page: &Html, selector: &str) -> Vec<String> {
        let found = Selector::parse(selector).unwrap();
        let text = |it: scraper::ElementRef<'_>| it.text().collect::<String>();
        page.select(&found)
            .map(|it| text(it).split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[tokio::test]
    async fn it_shows_what_the_metrics_say() {
        let page = overview(METRICS, "").await;
        assert_eq!(
            texts(&page, ".plot > p"),
            [
                "1,234 at the last count",
                "42 in the last hour",
                "6 in the last hour",
                "2.5 ms on average; 100 commits in the last hour, 99 of 100 within 5 ms",
            ]
        );
        let drawn = Selector::parse(".plot svg").unwrap();
        let labels: Vec<_> =
            page.select(&drawn).map(|svg| svg.attr("aria-label").unwrap()).collect();
        assert_eq!(labels[1], "Visits: 42 a minute at most, 42 a minute now");
        assert_eq!(
            texts(&page, "section:has(#refusals) tbody tr"),
            ["Token absent 1,200 1,200", "Log-in wrong password 9 9"]
        );
        assert!(texts(&page, ".hint")[0].starts_with("Running since 21 Sep 2026, 14:13:20;"));
        assert!(texts(&page, ".hint")[0].ends_with("Store: 3 MiB."));
        let events = texts(&page, "section:has(#events) tbody tr");
        assert!(
            events[0].contains("Logged in") && events[0].contains("ann@example.com"),
            "{events:?}"
        );
    }

    #[tokio::test]
    async fn a_day_is_ten_minutes_a_bar() {
        let page = overview(METRICS, "?range=day").await;
        let drawn = Selector::parse(".plot svg").unwrap();
        let svg: Vec<_> = page.select(&drawn).collect();
        assert_eq!(svg[1].attr("viewBox"), Some("0 0 144 100"));
        assert_eq!(
            svg[1].attr("aria-label"),
            Some("Visits: 4.2 a minute at most, 4.2 a minute now")
        );
        assert_eq!(texts(&page, ".ranges [aria-current]"), ["Last day"]);
    }

    #[tokio::test]
    async fn a_store_that_cannot_record_is_told_first() {
        let page = overview("countersign_store_healthy 0\n", "").await;
        assert!(texts(&page, "main .problem")[0].starts_with("The store cannot record"));
        let page = overview("countersign_store_healthy 1\n", "").await;
        assert_eq!(texts(&page, "main .problem"), Vec::<String>::new());
        assert_eq!(texts(&page, ".plot > p")[3], "– no commit in the last hour");
    }
}
