//! Claims to e-mails, looked through by a sweep: those of nobody go, and those that are lost come back.

use ::redis::Value;
use futures_util::future::try_join_all;

use super::{
    ClusterStore, SHARDS,
    claims::{Claimed, said},
    shard,
};
use crate::{
    model::{AccountId, Email},
    store::{
        Result,
        redis::codec::{self, Parts},
    },
};

/// How many claims, or e-mails of accounts, a sweep looks at in one step.
const MOST_SWEPT: usize = 500;

impl ClusterStore {
    /// Looks at some claims of a shard, and removes those of nobody. Returns where to go on.
    pub(super) async fn sweep_claims(&self, shard: usize, from: &str) -> Result<Option<String>> {
        let functions = &self.shards[shard].functions;
        let mut command = functions.read("claims");
        command.arg(from).arg(MOST_SWEPT);
        let mut parts = Parts::of("e-mail", functions.ask(&command).await?)?;
        let next = parts.text()?;
        let claims = Parts::of("e-mail", parts.next())?.rest().map(|part| async {
            let mut pair = Parts::of("e-mail", part)?;
            let email = codec::email(&pair.text()?)?;
            let said = said(pair.next())?;
            // Nobody waits here for somebody who is at it: the next sweep comes.
            if said.is_over && !self.keeps_email(said.account, &email).await? {
                self.settle_exactly(&email, &said.exact, false).await?;
            }
            Ok(())
        });
        try_join_all(claims).await?;
        Ok((next != "0").then_some(next))
    }

    /// Looks at some accounts of a shard, and puts back the claims to their e-mails that are lost: a
    /// replica that took over may not have heard of them. Returns where to go on.
    pub(super) async fn sweep_emails(&self, shard: usize, from: &[u8]) -> Result<Option<Vec<u8>>> {
        let functions = &self.shards[shard].functions;
        let mut command = functions.read("emails");
        command.arg(from).arg(MOST_SWEPT);
        let mut by_shard = vec![Vec::new(); SHARDS];
        let (mut count, mut last) = (0, Vec::new());
        for member in Parts::of("e-mail", functions.ask(&command).await?)?.rest() {
            last = codec::bytes("e-mail", member)?;
            let (email, account) = owner(&last)?;
            by_shard[shard::of_email(&email)].push((email, account));
            count += 1;
        }
        let asked = by_shard.iter().enumerate().filter(|(_, owners)| !owners.is_empty());
        let asked = asked.map(|(shard, owners)| self.mend_claims(shard, owners));
        try_join_all(asked).await?;
        Ok((count == MOST_SWEPT).then_some(last))
    }

    /// Sees that the claims to e-mails of one shard name the accounts that have them.
    async fn mend_claims(&self, shard: usize, owners: &[(Email, AccountId)]) -> Result<()> {
        let functions = &self.shards[shard].functions;
        let mut command = functions.read("claimants");
        for (email, _) in owners {
            command.arg(email.as_str());
        }
        let claimants = Parts::of("e-mail", functions.ask(&command).await?)?.rest();
        for ((email, account), claimant) in owners.iter().zip(claimants) {
            let is_named = match claimant {
                Value::Nil => false,
                claimant => codec::bytes("e-mail", claimant)? == account.as_bytes(),
            };
            if !is_named {
                self.mend_claim(email, *account).await?;
            }
        }
        Ok(())
    }

    /// As the account itself would do it: by a claim, which is settled by what is there.
    async fn mend_claim(&self, email: &Email, account: AccountId) -> Result<()> {
        match self.claim(email, account).await? {
            Claimed::Ours(claim) => self.settle_as_it_is(&claim).await,
            // It may have been given up since it was seen.
            Claimed::Taken(other) if self.has_email(account, email).await? => {
                tracing::error!(
                    event = "email_twice",
                    %account,
                    named = %other,
                    "two accounts have one e-mail after a failover: only the second can log in by it, \
                     and a backup cannot be restored until one of them has another or is removed"
                );
            }
            Claimed::Taken(_) => {}
        }
        Ok(())
    }
}

/// Whose e-mail a member of the index is: the e-mail, a zero byte, the account.
fn owner(member: &[u8]) -> Result<(Email, AccountId)> {
    let parts =
        member.split_last_chunk().and_then(|(rest, id)| Some((rest.strip_suffix(&[0])?, id)));
    let (email, id) = parts.ok_or_else(|| codec::other("e-mail"))?;
    let email = std::str::from_utf8(email).map_err(|_| codec::other("e-mail"))?;
    Ok((codec::email(email)?, AccountId::from_bytes(*id)))
}
