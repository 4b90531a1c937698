//! What is known of the request that a handler works on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use poem::{Request, http::Method};

use crate::{
    http::{Code, HttpError, Site, csrf, session_cookie::CookieSlot},
    session::{Credential, Error, Sessions, SignedIn},
};

/// A request inside of the middleware.
pub(super) struct Arrived {
    pub(super) site: Arc<Site>,
    pub(super) slot: CookieSlot,
    /// Whether a visit counts: neither `HEAD` nor a browser that asks ahead of its user.
    pub(super) counts: bool,
    /// Whether it may log in and out: a `GET` that another site's link or a prefetch made may not.
    deliberate: bool,
    signed_in: Mutex<Option<Held>>,
    asked: AtomicBool,
}

/// A living session, and the token that was handed out for it last, also within this request.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) who: SignedIn,
    pub(super) latest: Arc<Mutex<Latest>>,
}

pub(super) struct Latest {
    pub(super) shown: Credential,
    pub(super) visits: u64,
}

impl Held {
    pub(super) fn new(who: SignedIn, shown: Credential) -> Self {
        let visits = who.session.visits;
        Self { who, latest: Arc::new(Mutex::new(Latest { shown, visits })) }
    }
}

impl Arrived {
    /// Looks at who asks.
    ///
    /// Before the handler, and not when it asks for it: poem's `Option<T>` makes `None` of every
    /// error, and a store that cannot tell must not make nobody of somebody.
    pub(super) async fn of(
        request: &Request,
        site: &Arc<Site>,
        slot: &CookieSlot,
    ) -> Result<Arc<Self>, HttpError> {
        csrf::check(request, &site.public_url)?;
        let signed_in = match site.shown_cookie(request)? {
            None => None,
            Some(shown) => match site.sessions.authenticate(&shown).await {
                Ok(who) => Some(Held::new(who, shown)),
                Err(Error::NotSignedIn(_)) => None,
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Arc::new(Self {
            site: Arc::clone(site),
            slot: slot.clone(),
            counts: request.method() != Method::HEAD && !csrf::is_prefetch(request),
            // What is not safe was checked above.
            deliberate: !csrf::is_safe(request.method())
                || csrf::is_deliberate(request, &site.public_url),
            signed_in: Mutex::new(signed_in),
            asked: AtomicBool::new(false),
        }))
    }

    /// The one that the middleware made; a handler asks for a session.
    pub(super) fn asked(request: &Request) -> Result<(&Arc<Self>, Asked), HttpError> {
        let Some(arrived) = request.data::<Arc<Self>>() else {
            const MISSING: &str = "a route that takes a session stands outside of the middleware";
            // Nobody else would tell: the middleware is what logs errors.
            tracing::error!(event = "request_failed", cause = MISSING, "request failed");
            return Err(Code::Internal.into());
        };
        let before = arrived.asked.swap(true, Ordering::Relaxed);
        Ok((arrived, if before { Asked::Again } else { Asked::First }))
    }

    /// Whether a handler asked for a session, so that the answer is for one person alone.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.site.sessions
    }

    pub(super) fn held(&self) -> Option<Held> {
        self.signed_in.lock().clone()
    }

    /// From now on somebody else is signed in, or nobody.
    pub(super) fn hold(&self, held: Option<Held>) {
        *self.signed_in.lock() = held;
    }

    /// Refuses to log in or out when nobody meant to.
    pub(super) fn check_deliberate(&self) -> Result<(), HttpError> {
        if self.deliberate { Ok(()) } else { Err(Code::CrossSite.into()) }
    }
}

/// How often a session was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    First,
    Again,
}
