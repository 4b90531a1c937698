//! What a store must do, once more and as plainly as possible: two maps, no disk, no records.
//!
//! It is written from the sentences of [`Store`](countersign::store::Store), not from its code,
//! and uses none of it; of `model` it uses the types, not the rules. It must stay so: what both
//! had from one place, no test could find wrong.

mod succession;
mod variables;
mod visit;

use std::collections::BTreeMap;

use countersign::{
    model::{
        Account, AccountId, AccountState, AttemptKey, Attempts, AuditEvent, AuditKind, Email,
        PasswordHash, Role, Session, SessionId, Succession, Timestamp,
    },
    store::{
        Created, EmailChange, FoundAccounts, PasswordChange,
        redis::{SHARDS, shard_of},
    },
};

use super::operation::{Answer, Operation, PasswordUpdate};

/// The name of a session in the store: no account has another's.
pub(crate) type Key = (AccountId, SessionId);

/// Where a sweep goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Session(Key),
    Attempts(AttemptKey),
}

/// A store as it ought to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    accounts: BTreeMap<AccountId, Owner>,
    /// Those that have neither ended nor been swept; they may be over.
    sessions: BTreeMap<Key, Kept>,
    /// Those that have not been swept yet. No two of these keys share a place.
    attempts: BTreeMap<AttemptKey, Attempts>,
    /// What happened, if that is kept: of each shard, what changed something, and the rest.
    events: Option<Vec<[Vec<AuditEvent>; 2]>>,
    /// Whether it lies in shards. That shows in the order of events and in that of a sweep.
    in_shards: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    account: Account,
    /// Visits over all sessions there ever were.
    visits: u64,
    /// How many were counted on each day, in days after 1970-01-01.
    days: BTreeMap<i32, u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    session: Session,
    /// Ended together with everybody's, and not swept yet.
    dead: bool,
    /// What an app keeps in it.
    variables: BTreeMap<String, Vec<u8>>,
}

impl Kept {
    fn lives(&self, now: Timestamp) -> bool {
        !self.dead && now < self.session.expires_at && now < self.session.idle_expires_at
    }
}

impl Model {
    /// One that keeps what happened, too.
    pub(crate) fn with_events() -> Self {
        Self { events: Some(vec![Default::default()]), ..Self::default() }
    }

    /// The same, in shards.
    pub(crate) fn in_shards() -> Self {
        let events = vec![Default::default(); SHARDS];
        Self { events: Some(events), in_shards: true, ..Self::default() }
    }

    fn shard(&self, name: &[u8]) -> usize {
        if self.in_shards { shard_of(name) } else { 0 }
    }

    /// Where a place is in a sweep.
    fn turn(&self, place: Place) -> (usize, Place) {
        let shard = match place {
            Place::Session((account, _)) => self.shard(account.as_bytes()),
            Place::Attempts(key) => self.shard(&key.as_bytes()[..2]),
        };
        (shard, place)
    }

    /// Does it, writes it down, and answers.
    pub(crate) fn answer(&mut self, operation: &Operation) -> Answer {
        let before = match operation {
            Operation::SetState(id, _) | Operation::SetRole(id, _) => {
                self.accounts.get(id).map(|owner| (owner.account.state, owner.account.role))
            }
            _ => None,
        };
        let answer = self.work(operation);
        let is_news = |event: &AuditEvent| match operation {
            Operation::SetState(_, state) => {
                before.is_none_or(|(was, _)| was != *state) || event.ended > 0
            }
            Operation::SetRole(_, role) => before.is_none_or(|(_, was)| was != *role),
            _ => true,
        };
        if let Some(event) = operation.event(&answer).filter(is_news) {
            let shard = match (operation, event.account) {
                (Operation::CountAttempt(keys, ..), _) => self.shard(&keys[0].as_bytes()[..2]),
                (_, Some(account)) => self.shard(account.as_bytes()),
                (_, None) => 0,
            };
            let Some([changes, others]) = self.events.as_mut().map(|events| &mut events[shard])
            else {
                return answer;
            };
            let is_refusal = event.what == AuditKind::LogInRefused;
            if is_refusal { others.push(event) } else { changes.push(event) }
        }
        answer
    }

    /// The latest first, by their time.
    fn list(&self, account: Option<AccountId>) -> Vec<AuditEvent> {
        let mut trails = self.events.clone().unwrap_or_default().concat();
        let mut events = Vec::new();
        loop {
            let latest = trails.iter().filter_map(|trail| trail.last()).map(|event| event.at).max();
            let first = trails.iter_mut().find(|trail| trail.last().map(|it| it.at) == latest);
            match first.and_then(Vec::pop) {
                Some(event) if account.is_none_or(|id| event.account == Some(id)) => {
                    events.push(event);
                }
                Some(_) => {}
                None => return events,
            }
        }
    }

