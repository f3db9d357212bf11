//! The laws of the machine planner, held against a small abstract Proxmox: idempotence, convergence, safety,
//! stability, crash.

use std::collections::BTreeMap;

use crds::common::PowerState;
use domain::{
    ids::{Uid, Vmid},
    quantity::Bytes,
    stamp::Stamp,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{
    blueprint::{Blueprint, Card, Place},
    isolate::FirewallOp,
    plan::{History, Seen, Step, needs_firewall, plan},
};
use crate::provider::{
    plan::Verdict,
    seen::{FirewallSeen, Guest, Ownership, Presence, Rule, TaskSeen, Why},
};

fn uid(n: u8) -> Uid {
    Uid::from_bytes([n; 16])
}

pub fn sample(power: PowerState) -> Blueprint {
    Blueprint {
        stamp: Stamp {
            hub: uid(1),
            machine: uid(2),
            slot: uid(3),
        },
        place: Place {
            vmid: Vmid::try_from(10_010_u32).unwrap(),
            node: "pve1".into(),
            storage: "local".into(),
            template: Vmid::try_from(9000_u32).unwrap(),
            full_clone: false,
            pool: "decent".into(),
        },
        name: "dc-0000000000".into(),
        cores: 2,
        memory_mib: 2048,
        disk: Bytes::from_gib(20),
        network: Card {
            mac: "02:AA:BB:CC:00:0A".into(),
            bridge: "vmbr1".into(),
            vlan: None,
            address: "10.64.0.20".parse().unwrap(),
            prefix: 16,
            cidr: "10.64.0.0/16".into(),
            gateway: "10.64.0.1".parse().unwrap(),
            nameservers: vec!["9.9.9.9".into()],
        },
        ssh_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me".into()],
        user: "root".into(),
        isolated: true,
        power,
    }
}

/// One VM of the abstract Proxmox.
#[derive(Clone, Debug)]
struct Vm {
    config: BTreeMap<String, String>,
    running: bool,
    firewall: FirewallSeen,
    visible: bool,
    version: u32,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that an event turns"
)]
#[derive(Clone, Debug)]
struct World {
    vm: Option<Vm>,
    template: BTreeMap<String, String>,
    quarantined: bool,
    made: bool,
    cloned: bool,
    blind: bool,
    hidden_since: Option<Timestamp>,
    now: Timestamp,
    /// Mutating calls that hit a VM without our stamp.
    trespasses: u32,
}

