//! What this process remembers about Slots between passes. Everything here can be lost: a new process looks again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crds::machine::TaskKind;
use dc_proxmox::Permit;
use domain::{ids::Uid, pve::Upid};
use jiff::{SignedDuration, Timestamp};
use kit::clock::Clock;
use operator_core::provider::{
    seen::{Running, TaskSeen},
    trouble::Trouble,
};

/// What is remembered about one Slot.
#[derive(Debug, Default)]
pub struct Remembered {
    /// This process made the Slot and has not asked for its clone yet: there is nothing to look at.
    pub untouched: bool,
    /// A task that was started or found, and not yet seen to end.
    pub task: Option<Task>,
    /// Our clone to this VMID ended well: what is there and cannot be seen is ours, taken out of our sight.
    pub cloned: bool,
    /// Keeps others from cloning on the node while ours runs.
    pub permit: Option<Permit>,
    /// Since when the VMID is taken by something unseen.
    pub hidden_since: Option<Timestamp>,
    /// Since when the VMID looks free.
    pub free_since: Option<Timestamp>,
    /// Our own destroy task ended well: what looks free is absent.
    pub destroyed: bool,
    /// The last failure.
    pub trouble: Option<Trouble>,
    /// Node that the VM was last seen on.
    pub node: Option<String>,
    /// Both clocks as they were read when they last agreed.
    pub read: Option<(Timestamp, Duration)>,
}

impl Remembered {
    /// Reads the clock. What is remembered moves along when the wall clock is corrected, so that no interval becomes
    /// longer or shorter by it.
    pub fn now(&mut self, clock: &dyn Clock) -> Timestamp {
        let (wall, steady) = (clock.now(), clock.monotonic());
        let (last, then) = *self.read.get_or_insert((wall, steady));
        let passed = SignedDuration::try_from(steady.saturating_sub(then)).unwrap_or(SignedDuration::MAX);
        let jump = wall.duration_since(last).saturating_sub(passed);
        // The clocks are read one after the other, so they never agree to the nanosecond.
        if jump.abs() >= SignedDuration::from_secs(1) {
            self.read = Some((wall, steady));
            let instants = [
                self.hidden_since.as_mut(),
                self.free_since.as_mut(),
                self.task.as_mut().map(|task| &mut task.since),
                self.trouble.as_mut().map(|trouble| &mut trouble.retry_at),
            ];
            for at in instants.into_iter().flatten() {
                *at = at.saturating_add(jump).unwrap_or(*at);
            }
        }
        wall
    }
}

/// A task of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its identifier.
    pub upid: Upid,
    /// What it does.
    pub kind: TaskKind,
    /// Since when.
    pub since: Timestamp,
    /// When it was last told to end.
    pub told: Option<Timestamp>,
}

impl Task {
    /// The task as planners see it.
    #[must_use]
    pub const fn running(&self) -> TaskSeen {
        TaskSeen::Running(Running {
            kind: self.kind,
            since: self.since,
            told: self.told,
        })
    }
}

/// A Slot's memory; one pass holds it at a time.
pub type Cell = Arc<tokio::sync::Mutex<Remembered>>;

/// The memories of all Slots.
#[derive(Debug, Default)]
pub struct Memory {
    cells: Mutex<HashMap<Uid, Cell>>,
}

impl Memory {
    /// The memory of a Slot, empty at first.
    #[must_use]
    pub fn of(&self, slot: &Uid) -> Cell {
        Arc::clone(
            self.cells
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(*slot)
                .or_default(),
        )
    }

    /// Starts the memory of a Slot that this process has just created.
    pub fn created(&self, slot: &Uid) {
        let fresh = Remembered {
            untouched: true,
            ..Remembered::default()
        };
        let cell = Arc::new(tokio::sync::Mutex::new(fresh));
        self.cells
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(*slot, cell);
    }

    /// Forgets a Slot that is gone.
    pub fn forget(&self, slot: &Uid) {
        self.cells
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(slot);
    }
}

#[cfg(test)]
mod tests {
    //! Intervals and a wall clock that is corrected meanwhile.

    use kit::clock::TestClock;

    use super::*;

    #[test]
    fn a_corrected_wall_clock_changes_no_interval() {
        let clock = TestClock::at(Timestamp::UNIX_EPOCH);
        let mut memory = Remembered::default();
        memory.free_since = Some(memory.now(&clock));
        for jump in [3600, -7200] {
            clock.advance(Duration::from_secs(2));
            clock.jump(SignedDuration::from_secs(jump));
            memory.now(&clock);
        }
        let looked = memory.now(&clock);
        let since = memory.free_since.unwrap();
        assert_eq!(looked.duration_since(since), SignedDuration::from_secs(4));
    }
}
