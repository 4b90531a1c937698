//! Who has which e-mail, where accounts lie in several slots. The [header](super) says why this is
//! enough.

use std::time::Duration;

use ::redis::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{ClusterStore, shard};
use crate::{
    model::{AccountId, Email},
    store::{
        Result, StoreError,
        redis::{
            Functions,
            codec::{self, Parts},
        },
    },
};

/// For how long an e-mail is claimed, in milliseconds: within it the account has it or never will.
const LIFE: u64 = 10_000;

/// How much before its end a claim is of no use any more, in milliseconds: the clocks of two
/// primaries may differ by that.
const CLOCKS_DIFFER: u64 = 5_000;

/// How long to wait before a claim is looked at again that somebody is at.
const WAIT: Duration = Duration::from_millis(20);

/// A claim of ours.
pub(super) struct Claim {
    email: Email,
    account: AccountId,
    exact: Vec<u8>,
    /// See `is_too_late` in `accounts.lua`.
    pub(super) deadline: String,
}

/// What became of a wish for an e-mail.
pub(super) enum Claimed {
    /// Nobody else can have it until the deadline.
    Ours(Claim),
    /// Another account has it: this one.
    Taken(AccountId),
}

/// What a claim says that is there.
pub(super) struct Said {
    pub(super) account: AccountId,
    /// Whether nobody is at it any more.
    pub(super) is_over: bool,
    pub(super) exact: Vec<u8>,
}

enum Tried {
    Ours(Claim),
    /// It is another one than expected, or none.
    Other(Option<Said>),
    /// Nobody may claim now: a backup begins.
    Frozen,
}

impl ClusterStore {
    /// Claims an e-mail for an account. Waits for others who are at it, for as long as an answer may
    /// take.
    pub(super) async fn claim(&self, email: &Email, account: AccountId) -> Result<Claimed> {
        let started = Instant::now();
        let mut expected = Vec::new();
        loop {
            match self.try_claim(email, account, &expected).await? {
                Tried::Ours(claim) => return Ok(Claimed::Ours(claim)),
                // What was expected is gone.
                Tried::Other(None) => expected.clear(),
                Tried::Other(Some(said)) => {
                    // Read after the claim: what is over now cannot come true any more.
                    let has_it = self.has_email(said.account, email).await?;
                    if has_it && said.account != account {
                        return Ok(Claimed::Taken(said.account));
                    }
                    if !said.is_over {
                        sleep(WAIT).await;
                    } else if has_it || self.stays_without(said.account, email).await? {
                        expected = said.exact;
                    }
                }
                Tried::Frozen => sleep(WAIT).await,
            }
            if started.elapsed() > self.patience {
                return Err(StoreError::Unavailable(
                    "Redis: somebody else is at this e-mail, or a backup begins".to_owned(),
                ));
            }
        }
    }

    /// Nobody is at this claim any more. Where that cannot be written, whoever meets it finds out.
    pub(super) async fn settle(&self, claim: &Claim, is_held: bool) {
        if let Err(error) = self.settle_exactly(&claim.email, &claim.exact, is_held).await {
            left(&error);
        }
    }

    /// The same, where it is not known whether the account has the e-mail.
    pub(super) async fn settle_as_it_is(&self, claim: &Claim) {
        match self.keeps_email(claim.account, &claim.email).await {
            Ok(is_held) => self.settle(claim, is_held).await,
            Err(error) => left(&error),
        }
    }

    /// Removes the claim to an e-mail that an account had.
    pub(super) async fn release(&self, email: &Email) {
        let started = Instant::now();
        while started.elapsed() <= self.patience {
            match self.release_if_over(email).await {
                Ok(true) => return,
                Ok(false) => sleep(WAIT).await,
                Err(error) => return left(&error),
            }
        }
        left(&"somebody is at it");
    }

    /// Returns false while somebody is at it.
    async fn release_if_over(&self, email: &Email) -> Result<bool> {
        let Some(said) = self.claim_of(email).await? else {
            return Ok(true);
        };
        if self.has_email(said.account, email).await? {
            return Ok(true);
        }
        Ok(said.is_over
            && self.stays_without(said.account, email).await?
            && self.settle_exactly(email, &said.exact, false).await?)
    }

    /// The account that may have an e-mail: if anybody has it, this one.
    pub(super) async fn claimant(&self, email: &Email) -> Result<Option<AccountId>> {
        Ok(self.claim_of(email).await?.map(|said| said.account))
    }