impl World {
    fn new() -> Self {
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
            blind: false,
            hidden_since: None,
            now: Timestamp::from_second(1_000_000).unwrap(),
            trespasses: 0,
        }
    }

    fn foreign() -> Vm {
        let config = BTreeMap::from([("name".to_owned(), "backup-test".to_owned())]);
        Vm {
            config,
            running: true,
            firewall: FirewallSeen::default(),
            visible: true,
            version: 0,
        }
    }

    fn look(&mut self, want: &Blueprint) -> Seen {
        let guest = match &self.vm {
            _ if self.blind => Presence::Unknown(Why::NoAnswer {
                class: domain::pve::Class::Retryable { after: None },
                text: "failed to read".into(),
            }),
            None => Presence::Absent,
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
            cloned: self.cloned,
            cloned_well: false,
            made: self.made,
            trouble: None,
            restarts: Vec::new(),
            deadline: None,
            token: "decent@pve!op".into(),
        }
    }

    /// One round; whether it settled.
    fn round(&mut self, want: &Blueprint) -> bool {
        let seen = self.look(want);
        let plan = plan(want, &seen, &self.history());
        assert_eq!(plan, super::plan::plan(want, &seen, &self.history()), "stability");
        if let Presence::Unknown(_) = seen.guest {
            assert!(
                matches!(plan.step, None | Some(Step::Clone | Step::Quarantine(_))),
                "blindness: {:?}",
                plan.step
            );
        }
        self.now = self.now.checked_add(SignedDuration::from_secs(5)).unwrap();
        let Some(step) = plan.step else {
            self.made |= plan.verdict == Verdict::Settled;
            return plan.verdict == Verdict::Settled;
        };
        self.execute(want, step);
        false
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
            Step::Shutdown(proof) => {
                if let Some(vm) = self.owned(&proof) {
                    vm.running = false;
                }
            }
        }
    }

    /// Creation is once-only: over another VM it only fails.
    fn clone_vm(&mut self, want: &Blueprint) {
        self.cloned = true;
        if self.vm.is_none() {
            let mut config = self.template.clone();
            config.insert("description".into(), want.stamp.line());
            let firewall = FirewallSeen {
                rules: vec![foreign_rule()],
                ..FirewallSeen::default()
            };
            self.vm = Some(Vm {
                config,
                running: false,
                firewall,
                visible: true,
                version: 1,
            });
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
enum Outside {
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
}

fn outside() -> impl Strategy<Value = Outside> {
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
    ]
}

impl World {
    fn suffer(&mut self, event: &Outside) {
        match (event, self.vm.as_mut()) {
            (Outside::Blind, _) => self.blind = true,
            (Outside::Sight, _) => self.blind = false,
            // A crash: the process no longer knows whether it asked for the clone.
            (Outside::Forget, _) => self.cloned = true,
            (Outside::Swap, _) => self.vm = Some(Self::foreign()),
            (Outside::Rename, Some(vm)) => drop(vm.config.insert("name".into(), "renamed".into())),
            (Outside::Stop, Some(vm)) => vm.running = false,
            (Outside::Hide, Some(vm)) => vm.visible = false,
            (Outside::Show, Some(vm)) => vm.visible = true,
            (Outside::Unprotect, Some(vm)) => drop(vm.config.remove("protection")),
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn p3_nothing_without_our_stamp_is_ever_changed(events in prop::collection::vec(outside(), 1..40), running in any::<bool>()) {
        let want = sample(if running { PowerState::Running } else { PowerState::Stopped });
        let mut world = World::new();
        for event in &events {
            if world.quarantined {
                break;
            }
            world.suffer(event);
            world.round(&want);
        }
        prop_assert_eq!(world.trespasses, 0);
    }

    #[test]
    fn from_any_cut_it_converges_to_exactly_the_blueprint(events in prop::collection::vec(outside(), 0..20)) {
        let want = sample(PowerState::Running);
        let mut world = World::new();
        for event in events.iter().filter(|e| !matches!(e, Outside::Swap | Outside::Hide)) {
            world.suffer(event);
            world.round(&want);
        }
        world.blind = false;
        let settled = (0..12).any(|_| world.round(&want));
        prop_assert!(settled, "{:?}", world);
        prop_assert!(world.round(&want), "a settled world needs nothing");
        let vm = world.vm.unwrap();
        prop_assert!(vm.running);
        prop_assert_eq!(vm.config.get("cores").map(String::as_str), Some("2"));
        prop_assert_eq!(vm.config.get("ipconfig0").map(String::as_str), Some("ip=10.64.0.20/16,gw=10.64.0.1"));
        for inherited in ["tags", "onboot", "sockets"] {
            prop_assert!(!vm.config.contains_key(inherited), "{} is inherited", inherited);
        }
        let actions: Vec<&str> = vm.firewall.rules.iter().map(|r| r.action.as_str()).collect();
        prop_assert_eq!(actions, vec!["ACCEPT", "DROP", "ACCEPT"]);
        prop_assert_eq!(vm.firewall.ipfilter, Some(vec!["10.64.0.20".to_owned()]));
    }
}

#[test]
fn a_foreign_vm_at_our_vmid_sets_the_slot_aside_untouched() {
    let want = sample(PowerState::Running);
    let mut world = World {
        vm: Some(World::foreign()),
        cloned: true,
        ..World::new()
    };
    world.round(&want);
    assert!(world.quarantined);
    assert_eq!(world.trespasses, 0);
    assert_eq!(
        world.vm.unwrap().config.get("name").map(String::as_str),
        Some("backup-test")
    );
}

#[test]
fn p12_a_made_machine_that_cannot_be_seen_is_neither_cloned_nor_left() {
    let want = sample(PowerState::Running);
    let mut world = World::new();
    while !world.round(&want) {}
    world.vm.as_mut().unwrap().visible = false;
    for _ in 0..20 {
        assert!(!world.round(&want));
    }
    assert!(!world.quarantined);
}

#[test]
fn p17_a_made_machine_that_is_gone_is_not_made_again() {
    let want = sample(PowerState::Running);
    let mut world = World::new();
    while !world.round(&want) {}
    world.vm = None;
    for _ in 0..5 {
        assert!(!world.round(&want));
    }
    assert!(world.vm.is_none());
}

#[test]
fn a_renamed_machine_stays_settled() {
    let want = sample(PowerState::Running);
    let mut world = World::new();
    while !world.round(&want) {}
    world.suffer(&Outside::Rename);
    assert!(world.round(&want));
    assert_eq!(
        world.vm.unwrap().config.get("name").map(String::as_str),
        Some("renamed")
    );
}
