//! A Machine whose Contract is gone though nothing ended it: somebody took the Contract's finalizer away, or restored
//! only half of a backup. It may still be somebody's, so it is not destroyed at once; it must not run for ever either.

use crds::{
    Machine,
    machine::{Teardown, TeardownCause},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::names::say;
use crate::condition::seconds;

/// Annotation on a Machine: since when its Contract has been missing.
pub const SINCE: &str = "decent-cloud.org/ownerless-since";
/// Annotation by which a person of the market ends such a Machine now.
pub const END: &str = "decent-cloud.org/end-ownerless";
/// A Machine without a Contract is ended after this long.
pub const PATIENCE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a Machine without a teardown needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Care {
    /// Nothing: its Contract is there, or the clock can't be trusted with a mark.
    Nothing,
    /// Its Contract is back: empty the marks.
    Unmark,
    /// Mark it with this instant and say so.
    Mark(Timestamp, String),
    /// It is marked; look again then at the latest.
    Wait(Timestamp),
    /// End it for this cause.
    End(Teardown),
}

/// What to do about it; `owned`: its very Contract is there; `sure`: the clock can be trusted with an end.
#[must_use]
pub fn care(machine: &Machine, owned: bool, sure: bool, now: Timestamp) -> Care {
    let marks = machine.annotations();
    let since = marks.get(SINCE).and_then(|text| text.parse::<Timestamp>().ok());
    let asked = marks.get(END).is_some_and(|said| said == "true");
    if owned {
        return if since.is_some() || asked {
            Care::Unmark
        } else {
            Care::Nothing
        };
    }
    let Some(since) = since else {
        if !sure {
            return Care::Nothing;
        }
        let at = seconds(now).0;
        return Care::Mark(at, told(machine, end_of(at)));
    };
    if asked || (sure && now >= end_of(since)) {
        return Care::End(Teardown {
            cause: TeardownCause::Deleted,
            at: seconds(now),
            by: "market".to_owned(),
        });
    }
    Care::Wait(end_of(since))
}

fn end_of(since: Timestamp) -> Timestamp {
    since.checked_add(PATIENCE).unwrap_or(since)
}

fn told(machine: &Machine, end: Timestamp) -> String {
    let contract = &machine.spec.contract_ref;
    let (name, namespace) = (machine.name_any(), machine.namespace().unwrap_or_default());
    format!(
        "Contract {}/{} is gone though nothing ended it. Its machine goes on until {} and is destroyed then. To end it \
         now: kubectl annotate machine {name} -n {namespace} {END}=true",
        contract.namespace,
        contract.name,
        say(end)
    )
}

#[cfg(test)]
mod tests {
    //! From the first look without a Contract to the end.

    use crds::MachineSpec;

    use super::*;

    fn machine(annotations: &[(&str, &str)]) -> Machine {
        let mut machine = Machine::new("m-1", MachineSpec::default());
        for (name, value) in annotations {
            machine
                .annotations_mut()
                .insert((*name).to_owned(), (*value).to_owned());
        }
        machine
    }

    const SINCE_EPOCH: (&str, &str) = (SINCE, "1970-01-01T00:00:00Z");

    #[test]
    fn a_machine_with_its_contract_is_left_alone_and_unmarked() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(care(&machine(&[]), true, true, now), Care::Nothing);
        let marked = machine(&[SINCE_EPOCH, (END, "true")]);
        assert_eq!(care(&marked, true, true, now), Care::Unmark);
        assert_eq!(
            care(&machine(&[(END, "true")]), true, true, now),
            Care::Unmark,
            "a request does not outlive its cause"
        );
        let emptied = machine(&[(SINCE, ""), (END, "")]);
        assert_eq!(care(&emptied, true, true, now), Care::Nothing);
    }

    #[test]
    fn without_one_it_is_marked_first_and_ended_only_after_the_time_or_by_a_person() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(care(&machine(&[]), false, false, now), Care::Nothing);
        for bare in [
            machine(&[]),
            machine(&[(END, "true")]),
            machine(&[(SINCE, "soon")]),
        ] {
            assert!(matches!(care(&bare, false, true, now), Care::Mark(at, _) if at == now));
        }
        let marked = machine(&[SINCE_EPOCH]);
        let end = end_of(now);
        let early = end.checked_sub(SignedDuration::from_secs(1)).unwrap();
        assert_eq!(care(&marked, false, true, early), Care::Wait(end));
        assert_eq!(
            care(&marked, false, false, end),
            Care::Wait(end),
            "not by a clock that is wrong"
        );
        assert!(matches!(care(&marked, false, true, end), Care::End(_)));
        let asked = machine(&[SINCE_EPOCH, (END, "true")]);
        assert!(matches!(care(&asked, false, false, now), Care::End(_)));
    }
}
