//! Why an operation did not happen, in the daemon's own words. Knows nothing of HTTP.

use thiserror::Error;

use super::locks::LockFile;

/// The error text of an operation: a reason phrase when it is synchronous, an exit status in a task.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The daemon died with this text.
    #[error("{0}")]
    Died(String),
    /// A lock file is held by somebody else; worth another try until ten seconds have passed.
    #[error("{0}")]
    Busy(LockFile),
    /// A storage is dead: whoever touches it hangs until it is back.
    #[error("storage '{0}' does not answer")]
    Stuck(String),
}

/// Shorthand for a fallible act on the model.
pub type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    /// The configuration of a guest is not on this node.
    pub fn no_config(node: &str, vmid: u32) -> Self {
        Self::Died(format!(
            "Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist"
        ))
    }

    /// The same, as the calls say it that search the guest first.
    pub fn not_found(node: &str, vmid: u32) -> Self {
        Self::Died(format!(
            "unable to find configuration file for VM {vmid} on node '{node}'"
        ))
    }

    /// The id is taken.
    pub fn taken(vmid: u32) -> Self {
        Self::Died(format!("unable to create VM {vmid}: config file already exists"))
    }

    /// The configuration carries a lock.
    pub fn locked(lock: &str) -> Self {
        Self::Died(format!("VM is locked ({lock})"))
    }

    /// The digest sent is not the present one.
    pub fn stale() -> Self {
        Self::Died("checksum mismatch (file change by other user?)".to_owned())
    }

    /// The cluster cannot take writes, as calls say it that check first.
    pub fn no_quorum() -> Self {
        Self::Died("cluster not ready - no quorum?".to_owned())
    }

    /// The cluster cannot take writes, as the file system says it.
    pub fn read_only(path: &str, pid: u32) -> Self {
        Self::Died(format!(
            "unable to open file '/etc/pve/{path}.tmp.{pid}' - Permission denied"
        ))
    }

    /// The cluster cannot take writes, as calls say it that lock one of its files.
    pub fn no_cluster_lock(file: &str) -> Self {
        Self::Died(format!("cfs-lock '{file}' error: no quorum!"))
    }

    /// Any other text.
    pub fn died(text: impl Into<String>) -> Self {
        Self::Died(text.into())
    }
}
