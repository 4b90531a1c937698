//! Dead sessions leave the store: round by round, in small steps, beside everything else.

use std::{sync::Arc, time::Duration};

use metrics::{counter, gauge};
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
                Ok(round) => {
                    tell(&round, store.bytes().await);
                    let Round { removed, living } = round;
                    debug!(event = "swept", removed, living, "dead sessions removed");
                }
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

/// What a walk through the whole store came by.
#[derive(Debug, Default, PartialEq, Eq)]
struct Round {
    /// Dead sessions, which are gone now.
    removed: u64,
    /// Living ones, each at the moment it was passed.
    living: u64,
}

/// Goes through the whole store once.
async fn round(store: &dyn Store, clock: &dyn Clock) -> Result<Round> {
    let mut round = Round::default();
    let mut from = None;
    loop {
        let started = Instant::now();
        let swept = store.sweep(from, BUDGET, clock.now()).await?;
        round.removed += swept.removed;
        round.living += swept.living;
        counter!("countersign_sessions_swept_total").increment(swept.removed);
        if swept.next.is_none() {
            return Ok(round);
        }
        from = swept.next;
        let rest = if swept.removed == 0 { REST } else { SHORT_REST };
        sleep(PAUSE.max(started.elapsed() * rest)).await;
    }
}

/// Whoever walks past every session anyway can count the living for free.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats; exact up to 2^53")]
fn tell(round: &Round, bytes: Result<Option<u64>>) {
    gauge!("countersign_sessions_living").set(round.living as f64);
    match bytes {
        Ok(Some(bytes)) => gauge!("countersign_store_bytes").set(bytes as f64),
        Ok(None) => {}
        Err(error) => warn!(event = "sweep_failed", %error, "the store's size is not known"),
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
        let all = BUDGET as u64 + 10;
        let before = round(&*store, &clock).await.unwrap();
        assert_eq!(before, Round { removed: 0, living: all }, "more than one step's worth");
        let alive = store.sessions(account, clock.now()).await.unwrap().len();
        assert_eq!(alive, BUDGET + 10);

        let born = clock.now();
        clock.advance(LIFE);
        let after = round(&*store, &clock).await.unwrap();
        assert_eq!(after, Round { removed: all, living: 0 });
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
