//! The laws of the machine planner, held against a small abstract Proxmox: idempotence, convergence, safety,
//! stability, crash.

use crds::common::PowerState;
use domain::{
    ids::{Uid, Vmid},
    pve::Class,
    quantity::Bytes,
    stamp::Stamp,
};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::{
    abstract_proxmox::{Outside, World, outside},
    blueprint::{Blueprint, Card, Place},
    plan::Step,
};
use crate::provider::trouble::{StepKind, Trouble};

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

/// Rounds until it is complete.
fn made(world: &mut World, want: &Blueprint) {
    let settled = (0..40).any(|_| world.round(want));
    assert!(settled, "{world:?}");
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
        for event in &events {
            world.suffer(event);
            if world.quarantined {
                break;
            }
            world.round(&want);
        }
        (world.blind, world.node_lost) = (false, false);
        let over = (0..60).any(|_| world.quarantined || world.round(&want));
        prop_assert_eq!(world.trespasses, 0);
        let lost = world.made && (world.vm.as_ref().is_none_or(|vm| !vm.visible || !vm.config.contains_key("description")));
        prop_assert!(over || lost, "it neither settles nor says why not: {:?}", world);
        if world.quarantined || lost {
            return Ok(());
        }
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
    made(&mut world, &want);
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
    made(&mut world, &want);
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
    made(&mut world, &want);
    world.suffer(&Outside::Rename);
    assert!(world.round(&want));
    assert_eq!(
        world.vm.unwrap().config.get("name").map(String::as_str),
        Some("renamed")
    );
}

#[test]
fn a_guest_that_does_not_listen_is_stopped_all_the_same() {
    let mut world = World {
        deaf: true,
        ..World::new()
    };
    made(&mut world, &sample(PowerState::Running));
    let want = sample(PowerState::Stopped);
    made(&mut world, &want);
    assert!(!world.vm.unwrap().running);
}

#[test]
fn a_shutdown_that_could_not_be_asked_for_is_asked_for_again_and_stops_nobody() {
    let mut world = World::new();
    made(&mut world, &sample(PowerState::Running));
    let want = sample(PowerState::Stopped);
    for _ in 0..5 {
        world.fails(StepKind::Stop, "no route to host");
        world.now = world.now.checked_add(SignedDuration::from_mins(2)).unwrap();
        let step = world.next(&want);
        assert!(matches!(step, Some(Step::Shutdown(_))), "{step:?}");
    }
}

#[test]
fn p2_a_race_that_is_lost_after_a_clone_that_went_well_sets_the_slot_aside() {
    let mut world = World {
        vm: Some(World::foreign()),
        cloned: true,
        well: true,
        ..World::new()
    };
    world.vm.as_mut().unwrap().visible = false;
    world.trouble = Some(Trouble::again(
        None,
        StepKind::Clone,
        Class::LostRace,
        "VM 10010 already exists".to_owned(),
        world.now,
    ));
    world.round(&sample(PowerState::Running));
    assert!(world.quarantined);
}
