//! The shell: reads and replaces the Lease, tells others whether we lead.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{Api, Client, api::ObjectMeta};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::decide::{Decision, Observed, Record, decide, observe};
use crate::{
    apply::{Claim, Writer},
    call::{Error, Fault},
    clock::Clock,
};

/// Where the Lease is and how it is kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are: no two running processes may share it. A process that
    /// restarts under the same identity leads again at once.
    pub identity: String,
    /// For how long others wait after our last renewal; cut to whole seconds, at least one.
    pub duration: Duration,
    /// How often we renew; at most a third of `duration`.
    pub renew: Duration,
}

/// Leadership was lost: the process must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Somebody else holds the lease.
    #[error("the lease was taken by {holder}")]
    Taken {
        /// The new holder.
        holder: String,
    },
    /// It could not be renewed in time.
    #[error("the lease could not be renewed in time")]
    Expired,
}

/// Whether this process leads; cheap to clone and ask.
#[derive(Clone)]
pub struct Leadership {
    until: watch::Receiver<Option<Duration>>,
    clock: Arc<dyn Clock>,
}

impl Leadership {
    /// Leads forever: for processes that run without election.
    #[must_use]
    pub fn always(clock: Arc<dyn Clock>) -> Self {
        Self {
            until: watch::channel(Some(Duration::MAX)).1,
            clock,
        }
    }

