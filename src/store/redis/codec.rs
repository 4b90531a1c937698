//! What functions are given and what they answer, to and from the words of the model.
//!
//! Moments are milliseconds. Lua counts in doubles: a number that it would round is refused here.

use ::redis::{Cmd, Value};
use jiff::SignedDuration;

use super::record;
use crate::{
    model::{
        Account, AccountId, AccountState, AuditEvent, AuditKind, AuditTrail, Email, PasswordHash,
        Role, Session, SessionId, Succession, Timestamp, Transport, Variables, VisitDays,
        clock::{from_millis, later},
        session::{Chain, ReplayPolicy},
    },
    store::{
        AuditBounds, Result, StoreError, Visit,
        records::{self, EVENTS_IN_PAGE, SessionRecord, damaged},
    },
};

/// The largest number of which Lua knows the next one.
const MOST: u64 = (1 << 53) - 1;

/// A number that Lua can count on from.
pub(super) fn exact(kind: &'static str, number: u64) -> Result<u64> {
    if number < MOST { Ok(number) } else { Err(damaged(kind, "it has a number beyond 2^53")) }
}

pub(super) fn millis(moment: Timestamp) -> i64 {
    moment.as_millisecond()
}

/// Nothing is empty.
fn optional(moment: Option<Timestamp>) -> String {
    moment.map(|at| millis(at).to_string()).unwrap_or_default()
}

/// A duration in milliseconds, half ones included.
fn exact_millis(duration: SignedDuration) -> f64 {
    duration.as_millis_f64()
}

pub(super) const fn letter(trail: AuditTrail) -> &'static str {
    match trail {
        AuditTrail::Changes => "c",
        AuditTrail::Others => "o",
    }
}

pub(super) const fn state(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "a",
        AccountState::Disabled => "d",
    }
}

pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Member => "m",
        Role::Admin => "a",
    }
}

pub(super) const fn transport(transport: Transport) -> u8 {
    match transport {
        Transport::Cookie => 0,
        Transport::Bearer => 1,
    }
}

/// How many pages of a trail are kept.
pub(super) fn pages(bounds: AuditBounds) -> u64 {
    (bounds.most / EVENTS_IN_PAGE).max(1)
}

/// How long a page lives after its last event. What is listed is decided by the moments of the
/// events; this only clears away.
pub(super) fn page_life(bounds: AuditBounds) -> i64 {
    i64::try_from(bounds.keep.as_millis()).unwrap_or(i64::MAX).clamp(0, 1 << 50)
}

/// Adds an account: seven arguments, with its id.
pub(super) fn add_account(command: &mut Cmd, account: &Account) {
    command
        .arg(account.id.as_bytes())
        .arg(account.email.as_str())
        .arg(account.password.as_str())
        .arg(state(account.state))
        .arg(role(account.role))
        .arg(millis(account.created_at))
        .arg(optional(account.copied_at));
}

/// Adds visits by the day: one argument.
pub(super) fn add_days(command: &mut Cmd, days: &VisitDays) {
    let (latest, counts) = days.parts();
    let mut words = vec![latest.to_string()];
    words.extend(counts.iter().map(u32::to_string));
    command.arg(words.join(" "));
}

/// Adds what stands in a session: fourteen arguments, without the ids and its days.
pub(super) fn add_session(command: &mut Cmd, session: &Session, epoch: u64) -> Result<()> {
    let Chain { number, at, left, left_at } = session.chain;
    command
        .arg(exact("epoch", epoch)?)
        .arg(millis(session.created_at))
        .arg(millis(session.expires_at))
        .arg(millis(session.idle_expires_at))
        .arg(millis(session.last_seen_at))
        .arg(exact("session", session.visits)?)
        .arg(exact("session", number)?)
        .arg(millis(at))
        .arg(exact("session", left)?)
        .arg(millis(left_at))
        .arg(u8::from(session.remember))
        .arg(transport(session.transport))
        .arg(records::shortened(&session.user_agent))
        .arg(optional(session.copied_at));
    Ok(())
}

