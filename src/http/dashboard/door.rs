//! Who may see the dashboard: whoever can read the data directory, for as long as a working day.
//!
//! A browser cannot send the operator's token by itself, so the command line asks for a *code* with
//! it. The code opens the door once, soon after, and is exchanged for a *stay*: a cookie that only
//! the dashboard is sent, and a token that its forms carry. All of them are random, and kept in
//! memory alone: a restart ends every stay.
//!
//! Cookies do not tell ports apart (RFC 6265 section 8.5): whatever else listens on this machine
//! would be sent the operator's. So each stay has a *place* of its own in the path, which nobody
//! else can guess, and its cookie is for that path alone.

use std::sync::Arc;

use jiff::SignedDuration;
use parking_lot::Mutex;

use crate::{
    http::{Code, HttpError, admin::OperatorToken},
    model::{Clock, Timestamp, clock::later},
};

/// How long a code waits for its browser.
const CODE_LASTS: SignedDuration = SignedDuration::from_mins(2);

/// How long a stay lasts, used or not.
const STAY_LASTS: SignedDuration = SignedDuration::from_hours(8);

/// The most codes and stays at a time; one more takes the place of the oldest.
const MOST: usize = 16;

/// Lets browsers in.
pub(super) struct Door {
    clock: Arc<dyn Clock>,
    behind: Mutex<Behind>,
}

#[derive(Default)]
struct Behind {
    codes: Vec<Waiting>,
    stays: Vec<Stay>,
}

struct Waiting {
    code: OperatorToken,
    ends: Timestamp,
}

/// A browser that was let in.
#[derive(Clone)]
pub(super) struct Stay {
    /// Where it is, in the path.
    pub(super) place: OperatorToken,
    /// What its cookie says.
    pub(super) cookie: OperatorToken,
    /// What its forms say: another site cannot know it.
    pub(super) form: OperatorToken,
    ends: Timestamp,
    /// What was just done, to be shown once.
    told: Option<String>,
}

impl Door {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, behind: Mutex::default() }
    }

    /// A code that opens the door once.
    pub(super) fn code(&self) -> Result<OperatorToken, HttpError> {
        let code = random()?;
        let ends = later(self.clock.now(), CODE_LASTS);
        let mut behind = self.behind();
        make_room(&mut behind.codes);
        behind.codes.push(Waiting { code: code.clone(), ends });
        Ok(code)
    }

    /// Lets in who shows a code. It is used up by that.
    pub(super) fn enter(&self, shown: &str) -> Result<Option<Stay>, HttpError> {
        let stay = Stay {
            place: random()?,
            cookie: random()?,
            form: random()?,
            ends: later(self.clock.now(), STAY_LASTS),
            told: None,
        };
        let mut behind = self.behind();
        let Some(at) = behind.codes.iter().position(|waiting| waiting.code.is(shown)) else {
            return Ok(None);
        };
        behind.codes.remove(at);
        make_room(&mut behind.stays);
        behind.stays.push(stay.clone());
        Ok(Some(stay))
    }

    /// The stay at this place, if that is its cookie.
    pub(super) fn find(&self, place: &str, cookie: &str) -> Option<Stay> {
        let behind = self.behind();
        behind.stays.iter().find(|stay| stay.place.is(place) && stay.cookie.is(cookie)).cloned()
    }

    /// Ends a stay.
    pub(super) fn leave(&self, stay: &Stay) {
        self.behind().stays.retain(|other| !other.place.is(stay.place.expose()));
    }

    /// Keeps what was done, for the page that the browser is led to next.
    pub(super) fn tell(&self, stay: &Stay, sentence: String) {
        let mut behind = self.behind();
        if let Some(stay) =
            behind.stays.iter_mut().find(|other| other.place.is(stay.place.expose()))
        {
            stay.told = Some(sentence);
        }
    }

    /// What was done, once.
    pub(super) fn told(&self, stay: &Stay) -> Option<String> {
        let mut behind = self.behind();
        let mut stays = behind.stays.iter_mut();
        stays.find(|other| other.place.is(stay.place.expose()))?.told.take()
    }

    /// What is behind the door and not over.
    fn behind(&self) -> parking_lot::MutexGuard<'_, Behind> {
        let now = self.clock.now();
        let mut behind = self.behind.lock();
        behind.codes.retain(|waiting| waiting.ends > now);
        behind.stays.retain(|stay| stay.ends > now);
        behind
    }
}

fn random() -> Result<OperatorToken, HttpError> {
    OperatorToken::random().map_err(|error| HttpError::caused_by(Code::Internal, &error))
}

fn make_room<T>(all: &mut Vec<T>) {
    if all.len() >= MOST {
        all.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::{ManualClock, from_millis};

    fn door() -> (Door, ManualClock) {
        let clock = ManualClock::new(from_millis(1_790_000_000_000));
        (Door::new(Arc::new(clock.clone())), clock)
    }

    fn enter(door: &Door) -> Stay {
        let code = door.code().unwrap();
        door.enter(code.expose()).unwrap().expect("a good code")
    }

    #[test]
    fn a_code_opens_once_and_soon() {
        let (door, clock) = door();
        let code = door.code().unwrap();
        assert!(door.enter("").unwrap().is_none());
        assert!(door.enter(&code.expose()[1..]).unwrap().is_none());
        assert!(door.enter(code.expose()).unwrap().is_some());
        assert!(door.enter(code.expose()).unwrap().is_none(), "twice");

        let late = door.code().unwrap();
        clock.advance(CODE_LASTS);
        assert!(door.enter(late.expose()).unwrap().is_none(), "late");
    }

    #[test]
    fn a_stay_is_its_place_and_its_cookie_until_it_ends() {
        let (door, clock) = door();
        let (one, other) = (enter(&door), enter(&door));
        let finds = |place: &OperatorToken, cookie: &OperatorToken| {
            door.find(place.expose(), cookie.expose()).is_some()
        };
        assert!(finds(&one.place, &one.cookie) && finds(&other.place, &other.cookie));
        assert!(!finds(&one.place, &other.cookie), "each place has its own");
        assert!(!finds(&other.place, &one.cookie));
        assert!(!finds(&one.place, &one.form) && !finds(&one.cookie, &one.cookie));
        assert!(door.find("", "").is_none());

        door.leave(&one);
        assert!(!finds(&one.place, &one.cookie));
        assert!(finds(&other.place, &other.cookie), "the other one stays");
        clock.advance(STAY_LASTS);
        assert!(!finds(&other.place, &other.cookie), "also if it is used all the time");
    }

    #[test]
    fn there_are_only_so_many() {
        let (door, _clock) = door();
        let first = door.code().unwrap();
        let stays: Vec<_> = (0..=MOST).map(|_| enter(&door)).collect();
        let is_here = |stay: &Stay| door.find(stay.place.expose(), stay.cookie.expose()).is_some();
        assert!(!is_here(&stays[0]) && stays[1..].iter().all(is_here));
        for _ in 0..MOST {
            door.code().unwrap();
        }
        assert!(door.enter(first.expose()).unwrap().is_none());
    }

    #[test]
    fn what_was_done_is_told_once_and_to_who_did_it() {
        let (door, _clock) = door();
        let (one, other) = (enter(&door), enter(&door));
        door.tell(&one, "It is done.".into());
        assert_eq!(door.told(&other), None);
        assert_eq!(door.told(&one).as_deref(), Some("It is done."));
        assert_eq!(door.told(&one), None);
    }
}
