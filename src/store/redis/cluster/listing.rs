//! Accounts and audit events of all shards, merged.

use std::collections::VecDeque;

use futures_util::future::try_join_all;

use super::{ClusterStore, SHARDS};
use crate::{
    model::{Account, AuditEvent, AuditTrail, Email, Timestamp, clock::later},
    store::{
        AuditFilter, AuditPage, AuditPlace, FoundAccounts, MOST_EMAILS_SEARCHED, Result,
        Store as _,
        listing::{Listing, Next, PageOf},
        redis::RedisStore,
    },
};

/// How many pages of a trail are fetched at once, when it is read on.
const AT_ONCE: u64 = 5;

impl ClusterStore {
    pub(super) async fn list_accounts(
        &self,
        after: Option<&Email>,
        limit: usize,
    ) -> Result<Vec<Account>> {
        let mut accounts = self.all(|shard| shard.accounts(after, limit)).await?.concat();
        in_order(&mut accounts);
        accounts.truncate(limit);
        Ok(accounts)
    }

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

    pub(super) async fn list_all_events(
        &self,
        filter: AuditFilter,
        before: Option<AuditPlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<AuditPage> {
        let over = later(now, -self.of_nobody().audit.keep);
        let ends = self.all(RedisStore::event_ends).await?;
        let mut listing = Listing::new(filter, before, &ends, limit, over);
        // Pages that were fetched and not looked at yet.
        let mut fetched = vec![VecDeque::new(); SHARDS * AuditTrail::ALL.len()];
        let mut at_once = 1;
        loop {
            let wanted = match listing.go_on() {
                Next::Pages(wanted) => wanted,
                Next::Nothing(found) => return Ok(found),
            };
            let missing = wanted.iter().filter(|of| fetched[place(of)].is_empty()).copied();
            let missing = try_join_all(missing.map(|of| self.pages_back(of, at_once))).await?;
            for (of, pages) in missing {
                fetched[place(&of)].extend(pages);
            }
            for of in wanted {
                let page = fetched[place(&of)].pop_front();
                listing.turn_page(of, page.unwrap_or_default());
            }
            at_once = AT_ONCE;
        }
    }

    async fn pages_back(&self, of: PageOf, count: u64) -> Result<(PageOf, Vec<Vec<AuditEvent>>)> {
        let pages = self.shards[of.shard].pages_back_from(of.trail, of.number, count).await?;
        Ok((of, pages))
    }
}

fn place(of: &PageOf) -> usize {
    of.shard * AuditTrail::ALL.len() + usize::from(of.trail == AuditTrail::Others)
}

fn in_order(accounts: &mut [Account]) {
    accounts.sort_by(|one, other| one.email.cmp(&other.email));
}
