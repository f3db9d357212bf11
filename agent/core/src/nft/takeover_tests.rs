//! The laws of taking over, with a table in memory that does what nft does with a transaction.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::fixed;
use super::samples::ground;
use super::*;
use crate::routes::{Cause, Changes, Removal};
use crate::samples::{self as objects, route};

fn take<K: Ord, V>(map: &mut BTreeMap<K, V>, keys: &BTreeMap<K, V>) {
    for key in keys.keys() {
        assert!(map.remove(key).is_some(), "removed what is not there");
    }
}
fn give<K: Ord + Copy, V: Copy>(map: &mut BTreeMap<K, V>, entries: &BTreeMap<K, V>) {
    for (key, value) in entries {
        assert!(map.insert(*key, *value).is_none(), "added what is there");
    }
}

/// The table after a transaction. As nft: what is removed must be there, and what is added must not be there otherwise.
fn run(fixed: &Fixed, seen: Option<Seen>, change: &Transaction) -> Seen {
    let mut seen = match (change.replaces(), seen) {
        (true, _) | (false, None) => Seen {
            marks: vec![fixed.mark.clone()],
            rules: fixed.rules.clone(),
            ..Seen::default()
        },
        (false, Some(seen)) => seen,
    };
    let Transaction { remove, add, .. } = change;
    take(&mut seen.elements.tcp, &remove.tcp);
    take(&mut seen.elements.udp, &remove.udp);
    take(&mut seen.elements.sent, &remove.sent);
    take(&mut seen.elements.received, &remove.received);
    give(&mut seen.elements.tcp, &add.tcp);
    give(&mut seen.elements.udp, &add.udp);
    give(&mut seen.elements.sent, &add.sent);
    give(&mut seen.elements.received, &add.received);
    seen
}

fn routes(set: &BTreeSet<u32>) -> Routes {
    set.iter()
        .map(|index| route(*index, u128::from(*index) + 100))
        .collect()
}

fn wanted(routes: &Routes) -> Elements {
    Elements::wanted(routes)
}

fn indices() -> impl Strategy<Value = BTreeSet<u32>> {
    prop::collection::btree_set(0..60_u32, 0..60)
}

proptest! {
    #[test]
    fn after_a_takeover_nothing_differs(before in indices(), after in indices()) {
        let fixed = fixed(&ground());
        let start = Transaction::replace(&fixed, wanted(&routes(&before)));
        let seen = run(&fixed, None, &start);
        let want = wanted(&routes(&after));
        let seen = match takeover(&fixed, want.clone(), Some(&seen)) {
            Takeover::Nothing => seen,
            Takeover::Change(change) => {
                // O(change): twelve elements a slot, and no slot that stays.
                prop_assert_eq!(change.len(), 12 * before.symmetric_difference(&after).count());
                run(&fixed, Some(seen), &change)
            }
            Takeover::Replace(_) => return Err(TestCaseError::fail("made anew")),
        };
        prop_assert_eq!(&seen.elements, &want);
        prop_assert_eq!(takeover(&fixed, want, Some(&seen)), Takeover::Nothing);
    }

    #[test]
    fn single_changes_lead_where_the_takeover_leads(before in indices(), after in indices()) {
        let fixed = fixed(&ground());
        let seen = run(&fixed, None, &Transaction::replace(&fixed, wanted(&routes(&before))));
        let ended = |index: &u32| Removal { route: route(*index, u128::from(*index) + 100), cause: Cause::Ended };
        let changes = Changes {
            remove: before.difference(&after).map(ended).collect(),
            add: after.difference(&before).map(|index| route(*index, u128::from(*index) + 100)).collect(),
        };
        let seen = run(&fixed, Some(seen), &Transaction::of(&changes));
        prop_assert_eq!(takeover(&fixed, wanted(&routes(&after)), Some(&seen)), Takeover::Nothing);
    }
}

#[test]
fn ten_thousand_ports_are_taken_over_without_a_change() {
    let fixed = fixed(&ground());
    let want = wanted(&routes(&(0..1000).collect()));
    assert_eq!(want.tcp.len() + want.udp.len(), 10_000);
    let seen = run(&fixed, None, &Transaction::replace(&fixed, want.clone()));
    assert_eq!(takeover(&fixed, want, Some(&seen)), Takeover::Nothing);
}

#[test]
fn another_fixed_part_is_replaced_with_its_meters_kept() {
    let old = fixed(&ground());
    let want = wanted(&routes(&[1].into()));
    let mut seen = run(&old, None, &Transaction::replace(&old, want.clone()));
    let meter = Meter {
        packets: 4,
        bytes: 400,
    };
    for value in seen.elements.sent.values_mut() {
        *value = meter;
    }
    let mut other = ground();
    other.offers_dhcp = true;
    let Takeover::Replace(change) = takeover(&fixed(&other), want, Some(&seen)) else {
        unreachable!("it was kept");
    };
    assert!(
        change
            .text()
            .contains("add element ip decent sent { 10.64.0.11 counter packets 4 bytes 400 }")
    );
    assert!(
        change
            .text()
            .starts_with("add table ip decent\ndelete table ip decent\ntable ip decent {")
    );
}

#[test]
fn a_rule_that_was_touched_by_hand_is_noticed() {
    let fixed = fixed(&ground());
    let seen = run(&fixed, None, &Transaction::replace(&fixed, Elements::default()));
    let touched: [fn(&mut Seen); 5] = [
        |s| drop(s.rules.pop()),
        |s| s.rules.insert(1, ("from_vm".into(), String::new())),
        |s| s.rules.swap(0, 1),
        |s| s.marks.clear(),
        |s| s.dormant = true,
    ];
    for touch in touched {
        let mut other = seen.clone();
        touch(&mut other);
        assert!(matches!(
            takeover(&fixed, Elements::default(), Some(&other)),
            Takeover::Replace(_)
        ));
    }
}

#[test]
fn a_port_that_leads_elsewhere_is_put_right() {
    let fixed = fixed(&ground());
    let want = wanted(&routes(&[1].into()));
    let mut seen = run(&fixed, None, &Transaction::replace(&fixed, want.clone()));
    seen.elements.tcp.insert(20_010, ([10, 64, 0, 99].into(), 22));
    let Takeover::Change(change) = takeover(&fixed, want, Some(&seen)) else {
        unreachable!("not noticed");
    };
    assert_eq!(
        change.text(),
        "delete element ip decent tcp_fwd { 20010 }\nadd element ip decent tcp_fwd { 20010 : 10.64.0.11 . 22 }\n"
    );
}

#[test]
fn forwarded_slots_that_nobody_knows_are_found() {
    let fixed = fixed(&ground());
    let site = objects::site();
    let mut seen = run(
        &fixed,
        None,
        &Transaction::replace(&fixed, wanted(&routes(&[1, 2, 3].into()))),
    );
    // Leads where no slot of this site leads.
    seen.elements.tcp.insert(20_500, ([10, 64, 0, 99].into(), 22));
    assert_eq!(
        unknown_slots(&site, &routes(&[2].into()), &seen),
        [SlotIndex(1), SlotIndex(3)]
    );
}
