//! A small abstract Proxmox for the laws: one VMID, our clone task, blindness, and what others do to the VM.

use std::collections::BTreeMap;

use crds::{common::PowerState, machine::TaskKind};
use domain::pve::Class;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{
    blueprint::Blueprint,
    isolate::FirewallOp,
    plan::{Cloned, History, Seen, Step, needs_firewall, plan},
};
use crate::provider::{
    plan::Verdict,
    seen::{FirewallSeen, Guest, Ownership, Presence, Rule, Running, TaskSeen, Why},
    trouble::{Asker, StepKind, Trouble},
};

/// One VM of the abstract Proxmox.
#[derive(Clone, Debug)]
pub struct Vm {
    pub config: BTreeMap<String, String>,
    pub running: bool,
    pub firewall: FirewallSeen,
    pub visible: bool,
    pub version: u32,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that an event turns"
)]
#[derive(Clone, Debug)]
pub struct World {
    pub vm: Option<Vm>,
    pub template: BTreeMap<String, String>,
    pub quarantined: bool,
    pub made: bool,
    pub cloned: bool,
    /// The clone is known to have ended well.
    pub well: bool,
    pub blind: bool,
    pub hidden_since: Option<Timestamp>,
    pub free_since: Option<Timestamp>,
    /// Looks until our clone task ends; until then its target is invisible.
    pub cloning: Option<u8>,
    pub trouble: Option<Trouble>,
    pub node_lost: bool,
    /// The guest does not shut down when asked to.
    pub deaf: bool,
    pub now: Timestamp,
    /// Mutating calls that hit a VM without our stamp.
    pub trespasses: u32,
}

impl World {
    pub fn new() -> Self {
        let template = [
            ("scsi0", "local:base,size=2G"),
            ("tags", "golden"),
            ("onboot", "1"),
            ("net0", "virtio=AA,bridge=vmbr0"),
            ("sockets", "2"),
        ];
        Self {
            vm: None,
            template: template
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
            quarantined: false,
            made: false,
            cloned: false,
            well: false,
            blind: false,
            hidden_since: None,
            free_since: None,
            cloning: None,
            trouble: None,
            node_lost: false,
            deaf: false,
            now: Timestamp::from_second(1_000_000).unwrap(),
            trespasses: 0,
        }
    }

    pub fn foreign() -> Vm {
        let config = BTreeMap::from([("name".to_owned(), "backup-test".to_owned())]);
        Vm {
            config,
            running: true,
            firewall: FirewallSeen::default(),
            visible: true,
            version: 0,
        }
    }

    /// While our clone runs there is nothing to see but its task.
    fn under_way(&mut self) -> Option<Seen> {
        let left = self.cloning.filter(|_| !self.blind)?;
        self.cloning = left.checked_sub(1);
        self.cloning?;
        Some(Seen {
            guest: Presence::Unknown(Why::LooksFree { again_at: self.now }),
            task: TaskSeen::Running(Running {
                kind: TaskKind::Clone,
                since: self.now,
                told: None,
            }),
            now: self.now,
        })
    }

    fn look(&mut self, want: &Blueprint) -> Seen {
        if let Some(seen) = self.under_way() {
            return seen;
        }
        if self.vm.is_some() {
            self.free_since = None;
        }
        if self.vm.as_ref().is_none_or(|vm| vm.visible) {
            self.hidden_since = None;
        }
        let guest = match &self.vm {
            _ if self.blind => Presence::Unknown(Why::NoAnswer {
                class: Class::Retryable { after: None },
                text: "failed to read".into(),
            }),
            None => match self.free_since {
                Some(since) if since < self.now => Presence::Absent,
                _ => {
                    self.free_since = Some(self.now);
                    Presence::Unknown(Why::LooksFree {
                        again_at: self.now.checked_add(SignedDuration::from_secs(1)).unwrap(),
                    })
                }
            },
            Some(vm) if !vm.visible => {
                let since = *self.hidden_since.get_or_insert(self.now);
                Presence::Unknown(Why::Hidden { since })
            }
            Some(vm) => {
                let mut guest = Guest {
                    node: "pve2".into(),
                    vmid: want.place.vmid,
                    config: vm.config.clone(),
                    digest: vm.version.to_string(),
                    power: Some(if vm.running {
                        PowerState::Running
                    } else {
                        PowerState::Stopped
                    }),
                    firewall: None,
                };
                if needs_firewall(want, &guest, self.made) {
                    guest.firewall = Some(vm.firewall.clone());
                }
                Presence::Present(guest)
            }
        };
        Seen {
            guest,
            task: TaskSeen::None,
            now: self.now,
        }
    }

