//! Something went wrong at a step: when to try again, and how it is told to a person.

use domain::pve::Class;
use jiff::{SignedDuration, Timestamp};

use super::pool::privileges::mend_call;
use crate::{condition::Wait, reason::Reason};

/// Who asks Proxmox: for the line that gives it a right that it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The token's identifier, `USER@REALM!ID`.
    pub token: String,
    /// Proxmox pool that our VMs are in.
    pub pool: String,
}

/// The last failure of a step, kept until the step goes well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which step.
    pub at: StepKind,
    /// What kind of failure.
    pub class: Class,
    /// The failure for people: what failed on what, and the answer.
    pub text: String,
    /// Not tried again before.
    pub retry_at: Timestamp,
    /// Failures in a row.
    pub count: u32,
    /// The guest was asked to shut down and did not.
    pub deaf: bool,
}

/// Steps by name, for messages and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    /// Looking.
    Observe,
    /// Claiming a Slot.
    Claim,
    /// Cloning the template.
    Clone,
    /// Changing the configuration.
    Configure,
    /// Setting the firewall.
    Isolate,
    /// Growing the disk.
    Grow,
    /// Starting.
    Start,
    /// Shutting down or stopping.
    Stop,
    /// Lifting the protection and destroying.
    Destroy,
}

impl StepKind {
    /// For metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Claim => "claim",
            Self::Clone => "clone",
            Self::Configure => "configure",
            Self::Isolate => "isolate",
            Self::Grow => "grow",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Destroy => "destroy",
        }
    }
}

impl Trouble {
    /// A further failure: the pause doubles from one second to one minute.
    #[must_use]
    pub fn again(prior: Option<&Self>, at: StepKind, class: Class, text: String, now: Timestamp) -> Self {
        let count = prior
            .filter(|old| old.at == at)
            .map_or(0, |old| old.count)
            .saturating_add(1);
        let pause = SignedDuration::from_secs((1_i64 << count.saturating_sub(1).min(6)).min(60));
        let asked = match class {
            Class::Retryable { after: Some(seconds) } => SignedDuration::from_secs(seconds.into()),
            _ => SignedDuration::ZERO,
        };
        let retry_at = now.checked_add(pause.max(asked)).unwrap_or(now);
        Self {
            at,
            class,
            text,
            retry_at,
            count,
            deaf: false,
        }
    }

    /// The reason that conditions give for it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.wait(&Asker::default()).reason
    }

    /// How it is told: what is so, who acts, what next.
    #[must_use]
    pub fn wait(&self, asker: &Asker) -> Wait {
        let text = self.text.clone();
        match &self.class {
            Class::Retryable { .. } if self.at == StepKind::Observe => unreachable(&text),
            Class::Retryable { .. } => Wait::new(
                Reason::ProviderError,
                format!("{text}."),
                "It is tried again by itself; running machines are not touched.",
            ),
            Class::Denied {
                privilege: Some(missing),
            } => Wait::new(
                Reason::MissingPrivilege,
                format!(
                    "Token {} lacks {} on {}.",
                    asker.token,
                    missing.privilege.replace('|', " or "),
                    missing.path
                ),
                format!("On any node run: {}", mend_call(asker, missing)),
            ),
            Class::Denied { privilege: None } => Wait::new(
                Reason::TokenRejected,
                format!("{text}."),
                "The provider checks the token in the Pool's Secret and its permissions.",
            ),
            Class::Locked => Wait::new(
                Reason::Locked,
                format!("{text}."),
                "It goes on when the lock is released.",
            ),
            Class::LostRace => Wait::new(Reason::SlotLost, format!("{text}."), "Another Slot is claimed."),
            Class::ReplaceNode => Wait::new(
                Reason::TaskFailed,
                format!("{text}."),
                "The machine is placed on another node once this attempt is proven to have left nothing.",
            ),
            Class::Gone => Wait::new(Reason::VmUnknown, format!("{text}."), "It is looked for again."),
            Class::Spec => Wait::new(
                Reason::InvalidSpec,
                format!("{text}."),
                "Change the value that Proxmox refuses.",
            ),
            Class::Provider => Wait::new(
                Reason::TaskFailed,
                format!("{text}."),
                "The provider mends it; it is tried again by itself.",
            ),
            Class::Conflict => Wait::new(
                Reason::Reconciling,
                format!("{text}."),
                "It is looked at again at once.",
            ),
            Class::Bug => Wait::new(
                Reason::Bug,
                format!("{text}."),
                "Report it with the operator's log.",
            ),
        }
    }
}

fn unreachable(text: &str) -> Wait {
    Wait::new(
        Reason::ProxmoxUnreachable,
        format!("{text}. Running machines are not touched."),
        "It goes on by itself once Proxmox answers.",
    )
}