/// What a session is looked up by: an item of `session`, as `struct` in Lua reads it.
pub(super) fn check(account: AccountId, id: SessionId, now: Timestamp) -> [u8; 40] {
    let mut item = [0; 40];
    item[..16].copy_from_slice(account.as_bytes());
    item[16..32].copy_from_slice(id.as_bytes());
    item[32..].copy_from_slice(&millis(now).to_le_bytes());
    item
}

/// What a visit is judged and counted by: an item of `visit`, as `struct` in Lua reads it, and behind
/// that the event that it is if it is a copy's.
pub(super) fn visit(visit: &Visit) -> Result<Vec<u8>> {
    let Visit { token, now, lifetimes, replay, .. } = visit;
    let end = |time| millis(later(*now, time)).to_le_bytes();
    let numbers = [
        millis(*now).to_le_bytes(),
        u64::from(transport(visit.transport)).to_le_bytes(),
        exact("session", token.visits)?.to_le_bytes(),
        exact("session", token.prev)?.to_le_bytes(),
        millis(later(token.issued_at, replay.grace)).to_le_bytes(),
        exact_millis(replay.grace).to_le_bytes(),
        end(lifetimes.idle),
        end(lifetimes.remember_idle),
    ];
    let policy = match replay.policy {
        ReplayPolicy::Revoke => b'v',
        ReplayPolicy::Refuse => b'f',
        ReplayPolicy::Ignore => b'i',
    };
    let event = visit.copy_found().about(token.account).of_session(token.session);
    let event = records::encode_event(&event)?;
    let ids = [*token.account.as_bytes(), *token.session.as_bytes()];
    Ok([ids.as_flattened(), numbers.as_flattened(), &[policy], &event].concat())
}

/// Adds the trail of the events of `visit`, and its bounds: three arguments.
pub(super) fn add_trail_of_copies(command: &mut Cmd, bounds: AuditBounds) {
    command.arg(letter(AuditKind::CopyFound.trail())).arg(pages(bounds)).arg(page_life(bounds));
}

/// What became of each item of a function that takes many: what is wrong with one of them is its
/// alone, told as an array of nothing and a sentence.
pub(super) fn of_items(answer: Result<Value>, count: usize) -> Vec<Result<Value>> {
    let all = match answer {
        Ok(Value::Array(items)) if items.len() == count => Ok(items),
        Ok(_) => Err(other("session")),
        Err(error) => Err(error),
    };
    match all {
        Ok(items) => items.into_iter().map(of_item).collect(),
        Err(error) => vec![Err(error); count],
    }
}

fn of_item(item: Value) -> Result<Value> {
    match item {
        Value::Array(parts) if parts.first() == Some(&Value::Nil) => {
            let why = bytes("session", parts.into_iter().nth(1).unwrap_or(Value::Nil))?;
            let why = String::from_utf8_lossy(&why);
            Err(StoreError::Unavailable(format!("Redis: {why}")))
        }
        item => Ok(item),
    }
}

/// Adds a succession: eight arguments.
pub(super) fn add_succession(command: &mut Cmd, succession: &Succession) {
    let Succession { from, to, now, lifetimes, authenticated } = succession;
    let end = |time| millis(later(*now, time));
    command
        .arg(from.as_bytes())
        .arg(to.as_bytes())
        .arg(millis(*now))
        .arg(u8::from(*authenticated))
        .arg(end(lifetimes.absolute))
        .arg(end(lifetimes.remember_absolute))
        .arg(end(lifetimes.idle))
        .arg(end(lifetimes.remember_idle));
}

/// Adds eight arguments where none goes on.
pub(super) fn add_no_succession(command: &mut Cmd) {
    for _ in 0..8 {
        command.arg("");
    }
}