    fn history(&self) -> History {
        History {
            cloned: match (self.cloned, self.well) {
                (false, _) => Cloned::Never,
                (true, false) => Cloned::Perhaps,
                (true, true) => Cloned::Well,
            },
            made: self.made,
            hidden_limit: SignedDuration::from_secs(10),
            task_limit: SignedDuration::from_mins(10),
            node_lost: self.node_lost,
            trouble: self.trouble.clone(),
            restarts: Vec::new(),
            deadline: None,
            asker: Asker::default(),
        }
    }

    /// What would be done now.
    pub fn next(&mut self, want: &Blueprint) -> Option<Step> {
        let seen = self.look(want);
        plan(want, &seen, &self.history()).step
    }

    /// One round; whether it settled.
    pub fn round(&mut self, want: &Blueprint) -> bool {
        let seen = self.look(want);
        let plan = plan(want, &seen, &self.history());
        assert_eq!(plan, super::plan::plan(want, &seen, &self.history()), "stability");
        if let TaskSeen::Running(_) = seen.task {
            assert_eq!(plan.step, None, "nothing beside a running task");
        }
        if let Presence::Unknown(why) = &seen.guest {
            self.bounds_of_blindness(why, plan.step.as_ref());
        }
        self.now = self.now.checked_add(SignedDuration::from_secs(5)).unwrap();
        let Some(step) = plan.step else {
            self.made |= plan.verdict == Verdict::Settled;
            return plan.verdict == Verdict::Settled;
        };
        self.execute(want, step);
        false
    }

    /// What may be done about a VM that cannot be seen.
    fn bounds_of_blindness(&self, why: &Why, step: Option<&Step>) {
        let allowed = match (why, step) {
            (_, None) => true,
            (Why::LooksFree { .. }, Some(Step::Clone)) | (Why::Hidden { .. }, Some(Step::Quarantine(_))) => {
                !self.made
            }
            (_, Some(Step::Clone)) => !self.made && !self.cloned,
            (Why::NoAnswer { .. }, Some(Step::Supersede)) => !self.made && self.node_lost,
            _ => false,
        };
        assert!(allowed, "blindness: {why:?} {step:?}");
    }

    fn owned(&mut self, proof: &Ownership) -> Option<&mut Vm> {
        let ours = self.vm.as_ref().is_some_and(|vm| {
            vm.config
                .get("description")
                .is_some_and(|d| d.contains(&proof.stamp().line()))
        });
        if !ours {
            self.trespasses += 1;
            return None;
        }
        self.vm.as_mut()
    }

    fn execute(&mut self, want: &Blueprint, step: Step) {
        match step {
            Step::Clone => self.clone_vm(want),
            Step::Quarantine(_) | Step::Supersede => self.quarantined = true,
            Step::Cancel => unreachable!("its tasks end at once"),
            Step::Configure(proof, change) => {
                if let Some(vm) = self.owned(&proof) {
                    assert_eq!(proof.digest(), vm.version.to_string(), "bound to the digest");
                    vm.config.extend(change.set);
                    change.delete.iter().for_each(|key| drop(vm.config.remove(key)));
                    vm.version += 1;
                }
            }
            Step::Isolate(proof, ops) => {
                if let Some(vm) = self.owned(&proof) {
                    for op in ops {
                        apply(&mut vm.firewall, op);
                    }
                }
            }
            Step::Grow(proof, disk, to) => {
                if let Some(vm) = self.owned(&proof) {
                    vm.config
                        .insert(disk, format!("local:vm,size={}G", to.gib_ceil()));
                    vm.version += 1;
                }
            }
            Step::Start(proof) => {
                if let Some(vm) = self.owned(&proof) {
                    vm.running = true;
                }
            }
            Step::Shutdown(proof) if self.deaf => {
                if self.owned(&proof).is_some() {
                    self.fails(StepKind::Stop, "the guest did not answer");
                    self.trouble.as_mut().unwrap().deaf = true;
                }
            }
            Step::Shutdown(proof) | Step::Stop(proof) => {
                if let Some(vm) = self.owned(&proof) {
                    vm.running = false;
                    self.trouble = None;
                }
            }
        }
    }

