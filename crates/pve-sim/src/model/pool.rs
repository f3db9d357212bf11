//! Resource pools and their members. Decides no permission.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::refusal::{Outcome, Refusal};

/// A pool.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pool {
    /// A comment.
    pub comment: Option<String>,
    /// Its guests.
    pub vms: BTreeSet<u32>,
}

/// All pools; a guest is in one at most.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pools {
    by_name: BTreeMap<String, Pool>,
    of_vm: BTreeMap<u32, String>,
}

impl Pools {
    /// Makes a pool.
    pub fn create(&mut self, name: &str, comment: Option<String>) -> Outcome<()> {
        if self.by_name.contains_key(name) {
            return Err(Refusal::died(format!(
                "create pool failed: pool '{name}' already exists"
            )));
        }
        self.by_name.insert(
            name.to_owned(),
            Pool {
                comment,
                vms: BTreeSet::new(),
            },
        );
        Ok(())
    }

    /// Removes an empty pool.
    pub fn delete(&mut self, name: &str) -> Outcome<()> {
        let Some(pool) = self.by_name.get(name) else {
            return Err(Refusal::died(format!(
                "delete pool failed: pool '{name}' does not exist"
            )));
        };
        if let Some(vmid) = pool.vms.first() {
            return Err(Refusal::died(format!(
                "delete pool failed: pool '{name}' is not empty (contains VM {vmid})"
            )));
        }
        self.by_name.remove(name);
        Ok(())
    }

    /// All pools by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pool)> {
        self.by_name.iter().map(|(name, pool)| (name.as_str(), pool))
    }

    /// A pool.
    pub fn get(&self, name: &str) -> Outcome<&Pool> {
        self.by_name
            .get(name)
            .ok_or_else(|| Refusal::died(format!("pool '{name}' does not exist")))
    }

    /// A pool, to change its comment.
    pub fn get_mut(&mut self, name: &str) -> Outcome<&mut Pool> {
        self.by_name
            .get_mut(name)
            .ok_or_else(|| Refusal::died(format!("pool '{name}' does not exist")))
    }

    /// The pool of a guest.
    pub fn of(&self, vmid: u32) -> Option<&str> {
        self.of_vm.get(&vmid).map(String::as_str)
    }

    /// Puts a guest into a pool, out of any other; false if there is no such pool.
    pub fn join(&mut self, name: &str, vmid: u32) -> bool {
        if !self.by_name.contains_key(name) {
            return false;
        }
        self.leave(vmid);
        if let Some(pool) = self.by_name.get_mut(name) {
            pool.vms.insert(vmid);
        }
        self.of_vm.insert(vmid, name.to_owned());
        true
    }

    /// Takes a guest out of its pool.
    pub fn leave(&mut self, vmid: u32) {
        if let Some(pool) = self
            .of_vm
            .remove(&vmid)
            .and_then(|name| self.by_name.get_mut(&name))
        {
            pool.vms.remove(&vmid);
        }
    }

    /// All guests that are in some pool.
    pub fn members(&self) -> impl Iterator<Item = u32> {
        self.of_vm.keys().copied()
    }

    /// The pool whose rights count on a path: that of the guest which it names.
    pub fn pool_of_path(&self, path: &str) -> Option<&str> {
        self.of(path.strip_prefix("/vms/")?.parse().ok()?)
    }
}
