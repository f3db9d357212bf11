//! Sentences of the Contract that more than one part says.

use crds::{Contract, Machine, Slot, common::PowerState};
use jiff::Timestamp;

use super::{Facts, MachineSeen};
use crate::{
    condition::{PROVISIONED, READY, SCHEDULED, Wait, find},
    market::{admit::Refusal, names::say},
    reason::Reason,
};

/// The reason of this name; another version's unknown one is shown as under way.
pub(super) fn reason(name: &str) -> Reason {
    let mut all = Reason::ALL.iter().map(|(reason, _)| *reason);
    all.find(|reason| reason.as_str() == name)
        .unwrap_or(Reason::Reconciling)
}

/// The clock cannot be trusted with an end that is due.
pub(super) fn skewed(due: Option<Timestamp>) -> Wait {
    let due = due.map_or_else(String::new, |at| format!(" at {}", say(at)));
    Wait::new(
        Reason::ClockSkewed,
        format!("Its time ended{due}, but the market's clock disagrees with the API server's."),
        "The market operator has to set the clock; until then nothing is ended.",
    )
}

/// A key cannot be used, and the machine keeps those that it has.
pub(super) fn bad_key(position: usize) -> Wait {
    let says = crate::market::keys::says(position);
    Wait::new(
        Reason::InvalidKey,
        format!("{says} The machine keeps the keys that it has."),
        format!("Correct spec.sshKeys[{position}]."),
    )
}

/// The Machine is gone, or its name is another's.
pub(super) fn lost(facts: &Facts<'_>) -> Wait {
    let spec = &facts.contract.spec.offering_ref;
    let name = super::machine_name(facts.contract).unwrap_or_default();
    let says = match facts.machine {
        MachineSeen::Foreign => "belongs to another Contract",
        MachineSeen::Unread | MachineSeen::Absent | MachineSeen::Present(_) => {
            "has vanished without a teardown"
        }
    };
    Wait::new(
        Reason::MachineLost,
        format!("Machine {}/{name} {says}.", spec.namespace),
        "Nothing is made again by itself: the market operator has to look, or the Contract is cancelled.",
    )
}

/// A Slot that the Machine's status does not know yet: what that status says is older.
pub(super) fn news<'a>(facts: &Facts<'a>) -> Option<&'a Slot> {
    let known = facts
        .present()?
        .status
        .as_ref()
        .and_then(|status| status.slot.clone());
    facts.slot.filter(|slot| known != slot.metadata.name)
}

/// What keeps an accepted Contract from being reached, in the Machine's own words where it has any.
pub(super) fn hindrance(facts: &Facts<'_>) -> Wait {
    match facts.machine {
        MachineSeen::Present(_) if news(facts).is_some() => Wait::new(
            Reason::Scheduled,
            "Its place is found; the VM is being made.",
            "It goes on by itself.",
        ),
        MachineSeen::Present(machine) => of_machine(machine),
        MachineSeen::Foreign => lost(facts),
        MachineSeen::Absent if facts.state() != domain::contract::State::Accepted => lost(facts),
        MachineSeen::Absent | MachineSeen::Unread if facts.offering.is_none() => not_found(facts.contract),
        MachineSeen::Absent | MachineSeen::Unread => unseen(),
    }
}

/// What a passed deadline is put down to: the failure before, where the machine was just being placed again; beside what
/// it was doing, where it had begun anew.
pub(super) fn blame(facts: &Facts<'_>) -> Wait {
    let hindrance = hindrance(facts);
    let failed = facts
        .present()
        .and_then(|machine| machine.status.as_ref()?.last_error.as_ref());
    match failed {
        Some(error) if hindrance.message.contains(&error.text) => hindrance,
        Some(error) if hindrance.reason == Reason::Scheduled => Wait::new(
            reason(&error.reason),
            format!("{}.", error.text),
            hindrance.next_step,
        ),
        // A node that failed is left and avoided: the failure is why it is placed again, or why nothing is left.
        Some(error) if matches!(hindrance.reason, Reason::WaitingForCapacity | Reason::TaskFailed) => {
            Wait::new(
                reason(&error.reason),
                format!("{}. After that: {}", error.text, hindrance.message),
                hindrance.next_step,
            )
        }
        Some(error) => Wait {
            message: format!("{} Before that: {}.", hindrance.message, error.text),
            ..hindrance
        },
        None => hindrance,
    }
}

fn not_found(contract: &Contract) -> Wait {
    Refusal::OfferingNotFound.wait(contract)
}

/// The provider family has said nothing yet.
pub(super) fn unseen() -> Wait {
    Wait::new(
        Reason::WaitingForMachine,
        "The provider's operator has not looked at it yet.",
        "It goes on by itself once that operator runs.",
    )
}

fn of_machine(machine: &Machine) -> Wait {
    let Some(status) = &machine.status else {
        return unseen();
    };
    let mut open = [SCHEDULED, PROVISIONED, READY]
        .iter()
        .filter_map(|kind| find(&status.conditions, kind));
    let says = open.find(|c| c.status != "True").map(|c| c.message.clone());
    if let Some(waiting) = &status.waiting {
        return Wait {
            reason: reason(&waiting.reason),
            actor: waiting.actor,
            message: says
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| waiting.next_step.clone()),
            next_step: waiting.next_step.clone(),
            deadline: waiting.deadline.as_ref().map(|t| t.0),
            position: waiting.position,
        };
    }
    let stopped = status
        .vm
        .as_ref()
        .is_some_and(|vm| vm.power == PowerState::Stopped);
    if stopped && crate::condition::holds(&status.conditions, PROVISIONED) {
        return Wait::new(
            Reason::Stopped,
            "The VM is made and stopped as asked; it is yours once SSH has answered for the first time.",
            "Set spec.powerState to Running.",
        );
    }
    if crate::condition::holds(&status.conditions, PROVISIONED) {
        return Wait::new(
            Reason::WaitingForReach,
            "The VM runs; SSH through the gateway has not answered yet.",
            "It goes on by itself once the machine's SSH server answers.",
        );
    }
    match find(&status.conditions, PROVISIONED) {
        Some(c) if c.status == "False" => {
            Wait::new(reason(&c.reason), c.message.clone(), "It goes on by itself.")
        }
        _ => unseen(),
    }
}
