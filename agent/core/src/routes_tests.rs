//! The laws of the merge.

use crds::slot::SlotPhase;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::samples;

const PHASES: [SlotPhase; 4] = [
    SlotPhase::Claimed,
    SlotPhase::Releasing,
    SlotPhase::Resting,
    SlotPhase::Quarantined,
];

fn indices(routes: &Routes) -> Vec<u32> {
    routes.iter().map(|route| route.index.0).collect()
}

/// A list with one Slot an index: its UID is one of two, so that it may be the known route's or another's.
fn listing() -> impl Strategy<Value = Vec<Claim>> {
    prop::collection::btree_map(0..40_u32, (0..2_u128, 0..4_usize), 0..40).prop_map(|slots| {
        let claim = |(index, (other, phase)): (u32, (u128, usize))| {
            samples::claim(index, u128::from(index) + 100 + other * 500, PHASES[phase])
        };
        slots.into_iter().map(claim).collect()
    })
}

fn known() -> impl Strategy<Value = Routes> {
    prop::collection::btree_set(0..40_u32, 0..40).prop_map(|set| {
        set.into_iter()
            .map(|i| samples::route(i, u128::from(i) + 100))
            .collect()
    })
}

proptest! {
    #[test]
    fn merging_again_changes_nothing(mut routes in known(), list in listing()) {
        let first = merge(&routes, Heard::All(&list));
        routes.apply(&first.changes);
        prop_assert!(merge(&routes, Heard::All(&list)).changes.is_empty());
    }

    #[test]
    fn a_route_goes_only_by_evidence(routes in known(), list in listing()) {
        let changes = merge(&routes, Heard::All(&list)).changes;
        for Removal { route, .. } in &changes.remove {
            let evidence = list.iter().find(|claim| claim.route.index == route.index).unwrap();
            prop_assert!(evidence.ended || evidence.route.uid != route.uid);
        }
    }

    #[test]
    fn a_list_without_some_slots_removes_none_of_them(routes in known(), list in listing(), keep in 0..40_usize) {
        let cut: Vec<Claim> = list.into_iter().take(keep).collect();
        let merged = merge(&routes, Heard::All(&cut));
        let mut after = routes.clone();
        after.apply(&merged.changes);
        for index in &merged.missing {
            prop_assert_eq!(after.get(*index), routes.get(*index));
        }
        let heard = routes.iter().filter(|route| cut.iter().any(|claim| claim.route.index == route.index));
        prop_assert_eq!(heard.count() + merged.missing.len(), routes.len());
    }

    #[test]
    fn slots_one_by_one_lead_where_the_list_leads(routes in known(), list in listing()) {
        let (mut whole, mut single) = (routes.clone(), routes);
        whole.apply(&merge(&whole, Heard::All(&list)).changes);
        for claim in &list {
            single.apply(&merge(&single, Heard::One(claim)).changes);
        }
        prop_assert_eq!(whole, single);
    }
}

#[test]
fn an_empty_list_removes_nothing_and_says_who_is_missing() {
    let routes = samples::routes(5);
    let merged = merge(&routes, Heard::All(&[]));
    assert!(merged.changes.is_empty());
    assert_eq!(merged.missing.len(), 5);
}

#[rstest]
#[case(SlotPhase::Releasing)]
#[case(SlotPhase::Resting)]
#[case(SlotPhase::Quarantined)]
fn a_release_removes_exactly_one(#[case] phase: SlotPhase) {
    let mut routes = samples::routes(5);
    let changes = merge(&routes, Heard::One(&samples::claim(3, 103, phase))).changes;
    assert_eq!(changes.remove.len(), 1);
    assert_eq!(changes.remove[0].cause, Cause::Ended);
    routes.apply(&changes);
    assert_eq!(indices(&routes), [0, 1, 2, 4]);
}

#[test]
fn another_slot_of_the_index_replaces_the_route() {
    let mut routes = samples::routes(5);
    let other = samples::claim(3, 900, SlotPhase::Claimed);
    let changes = merge(&routes, Heard::One(&other)).changes;
    assert_eq!(changes.remove[0].cause, Cause::Succeeded(samples::uid(900)));
    assert_eq!(changes.add, std::slice::from_ref(&other.route));
    routes.apply(&changes);
    assert_eq!(routes.get(SlotIndex(3)), Some(&other.route));
}

#[test]
fn another_slot_that_is_released_already_only_removes() {
    let mut routes = samples::routes(5);
    let changes = merge(&routes, Heard::One(&samples::claim(3, 900, SlotPhase::Resting))).changes;
    assert!(changes.add.is_empty());
    routes.apply(&changes);
    assert_eq!(indices(&routes), [0, 1, 2, 4]);
}

#[test]
fn a_forwarded_slot_of_which_nothing_is_known_stays_until_the_hub_speaks_of_it() {
    let mut routes = samples::routes(1);
    for index in [0, 5, 6, 7] {
        routes.keep(&samples::site(), SlotIndex(index)).unwrap();
    }
    assert_eq!(routes.len(), 4);
    let list = [
        samples::claim(0, 100, SlotPhase::Claimed),
        samples::claim(5, 105, SlotPhase::Claimed),
        samples::claim(6, 106, SlotPhase::Releasing),
    ];
    let merged = merge(&routes, Heard::All(&list));
    assert_eq!(merged.missing, [SlotIndex(7)]);
    assert_eq!(merged.changes.add, [list[1].route.clone()]);
    assert_eq!(merged.changes.remove.len(), 1);
    routes.apply(&merged.changes);
    assert_eq!(indices(&routes), [0, 5]);
    assert_eq!(
        routes.unnamed().map(|(index, _)| index.0).collect::<Vec<_>>(),
        [7]
    );
    assert!(merge(&routes, Heard::All(&list)).changes.is_empty());
}

#[test]
fn a_removal_that_comes_late_spares_the_successor() {
    let mut routes = samples::routes(1);
    let late = Changes {
        remove: vec![Removal {
            route: samples::route(0, 55),
            cause: Cause::Ended,
        }],
        add: vec![],
    };
    routes.apply(&late);
    assert_eq!(routes, samples::routes(1));
}

#[test]
fn a_route_follows_from_the_index() {
    let route = samples::route(42, 1);
    assert_eq!(route.address.to_string(), "10.64.0.52");
    assert_eq!(route.ssh_port(), Some(20_420));
    assert_eq!(route.ports.len(), 10);
    assert_eq!(route.slug.len(), 6);
}

#[rstest]
#[case("/spec/gateway", json!("fra1"))]
#[case("/spec/index", json!(-1))]
#[case("/spec/index", json!(4000))]
#[case("/spec/address", json!("10.64.0.99"))]
#[case("/spec/contractUID", json!("x"))]
#[case("/metadata/uid", json!("x"))]
fn a_slot_that_cannot_be_understood_is_no_claim(#[case] field: &str, #[case] value: serde_json::Value) {
    let mut object = serde_json::to_value(samples::slot(42, 1, SlotPhase::Releasing)).unwrap();
    *object.pointer_mut(field).unwrap() = value;
    let slot: Slot = serde_json::from_value(object).unwrap();
    assert!(Claim::read(&slot, &samples::site()).is_err());
}

#[test]
fn a_release_counts_before_the_phase_moves() {
    let mut slot = samples::slot(42, 1, SlotPhase::Releasing);
    slot.status.as_mut().unwrap().phase = SlotPhase::Claimed;
    assert!(Claim::read(&slot, &samples::site()).unwrap().ended);
}