    fn work(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::CreateAccount(account) => Answer::WhetherDone(self.join(account)),
            Operation::FindAccount(id) => {
                Answer::Account(self.accounts.get(id).map(|owner| owner.account.clone()))
            }
            Operation::FindByEmail(email) => {
                Answer::Account(self.people().into_iter().find(|person| person.email == *email))
            }
            Operation::SearchAccounts { part, after, limit } => {
                Answer::Found(self.search(part, after.as_ref(), *limit))
            }
            Operation::SetRole(id, role) => Answer::EndedIfThere(self.set_role(*id, *role)),
            Operation::SetState(id, state) => Answer::EndedIfThere(self.set_state(*id, *state)),
            Operation::RemoveAccount(id) => {
                let ended = self.accounts.remove(id).map(|_| self.end_all(*id, None));
                Answer::EndedIfThere(ended)
            }
            Operation::CloseAccount(id, by, now) => {
                let owner = self.lives((*id, *by), *now).then(|| self.accounts.remove(id));
                Answer::EndedIfThere(owner.flatten().map(|_| self.end_all(*id, None)))
            }
            Operation::ChangePassword(id, update, goes_on) => {
                self.change_password(*id, update, goes_on.as_ref())
            }
            Operation::ChangeEmail(id, new, goes_on) => self.change_email(*id, new, goes_on),
            Operation::Reauthenticate(id, checked, succession) => {
                if self.lets_in(*id, checked) {
                    succession::succeed(self, *id, succession)
                        .map_or(Answer::Refused, Answer::Session)
                } else {
                    Answer::Session(None)
                }
            }
            Operation::Rehash(id, checked, new) => {
                Answer::WhetherDone(self.rehash(*id, checked, new))
            }
            Operation::TotalVisits(id) => {
                Answer::Visits(self.accounts.get(id).map_or(0, |owner| owner.visits))
            }
            Operation::VisitDays(id) => {
                let mut days =
                    self.accounts.get(id).map_or_else(BTreeMap::new, |it| it.days.clone());
                let latest = days.keys().next_back().copied().unwrap_or(0);
                days.retain(|day, _| *day + 14 > latest);
                Answer::VisitDays(days)
            }
            Operation::CreateSession { session, checked, limit } => {
                self.log_in(session, checked, *limit)
            }
            Operation::FindSession(account, id, now) => {
                let found = self.living(*account, *now).into_iter().find(|one| one.id == *id);
                Answer::Session(found)
            }
            Operation::ListSessions(account, now) => Answer::Sessions(self.living(*account, *now)),
            Operation::FindVariables(id, sid, now) => variables::find(self, (*id, *sid), *now),
            Operation::ChangeVariable(account, id, name, value, now) => {
                variables::change(self, (*account, *id), name, value.as_ref(), *now)
            }
            Operation::Visit(visit) => Answer::Visited(self.visit(visit)),
            Operation::Renew(account, id, now, idle) => {
                let kept = self.sessions.get_mut(&(*account, *id)).filter(|kept| kept.lives(*now));
                Answer::Session(kept.map(|kept| {
                    visit::use_session(&mut kept.session, *now, *idle);
                    kept.session.clone()
                }))
            }
            Operation::Revoke(account, id, now) => {
                Answer::WhetherDone(self.revoke((*account, *id), *now))
            }
            Operation::RevokeCopied(account, id, now) => {
                let revoked = self.revoke((*account, *id), *now);
                if revoked {
                    self.note_copy(*account, *now);
                }
                Answer::WhetherDone(revoked)
            }
            Operation::RevokeOthers(account, keep, now) => {
                Answer::Ended(self.revoke_others(*account, *keep, *now))
            }
            Operation::RevokeAllOf(id) => self.end_everybodys(Some(*id)),
            Operation::RevokeAll => self.end_everybodys(None),
            Operation::CountAttempt(keys, window, now) => {
                self.count_attempt(keys, Attempts { count: 0, until: *now + *window }, *now);
                Answer::Done
            }
            Operation::ForgetAttempts(key) => {
                self.attempts.remove(key);
                Answer::Done
            }
            Operation::FindAttempts(keys, now) => Answer::Attempts(self.find_attempts(keys, *now)),
            Operation::ListEvents { account, .. } => Answer::Events(self.list(*account)),
            Operation::Ping => Answer::Done,
        }
    }

    /// As far as it is about one account, if there is one.
    fn end_everybodys(&mut self, only: Option<AccountId>) -> Answer {
        for ((account, _), kept) in &mut self.sessions {
            kept.dead |= only.is_none_or(|only| only == *account);
        }
        Answer::Done
    }

    fn find_attempts(&self, keys: &[AttemptKey], now: Timestamp) -> Vec<Attempts> {
        let none = Attempts { count: 0, until: now };
        let kept = |key| self.attempts.get(key).filter(|found| now < found.until);
        keys.iter().map(|key| *kept(key).unwrap_or(&none)).collect()
    }

    fn count_attempt(&mut self, keys: &[AttemptKey], first: Attempts, now: Timestamp) {
        for key in keys {
            let attempts = self.attempts.entry(*key).or_insert(first);
            if now >= attempts.until {
                *attempts = first;
            }
            attempts.count += 1;
        }
    }

    /// Removes the dead among the `budget` sessions and attempts from `from` on. How many sessions,
    /// and where to go on.
    ///
    /// The order is that of accounts and their sessions, and then that of attempts by their keys, in
    /// one shard after the other, which no sentence promises: a store that sweeps in another one needs another model of its
    /// sweep.
    pub(crate) fn sweep(
        &mut self,
        from: Option<Place>,
        budget: usize,
        now: Timestamp,
    ) -> (u64, Option<Place>) {
        let sessions = self.sessions.keys().copied().map(Place::Session);
        let mut places: Vec<_> =
            sessions.chain(self.attempts.keys().copied().map(Place::Attempts)).collect();
        places.retain(|place| from.is_none_or(|from| self.turn(*place) >= self.turn(from)));
        places.sort_by_key(|place| self.turn(*place));
        let next = places.get(budget).copied();
        places.truncate(budget);
        let mut removed = 0;
        for place in places {
            match place {
                Place::Session(key) if !self.sessions[&key].lives(now) => {
                    self.sessions.remove(&key);
                    removed += 1;
                }
                Place::Attempts(key) if now >= self.attempts[&key].until => {
                    self.attempts.remove(&key);
                }
                Place::Session(_) | Place::Attempts(_) => {}
            }
        }
        (removed, next)
    }

    /// All sessions that are kept, also those that are over.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.sessions.keys().copied().collect()
    }

    /// A session that is kept, although it may be over.
    pub(crate) fn kept(&self, key: Key) -> Option<&Session> {
        self.sessions.get(&key).map(|kept| &kept.session)
    }

    /// The living session that an app keeps most in.
    pub(crate) fn fullest(&self, now: Timestamp) -> Option<Key> {
        let living = self.sessions.iter().filter(|(_, kept)| kept.lives(now));
        living.max_by_key(|(_, kept)| kept.variables.len()).map(|(key, _)| *key)
    }

    /// Whether a session is there and not over.
    pub(crate) fn lives(&self, key: Key, now: Timestamp) -> bool {
        self.sessions.get(&key).is_some_and(|kept| kept.lives(now))
    }

    /// All accounts.
    pub(crate) fn people(&self) -> Vec<Account> {
        self.accounts.values().map(|owner| owner.account.clone()).collect()
    }

    fn join(&mut self, account: &Account) -> bool {
        let taken = |other: &Account| other.id == account.id || other.email == account.email;
        if self.people().iter().any(taken) {
            return false;
        }
        self.accounts.insert(
            account.id,
            Owner { account: account.clone(), visits: 0, days: BTreeMap::new() },
        );
        true
    }

    fn rehash(&mut self, id: AccountId, checked: &PasswordHash, new: &PasswordHash) -> bool {
        let owner = self.accounts.get_mut(&id);
        let owner = owner.filter(|owner| owner.account.password == *checked);
        owner.map(|owner| owner.account.password = new.clone()).is_some()
    }

    /// By their e-mails.
    fn people_after(&self, after: Option<&Email>) -> Vec<Account> {
        let mut people = self.people();
        people.retain(|person| after.is_none_or(|after| person.email > *after));
        people.sort_by(|one, other| one.email.cmp(&other.email));
        people
    }

    /// So few are here that all are looked at, and it stops where it has enough.
    fn search(&self, part: &str, after: Option<&Email>, limit: usize) -> FoundAccounts {
        let mut accounts = self.people_after(after);
        let last = accounts.last().map(|person| person.email.clone());
        accounts.retain(|person| person.email.as_str().contains(part));
        accounts.truncate(limit);
        let stop = accounts.get(limit - 1).map(|person| person.email.clone());
        let next = stop.filter(|stop| Some(stop) != last.as_ref());
        FoundAccounts { accounts, next }
    }

    fn set_role(&mut self, id: AccountId, role: Role) -> Option<u64> {
        let account = &mut self.accounts.get_mut(&id)?.account;
        let before = std::mem::replace(&mut account.role, role);
        let gains = before == Role::Member && role == Role::Admin;
        Some(if gains { self.end_all(id, None) } else { 0 })
    }

    fn set_state(&mut self, id: AccountId, state: AccountState) -> Option<u64> {
        self.accounts.get_mut(&id)?.account.state = state;
        Some(if state == AccountState::Disabled { self.end_all(id, None) } else { 0 })
    }

    fn change_password(
        &mut self,
        id: AccountId,
        update: &PasswordUpdate,
        goes_on: Option<&Succession>,
    ) -> Answer {
        let lost = Answer::PasswordChange(PasswordChange::AccountChanged);
        let may = update.checked.as_ref().is_none_or(|checked| self.lets_in(id, checked));
        if !may || !self.accounts.contains_key(&id) {
            return lost;
        }
        let session = match goes_on.map(|goes_on| succession::succeed(self, id, goes_on)) {
            None => None,
            Some(Some(Some(session))) => Some(session),
            Some(Some(None)) => return lost,
            Some(None) => return Answer::Refused,
        };
        if let Some(owner) = self.accounts.get_mut(&id) {
            owner.account.password = update.new.clone();
        }
        let ended = self.end_all(id, session.as_ref().map(|session| session.id));
        Answer::PasswordChange(PasswordChange::Changed { ended, session })
    }

    fn change_email(&mut self, id: AccountId, new: &Email, goes_on: &Succession) -> Answer {
        let is_active = |owner: &Owner| owner.account.state == AccountState::Active;
        let may = self.accounts.get(&id).is_some_and(is_active)
            && self.lives((id, goes_on.from), goes_on.now);
        if !may {
            return Answer::EmailChange(EmailChange::AccountChanged);
        }
        if self.people().iter().any(|other| other.id != id && other.email == *new) {
            return Answer::EmailChange(EmailChange::Taken);
        }
        let Some(Some(session)) = succession::succeed(self, id, goes_on) else {
            return Answer::Refused;
        };
        if let Some(owner) = self.accounts.get_mut(&id) {
            owner.account.email = new.clone();
        }
        let ended = self.end_all(id, Some(session.id));
        Answer::EmailChange(EmailChange::Changed { ended, session })
    }

    fn log_in(&mut self, session: &Session, checked: &PasswordHash, limit: usize) -> Answer {
        let id = session.account;
        if !self.lets_in(id, checked) {
            return Answer::Created(Created::AccountChanged);
        }
        if self.sessions.contains_key(&(id, session.id)) {
            return Answer::Refused;
        }
        let mut ended = Vec::new();
        let mut before = self.living(id, session.created_at);
        while !before.is_empty() && before.len() + 1 > limit {
            let oldest = before.remove(0).id;
            self.sessions.remove(&(id, oldest));
            ended.push(oldest);
        }
        let mut session = session.clone();
        if let Some(owner) = self.accounts.get_mut(&id)
            && let Some(copied_at) = owner.account.copied_at.take()
        {
            session.copied_at = Some(copied_at);
        }
        let variables = BTreeMap::new();
        let kept = Kept { session: session.clone(), dead: false, variables };
        self.sessions.insert((id, session.id), kept);
        Answer::Created(Created::Added { session, ended })
    }

    /// Whether a person who proved to know the password may come in.
    fn lets_in(&self, id: AccountId, checked: &PasswordHash) -> bool {
        self.accounts.get(&id).is_some_and(|Owner { account, .. }| {
            account.state == AccountState::Active && account.password == *checked
        })
    }

    fn note_copy(&mut self, id: AccountId, now: Timestamp) {
        if let Some(owner) = self.accounts.get_mut(&id) {
            owner.account.copied_at = Some(now);
        }
    }

    fn revoke_others(&mut self, id: AccountId, keep: Option<SessionId>, now: Timestamp) -> u64 {
        let mut ended = self.living(id, now);
        ended.retain(|session| Some(session.id) != keep);
        for session in &ended {
            self.sessions.remove(&(id, session.id));
        }
        ended.len() as u64
    }

    fn revoke(&mut self, key: Key, now: Timestamp) -> bool {
        self.lives(key, now) && self.sessions.remove(&key).is_some()
    }

    /// Ends all of an account but one, and tells how many: also those that were over by time, for
    /// there is no moment here to tell them by.
    fn end_all(&mut self, id: AccountId, keep: Option<SessionId>) -> u64 {
        let ends = |key: &Key| key.0 == id && Some(key.1) != keep;
        let ended = self.sessions.iter().filter(|(key, kept)| ends(key) && !kept.dead).count();
        self.sessions.retain(|key, _| !ends(key));
        ended as u64
    }

    /// The living sessions of an account, oldest first.
    fn living(&self, id: AccountId, now: Timestamp) -> Vec<Session> {
        let kept = self.sessions.values().filter(|kept| kept.lives(now));
        let mut living: Vec<Session> =
            kept.map(|kept| &kept.session).filter(|s| s.account == id).cloned().collect();
        living.sort_by_key(|session| (session.created_at, session.id));
        living
    }
}
