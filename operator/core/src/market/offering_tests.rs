use crds::PoolStatus;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::market::samples::{condition, gateway, instant, offering, pool};

fn node(name: &str, cpu: i32, memory: &str, disk: &str) -> NodeStatus {
    NodeStatus {
        name: name.into(),
        online: true,
        free_cpu: cpu,
        free_memory: memory.into(),
        free_disk: disk.into(),
        machines: 0,
    }
}

fn ready_pool(nodes: Vec<NodeStatus>) -> Pool {
    let mut pool = pool();
    let conditions = vec![condition("Ready", "True", "Ready", "")];
    pool.status = Some(PoolStatus {
        nodes,
        conditions,
        ..PoolStatus::default()
    });
    pool
}

fn status_of(offering: &Offering, pools: &[Pool], used: usize) -> OfferingStatus {
    let gateway = gateway();
    let facts = Facts {
        offering,
        pools: pools.iter().collect(),
        gateways: vec![(&gateway, used)],
        active: 7,
    };
    status(&facts, instant(0))
}

fn ready(status: &OfferingStatus) -> (&str, &str) {
    (
        status.conditions[0].status.as_str(),
        status.conditions[0].reason.as_str(),
    )
}

#[rstest]
#[case::cpu(node("pve1", 5, "64Gi", "1Ti"), 2)]
#[case::memory(node("pve1", 64, "7Gi", "1Ti"), 1)]
#[case::disk(node("pve1", 64, "64Gi", "120Gi"), 3)]
#[case::overdrawn(node("pve1", -4, "64Gi", "1Ti"), 0)]
fn the_scarcest_resource_counts(#[case] node: NodeStatus, #[case] want: i32) {
    let got = status_of(&offering(), &[ready_pool(vec![node])], 0);
    assert_eq!(got.available, Some(want));
    assert_eq!(got.active_contracts, 7);
    let reason = if want == 0 {
        ("False", "NoCapacity")
    } else {
        ("True", "Ready")
    };
    assert_eq!(ready(&got), reason);
}

#[test]
fn nodes_that_are_offline_or_cordoned_hold_nothing_new() {
    let big = |name| node(name, 8, "64Gi", "1Ti");
    let mut pool = ready_pool(vec![big("pve1"), big("pve2")]);
    assert_eq!(status_of(&offering(), &[pool.clone()], 0).available, Some(8));
    pool.spec.nodes[0].cordoned = true;
    assert_eq!(status_of(&offering(), &[pool.clone()], 0).available, Some(4));
    pool.status.as_mut().unwrap().nodes[1].online = false;
    assert_eq!(status_of(&offering(), &[pool], 0).available, Some(0));
}

#[test]
fn slots_of_the_gateway_are_shared_by_its_pools() {
    let big = ready_pool(vec![node("pve1", 64, "640Gi", "10Ti")]);
    let mut other = big.clone();
    other.metadata.name = Some("rack2".into());
    let mut offering = offering();
    offering.spec.pools.push("rack2".into());
    let pools = [big, other];
    assert_eq!(status_of(&offering, &pools, 0).available, Some(64));
    assert_eq!(status_of(&offering, &pools, 3_997).available, Some(3));
    assert_eq!(status_of(&offering, &pools, 9_999).available, Some(0));
}

#[test]
fn what_is_not_known_is_not_said() {
    assert_eq!(status_of(&offering(), &[ready_pool(vec![])], 0).available, None);
    let odd = ready_pool(vec![node("pve1", 8, "much", "1Ti")]);
    let got = status_of(&offering(), &[odd], 0);
    assert_eq!((got.available, ready(&got)), (None, ("True", "Ready")));
}

#[rstest]
#[case::draft(|o: &mut Offering, _: &mut Vec<Pool>| o.spec.draft = true, "Draft")]
#[case::discontinued(|o: &mut Offering, _: &mut Vec<Pool>| o.spec.stock = Stock::Discontinued, "Discontinued")]
#[case::no_pool(|_: &mut Offering, p: &mut Vec<Pool>| p.clear(), "NoPool")]
#[case::template(|o: &mut Offering, _: &mut Vec<Pool>| o.spec.template.name = "plan9".into(), "TemplateMissing")]
#[case::not_ready(|_: &mut Offering, p: &mut Vec<Pool>| p[0].status = None, "PoolNotReady")]
fn each_reason_is_reached(#[case] change: fn(&mut Offering, &mut Vec<Pool>), #[case] want: &str) {
    let (mut offering, mut pools) = (offering(), vec![ready_pool(vec![node("pve1", 8, "64Gi", "1Ti")])]);
    change(&mut offering, &mut pools);
    let got = status_of(&offering, &pools, 0);
    assert_eq!(ready(&got), ("False", want));
    assert!(!got.conditions[0].message.is_empty());
}

proptest! {
    #[test]
    fn equal_facts_give_equal_bytes_and_nothing_panics(cpu: i32, memory in "[0-9]{0,20}[KMGi]{0,2}", used: u32) {
        let pools = [ready_pool(vec![node("pve1", cpu, &memory, "1Ti")])];
        let mut offering = offering();
        let first = status_of(&offering, &pools, used as usize);
        offering.status = Some(first.clone());
        prop_assert_eq!(status_of(&offering, &pools, used as usize), first);
    }
}