/// Adds an event: five arguments. How many sessions ended, the function knows.
pub(super) fn add_event(command: &mut Cmd, event: &AuditEvent, bounds: AuditBounds) -> Result<()> {
    command
        .arg(letter(event.what.trail()))
        .arg(pages(bounds))
        .arg(page_life(bounds))
        .arg(millis(event.at))
        .arg(records::encode_event(&event.ending(0))?);
    Ok(())
}

/// Adds five arguments where there is no event.
pub(super) fn add_no_event(command: &mut Cmd) {
    for _ in 0..5 {
        command.arg("");
    }
}

/// An event as it is kept, see `audit.lua`.
pub(super) fn kept_event(event: &AuditEvent) -> Result<Vec<u8>> {
    let mut kept = format!("{} {} ", millis(event.at), event.ended).into_bytes();
    kept.extend(records::encode_event(&event.ending(0))?);
    Ok(kept)
}

pub(super) fn event(kept: &[u8]) -> Result<AuditEvent> {
    let mut parts = kept.splitn(3, |byte| *byte == b' ').skip(1);
    let ended = parts.next().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let (Some(ended), Some(rest)) = (ended, parts.next()) else {
        return Err(damaged("audit", "it has another form"));
    };
    Ok(records::decode_event(rest)?.ending(ended))
}

/// A part of an answer that has another form than it must have.
pub(super) fn other(kind: &'static str) -> StoreError {
    damaged(kind, "what Redis answers has another form")
}

/// The parts of an answer, one after the other.
pub(super) struct Parts {
    kind: &'static str,
    parts: std::vec::IntoIter<Value>,
}

impl Parts {
    pub(super) fn of(kind: &'static str, answer: Value) -> Result<Self> {
        match answer {
            Value::Array(parts) => Ok(Self { kind, parts: parts.into_iter() }),
            _ => Err(other(kind)),
        }
    }

    /// The next one; an answer may be cut off behind its last that is not nothing.
    pub(super) fn next(&mut self) -> Value {
        self.parts.next().unwrap_or(Value::Nil)
    }

    pub(super) fn number(&mut self) -> Result<i64> {
        number(self.kind, &self.next())
    }

    /// One that is not below zero.
    pub(super) fn count(&mut self) -> Result<u64> {
        u64::try_from(self.number()?).map_err(|_| other(self.kind))
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>> {
        bytes(self.kind, self.next())
    }

    pub(super) fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| other(self.kind))
    }

    pub(super) fn moment(&mut self) -> Result<Timestamp> {
        self.number().map(from_millis)
    }

    /// A moment, or nothing.
    pub(super) fn moment_if_any(&mut self) -> Result<Option<Timestamp>> {
        match self.next() {
            Value::Nil => Ok(None),
            part => number(self.kind, &part).map(|millis| Some(from_millis(millis))),
        }
    }

    pub(super) fn id(&mut self) -> Result<[u8; 16]> {
        self.bytes()?.try_into().map_err(|_| other(self.kind))
    }

    /// All that are left.
    pub(super) fn rest(self) -> impl Iterator<Item = Value> {
        self.parts
    }
}

/// A number: Lua's, or one that was kept as text.
pub(super) fn number(kind: &'static str, part: &Value) -> Result<i64> {
    match part {
        Value::Int(number) => Ok(*number),
        Value::BulkString(text) => {
            let text = std::str::from_utf8(text).ok();
            text.and_then(|text| text.parse().ok()).ok_or_else(|| other(kind))
        }
        _ => Err(other(kind)),
    }
}

pub(super) fn count(kind: &'static str, part: &Value) -> Result<u64> {
    u64::try_from(number(kind, part)?).map_err(|_| other(kind))
}

pub(super) fn bytes(kind: &'static str, part: Value) -> Result<Vec<u8>> {
    match part {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(other(kind)),
    }
}

/// An account, if it is one.
pub(super) fn account_if_any(answer: Value) -> Result<Option<Account>> {
    if answer == Value::Nil {
        return Ok(None);
    }
    let mut parts = Parts::of("account", answer)?;
    let id = AccountId::from_bytes(parts.id()?);
    account(id, &mut parts).map(Some)
}

