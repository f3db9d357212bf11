//! Tasks of ours that hang: when one is told to end, and what is shown if it does not. A clone has its Contract's
//! deadline, and a removal is never cut in two.

use crds::machine::TaskKind;
use domain::ids::Vmid;
use jiff::{SignedDuration, Timestamp};

use super::seen::Running;
use crate::{condition::Wait, reason::Reason};

/// What a running task calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// Waiting.
    No,
    /// It is told to end, for the first time or again.
    End,
    /// It was told to and has not: somebody has to look.
    Deaf,
}

/// Judges a task that may run for `limit`, and has as long again to obey.
#[must_use]
pub fn judge(task: Running, now: Timestamp, limit: SignedDuration) -> Hang {
    let Running { kind, since, told } = task;
    let over = |at: Timestamp| now.duration_since(at) >= limit;
    let is_ended = !matches!(kind, TaskKind::Clone | TaskKind::Destroy);
    match told {
        Some(told) if !over(told) => Hang::Deaf,
        Some(_) => Hang::End,
        None if is_ended && over(since) => Hang::End,
        None => Hang::No,
    }
}

/// What is shown of a task that does not obey.
#[must_use]
pub fn deaf(vmid: Vmid) -> Wait {
    Wait::new(
        Reason::ProviderError,
        format!("A task of Proxmox on VMID {vmid} hangs and does not end though it was told to."),
        "The provider looks at the node's running tasks and its storage; it goes on by itself once the task has ended.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: SignedDuration = SignedDuration::from_mins(10);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    fn judged(kind: TaskKind, told: Option<i64>, now: i64) -> Hang {
        let task = Running {
            kind,
            since: at(0),
            told: told.map(at),
        };
        judge(task, at(now), LIMIT)
    }

    #[test]
    fn a_task_is_told_once_in_its_limit() {
        assert_eq!(judged(TaskKind::Start, None, 9), Hang::No);
        assert_eq!(judged(TaskKind::Start, None, 10), Hang::End);
        assert_eq!(judged(TaskKind::Start, Some(10), 19), Hang::Deaf);
        assert_eq!(judged(TaskKind::Start, Some(10), 20), Hang::End);
    }

    #[test]
    fn neither_a_clone_nor_a_removal_is_cut_for_being_slow() {
        assert_eq!(judged(TaskKind::Clone, None, 1_000), Hang::No);
        assert_eq!(judged(TaskKind::Destroy, None, 1_000), Hang::No);
        assert_eq!(
            judged(TaskKind::Clone, Some(1), 2),
            Hang::Deaf,
            "its contract has ended"
        );
    }
}
