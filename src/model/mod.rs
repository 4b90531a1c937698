//! The words of the system: what an account, a session and a moment are.
//!
//! Everything else builds on these types, and they build on nothing of ours. They hold the rules
//! that are about one value alone (what a valid e-mail is, when a session is over, what makes a
//! presented token a copy). A new word gets a file of its own here.

pub mod account;
pub mod actor;
pub mod attempt;
pub mod audit;
pub mod clock;
pub mod days;
pub mod email;
pub mod ids;
pub mod password;
pub mod session;
pub mod succession;
pub mod variables;

pub use account::{Account, AccountState, PasswordHash, Role};
pub use actor::{Actor, By};
pub use attempt::{AttemptKey, Attempts, CountedUnder};
pub use audit::{AuditEvent, AuditKind, AuditTrail, Cause};
pub use clock::{Clock, Timestamp};
pub use days::VisitDays;
pub use email::Email;
pub use ids::{AccountId, SessionId, TokenId};
pub use password::Password;
pub use session::{Chain, Lifetimes, Presented, Replay, Session, Transport};
pub use succession::Succession;
pub use variables::{VariableRefused, Variables};
