//! The laws of giving a Slot back: nothing without a cause, nothing foreign, nothing without quorum, and an end.

use std::collections::BTreeMap;

use crds::{
    common::PowerState,
    machine::TaskKind,
    slot::{Release, ReleaseCause},
};
use domain::{ids::Vmid, stamp::Stamp};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::release::{Agent, Bounds, Facts, Step, plan};
use crate::provider::{
    seen::{Guest, Presence, Running, TaskSeen, Why},
    trouble::Asker,
};

fn stamp() -> Stamp {
    let uid = |n| domain::ids::Uid::from_bytes([n; 16]);
    Stamp {
        hub: uid(1),
        machine: uid(2),
        slot: uid(3),
    }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn guest(ours: bool, running: bool, protected: bool, lock: Option<&str>) -> Guest {
    let description = if ours {
        stamp().line()
    } else {
        "somebody's".to_owned()
    };
    let mut config = BTreeMap::from([("description".to_owned(), description)]);
    if protected {
        config.insert("protection".into(), "1".into());
    }
    if let Some(lock) = lock {
        config.insert("lock".into(), lock.to_owned());
    }
    let power = Some(if running {
        PowerState::Running
    } else {
        PowerState::Stopped
    });
    Guest {
        node: "pve1".into(),
        vmid: Vmid::try_from(10_000_u32).unwrap(),
        config,
        digest: "d".into(),
        power,
        firewall: None,
    }
}

fn facts(guest: Presence<Guest>) -> Facts {
    Facts {
        stamp: stamp(),
        vmid: Vmid::try_from(10_000_u32).unwrap(),
        release: Some(Release {
            cause: ReleaseCause::Teardown,
            at: Time(start()),
            by: "t".into(),
        }),
        route: None,
        agent: Agent::Never,
        route_waived: false,
        guest,
        task: TaskSeen::None,
        quorate: Some(true),
        trouble: None,
        asker: Asker::default(),
        slot: "ams1-0 -n provider-acme".into(),
        now: start(),
        bounds: Bounds {
            route: SignedDuration::from_secs(5),
            shutdown: SignedDuration::from_secs(60),
            task: SignedDuration::from_mins(10),
        },
    }
}

fn presence() -> impl Strategy<Value = Presence<Guest>> {
    let lock = prop_oneof![Just(None), Just(Some("clone")), Just(Some("backup"))];
    prop_oneof![
        Just(Presence::Absent),
        Just(Presence::Unknown(Why::NoQuorum)),
        Just(Presence::Unknown(Why::Hidden { since: start() })),
        Just(Presence::Unknown(Why::LooksFree { again_at: start() })),
        (any::<bool>(), any::<bool>(), any::<bool>(), lock)
            .prop_map(|(o, r, p, l)| Presence::Present(guest(o, r, p, l))),
    ]
}

fn destroys(step: Option<&Step>) -> bool {
    matches!(
        step,
        Some(Step::Shutdown(_) | Step::Stop(_) | Step::Unprotect(_) | Step::Destroy(_))
    )
}

proptest! {
    #[test]
    fn without_a_written_cause_nothing_is_done(guest in presence(), later in 0_i64..100_000) {
        let mut facts = facts(guest);
        facts.release = None;
        facts.now = start().checked_add(SignedDuration::from_secs(later)).unwrap();
        prop_assert_eq!(plan(&facts).step, None);
    }

    #[test]
    fn only_a_vm_with_our_stamp_and_no_lock_is_stopped_or_destroyed(guest in presence(), quorate in any::<Option<bool>>()) {
        let mut facts = facts(guest.clone());
        facts.quorate = quorate;
        let step = plan(&facts).step;
        if destroys(step.as_ref()) {
            let Presence::Present(guest) = guest else { return Err(TestCaseError::fail("destroyed unseen")) };
            prop_assert_eq!(guest.config.get("description"), Some(&stamp().line()));
            prop_assert_eq!(guest.lock(), None);
        }
        if matches!(step, Some(Step::Destroy(_) | Step::Unprotect(_))) {
            prop_assert_eq!(quorate, Some(true));
        }
    }

    #[test]
    fn a_slot_rests_on_proof_of_absence_only(guest in presence()) {
        let absent = guest == Presence::Absent;
        prop_assert_eq!(plan(&facts(guest)).step == Some(Step::Rest), absent);
    }
}

#[test]
fn a_running_protected_vm_is_shut_down_unprotected_and_destroyed_in_that_order() {
    let steps: Vec<Option<Step>> = [(true, true), (false, true), (false, false)]
        .map(|(running, protected)| {
            plan(&facts(Presence::Present(guest(true, running, protected, None)))).step
        })
        .into();
    assert!(matches!(steps[0], Some(Step::Shutdown(_))));
    assert!(matches!(steps[1], Some(Step::Unprotect(_))));
    assert!(matches!(steps[2], Some(Step::Destroy(_))));
}

#[test]
fn a_task_that_hangs_is_ended_but_never_a_removal() {
    let step = |kind, minutes| {
        let mut facts = facts(Presence::Unknown(Why::LooksFree { again_at: start() }));
        facts.task = TaskSeen::Running(Running {
            kind,
            since: start(),
            told: None,
        });
        facts.now = start().checked_add(SignedDuration::from_mins(minutes)).unwrap();
        plan(&facts).step
    };
    assert_eq!(step(TaskKind::Stop, 9), None);
    assert_eq!(step(TaskKind::Stop, 10), Some(Step::Cancel));
    assert_eq!(
        step(TaskKind::Clone, 0),
        Some(Step::Cancel),
        "it is not wanted any more"
    );
    assert_eq!(step(TaskKind::Destroy, 1_000), None);
}

#[test]
fn a_guest_that_ignores_the_shutdown_is_stopped_after_its_bound() {
    let mut facts = facts(Presence::Present(guest(true, true, true, None)));
    facts.now = start().checked_add(SignedDuration::from_secs(66)).unwrap();
    assert!(matches!(plan(&facts).step, Some(Step::Stop(_))));
}

#[test]
fn destruction_waits_for_the_route_but_five_seconds_at_most() {
    let mut facts = facts(Presence::Present(guest(true, false, true, None)));
    facts.agent = Agent::Alive;
    assert_eq!(plan(&facts).step, None);
    facts.now = start().checked_add(SignedDuration::from_secs(5)).unwrap();
    assert!(matches!(plan(&facts).step, Some(Step::Unprotect(_))));
    facts.now = start();
    facts.agent = Agent::Expired;
    assert!(matches!(plan(&facts).step, Some(Step::Unprotect(_))));
}

#[test]
fn the_slot_waits_for_the_agent_even_when_its_lease_has_expired() {
    let mut facts = facts(Presence::Absent);
    facts.agent = Agent::Expired;
    assert_eq!(plan(&facts).step, None);
    facts.route_waived = true;
    assert_eq!(plan(&facts).step, Some(Step::Rest));
}

#[test]
fn a_lease_that_nobody_renewed_is_no_agents() {
    let (now, holds) = (start(), SignedDuration::from_secs(15));
    let at = |ago: i64| now.checked_sub(SignedDuration::from_secs(ago)).ok();
    assert_eq!(Agent::of(None, holds, now), Agent::Never);
    assert_eq!(Agent::of(at(15), holds, now), Agent::Alive);
    assert_eq!(Agent::of(at(16), holds, now), Agent::Expired);
}
