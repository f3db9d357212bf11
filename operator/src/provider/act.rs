//! Mutating calls to Proxmox. Each is preceded by proof that the VM carries our stamp: the first by the look that the
//! plan was made from, each later one by a read of its own. A clone alone needs none: a VMID can be created once.

use std::{collections::BTreeMap, time::Duration};

use crds::machine::TaskKind;
use dc_proxmox::{Change, CloneRequest, NewRule, Pve, TaskStatus, sshkeys_value};
use domain::{
    ids::NodeName,
    pve::{Class, Upid},
    quantity::Bytes,
};
use jiff::Timestamp;
use operator_core::provider::{
    machine::{
        blueprint::Blueprint,
        configure,
        isolate::{FirewallOp, IPFILTER},
    },
    seen::{Ownership, TaskSeen},
    trouble::StepKind,
};

use super::{
    failed::Failed,
    look,
    memory::{Remembered, Task},
    read::{node_name, read_config},
};

/// Longest wait inside a pass for one task; longer ones are looked at again by a later pass.
pub const TASK_BUDGET: Duration = Duration::from_millis(1500);

/// What is done to a VM as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// Start it.
    Start,
    /// Ask the guest to shut down, for this long.
    Shutdown(Duration),
    /// Stop it.
    Stop,
    /// Destroy it.
    Destroy,
}

/// Where calls go to, with what is remembered of the Slot.
#[derive(Debug)]
pub struct Hands<'a> {
    /// The cluster.
    pub pve: &'a Pve,
    /// What is remembered of the Slot.
    pub memory: &'a mut Remembered,
    /// The instant of the plan.
    pub now: Timestamp,
}

