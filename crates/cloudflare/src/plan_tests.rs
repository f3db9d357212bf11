use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::owner::Owner;
use domain::ids::Uid;

const TOP: &str = "gw.example.org";

fn uid(n: u8) -> Uid {
    Uid::from_bytes([n; 16])
}

fn owner() -> Owner {
    Owner {
        hub: uid(1),
        gateway: uid(2),
    }
}

fn scope() -> Scope {
    Scope {
        owner: owner(),
        under: vec![name(TOP)],
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A record: who, type, the name in front of the top, content.
fn record(number: u32, (comment, kind, label, content): (Option<String>, &str, &str, &str)) -> Record {
    Record {
        id: format!("{number:032x}").parse().unwrap(),
        name: format!("{label}.{TOP}"),
        kind: Kind::from(kind),
        content: content.to_owned(),
        ttl: 60,
        proxied: false,
        comment,
        tags: Vec::new(),
    }
}

fn ours(number: u32, kind: &str, label: &str, content: &str) -> Record {
    record(number, (Some(owner().comment()), kind, label, content))
}

fn theirs(number: u32, kind: &str, label: &str, content: &str) -> Record {
    record(number, (None, kind, label, content))
}

fn a(label: &str, last: u8) -> Desired {
    Desired::a(name(&format!("{label}.{TOP}")), [192, 0, 2, last].into())
}

fn txt(label: &str, text: &str) -> Desired {
    Desired::txt(name(&format!("{label}.{TOP}")), text).unwrap()
}

fn planned(desired: &[Desired], listed: &[Record]) -> Plan {
    plan(desired, listed, &scope()).unwrap()
}

#[test]
fn what_is_missing_is_created_and_what_is_there_is_left() {
    let plan = planned(
        &[a("*", 1), txt("_acme", "one")],
        &[ours(1, "A", "*", "192.0.2.1")],
    );
    assert_eq!(plan.create, [txt("_acme", "one")]);
    assert!(plan.update.is_empty() && plan.delete.is_empty() && plan.conflicts.is_empty());
}

#[test]
fn another_address_is_one_update() {
    let old = ours(1, "A", "*", "192.0.2.1");
    let plan = planned(&[a("*", 2)], std::slice::from_ref(&old));
    assert_eq!(
        plan.update,
        [Update {
            record: old,
            to: a("*", 2)
        }]
    );
    assert!(plan.create.is_empty() && plan.delete.is_empty());
}

#[test]
fn ttl_and_proxy_are_part_of_what_is_wanted() {
    let mut old = ours(1, "A", "*", "192.0.2.1");
    old.ttl = 300;
    let mut proxied = ours(2, "A", "b", "192.0.2.1");
    proxied.proxied = true;
    let plan = planned(&[a("*", 1), a("b", 1)], &[old, proxied]);
    assert_eq!(plan.update.len(), 2);
}

#[test]
fn several_texts_stand_side_by_side() {
    let listed = [
        ours(1, "TXT", "_acme", "\"one\""),
        theirs(2, "TXT", "_acme", "foreign"),
    ];
    let plan = planned(&[txt("_acme", "one"), txt("_acme", "two")], &listed);
    assert_eq!(plan.create, [txt("_acme", "two")]);
    assert!(plan.update.is_empty() && plan.delete.is_empty() && plan.conflicts.is_empty());
    let plan = planned(&[], &listed);
    assert_eq!(plan.delete, [listed[0].clone()], "theirs stays");
}

#[test]
fn a_record_with_our_comment_elsewhere_is_not_ours() {
    let mut forged = ours(1, "A", "*", "192.0.2.1");
    forged.name = "www.example.org".to_owned();
    let mut near = ours(2, "A", "*", "192.0.2.1");
    near.name = format!("x{TOP}");
    let mut other = ours(3, "A", "*", "192.0.2.9");
    other.comment = Some(
        Owner {
            gateway: uid(3),
            ..owner()
        }
        .comment(),
    );
    let plan = planned(&[], &[forged.clone(), near.clone(), other]);
    assert!(plan.is_settled());
    assert_eq!(plan.strays, [forged, near]);
}

#[test]
fn what_is_wanted_elsewhere_is_a_mistake() {
    let outside = Desired::a(name("www.example.org"), [192, 0, 2, 1].into());
    let error = plan(&[outside], &[], &scope()).unwrap_err();
    assert_eq!(error.to_string(), "www.example.org is not a name of this gateway");
}

#[rstest]
#[case("A", "192.0.2.9", Why::OtherAddress)]
#[case("AAAA", "2001:db8::1", Why::OtherAddress)]
#[case("A", "192.0.2.1", Why::Same)]
#[case("CNAME", "target.test", Why::TakesName)]
#[case("NS", "ns.test", Why::TakesName)]
fn a_foreign_record_in_the_way_is_told_and_left(#[case] kind: &str, #[case] content: &str, #[case] why: Why) {
    let foreign = theirs(1, kind, "*", content);
    let plan = planned(&[a("*", 1)], std::slice::from_ref(&foreign));
    assert_eq!(
        plan.conflicts,
        [Conflict {
            wanted: a("*", 1),
            foreign,
            why
        }]
    );
    assert!(plan.is_settled());
}

#[rstest]
#[case("CAA", "0 issue \"ca.test\"")]
#[case("TXT", "v=spf1 -all")]
#[case("TYPE65534", "")]
fn a_foreign_record_beside_ours_is_left(#[case] kind: &str, #[case] content: &str) {
    let plan = planned(&[a("*", 1)], &[theirs(1, kind, "*", content)]);
    assert_eq!((plan.create.len(), plan.conflicts.len()), (1, 0));
}

#[test]
fn an_alias_stands_alone() {
    let alias = Desired::cname(name("c.gw.example.org"), &name("target.test"));
    let plan = planned(std::slice::from_ref(&alias), &[theirs(1, "TXT", "c", "x")]);
    assert_eq!(plan.conflicts[0].why, Why::BesideAlias);
    let plan = planned(&[alias], &[ours(1, "A", "c", "192.0.2.1")]);
    assert_eq!(
        (plan.delete.len(), plan.create.len()),
        (1, 1),
        "ours makes room first"
    );
}

#[test]
fn what_serves_goes_on_while_its_successor_is_blocked() {
    let (old, foreign) = (
        ours(1, "A", "*", "192.0.2.1"),
        theirs(2, "AAAA", "*", "2001:db8::1"),
    );
    let plan = planned(&[a("*", 2)], &[old, foreign]);
    assert!(plan.is_settled());
    assert_eq!(plan.conflicts.len(), 1);
}

#[test]
fn of_the_same_value_with_two_ttls_one_is_wanted() {
    let plan = planned(&[a("*", 1), a("*", 1).ttl(300)], &[]);
    assert_eq!(plan.create.len(), 1);
}

/// A world in which plans are carried out.
fn carried_out(mut world: Vec<Record>, plan: &Plan) -> Vec<Record> {
    let write = |id: u32, to: &Desired| {
        let label = to.name().as_str().strip_suffix(&format!(".{TOP}")).unwrap();
        ours(id, &to.kind().to_string(), label, to.content())
    };
    world.retain(|record| !plan.delete.contains(record));
    for Update { record, to } in &plan.update {
        let place = world.iter_mut().find(|one| one.id == record.id).unwrap();
        *place = Record {
            id: record.id.clone(),
            ..write(0, to)
        };
    }
    for (number, to) in (1_000..).zip(&plan.create) {
        world.push(write(number, to));
    }
    world
}

fn desired() -> impl Strategy<Value = Desired> {
    let label = prop_oneof![Just("*"), Just("a"), Just("_acme")];
    (label, 0_u8..4, 0_u8..5).prop_map(|(label, kind, value)| match kind {
        0 | 1 => a(label, value),
        2 => txt(label, &format!("text {value}")),
        _ => Desired::cname(name(&format!("{label}.{TOP}")), &name(&format!("t{value}.test"))),
    })
}

fn listed() -> impl Strategy<Value = Vec<Record>> {
    let kinds = [
        "A",
        "AAAA",
        "TXT",
        "CNAME",
        "CAA",
        "NS",
        "MX",
        "HTTPS",
        "TYPE65534",
        "",
        "ÄÖ",
    ];
    let comment = prop_oneof![
        3 => Just(Some(owner().comment())),
        1 => Just(Some(Owner { gateway: uid(9), ..owner() }.comment())),
        1 => Just(Some(format!("{} ", owner().comment()))),
        1 => Just(Some(owner().comment().to_uppercase())),
        1 => "\\PC{0,40}".prop_map(Some),
        1 => Just(None),
    ];
    let names = prop_oneof![
        4 => prop_oneof![Just("*"), Just("a"), Just("_acme")].prop_map(|label| format!("{label}.{TOP}")),
        1 => Just(TOP.to_owned()),
        1 => Just("www.example.org".to_owned()),
        1 => Just(format!("evil{TOP}")),
        1 => "\\PC{0,20}",
    ];
    let content = prop_oneof![
        (0_u8..5).prop_map(|last| format!("192.0.2.{last}")),
        (0_u8..5).prop_map(|n| format!("\"text {n}\"")),
        (0_u8..5).prop_map(|n| format!("t{n}.test")),
        "\\PC{0,20}",
    ];
    let one = (
        comment,
        proptest::sample::select(kinds.to_vec()),
        names,
        content,
        any::<bool>(),
        0_u32..3,
    );
    proptest::collection::vec(one, 0..12).prop_map(|all| {
        let each = (0..).zip(all);
        let made = each.map(|(number, (comment, kind, at, content, proxied, ttl))| Record {
            name: at,
            proxied,
            ttl: ttl * 60,
            ..record(number, (comment, kind, "", &content))
        });
        made.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn p50_only_what_is_proven_ours_is_ever_touched(wanted in proptest::collection::vec(desired(), 0..6), listed in listed()) {
        let plan = planned(&wanted, &listed);
        let touched = plan.delete.iter().chain(plan.update.iter().map(|update| &update.record));
        for record in touched {
            prop_assert_eq!(record.comment.clone(), Some(owner().comment()));
            let below = format!(".{TOP}");
            prop_assert!(record.name.ends_with(&below) || record.name == TOP);
        }
        let theirs = |all: &[Record]| -> Vec<Record> {
            all.iter().filter(|record| !scope().owns(record)).cloned().collect()
        };
        prop_assert_eq!(theirs(&listed), theirs(&carried_out(listed.clone(), &plan)));
    }

    #[test]
    fn p51_the_second_plan_is_empty(wanted in proptest::collection::vec(desired(), 0..6), listed in listed()) {
        let first = planned(&wanted, &listed);
        let world = carried_out(listed, &first);
        let second = planned(&wanted, &world);
        prop_assert!(second.is_settled(), "{:?} after {:?}", second, first);
        prop_assert_eq!(second.conflicts, first.conflicts);
    }

    #[test]
    fn what_is_wanted_is_there_or_told_to_be_in_conflict(wanted in proptest::collection::vec(desired(), 0..6), listed in listed()) {
        let plan = planned(&wanted, &listed);
        let world = carried_out(listed, &plan);
        for one in &wanted {
            let there = world.iter().any(|record| scope().owns(record) && record.says(one));
            let told = plan.conflicts.iter().any(|conflict| conflict.wanted == *one);
            prop_assert!(there || told, "{:?}", one);
        }
    }

    #[test]
    fn the_order_of_facts_changes_nothing(
        wanted in proptest::collection::vec(desired(), 0..6),
        (listed, shuffled) in listed().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let mut backwards = wanted.clone();
        backwards.reverse();
        let twice: Vec<Record> = shuffled.iter().chain(&listed).cloned().collect();
        prop_assert_eq!(planned(&wanted, &listed), planned(&backwards, &twice));
    }
}
