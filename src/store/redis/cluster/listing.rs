//! Accounts of all shards, merged.

use super::{ClusterStore, SHARDS};
use crate::{
    model::Account,
    store::{FoundAccounts, MOST_EMAILS_SEARCHED, Result},
};

impl ClusterStore {
    /// Each shard searches its part of as many e-mails as one store does.
    pub(super) async fn search_all_accounts(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundAccounts> {
        let most = MOST_EMAILS_SEARCHED / SHARDS;
        let searched = self.all(|shard| shard.search_accounts(part, after, limit, most)).await?;
        // Of what is behind the first place where a shard stopped, not all is known.
        let mut next = searched.iter().filter_map(|it| it.found.next.clone()).min();
        let last = searched.iter().filter_map(|it| it.last.clone()).max();
        let mut accounts: Vec<_> = searched.into_iter().flat_map(|it| it.found.accounts).collect();
        in_order(&mut accounts);
        if let Some(next) = &next {
            accounts.retain(|account| account.email <= *next);
        }
        if accounts.len() >= limit {
            accounts.truncate(limit);
            let stop = accounts.last().map(|account| account.email.clone());
            next = stop.filter(|stop| next.is_some() || last.is_some_and(|last| *stop < last));
        }
        Ok(FoundAccounts { accounts, next })
    }
}

fn in_order(accounts: &mut [Account]) {
    accounts.sort_by(|one, other| one.email.cmp(&other.email));
}