impl Hands<'_> {
    /// Asks for the clone. From here on a clone may exist whatever the answer says.
    ///
    /// # Errors
    /// The refusal, or no usable answer.
    pub async fn clone(&mut self, want: &Blueprint) -> Result<TaskSeen, Failed> {
        let step = StepKind::Clone;
        let place = &want.place;
        let node = node_name(&place.node).map_err(Failed::name(step))?;
        let storage = place
            .full_clone
            .then(|| place.storage.parse())
            .transpose()
            .map_err(Failed::name(step))?;
        let request = CloneRequest {
            newid: place.vmid,
            name: want.name.clone(),
            description: want.stamp.line(),
            pool: place.pool.clone(),
            full: place.full_clone,
            storage,
            target: None,
        };
        (self.memory.untouched, self.memory.cloned) = (false, false);
        match self.pve.clone_vm(&node, place.template, &request).await {
            Ok(upid) => self.watch(upid, TaskKind::Clone).await,
            Err(error) => {
                // Refused: nothing of ours runs that others would have to wait for. A lost answer leaves that open.
                if !error.is_ambiguous() {
                    self.memory.permit = None;
                }
                Err(Failed::of(step)(error))
            }
        }
    }

    /// Changes the configuration, bound to the digest of the proof.
    ///
    /// # Errors
    /// The refusal, or no usable answer.
    pub async fn configure(&mut self, proof: &Ownership, change: configure::Change) -> Result<(), Failed> {
        let step = StepKind::Configure;
        let node = node_name(proof.node()).map_err(Failed::name(step))?;
        let mut set = change.set;
        if let Some(keys) = set.get_mut("sshkeys") {
            *keys = sshkeys_value(&keys.lines().collect::<Vec<_>>());
        }
        let change = Change {
            set,
            delete: change.delete,
        };
        self.pve
            .put_config(&node, proof.vmid(), &change, Some(proof.digest()))
            .await
            .map_err(Failed::of(step))
    }

    /// Sets the firewall, with a proof before each call.
    ///
    /// # Errors
    /// The refusal, no usable answer, or the VM no longer being ours.
    pub async fn isolate(&mut self, proof: &Ownership, ops: &[FirewallOp]) -> Result<(), Failed> {
        let step = StepKind::Isolate;
        let node = node_name(proof.node()).map_err(Failed::name(step))?;
        for op in ops {
            self.prove(proof, step).await?;
            self.firewall(&node, proof, op).await.map_err(Failed::of(step))?;
        }
        Ok(())
    }

    async fn firewall(
        &self,
        node: &NodeName,
        proof: &Ownership,
        op: &FirewallOp,
    ) -> Result<(), dc_proxmox::Error> {
        let (pve, vmid) = (self.pve, proof.vmid());
        match op {
            FirewallOp::DeleteRule(pos) => {
                pve.delete_rule(node, vmid, u32::try_from(*pos).unwrap_or(u32::MAX), None)
                    .await
            }
            FirewallOp::MakeSet => pve.create_ipset(node, vmid, IPFILTER).await,
            FirewallOp::RemoveAddress(address) => {
                pve.delete_cidr(node, vmid, IPFILTER, address.trim_start_matches('!'))
                    .await
            }
            FirewallOp::AddAddress(address) => pve.add_cidr(node, vmid, IPFILTER, address).await,
            FirewallOp::InsertRule(rule) => {
                let rule = NewRule {
                    kind: "in".to_owned(),
                    action: rule.action.to_owned(),
                    enable: 1,
                    source: Some(rule.source.clone()),
                    ..NewRule::default()
                };
                pve.post_rule(node, vmid, &rule).await
            }
            FirewallOp::Options { set } => {
                let change = Change {
                    set: set.clone(),
                    delete: Vec::new(),
                };
                pve.put_firewall_options(node, vmid, &change, None).await
            }
        }
    }

    /// Grows a disk.
    ///
    /// # Errors
    /// The refusal, or no usable answer.
    pub async fn grow(&mut self, proof: &Ownership, disk: &str, to: Bytes) -> Result<TaskSeen, Failed> {
        let step = StepKind::Grow;
        let node = node_name(proof.node()).map_err(Failed::name(step))?;
        match self
            .pve
            .resize(&node, proof.vmid(), (disk, to.get()), Some(proof.digest()))
            .await
            .map_err(Failed::of(step))?
        {
            Some(upid) => self.watch(upid, TaskKind::Resize).await,
            None => Ok(TaskSeen::None),
        }
    }

    /// Starts, shuts down, stops or destroys, with a proof right before.
    ///
    /// # Errors
    /// The refusal, no usable answer, or the VM no longer being ours.
    pub async fn drive(&mut self, proof: &Ownership, drive: Drive) -> Result<TaskSeen, Failed> {
        let (kind, step) = match drive {
            Drive::Start => (TaskKind::Start, StepKind::Start),
            Drive::Shutdown(_) => (TaskKind::Shutdown, StepKind::Stop),
            Drive::Stop => (TaskKind::Stop, StepKind::Stop),
            Drive::Destroy => (TaskKind::Destroy, StepKind::Destroy),
        };
        let node = node_name(proof.node()).map_err(Failed::name(step))?;
        self.prove(proof, step).await?;
        let vmid = proof.vmid();
        let upid = match drive {
            Drive::Start => self.pve.start(&node, vmid).await,
            Drive::Shutdown(patience) => {
                let seconds = u32::try_from(patience.as_secs().max(1)).unwrap_or(u32::MAX);
                self.pve.shutdown(&node, vmid, seconds).await
            }
            Drive::Stop => self.pve.stop(&node, vmid).await,
            Drive::Destroy => self.pve.delete_vm(&node, vmid).await,
        };
        self.watch(upid.map_err(Failed::of(step))?, kind).await
    }

    /// Lifts the protection, bound to the digest of the proof.
    ///
    /// # Errors
    /// The refusal, or no usable answer.
    pub async fn unprotect(&mut self, proof: &Ownership) -> Result<(), Failed> {
        let step = StepKind::Destroy;
        let node = node_name(proof.node()).map_err(Failed::name(step))?;
        let change = Change {
            set: BTreeMap::from([("protection".to_owned(), "0".to_owned())]),
            delete: Vec::new(),
        };
        self.pve
            .put_config(&node, proof.vmid(), &change, Some(proof.digest()))
            .await
            .map_err(Failed::of(step))
    }

    /// Ends our own task.
    ///
    /// # Errors
    /// The refusal, or no usable answer.
    pub async fn cancel(&mut self) -> Result<TaskSeen, Failed> {
        let Some(mut task) = self.memory.task.clone() else {
            return Ok(TaskSeen::None);
        };
        self.pve
            .cancel_task(&task.upid)
            .await
            .map_err(Failed::of(look::step_of(task.kind)))?;
        task.told = Some(self.now);
        self.wait_for(task).await
    }

    async fn watch(&mut self, upid: Upid, kind: TaskKind) -> Result<TaskSeen, Failed> {
        let task = Task {
            upid,
            kind,
            since: self.now,
            told: None,
        };
        self.memory.task = Some(task.clone());
        self.wait_for(task).await
    }

    async fn wait_for(&mut self, task: Task) -> Result<TaskSeen, Failed> {
        // An unanswered question about the task leaves it running for us: the next look asks again.
        let status = self
            .pve
            .await_task(&task.upid, TASK_BUDGET)
            .await
            .unwrap_or(TaskStatus::Running);
        Ok(look::ended(self.memory, &task, status, self.now))
    }

    /// Proves once more that the VM is ours: the last read before each call that takes no digest. What is left of the
    /// window is one round trip.
    async fn prove(&self, proof: &Ownership, step: StepKind) -> Result<(), Failed> {
        let guest = read_config(self.pve, proof.node(), proof.vmid())
            .await
            .map_err(Failed::of(step))?;
        if guest.is_some_and(|g| Ownership::prove(&g, proof.stamp()).is_ok()) {
            return Ok(());
        }
        let text = format!("VMID {} stopped being ours between two calls", proof.vmid());
        Err(Failed::new(step, Class::Conflict, text))
    }
}
