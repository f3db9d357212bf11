use std::net::Ipv4Addr;

use agent_core::routes::Route as Forward;
use crds::SlotSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

fn uid(n: u8) -> Uid {
    Uid::from_bytes([n; 16])
}

fn forward(n: u8) -> Forward {
    Forward {
        index: SlotIndex(0),
        uid: uid(n),
        contract: uid(9),
        slug: "000abc".into(),
        address: Ipv4Addr::new(10, 64, 0, 10),
        ports: Vec::new(),
    }
}

fn hear(ledger: &mut Ledger, n: u8, ended: bool, told: Option<Route>) {
    let slot = Slot {
        metadata: ObjectMeta {
            name: Some("ams1-0".into()),
            uid: Some(uid(n).to_string()),
            ..ObjectMeta::default()
        },
        spec: SlotSpec::default(),
        status: Some(crds::SlotStatus {
            route: told,
            ..crds::SlotStatus::default()
        }),
    };
    let claim = Claim {
        route: forward(n),
        ended,
    };
    ledger.heard(&slot, &claim);
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn report(n: u8, second: i64, banner: Option<&str>) -> Report {
    Report {
        route: forward(n),
        at: at(second),
        seen: banner.map_or_else(
            || Err("silence".into()),
            |banner| {
                Ok(Answer {
                    banner: banner.into(),
                    host_keys: vec!["ssh-ed25519 AAAA".into()],
                })
            },
        ),
    }
}

fn written(ledger: &mut Ledger) -> Vec<Due> {
    let due = ledger.launch();
    for one in &due {
        ledger.landed(one, true);
    }
    due
}

#[test]
fn a_machine_that_answers_is_told_once() {
    let mut ledger = Ledger::default();
    hear(&mut ledger, 1, false, None);
    ledger.probed(report(1, 10, Some("SSH-2.0-a")));
    let due = written(&mut ledger);
    assert!(due[0].route.programmed && due[0].route.host_keys.len() == 1);
    ledger.probed(report(1, 20, Some("SSH-2.0-a")));
    assert_eq!(written(&mut ledger), [], "only the time has changed");
    ledger.probed(report(1, 30, None));
    let due = written(&mut ledger);
    assert!(!due[0].route.programmed, "it went silent");
    assert_eq!(due[0].route.banner.as_deref(), Some("SSH-2.0-a"));
}

#[test]
fn what_another_start_wrote_is_not_written_again() {
    let mut first = Ledger::default();
    hear(&mut first, 1, false, None);
    first.probed(report(1, 10, Some("SSH-2.0-a")));
    let told = written(&mut first).remove(0).route;
    let mut second = Ledger::default();
    hear(&mut second, 1, false, Some(told));
    second.probed(report(1, 99, Some("SSH-2.0-a")));
    assert_eq!(written(&mut second), []);
}

#[test]
fn a_removal_is_told_until_it_has_landed() {
    let mut ledger = Ledger::default();
    hear(&mut ledger, 1, true, None);
    assert_eq!(ledger.leaving(), [(SlotIndex(0), uid(1))]);
    ledger.removed(SlotIndex(0), uid(1), at(10));
    assert_eq!(ledger.leaving(), []);
    let due = ledger.launch();
    assert_eq!(ledger.launch(), [], "it is under way");
    ledger.landed(&due[0], false);
    let again = ledger.launch();
    assert_eq!(again, due);
    ledger.landed(&again[0], true);
    assert_eq!(ledger.launch(), []);
    ledger.probed(report(1, 20, Some("SSH-2.0-a")));
    assert_eq!(ledger.launch(), [], "an ended Slot has no route");
}

#[test]
fn what_was_for_one_slot_is_never_written_to_its_successor() {
    let mut ledger = Ledger::default();
    hear(&mut ledger, 1, false, None);
    ledger.probed(report(1, 10, Some("SSH-2.0-a")));
    hear(&mut ledger, 2, false, None);
    assert_eq!(ledger.launch(), []);
    ledger.probed(report(1, 20, Some("SSH-2.0-a")));
    assert_eq!(ledger.launch(), [], "a late word about the predecessor");
}

#[test]
fn a_probe_that_was_faster_than_the_hub_is_not_forgotten() {
    let mut ledger = Ledger::default();
    ledger.probed(report(1, 10, Some("SSH-2.0-a")));
    assert_eq!(ledger.launch(), []);
    hear(&mut ledger, 1, false, None);
    assert!(written(&mut ledger)[0].route.programmed);
}

#[test]
fn an_older_word_takes_no_removal_back() {
    let mut ledger = Ledger::default();
    hear(&mut ledger, 1, true, None);
    ledger.removed(SlotIndex(0), uid(1), at(10));
    assert_eq!(written(&mut ledger).len(), 1);
    hear(&mut ledger, 1, true, None);
    assert_eq!(ledger.leaving(), []);
}
