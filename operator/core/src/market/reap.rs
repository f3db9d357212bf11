//! When a Machine may go: its teardown is finished and its last Slot rests. Must not end one.

use crds::{Machine, Slot, slot::SlotPhase};
use kube::ResourceExt;

use super::names::MACHINE_FINALIZER;

/// Whether the Machine has nothing left to say.
#[must_use]
pub fn is_due(machine: &Machine, slots: &[&Slot]) -> bool {
    let ended = machine.status.as_ref().is_some_and(|s| s.ended.is_some());
    let deleting = machine.metadata.deletion_timestamp.is_some();
    // The provider family lets go in the pass that ends it: then one deletion removes it at once.
    let held = machine.finalizers().iter().any(|name| name == MACHINE_FINALIZER);
    ended && !deleting && !held && slots.iter().all(|slot| rests(slot))
}

fn rests(slot: &Slot) -> bool {
    match slot.phase() {
        SlotPhase::Claimed | SlotPhase::Releasing => false,
        SlotPhase::Resting | SlotPhase::Quarantined => true,
    }
}

#[cfg(test)]
mod tests {
    use crds::{
        MachineSpec, MachineStatus, SlotStatus,
        machine::{Ended, Outcome},
    };
    use rstest::rstest;

    use super::*;
    use crate::market::samples::{at, slot};

    fn ended() -> Machine {
        let mut machine = Machine::new("m", MachineSpec::default());
        let ended = Ended {
            outcome: Outcome::Deleted,
            at: at(0),
            reason: None,
        };
        machine.status = Some(MachineStatus {
            ended: Some(ended),
            ..MachineStatus::default()
        });
        machine
    }

    #[rstest]
    #[case(SlotPhase::Claimed, false)]
    #[case(SlotPhase::Releasing, false)]
    #[case(SlotPhase::Resting, true)]
    #[case(SlotPhase::Quarantined, true)]
    fn a_machine_goes_when_its_last_slot_rests(#[case] phase: SlotPhase, #[case] want: bool) {
        let mut last = slot(0, None);
        last.status = Some(SlotStatus {
            phase,
            ..SlotStatus::default()
        });
        let mut first = slot(1, None);
        first.status = Some(SlotStatus {
            phase: SlotPhase::Resting,
            ..SlotStatus::default()
        });
        assert_eq!(is_due(&ended(), &[&first, &last]), want);
    }

    #[test]
    fn a_machine_that_has_not_ended_stays() {
        let mut machine = ended();
        assert!(is_due(&machine, &[]));
        machine.status = None;
        assert!(!is_due(&machine, &[]));
        let mut going = ended();
        going.metadata.deletion_timestamp = Some(at(1));
        assert!(!is_due(&going, &[]), "asked for once is enough");
        let mut held = ended();
        held.metadata.finalizers = Some(vec![MACHINE_FINALIZER.to_owned()]);
        assert!(!is_due(&held, &[]), "the provider family lets go first");
    }
}
