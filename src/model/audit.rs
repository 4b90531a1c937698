//! What is written down of what happens: who did what, when, and from where.
//!
//! A new kind of event is a line in the table of [`AuditKind`], with a number and a code that no
//! kind had before: records hold the number, and clients, logs and backups know the code.

use super::{AccountId, Actor, By, SessionId, Timestamp};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $trail:ident, $code:literal, $sentence:literal;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AuditKind {
            $($(#[$doc])* $kind,)*
        }

        impl AuditKind {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its stable name, for clients, logs and backups.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// What it says, for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$kind => $sentence,)* }
            }

            /// Its stable number, for records.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$kind => $number,)* }
            }

            /// Which events it is kept with.
            #[must_use]
            pub const fn trail(self) -> AuditTrail {
                match self { $(Self::$kind => AuditTrail::$trail,)* }
            }
        }
    };
}

kinds! {
    /// A person made an account.
    SignedUp = 1, Changes, "sign_up", "account created";
    /// An operator made an account for somebody.
    AccountAdded = 2, Changes, "account_added", "account added";
    /// A session was opened with the password. The sessions that ended made room for it.
    LoggedIn = 3, Changes, "log_in", "logged in";
    /// A password was wrong, its account disabled, or there was none.
    LogInRefused = 4, Others, "log_in_refused", "log-in refused";
    /// A session was ended by who used it.
    LoggedOut = 5, Changes, "log_out", "logged out";
    /// One session was ended from another one, or by an operator.
    SessionEnded = 6, Changes, "session_ended", "session ended";
    /// A session was ended by a log-in that its token came along with.
    SessionReplaced = 7, Changes, "session_replaced", "session ended by a log-in";
    /// Several sessions of an account were ended: all but the one that asked for it, or all.
    SessionsEnded = 8, Changes, "sessions_ended", "sessions ended";
    /// All sessions of all accounts were ended.
    AllSessionsEnded = 9, Changes, "all_sessions_ended", "every session ended";
    /// A session was ended because a token of it had two holders.
    CopyFound = 10, Changes, "copy_found", "a token was used by two holders";
    /// An account has another password.
    PasswordChanged = 11, Changes, "password_changed", "password changed";
    /// An account has another e-mail address.
    EmailChanged = 12, Changes, "email_changed", "e-mail changed";
    /// Who is signed in showed the password again, and the session goes on under a new id.
    Reauthenticated = 13, Changes, "reauthenticated", "password shown";
    /// Who is signed in showed a wrong password.
    CurrentPasswordRefused = 14, Others, "current_password_refused", "wrong current password";
    /// All that is kept about an account was handed out to who is signed in.
    AccountExported = 15, Others, "account_exported", "account exported";
    /// A person removed their own account.
    AccountClosed = 16, Changes, "account_closed", "account closed";
    /// An account was locked.
    AccountDisabled = 17, Changes, "account_disabled", "account disabled";
    /// An account was unlocked.
    AccountEnabled = 18, Changes, "account_enabled", "account enabled";
    /// An operator removed an account.
    AccountRemoved = 19, Changes, "account_removed", "account removed";
    /// Everything in the store was asked for.
    BackupBegun = 20, Others, "backup_begun", "a backup was begun";
    /// An account was made an administrator's. None of its sessions goes on.
    RoleGiven = 21, Changes, "role_given", "administrator made";
    /// An account is a member's again.
    RoleTaken = 22, Changes, "role_taken", "administrator made a member";
}

impl AuditKind {
    /// The kind with this number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }

    /// The kind with this code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// Events that are kept together and push each other out when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditTrail {
    /// What changed something.
    Changes,
    /// What changed nothing: refused, or read. Anybody can make as many as they like, and none of
    /// them pushes out a change.
    Others,
}

impl AuditTrail {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Changes, Self::Others];
}

/// Something that happened.
///
/// It holds ids, no e-mail: an account's goes with the account, and its events stay until they are
/// over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: AuditKind,
    /// Who did it, and from where.
    pub by: By,
    /// The account that it is about; `None` if it is about none, or none is known.
    pub account: Option<AccountId>,
    /// The session that it is about, by the id that it has afterwards.
    pub session: Option<SessionId>,
    /// The id that the session had before, if it went on under a new one.
    pub replaced: Option<SessionId>,
    /// How many sessions ended with it. Those of [`AuditKind::AllSessionsEnded`] are not counted.
    pub ended: u64,
}

impl AuditEvent {
    /// The same, about this session.
    #[must_use]
    pub fn of_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// The same, about a session that went on under another id, if it did.
    #[must_use]
    pub fn going_on(mut self, from: SessionId, to: SessionId) -> Self {
        (self.replaced, self.session) = (Some(from), Some(to));
        self
    }

    /// The same, with so many sessions that ended.
    #[must_use]
    pub fn ending(mut self, sessions: u64) -> Self {
        self.ended = sessions;
        self
    }

    /// Whether it is about this account, or was done by it.
    #[must_use]
    pub fn concerns(&self, account: AccountId) -> bool {
        self.account == Some(account) || self.by.actor == Actor::Account(account)
    }
}

/// Why something is done, before it is known what comes of it: what every change is told, so that
/// it can be written down together with the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What is to be done.
    pub what: AuditKind,
    /// Who asks for it, and from where.
    pub by: By,
    /// The moment of the request.
    pub at: Timestamp,
}

impl Cause {
    /// That it was done to this account.
    #[must_use]
    pub fn about(&self, account: AccountId) -> AuditEvent {
        AuditEvent { account: Some(account), ..self.about_nobody() }
    }

    /// That it was done, to no account that is known.
    #[must_use]
    pub fn about_nobody(&self) -> AuditEvent {
        let Self { what, by, at } = *self;
        AuditEvent { at, what, by, account: None, session: None, replaced: None, ended: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_number_and_a_code_of_its_own() {
        let all = AuditKind::ALL;
        let numbers: BTreeSet<_> = all.iter().map(|kind| kind.number()).collect();
        let codes: BTreeSet<_> = all.iter().map(|kind| kind.code()).collect();
        assert_eq!((numbers.len(), codes.len()), (all.len(), all.len()));
        for kind in all {
            assert_eq!(AuditKind::of_number(kind.number()), Some(*kind));
            assert_eq!(AuditKind::of_code(kind.code()), Some(*kind));
            let is_snake_case = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(kind.code().chars().all(is_snake_case), "{}", kind.code());
        }
        assert_eq!(AuditKind::of_number(0), None);
        assert_eq!(AuditKind::of_code("visit"), None);
    }

    #[test]
    fn an_event_concerns_who_it_is_about_and_who_did_it() {
        let [ann, bob, admin] = [1, 2, 3].map(|byte| AccountId::from_bytes([byte; 16]));
        let by = By { actor: Actor::Account(admin), from: None };
        let cause = Cause { what: AuditKind::AccountDisabled, by, at: Timestamp::UNIX_EPOCH };
        let event = cause.about(ann);
        assert!(event.concerns(ann) && event.concerns(admin) && !event.concerns(bob));
        assert!(!cause.about_nobody().concerns(ann));
    }
}