/// What stands behind an account's id.
pub(super) fn account(id: AccountId, parts: &mut Parts) -> Result<Account> {
    Ok(Account {
        id,
        email: email(&parts.text()?)?,
        password: PasswordHash::new(parts.text()?),
        state: match parts.text()?.as_str() {
            "a" => AccountState::Active,
            "d" => AccountState::Disabled,
            _ => return Err(other("account")),
        },
        role: match parts.text()?.as_str() {
            "m" => Role::Member,
            "a" => Role::Admin,
            _ => return Err(other("account")),
        },
        created_at: parts.moment()?,
        copied_at: parts.moment_if_any()?,
    })
}

pub(super) fn email(text: &str) -> Result<Email> {
    Email::parse(text).map_err(|error| damaged("e-mail", error))
}

/// An e-mail, if it is one.
pub(super) fn email_if_any(answer: Value) -> Result<Option<Email>> {
    if answer == Value::Nil {
        return Ok(None);
    }
    let text = String::from_utf8(bytes("e-mail", answer)?).map_err(|_| other("e-mail"))?;
    email(&text).map(Some)
}

/// A session, if it is one.
pub(super) fn session_if_any(
    account: AccountId,
    id: SessionId,
    answer: Value,
) -> Result<Option<Session>> {
    if answer == Value::Nil {
        return Ok(None);
    }
    session(account, id, answer).map(Some)
}

/// A session.
pub(super) fn session(account: AccountId, id: SessionId, answer: Value) -> Result<Session> {
    record(account, id, answer).map(|record| record.session)
}

/// A session with all that is kept about it.
pub(super) fn record(account: AccountId, id: SessionId, answer: Value) -> Result<SessionRecord> {
    record::decode(account, id, &bytes("session", answer)?)
}

/// Visits by the day.
pub(super) fn days(answer: Value) -> Result<VisitDays> {
    let mut parts = Parts::of("visits", answer)?;
    let latest = i32::try_from(parts.number()?).map_err(|_| other("visits"))?;
    let counts: Result<Vec<_>> = parts.rest().map(|part| count("visits", &part)).collect();
    let counts: Vec<_> =
        counts?.into_iter().map(|count| u32::try_from(count).unwrap_or(u32::MAX)).collect();
    VisitDays::from_parts(latest, &counts).ok_or_else(|| other("visits"))
}

/// Names and values, one after the other.
pub(super) fn variables(mut parts: Parts) -> Result<Variables> {
    let mut found = Vec::with_capacity(parts.parts.len() / 2);
    while parts.parts.len() > 0 {
        found.push((parts.text()?, parts.bytes()?));
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{By, Cause};

    #[test]
    fn an_event_comes_back_as_it_was_kept() {
        let cause = |millis| Cause {
            what: AuditKind::SessionsEnded,
            by: By { actor: By::COMMAND_LINE.actor, from: Some([192, 0, 2, 32].into()) },
            at: from_millis(millis),
        };
        // Bytes that are spaces included.
        for (millis, id) in [(1_790_000_000_000, [b' '; 16]), (-1, [0; 16]), (0, [0xff; 16])] {
            let event = cause(millis).about(AccountId::from_bytes(id)).ending(u64::MAX);
            let kept = kept_event(&event).unwrap();
            assert_eq!(super::event(&kept).unwrap(), event);
            assert!(super::event(&kept[..kept.len() - 1]).is_err());
        }
        assert!(event(b"1 2").is_err());
    }

    #[test]
    fn what_has_another_form_is_damaged() {
        for answer in [Value::Nil, Value::Int(1), Value::BulkString(vec![1])] {
            let id = AccountId::from_bytes([1; 16]);
            let found = session(id, SessionId::from_bytes([1; 16]), answer);
            assert!(matches!(found, Err(StoreError::Damaged { kind: "session", .. })), "{found:?}");
        }
        assert!(exact("session", MOST - 1).is_ok() && exact("session", MOST).is_err());
    }
}
