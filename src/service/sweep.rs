//! Dead sessions leave the store: round by round, in small steps, beside everything else.

use std::{sync::Arc, time::Duration};

use metrics::counter;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{debug, warn};

use crate::{
    model::Clock,
    store::{Result, Store},
};

/// How many sessions one step looks at: less than a millisecond of the store's time.
const BUDGET: usize = 500;

/// How long the store is left alone after a step that found nothing, in times of what the step took:
/// a walk past millions of living sessions takes a twentieth of a core.
const REST: u32 = 19;

/// The same after a step that removed something, most of whose time was a wait for the disk.
const SHORT_REST: u32 = 3;

/// And at least so long: a small store has no need to hurry.
const PAUSE: Duration = Duration::from_millis(5);

/// Goes round for ever, starting a round every `every` or when the last one is over, until
/// `stopped`.
pub(super) async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    every: Duration,
    stopped: impl Future<Output = ()>,
) {
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = async {
        loop {
            due.tick().await;
            match round(&*store, &*clock).await {
                Ok(0) => {}
                Ok(removed) => debug!(event = "swept", removed, "dead sessions removed"),
                // Dead sessions are refused all the same; the next round tries again.
                Err(error) => warn!(event = "sweep_failed", %error, "dead sessions stay for now"),
            }
        }
    };
    tokio::select! {
        () = stopped => {}
        () = rounds => {}
    }
}

/// Goes through the whole store once. Returns how many dead sessions it removed.
async fn round(store: &dyn Store, clock: &dyn Clock) -> Result<u64> {
    let mut removed = 0;
    let mut from = None;
    loop {
        let started = Instant::now();
        let swept = store.sweep(from, BUDGET, clock.now()).await?;
        removed += swept.removed;
        counter!("countersign_sessions_swept_total").increment(swept.removed);
        if swept.next.is_none() {
            return Ok(removed);
        }
        from = swept.next;
        let rest = if swept.removed == 0 { REST } else { SHORT_REST };
        sleep(PAUSE.max(started.elapsed() * rest)).await;
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        model::{
            Account, AccountId, AccountState, AuditKind, By, Cause, Email, PasswordHash, Role,
            Session, SessionId, Transport,
            clock::{ManualClock, from_millis, later},
            session::Chain,
        },
        store::MemoryStore,
    };

    const LIFE: SignedDuration = SignedDuration::from_hours(1);

    /// A store with one account of so many sessions, begun at the clock's time.
    async fn store_with(sessions: usize, clock: &ManualClock) -> (Arc<MemoryStore>, AccountId) {
        let store = Arc::new(MemoryStore::new());
        let now = clock.now();
        let account = AccountId::new(now);
        let password = PasswordHash::new("a hash".into());
        let cause = Cause { what: AuditKind::AccountAdded, by: By::COMMAND_LINE, at: now };
        let added = store
            .create_account(
                Account {
                    id: account,
                    email: Email::parse("ann@example.com").unwrap(),
                    password: password.clone(),
                    state: AccountState::Active,
                    role: Role::Member,
                    created_at: now,
                    copied_at: None,
                },
                cause,
            )
            .await;
        assert!(added.unwrap());
        for _ in 0..sessions {
            let session = Session {
                account,
                id: SessionId::new(now),
                created_at: now,
                expires_at: later(now, LIFE),
                idle_expires_at: later(now, LIFE),
                last_seen_at: now,
                visits: 0,
                chain: Chain::begun(now),
                remember: false,
                transport: Transport::Cookie,
                user_agent: String::new(),
                copied_at: None,
            };
            let created = store.create_session(session, &password, usize::MAX, cause).await;
            created.unwrap();
        }
        (store, account)
    }

    #[tokio::test]
    async fn a_round_goes_through_all_and_takes_the_dead_alone() {
        let clock = ManualClock::new(from_millis(1_700_000_000_000));
        let (store, account) = store_with(BUDGET + 10, &clock).await;
        assert_eq!(round(&*store, &clock).await.unwrap(), 0);
        let alive = store.sessions(account, clock.now()).await.unwrap().len();
        assert_eq!(alive, BUDGET + 10);

        let born = clock.now();
        clock.advance(LIFE);
        let removed = round(&*store, &clock).await.unwrap();
        assert_eq!(removed, BUDGET as u64 + 10, "more than one step's worth");
        assert_eq!(store.sessions(account, born).await.unwrap(), [], "they are gone");
    }

    #[tokio::test]
    async fn a_failing_store_does_not_end_the_rounds_and_a_stop_does() {
        let clock = ManualClock::new(from_millis(1_700_000_000_000));
        let (store, _) = store_with(1, &clock).await;
        store.close().await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap() };
        let rounds = tokio::spawn(run(store, Arc::new(clock), Duration::from_millis(1), stopped));
        for _ in 0..3 {
            sleep(Duration::from_millis(1)).await;
            assert!(!rounds.is_finished());
        }
        stop.send(()).unwrap();
        rounds.await.unwrap();
    }
}