    pub fn fails(&mut self, at: StepKind, text: &str) {
        let prior = self.trouble.take();
        let again = Trouble::again(prior.as_ref(), at, Class::Provider, text.to_owned(), self.now);
        self.trouble = Some(again);
    }

    /// Creation is once-only: over another VM it only fails.
    fn clone_vm(&mut self, want: &Blueprint) {
        self.cloned = true;
        if self.vm.is_none() {
            let mut config = self.template.clone();
            config.insert("description".into(), want.stamp.line());
            let firewall = FirewallSeen {
                rules: vec![foreign_rule(), foreign_rule()],
                ..FirewallSeen::default()
            };
            self.vm = Some(Vm {
                config,
                running: false,
                firewall,
                visible: true,
                version: 1,
            });
            self.cloning = Some(2);
        }
    }
}

fn foreign_rule() -> Rule {
    Rule {
        direction: "in".into(),
        action: "ACCEPT".into(),
        source: None,
        enabled: true,
        extra: true,
    }
}

fn apply(firewall: &mut FirewallSeen, op: FirewallOp) {
    match op {
        FirewallOp::DeleteRule(pos) => drop(firewall.rules.remove(pos)),
        FirewallOp::MakeSet => firewall.ipfilter = Some(Vec::new()),
        FirewallOp::RemoveAddress(address) => firewall.ipfilter.as_mut().unwrap().retain(|a| *a != address),
        FirewallOp::AddAddress(address) => firewall.ipfilter.as_mut().unwrap().push(address),
        FirewallOp::InsertRule(rule) => firewall.rules.insert(
            0,
            Rule {
                direction: "in".into(),
                action: rule.action.into(),
                source: Some(rule.source),
                enabled: true,
                extra: false,
            },
        ),
        FirewallOp::Options { set } => firewall.options.extend(set),
    }
}

/// What happens from outside between two rounds.
#[derive(Clone, Debug)]
pub enum Outside {
    Nothing,
    Blind,
    Sight,
    Forget,
    Rename,
    Stop,
    Swap,
    Hide,
    Show,
    Unprotect,
    CloneFails,
    NodeLost,
}

pub fn outside() -> impl Strategy<Value = Outside> {
    prop_oneof![
        4 => Just(Outside::Nothing),
        1 => Just(Outside::Blind),
        1 => Just(Outside::Sight),
        1 => Just(Outside::Forget),
        1 => Just(Outside::Rename),
        1 => Just(Outside::Stop),
        1 => Just(Outside::Swap),
        1 => Just(Outside::Hide),
        1 => Just(Outside::Show),
        1 => Just(Outside::Unprotect),
        1 => Just(Outside::CloneFails),
        1 => Just(Outside::NodeLost),
    ]
}

impl World {
    pub fn suffer(&mut self, event: &Outside) {
        match (event, self.vm.as_mut()) {
            (Outside::Blind, _) => self.blind = true,
            (Outside::Sight, _) => (self.blind, self.node_lost) = (false, false),
            // A crash: the process no longer knows whether it asked for the clone.
            (Outside::Forget, _) => (self.cloned, self.trouble) = (true, None),
            (Outside::NodeLost, _) => (self.blind, self.node_lost) = (true, true),
            (Outside::CloneFails, _) if self.cloning.take().is_some() => {
                self.vm = None;
                self.fails(StepKind::Clone, "disk full");
            }
            (Outside::Swap, _) => (self.vm, self.cloning) = (Some(Self::foreign()), None),
            (Outside::Rename, Some(vm)) => drop(vm.config.insert("name".into(), "renamed".into())),
            (Outside::Stop, Some(vm)) => vm.running = false,
            (Outside::Hide, Some(vm)) => vm.visible = false,
            (Outside::Show, Some(vm)) => vm.visible = true,
            (Outside::Unprotect, Some(vm)) => drop(vm.config.remove("protection")),
            _ => {}
        }
    }
}