    /// Claims for accounts that are imported; none of them if it is only asked whether they could be.
    pub(super) async fn import_claims(
        &self,
        accounts: &[(Email, AccountId)],
        only_look: bool,
    ) -> Result<()> {
        let mut commands: Vec<_> = self.shards.iter().map(|_| None).collect();
        for (email, account) in accounts {
            let shard = shard::of_email(email);
            let command = commands[shard].get_or_insert_with(|| {
                let mut command = self.shards[shard].change("import_claims");
                command.arg(u8::from(only_look));
                command
            });
            command.arg(email.as_str()).arg(account.as_bytes()).arg(Uuid::new_v4().as_bytes());
        }
        let commands = self.shards.iter().zip(commands);
        let asked = commands.filter_map(|(shard, command)| Some((shard, command?)));
        let asked = asked.map(|(shard, command)| async move { shard.ask(&command).await });
        futures_util::future::try_join_all(asked).await.map(drop)
    }

    async fn try_claim(&self, email: &Email, account: AccountId, expected: &[u8]) -> Result<Tried> {
        let shard = &self.shards[shard::of_email(email)];
        let mut command = shard.change("claim");
        command
            .arg(email.as_str())
            .arg(account.as_bytes())
            .arg(Uuid::new_v4().as_bytes())
            .arg(LIFE)
            .arg(expected);
        // It may not be lost once the account has the e-mail.
        let mut parts = Parts::of("e-mail", shard.ask_replicated(&command).await?)?;
        Ok(match parts.count()? {
            0 => Tried::Other(match parts.next() {
                Value::Nil => None,
                there => Some(said(there)?),
            }),
            1 => {
                let (exact, till, generation) = (parts.bytes()?, parts.count()?, parts.text()?);
                let deadline = format!("{} {generation}", till.saturating_sub(CLOCKS_DIFFER));
                Tried::Ours(Claim { email: email.clone(), account, exact, deadline })
            }
            _ => Tried::Frozen,
        })
    }

    async fn claim_of(&self, email: &Email) -> Result<Option<Said>> {
        let functions = self.emails(email);
        let mut command = functions.read("claim_of");
        command.arg(email.as_str());
        match functions.ask(&command).await? {
            Value::Nil => Ok(None),
            answer => said(answer).map(Some),
        }
    }

    pub(super) async fn has_email(&self, account: AccountId, email: &Email) -> Result<bool> {
        let shard = self.of(account);
        let mut command = shard.read("has_email");
        command.arg(account.as_bytes()).arg(email.as_str());
        Ok(shard.count("account", &command).await? == 1)
    }

    /// Whether an account has an e-mail, or may have it again.
    pub(super) async fn keeps_email(&self, account: AccountId, email: &Email) -> Result<bool> {
        Ok(self.has_email(account, email).await? || !self.stays_without(account, email).await?)
    }

    /// Whether an account that was seen without an e-mail stays without it, whoever takes over: if a
    /// replica lacks that it was given up, the account has it again.
    async fn stays_without(&self, account: AccountId, email: &Email) -> Result<bool> {
        let shard = self.of(account);
        if shard.waiting.is_none() {
            return Ok(true);
        }
        let mut command = shard.change("has_email_for_good");
        command.arg(account.as_bytes()).arg(email.as_str());
        Ok(codec::count("account", &shard.ask_replicated(&command).await?)? == 0)
    }

    /// Removes or confirms a claim if it is still exactly this one. Returns whether it was.
    pub(super) async fn settle_exactly(
        &self,
        email: &Email,
        exact: &[u8],
        is_held: bool,
    ) -> Result<bool> {
        let functions = self.emails(email);
        let mut command = functions.change("settle_claim");
        command.arg(email.as_str()).arg(exact).arg(u8::from(is_held));
        Ok(codec::count("e-mail", &functions.ask(&command).await?)? == 1)
    }

    /// The shard of the claim to an e-mail.
    fn emails(&self, email: &Email) -> &Functions {
        &self.shards[shard::of_email(email)].functions
    }
}

pub(super) fn said(answer: Value) -> Result<Said> {
    let mut parts = Parts::of("e-mail", answer)?;
    let account = AccountId::from_bytes(parts.id()?);
    Ok(Said { account, is_over: parts.count()? == 1, exact: parts.bytes()? })
}

/// What was asked for is done, and only its claim is as it was.
fn left(why: &dyn std::fmt::Display) {
    tracing::warn!(
        event = "redis_claim",
        error = %why,
        "the claim to an e-mail is looked at again when somebody wants it or a sweep comes by"
    );
}
