//! Lock files: who holds which, and what is said to those who waited in vain. Waits for nothing itself.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::refusal::{Outcome, Refusal};
use super::world::World;

/// How long the daemon waits for a lock file.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A file that is locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockFile {
    /// A guest's.
    Guest(u32),
    /// A storage's, which every node has for itself.
    Storage {
        /// The node.
        node: String,
        /// The storage.
        name: String,
    },
    /// That of a storage which all nodes share.
    SharedStorage(String),
}

impl fmt::Display for LockFile {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(vmid) => {
                write!(
                    text,
                    "can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout"
                )
            }
            Self::Storage { name, .. } => {
                write!(
                    text,
                    "can't lock file '/var/lock/pve-manager/pve-storage-{name}' - got timeout"
                )
            }
            Self::SharedStorage(name) => {
                write!(text, "cfs-lock 'storage-{name}' error: got lock request timeout")
            }
        }
    }
}

/// Who holds a lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Holder {
    /// A task, by number.
    Task(u64),
    /// Some other process, by a number of its own.
    Other(u64),
}

/// One lock that is held.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    file: LockFile,
    holder: Holder,
    shared: bool,
}

/// All locks that are held.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Locks {
    held: Vec<Held>,
    next: u64,
}

impl Locks {
    /// Takes a lock unless somebody is in the way.
    pub fn take(&mut self, file: LockFile, holder: Holder, shared: bool) -> Outcome<()> {
        let in_the_way = |other: &Held| other.holder != holder && !(other.shared && shared);
        if self.of(&file).any(in_the_way) {
            return Err(Refusal::Busy(file));
        }
        self.held
            .retain(|held| held.file != file || held.holder != holder);
        self.held.push(Held { file, holder, shared });
        Ok(())
    }

    /// Refuses while anybody holds a lock.
    pub fn check(&self, file: LockFile) -> Outcome<()> {
        if self.of(&file).next().is_some() {
            return Err(Refusal::Busy(file));
        }
        Ok(())
    }

    /// Whether this one holds it.
    pub fn holds(&self, file: &LockFile, holder: Holder) -> bool {
        self.of(file).any(|held| held.holder == holder)
    }

    /// Gives back everything that somebody holds.
    pub fn release(&mut self, holder: Holder) {
        self.held.retain(|held| held.holder != holder);
    }

    /// Gives one of them back.
    pub fn give_back(&mut self, file: &LockFile, holder: Holder) {
        self.held
            .retain(|held| held.file != *file || held.holder != holder);
    }

    /// A number for a process that is no task.
    pub fn other(&mut self) -> Holder {
        self.next += 1;
        Holder::Other(self.next)
    }

    fn of(&self, file: &LockFile) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| held.file == *file)
    }
}

impl World {
    /// Takes a guest's lock file for a task, for itself alone.
    pub fn lock_alone(&mut self, vmid: u32, task: u64) -> Outcome<()> {
        self.locks.take(LockFile::Guest(vmid), Holder::Task(task), false)
    }

    /// Takes a guest's lock file for a task, beside others that take it so.
    pub fn lock_shared(&mut self, vmid: u32, task: u64) -> Outcome<()> {
        self.locks.take(LockFile::Guest(vmid), Holder::Task(task), true)
    }

    /// Refuses while anybody holds a guest's lock file.
    pub fn check_flock(&self, vmid: u32) -> Outcome<()> {
        self.locks.check(LockFile::Guest(vmid))
    }

    /// Whether a task holds a guest's lock file.
    pub fn has_flock(&self, vmid: u32, task: u64) -> bool {
        self.locks.holds(&LockFile::Guest(vmid), Holder::Task(task))
    }

    /// Gives back every lock file that a task holds.
    pub fn release_flocks(&mut self, task: u64) {
        self.locks.release(Holder::Task(task));
    }

    /// The lock file of a storage, as a node sees it.
    pub fn storage_lock(&self, name: &str, node: &str) -> LockFile {
        if self.storages.get(name).is_some_and(|storage| storage.shared) {
            return LockFile::SharedStorage(name.to_owned());
        }
        LockFile::Storage {
            node: node.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Has some other process hold a lock for a while.
    pub fn hold_lock(&mut self, file: LockFile, span: Duration) -> Outcome<()> {
        let holder = self.locks.other();
        self.locks.take(file, holder, false)?;
        self.plan_release(holder, span);
        Ok(())
    }
}
