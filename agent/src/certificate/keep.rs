//! Renews in time, and goes on with the certificate at hand when that fails. Owns the waiting; when is the core's.

use std::sync::Arc;
use std::time::Duration;

use agent_core::certificate::{Decision, Held, decide, retry_after};
use agent_core::site::Site;
use jiff::{SignedDuration, Timestamp};
use kit::clock::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::issue::{IssueError, issue};
use super::{Publisher, Store, Stored};

/// The wall clock is asked at least so often: it may be set while we wait.
const LOOK: Duration = Duration::from_mins(1);

/// How it is with the certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The certificate in use.
    pub held: Option<Held>,
    /// Why the last try to get another failed; none after a success.
    pub error: Option<String>,
    /// When the next try is due; none while nothing is due.
    pub next_try: Option<Timestamp>,
}

/// Keeps a site's certificate.
pub struct Keeper {
    /// Where certificates are kept.
    pub store: Store,
    /// Who publishes records.
    pub publisher: Publisher,
    /// The site; none until it is known.
    pub site: watch::Receiver<Option<Arc<Site>>>,
    /// Whether the hub, which publishes, is there: nothing is tried without it, and at once when it is back.
    pub hub: watch::Receiver<bool>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where the certificate in use is told.
    pub current: watch::Sender<Option<Stored>>,
    /// Where all else is told.
    pub status: watch::Sender<Status>,
}

/// What goes on between tries.
#[derive(Default)]
struct Tries {
    failures: u32,
    next: Option<Timestamp>,
    /// The last one failed because the record was not published.
    unpublished: bool,
}

/// The certificate that an earlier run has kept. One that cannot be used is as good as none, but said.
pub async fn at_hand(store: &Store) -> Option<Stored> {
    let loader = store.clone();
    match tokio::task::spawn_blocking(move || loader.load()).await {
        Ok(Ok(stored)) => stored,
        Ok(Err(error)) => {
            tracing::warn!(error = %kit::chain(&error), "the certificate at hand cannot be used");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "the certificate at hand was not read");
            None
        }
    }
}

impl Keeper {
    /// Runs until the shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let (mut tries, jitter) = (Tries::default(), fastrand::u16(..));
        loop {
            // Before the step, so that no change during it is missed.
            let was_there = *self.hub.borrow_and_update();
            let wait = tokio::select! {
                () = shutdown.cancelled() => return,
                wait = self.step(&mut tries, jitter) => wait,
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait.min(LOOK)) => {}
                changed = self.site.changed() => if changed.is_err() { return } else { tries = Tries::default() },
                changed = self.hub.changed() => match changed {
                    Err(_) => return,
                    // What failed for want of the hub may go well with it; what the authority refused would not.
                    Ok(()) => if tries.unpublished && !was_there && *self.hub.borrow() { tries.next = None },
                },
            }
        }
    }

    fn tell(&self, stored: Stored) {
        let held = Some(stored.held.clone());
        self.current.send_replace(Some(stored));
        self.status.send_replace(Status {
            held,
            ..Status::default()
        });
    }

    /// Does what is due, and says how long nothing is.
    async fn step(&mut self, tries: &mut Tries, jitter: u16) -> Duration {
        let site = self.site.borrow_and_update().clone();
        let Some((site, acme)) = site
            .as_ref()
            .and_then(|site| Some((site, site.facts().acme.as_ref()?)))
        else {
            return LOOK;
        };
        let now = self.clock.now();
        let held = self.status.borrow().held.clone();
        let why = match decide(held.as_ref(), site.fqdn(), now, jitter) {
            Decision::Wait(at) => return until(now, at),
            Decision::Renew(why) => why,
        };
        if let Some(next) = tries.next.filter(|next| now < *next) {
            return until(now, next);
        }
        if !*self.hub.borrow() {
            self.status.send_modify(|status| status.next_try = Some(now));
            return LOOK;
        }
        tracing::info!(
            fqdn = site.fqdn(),
            ?why,
            "obtaining a certificate for {}",
            site.fqdn()
        );
        match issue(acme, site.fqdn(), &self.store, &self.publisher).await {
            Ok(stored) => {
                let until = stored.held.not_after;
                tracing::info!(fqdn = site.fqdn(), %until, "the certificate for {} is valid until {until}", site.fqdn());
                *tries = Tries::default();
                self.tell(stored);
            }
            Err(error) => {
                tries.failures = tries.failures.saturating_add(1);
                tries.unpublished = matches!(error, IssueError::Publish { .. });
                let text = kit::chain(&error);
                let delay = retry_after(tries.failures, fastrand::u16(..));
                tries.next = now
                    .checked_add(SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX))
                    .ok();
                tracing::warn!(fqdn = site.fqdn(), error = text, next = ?tries.next, "no certificate for {}", site.fqdn());
                let next_try = tries.next;
                self.status
                    .send_modify(|status| (status.error, status.next_try) = (Some(text), next_try));
            }
        }
        Duration::ZERO
    }
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}
