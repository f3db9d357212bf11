//! Contract: one pure function from facts to what is to be done. Prices once, accepts, makes the Machine, projects it
//! and its Slot, ends by cancel, deletion or time. Must not touch what is outside: that is the Machine's.
//!
//! One pass makes at most one transition; the write of it starts the next pass.

mod advance;
mod connect;
mod machine;
mod project;
mod request;
mod running;
mod text;

use crds::{Account, Contract, ContractStatus, Gateway, Machine, MachineSpec, Offering, Provider, Slot};
use domain::{contract::State, ids::Uid, names};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use self::advance::{Next, Word};
pub use self::connect::slot_of;
use super::names::CONTRACT_FINALIZER;

/// How long to wait before looking again at what cannot be seen or must be held.
pub const RECHECK: SignedDuration = SignedDuration::from_secs(5);

/// What the market is configured to.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Identity of the hub.
    pub hub_uid: Uid,
    /// Whether the method Test pays.
    pub allow_test_payment: bool,
    /// Length of a contract hour.
    pub contract_hour: SignedDuration,
    /// How long a request may wait to be accepted.
    pub requested_limit: SignedDuration,
    /// How long an accepted Contract may take to be reached.
    pub provisioning_limit: SignedDuration,
}

/// What is known of the Machine by its name.
#[derive(Clone, Copy, Debug)]
pub enum MachineSeen<'a> {
    /// Not in the cache, and nobody asked (or the answer did not come): it may exist.
    Unread,
    /// Proven not to exist by a read.
    Absent,
    /// It is this one.
    Present(&'a Machine),
    /// The name belongs to another Contract's.
    Foreign,
}

/// Everything that a pass looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The Contract.
    pub contract: &'a Contract,
    /// The Account that owns its namespace.
    pub account: Option<&'a Account>,
    /// Contracts of the account that are alive and older.
    pub older_alive: usize,
    /// The Offering by its name.
    pub offering: Option<&'a Offering>,
    /// The Provider of the Offering's namespace.
    pub provider: Option<&'a Provider>,
    /// The Machine.
    pub machine: MachineSeen<'a>,
    /// The Slot that the Machine holds, see [`slot_of`].
    pub slot: Option<&'a Slot>,
    /// That Slot's Gateway.
    pub gateway: Option<&'a Gateway>,
    /// Whether the local clock may be trusted with what cannot be undone.
    pub clock_agreed: bool,
    /// The market's configuration.
    pub config: &'a Config,
}

/// One write. They are done in order; the first that fails ends the pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Hold the Contract.
    AddFinalizer,
    /// Store the status.
    Status(Box<ContractStatus>),
    /// Create the Machine; that it exists already is for the next pass to look at.
    CreateMachine(Box<Machine>),
    /// Bring the Machine's spec to this.
    ApplyMachine(Box<MachineSpec>),
    /// Write the cause that ends the Machine.
    Teardown(Box<MachineSpec>),
    /// Let the Contract go.
    DropFinalizer,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// The status once they are done.
    pub status: ContractStatus,
    /// When to look again although nothing changed.
    pub wake: Option<Timestamp>,
}

impl<'a> Facts<'a> {
    fn state(&self) -> State {
        self.contract.state()
    }

    fn uid(&self) -> Option<Uid> {
        self.contract.uid()?.parse().ok()
    }

    fn present(&self) -> Option<&'a Machine> {
        match self.machine {
            MachineSeen::Present(machine) => Some(machine),
            MachineSeen::Unread | MachineSeen::Absent | MachineSeen::Foreign => None,
        }
    }

    fn deleting(&self) -> bool {
        self.contract.metadata.deletion_timestamp.is_some()
    }

    fn held(&self) -> bool {
        self.contract.finalizers().iter().any(|f| f == CONTRACT_FINALIZER)
    }
}

/// Name of the Contract's Machine; None without a usable UID.
#[must_use]
pub fn machine_name(contract: &Contract) -> Option<String> {
    let uid: Uid = contract.uid()?.parse().ok()?;
    Some(names::machine_name(&uid))
}

/// Whether a Machine that is not in the cache must be looked for at the API server itself: as soon as it may exist, so
/// that its absence is never guessed.
#[must_use]
pub fn needs_read(contract: &Contract) -> bool {
    let held = contract.finalizers().iter().any(|f| f == CONTRACT_FINALIZER);
    let ending = contract.metadata.deletion_timestamp.is_some() || contract.spec.cancel.is_some();
    held && (ending || contract.status.as_ref().is_some_and(|s| s.machine_ref.is_some()))
}

/// What to do now.
pub fn plan(facts: &Facts<'_>, now: Timestamp) -> Plan {
    let stored = facts.contract.status.clone().unwrap_or_default();
    let next = advance::next(facts, now);
    let status = project::status(facts, &next, now);
    let mut steps = Vec::new();
    if !next.state.is_terminal() && status.price.is_some() && !facts.held() {
        steps.push(Step::AddFinalizer);
    }
    if status != stored {
        steps.push(Step::Status(Box::new(status.clone())));
    }
    steps.extend(machine::steps(facts, &next, now));
    let holding = next.state.is_terminal() && facts.held();
    let known = !matches!(facts.machine, MachineSeen::Unread);
    if holding && known {
        steps.push(Step::DropFinalizer);
    }
    let wake = if holding && !known {
        now.checked_add(RECHECK).ok()
    } else {
        wake(facts, &next, now)
    };
    Plan { steps, status, wake }
}

fn wake(facts: &Facts<'_>, next: &Next, now: Timestamp) -> Option<Timestamp> {
    if next.state.is_terminal() || matches!(next.word, Word::Ended) {
        None
    } else if next.late {
        now.checked_add(RECHECK).ok()
    } else if next.state != facts.state() {
        Some(now)
    } else {
        next.deadline.filter(|at| *at > now)
    }
}

#[cfg(test)]
#[path = "contract/world.rs"]
mod world;

#[cfg(test)]
#[path = "contract/law_tests.rs"]
mod law_tests;

#[cfg(test)]
#[path = "contract/table_tests.rs"]
mod table_tests;

#[cfg(test)]
#[path = "contract/ending_tests.rs"]
mod ending_tests;