    /// True while our last renewal is certain to count.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.until
            .borrow()
            .is_some_and(|until| self.clock.monotonic() < until)
    }

    /// Waits until this process leads. Pending forever if it never will.
    pub async fn gained(&mut self) {
        if self.until.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One candidate for the Lease.
pub struct Candidate {
    api: Api<Lease>,
    writer: Writer,
    config: Config,
    clock: Arc<dyn Clock>,
    until: watch::Sender<Option<Duration>>,
    seen: Option<Observed>,
}

impl Candidate {
    /// A candidate and the handle that tells whether it leads.
    #[must_use]
    pub fn new(
        client: Client,
        manager: &'static str,
        mut config: Config,
        clock: Arc<dyn Clock>,
    ) -> (Self, Leadership) {
        // The Lease carries whole seconds; all of us must count the same.
        config.duration = Duration::from_secs(config.duration.as_secs().max(1));
        config.renew = config.renew.min(config.duration / 3);
        let (sender, until) = watch::channel(None);
        let api = Api::namespaced(client, &config.namespace);
        // One slow call must leave room for another before the lease ends.
        let writer = Writer::new(manager, config.duration / 6);
        let leadership = Leadership {
            until,
            clock: Arc::clone(&clock),
        };
        (
            Self {
                api,
                writer,
                config,
                clock,
                until: sender,
                seen: None,
            },
            leadership,
        )
    }

    /// Campaigns, leads and renews until `release` is cancelled; then clears
    /// the lease, so that the next candidate takes over at once. Cancel
    /// `release` only after all work of the leader has ended.
    ///
    /// # Errors
    /// When leadership is lost after it was gained.
    pub async fn run(mut self, release: CancellationToken) -> Result<(), Lost> {
        let Some(held) = self.campaign(&release).await else {
            return Ok(());
        };
        tracing::info!(lease = %self.config.name, identity = %self.config.identity, "leading");
        let kept = self.keep(held, &release).await;
        self.until.send_replace(None);
        self.give_up(kept?).await;
        Ok(())
    }

    /// Returns the Lease once it is ours; `None` if released before.
    async fn campaign(&mut self, release: &CancellationToken) -> Option<Lease> {
        loop {
            let pause = match self.attempt().await {
                Ok(Ok(held)) => return Some(held),
                Ok(Err(pause)) => pause,
                Err(error) => {
                    tracing::warn!(error = %crate::chain(&error), "failed to campaign for the lease");
                    self.short_pause()
                }
            };
            // Never idle for a whole lease: a release should be noticed soon.
            release
                .run_until_cancelled(sleep(pause.min(self.config.renew)))
                .await?;
        }
    }

    /// One try: the lease, or how long to wait.
    async fn attempt(&mut self) -> Result<Result<Lease, Duration>, Error> {
        let lease = self.writer.get(&self.api, &self.config.name).await?;
        let record = lease.as_ref().map(|l| Record::of(l, self.config.duration));
        let now = self.clock.monotonic();
        let seen = observe(self.seen.take(), record, now);
        let decision = decide(&seen, &self.config.identity, now);
        self.seen = Some(seen);
        match decision {
            Decision::Yield(pause) => Ok(Err(pause)),
            Decision::Acquire | Decision::Renew => match self.take(lease).await? {
                Some(held) => Ok(Ok(held)),
                None => Ok(Err(Duration::ZERO)),
            },
        }
    }

    /// Creates or replaces the lease with us as the holder. `None`: somebody was first.
    async fn take(&mut self, lease: Option<Lease>) -> Result<Option<Lease>, Error> {
        let started = self.clock.monotonic();
        let held = match lease {
            Some(lease) => self.writer.replace(&self.api, &self.ours(lease)).await?,
            None => match self
                .writer
                .create_claim(&self.api, &self.ours(self.blank()))
                .await?
            {
                Claim::Created(lease) => *lease,
                Claim::AlreadyExists => return Ok(None),
            },
        };
        self.held_since(started);
        Ok(Some(held))
    }

    /// Renews until it is lost or released; a renewal under way is not cut off,
    /// so that its version is known when the lease is given up.
    async fn keep(&mut self, mut held: Lease, release: &CancellationToken) -> Result<Lease, Lost> {
        let mut pause = self.config.renew;
        while release.run_until_cancelled(sleep(pause)).await.is_some() {
            pause = self.config.renew;
            if let Err(error) = self.renew(&mut held).await {
                tracing::warn!(error = %crate::chain(&error), "failed to renew the lease");
                if let Some(current) = self.still_ours(&error).await? {
                    held = current;
                }
                if self.overdue() {
                    return Err(Lost::Expired);
                }
                pause = self.short_pause();
            }
        }
        Ok(held)
    }

    async fn renew(&mut self, held: &mut Lease) -> Result<(), Error> {
        let started = self.clock.monotonic();
        *held = self.writer.replace(&self.api, &self.ours(held.clone())).await?;
        self.held_since(started);
        Ok(())
    }

    /// After a failed renewal: the lease as it is now, if it is still ours.
    /// A write of ours may have arrived without its answer.
    async fn still_ours(&self, error: &Error) -> Result<Option<Lease>, Lost> {
        if !matches!(error.fault(), Fault::Conflict | Fault::NotFound) {
            return Ok(None);
        }
        match self.writer.get(&self.api, &self.config.name).await {
            Ok(Some(lease)) => {
                let record = Record::of(&lease, self.config.duration);
                if record.holder.as_deref() == Some(self.config.identity.as_str()) {
                    return Ok(Some(lease));
                }
                let holder = record.holder.unwrap_or_else(|| "nobody".to_owned());
                Err(Lost::Taken { holder })
            }
            Ok(None) => Err(Lost::Expired),
            Err(_) => Ok(None),
        }
    }

    async fn give_up(&self, held: Lease) {
        let mut result = self.writer.replace(&self.api, &self.free(held)).await;
        // A renewal without an answer may have moved the version.
        if let Err(error) = &result
            && let Ok(Some(current)) = self.still_ours(error).await
        {
            result = self.writer.replace(&self.api, &self.free(current)).await;
        }
        match result {
            Ok(_) => tracing::info!(lease = %self.config.name, "released the lease"),
            Err(error) => {
                tracing::warn!(error = %crate::chain(&error), "failed to release the lease");
            }
        }
    }

    /// The lease without a holder.
    fn free(&self, mut lease: Lease) -> Lease {
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(self.clock.now()));
        }
        lease
    }

    fn held_since(&self, started: Duration) {
        self.until
            .send_replace(Some(started.saturating_add(self.deadline())));
    }

    fn overdue(&self) -> bool {
        self.until
            .borrow()
            .is_none_or(|until| self.clock.monotonic() >= until)
    }

    fn short_pause(&self) -> Duration {
        self.config.renew / 4
    }

    /// We stop leading before others may start: two thirds of the lease.
    fn deadline(&self) -> Duration {
        self.config.duration * 2 / 3
    }

    fn blank(&self) -> Lease {
        let metadata = ObjectMeta {
            name: Some(self.config.name.clone()),
            namespace: Some(self.config.namespace.clone()),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: None }
    }

    /// The lease with us as the holder, renewed now.
    fn ours(&self, mut lease: Lease) -> Lease {
        let now = MicroTime(self.clock.now());
        let seconds = self.config.duration.as_secs().max(1);
        let before = lease.spec.take().unwrap_or_default();
        let mine = before.holder_identity.as_deref() == Some(self.config.identity.as_str());
        let transitions = before.lease_transitions.unwrap_or(0);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(seconds).unwrap_or(i32::MAX)),
            acquire_time: if mine {
                before.acquire_time
            } else {
                Some(now.clone())
            },
            renew_time: Some(now),
            lease_transitions: Some(if mine {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..LeaseSpec::default()
        });
        lease
    }
}
