//! Devices that were logged in before, which strangers cannot keep out.

use super::{Result, Sessions};
pub use crate::token::REMEMBERED;
use crate::{
    model::{AccountId, Email, Timestamp, clock::later},
    token::Device,
};

impl Sessions {
    /// Whether the account was logged in to before, on the device that shows this token.
    pub(super) async fn is_known_device(&self, shown: Option<&str>, email: &Email) -> Result<bool> {
        let now = self.clock.now();
        let Some(device) = shown.and_then(|shown| self.tokens.verify_device(shown, now)) else {
            return Ok(false);
        };
        let account = self.store.account_by_email(email).await?;
        Ok(account.is_some_and(|account| account.id == device.account))
    }

    /// A token for the device that just logged in; `None` if the one it shows is good for long
    /// enough.
    pub(super) fn remember_device(
        &self,
        account: AccountId,
        shown: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>> {
        let shown = shown.and_then(|shown| self.tokens.verify_device(shown, now));
        if shown.is_some_and(|device| {
            device.account == account && later(now, REMEMBERED / 2) < device.expires_at
        }) {
            return Ok(None);
        }
        let device = Device { account, expires_at: later(now, REMEMBERED) };
        Ok(Some(self.tokens.issue_device(device, now)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{
        Error, Issued, LogIn, LogInLimits, Policy,
        testing::{Fixture, PASSWORD, password, policy},
    };

    async fn try_log_in(
        fixture: &Fixture,
        email: &str,
        n: u8,
        device: Option<String>,
    ) -> Result<Issued> {
        let how = LogIn { from: Some([192, 0, 2, n].into()), device, ..LogIn::default() };
        fixture.sessions.log_in(email, password(PASSWORD), how).await
    }

    /// An account that strangers have tried as often as they may.
    async fn under_attack(email: &str) -> (Fixture, Option<String>) {
        let limits = LogInLimits { together: 2, per_account: 3, ..LogInLimits::default() };
        let fixture = Fixture::with(Policy { log_in: limits, ..policy() });
        let device = fixture.signed_up(email).await.device;
        for n in 0..3 {
            let how = LogIn { from: Some([203, 0, 113, n].into()), ..LogIn::default() };
            fixture.sessions.log_in(email, password("wrong"), how).await.err().unwrap();
        }
        (fixture, device)
    }

    #[tokio::test]
    async fn a_known_device_gets_in_whatever_strangers_did_and_no_other() {
        let (fixture, device) = under_attack("ann@example.com").await;
        let bobs = fixture.signed_up("bob@example.com").await;
        for unknown in [None, bobs.device, Some("a.b.c".to_owned()), Some(bobs.token)] {
            let refused = try_log_in(&fixture, "ann@example.com", 1, unknown).await;
            assert!(matches!(refused, Err(Error::TooManyAttempts { .. })));
        }
        let known = try_log_in(&fixture, "ann@example.com", 1, device).await.unwrap();
        assert_eq!(known.device, None, "it keeps the one that it has");
    }

    #[tokio::test]
    async fn a_known_device_has_limits_too() {
        let (fixture, device) = under_attack("ann@example.com").await;
        let wrong = async |n: u8| {
            let from = Some([192, 0, 2, n].into());
            let how = LogIn { from, device: device.clone(), ..LogIn::default() };
            let refused = fixture.sessions.log_in("ann@example.com", password("wrong"), how).await;
            matches!(refused, Err(Error::TooManyAttempts { .. }))
        };
        assert!(!wrong(1).await && !wrong(1).await);
        assert!(wrong(1).await, "from one address");
        assert!(!wrong(2).await);
        assert!(wrong(3).await, "from all together");
    }

    #[tokio::test]
    async fn a_device_is_remembered_anew_when_half_of_its_time_is_gone() {
        let fixture = Fixture::new();
        let first = fixture.signed_up("ann@example.com").await.device;
        assert!(first.is_some());
        fixture.clock.advance(REMEMBERED / 2);
        let second =
            try_log_in(&fixture, "ann@example.com", 1, first.clone()).await.unwrap().device;
        assert!(second.is_some());
        assert_ne!(first, second);
        fixture.signed_up("bob@example.com").await;
        let others = try_log_in(&fixture, "bob@example.com", 1, second).await.unwrap().device;
        assert!(others.is_some(), "who logged in last");
    }
}
