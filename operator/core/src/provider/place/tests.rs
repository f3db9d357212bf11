//! Placement by example: fit, index, queue.

use std::collections::BTreeMap;

use domain::slot::{GatewayFacts, GatewayPlan};
use jiff::Timestamp;
use rstest::rstest;

use super::{
    index::{Indices, Resting},
    queue::{Decision, Waiter, decide},
    *,
};
use crate::provider::pool::Readiness;

const GIB: u64 = 1 << 30;

pub(super) fn amount(cpu: u32, memory: u64, disk: u64) -> Amount {
    Amount {
        cpu,
        memory: Bytes::from_gib(memory),
        disk: Bytes::from_gib(disk),
    }
}

fn plan(base: u32, first: u16, last: u16) -> GatewayPlan {
    GatewayPlan::new(&GatewayFacts {
        network: "10.64.0.0/16",
        gateway: Ipv4Addr::new(10, 64, 0, 1),
        first_port: first,
        last_port: last,
        gateway_uid: "0a1b2c3d-0000-4000-8000-000000000000".parse().unwrap(),
        vmid_base: base,
    })
    .unwrap()
}

pub(super) fn node(name: &str, cpu: u32, memory: u64, disk: u64) -> NodeView {
    NodeView {
        name: name.to_owned(),
        online: true,
        cordoned: false,
        size: Some(NodeSize {
            cpu,
            memory: Bytes::from_gib(memory),
            memory_used: Bytes::default(),
        }),
        storage: Some(StorageView {
            name: "fast".to_owned(),
            shared: false,
            total: Bytes::from_gib(disk),
            used: Bytes::default(),
        }),
        replicas: BTreeMap::from([(
            "debian-13".to_owned(),
            Replica {
                vmid: 9000,
                full_clone: false,
            },
        )]),
        avoided: None,
    }
}

fn pool(name: &str, nodes: Vec<NodeView>) -> PoolView {
    PoolView {
        name: name.to_owned(),
        cluster: "c".to_owned(),
        readiness: Readiness::Ready { warning: None },
        gateway: "ams1".to_owned(),
        plan: Some(plan(10_000, 20_000, 59_999)),
        nodes,
        reserve: Amount::default(),
        overcommit_percent: 100,
    }
}

pub(super) fn world(nodes: Vec<NodeView>) -> World {
    World {
        pools: vec![pool("rack1", nodes)],
        ..World::default()
    }
}

pub(super) fn demand(cpu: u32, memory: u64, disk: u64) -> Demand {
    Demand {
        amount: amount(cpu, memory, disk),
        template: "debian-13".to_owned(),
        pools: vec!["rack1".to_owned()],
        owner: false,
    }
}

pub(super) fn claim(node: &str, amount: Amount) -> Claim {
    Claim {
        cluster: "c".to_owned(),
        node: node.to_owned(),
        storage: "fast".to_owned(),
        amount,
        running: true,
        cloning: false,
    }
}

pub(super) fn placed(world: &World, demand: &Demand) -> Placement {
    place(world, &Ledger::of(world), demand)
}

fn spot(placement: Placement) -> Spot {
    match placement {
        Placement::At(spot) => *spot,
        other => panic!("{other:?}"),
    }
}

fn needs(placement: Placement) -> String {
    match placement {
        Placement::Full { needs } => needs,
        other => panic!("{other:?}"),
    }
}

pub(super) fn waiter(name: &str, since: i64, demand: Demand) -> Waiter {
    Waiter {
        name: name.to_owned(),
        since: Timestamp::from_second(since).unwrap(),
        demand,
    }
}

#[test]
fn everything_follows_from_the_spot() {
    let spot = spot(placed(&world(vec![node("pve1", 8, 32, 100)]), &demand(2, 4, 10)));
    assert_eq!(
        (spot.pool.as_str(), spot.node.as_str(), spot.storage.as_str()),
        ("rack1", "pve1", "fast")
    );
    assert_eq!(
        (spot.gateway.as_str(), spot.index, spot.vmid, spot.template_vmid),
        ("ams1", SlotIndex(0), 10_000, 9000)
    );
    assert_eq!(
        (spot.address, spot.full_clone, spot.replaces),
        (Ipv4Addr::new(10, 64, 0, 10), false, None)
    );
}

#[test]
fn the_fuller_node_is_taken_and_then_the_name_decides() {
    let mut world = world(vec![node("pve2", 8, 32, 100), node("pve1", 8, 32, 100)]);
    assert_eq!(spot(placed(&world, &demand(1, 1, 1))).node, "pve1");
    world.claims.push(claim("pve2", amount(2, 8, 20)));
    assert_eq!(spot(placed(&world, &demand(1, 1, 1))).node, "pve2");
}

#[test]
fn clones_under_way_spread_a_burst() {
    let mut world = world(vec![
        node("pve1", 64, 256, 1000),
        node("pve2", 64, 256, 1000),
        node("pve3", 64, 256, 1000),
    ]);
    for _ in 0..9 {
        let at = spot(placed(&world, &demand(2, 4, 10)));
        world.claims.push(Claim {
            running: false,
            cloning: true,
            ..claim(&at.node, amount(2, 4, 10))
        });
    }
    for name in ["pve1", "pve2", "pve3"] {
        assert_eq!(
            world.claims.iter().filter(|claim| claim.node == name).count(),
            3,
            "{name}"
        );
    }
}

#[rstest]
#[case::offline(|n: &mut NodeView| n.online = false)]
#[case::cordoned(|n: &mut NodeView| n.cordoned = true)]
#[case::avoided(|n: &mut NodeView| n.avoided = Some(Timestamp::UNIX_EPOCH))]
#[case::of_unknown_size(|n: &mut NodeView| n.size = None)]
#[case::without_storage(|n: &mut NodeView| n.storage = None)]
#[case::p28_without_replica(|n: &mut NodeView| n.replicas.clear())]
#[case::with_too_few_cores(|n: &mut NodeView| n.size.as_mut().unwrap().cpu = 1)]
fn a_node_is_no_candidate(#[case] spoil: fn(&mut NodeView)) {
    let mut world = world(vec![node("pve1", 8, 32, 100), node("pve2", 8, 32, 100)]);
    world.pools[0].overcommit_percent = 400;
    spoil(&mut world.pools[0].nodes[0]);
    assert_eq!(spot(placed(&world, &demand(2, 4, 10))).node, "pve2");
    spoil(&mut world.pools[0].nodes[1]);
    assert!(needs(placed(&world, &demand(2, 4, 10))).starts_with("Pool rack1 needs "));
}

#[rstest]
#[case(demand(9, 1, 1), "Pool rack1 needs a node with 9 processors")]
#[case(demand(8, 1, 1), "Pool rack1 needs 2 more processors on one node")]
#[case(demand(1, 44, 1), "Pool rack1 needs 16Gi more memory on one node")]
#[case(demand(1, 1, 96), "Pool rack1 needs 6Gi more disk on one node")]
#[case(
    demand(7, 44, 96),
    "Pool rack1 needs 1 more processors and 16Gi more memory and 6Gi more disk on one node"
)]
#[case(Demand { template: "arch".to_owned(), ..demand(1, 1, 1) }, "Pool rack1 needs template arch on a node that is online")]
fn p29_what_is_short_is_said(#[case] demand: Demand, #[case] says: &str) {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.claims.push(claim("pve1", amount(2, 4, 10)));
    assert_eq!(needs(placed(&world, &demand)), says);
}

#[test]
fn p25_reserve_and_overcommit_bound_what_is_let() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.pools[0].overcommit_percent = 250;
    world.pools[0].reserve = amount(4, 8, 20);
    let pool = &world.pools[0];
    assert_eq!(Ledger::allocatable(pool, &pool.nodes[0]), amount(16, 24, 80));
}

#[test]
fn p27_statistics_only_tighten() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.claims.push(Claim {
        running: false,
        ..claim("pve1", amount(1, 8, 10))
    });
    let used = |world: &mut World, memory: u64, disk: u64| {
        world.pools[0].nodes[0].size.as_mut().unwrap().memory_used = Bytes::from_gib(memory);
        world.pools[0].nodes[0].storage.as_mut().unwrap().used = Bytes::from_gib(disk);
        Ledger::of(world).usable(&world.pools[0], &world.pools[0].nodes[0])
    };
    assert_eq!(used(&mut world, 0, 0), amount(7, 24, 90));
    assert_eq!(
        used(&mut world, 10, 0),
        amount(7, 14, 90),
        "what is promised but not running is not in use yet"
    );
    assert_eq!(used(&mut world, 0, 60), amount(7, 24, 40));
    assert_eq!(used(&mut world, 99, 999), amount(7, 0, 0));
}

#[test]
fn a_shared_storage_is_let_once() {
    let mut world = world(vec![node("pve1", 8, 32, 100), node("pve2", 8, 32, 100)]);
    for node in &mut world.pools[0].nodes {
        node.storage.as_mut().unwrap().shared = true;
    }
    world.claims.push(claim("pve1", amount(1, 1, 95)));
    assert_eq!(
        needs(placed(&world, &demand(1, 1, 10))),
        "Pool rack1 needs 5Gi more disk on one node"
    );
}

#[test]
fn pools_of_one_cluster_share_their_nodes() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.pools.push(pool("rack2", vec![node("pve1", 8, 32, 100)]));
    world.claims.push(claim("pve1", amount(8, 1, 1)));
    let two = Demand {
        pools: vec!["rack2".to_owned(), "rack1".to_owned()],
        ..demand(1, 1, 1)
    };
    assert!(
        needs(placed(&world, &two)).starts_with("Pool rack2 needs 1 more processors on one node; Pool rack1")
    );
    world.pools[1].cluster = "other".to_owned();
    assert_eq!(spot(placed(&world, &two)).pool, "rack2");
}

#[test]
fn a_pool_that_is_not_ready_says_why_and_the_next_one_is_taken() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.pools[0].readiness = Readiness::Not {
        reason: Reason::NoQuorum,
        message: "No quorum.".to_owned(),
    };
    let alone = placed(&world, &demand(1, 1, 1));
    assert_eq!(
        alone,
        Placement::NotReady {
            reason: Reason::NoQuorum,
            message: "Pool rack1: No quorum.".to_owned()
        }
    );
    world.pools.push(pool("rack2", vec![node("pve1", 8, 32, 100)]));
    let two = Demand {
        pools: vec!["rack1".to_owned(), "rack2".to_owned()],
        ..demand(1, 1, 1)
    };
    assert_eq!(spot(placed(&world, &two)).pool, "rack2");
    let none = Demand {
        pools: vec!["rack9".to_owned()],
        ..two
    };
    assert!(matches!(
        placed(&world, &none),
        Placement::NotReady {
            reason: Reason::NoPool,
            ..
        }
    ));
}

#[test]
fn a_pool_for_its_owner_takes_its_owner_only() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.pools[0].readiness = Readiness::OwnerOnly {
        reason: Reason::FirewallOff,
        message: "Off.".to_owned(),
    };
    assert!(matches!(
        placed(&world, &demand(1, 1, 1)),
        Placement::NotReady {
            reason: Reason::FirewallOff,
            ..
        }
    ));
    let owner = Demand {
        owner: true,
        ..demand(1, 1, 1)
    };
    assert_eq!(spot(placed(&world, &owner)).pool, "rack1");
}

#[test]
fn p31_the_lowest_free_index_then_the_one_that_rested_longest() {
    let mut world = world(vec![node("pve1", 64, 256, 1000)]);
    world.pools[0].plan = Some(plan(10_000, 20_000, 20_049));
    let rest = |index: u32, since: i64| Resting {
        since: Timestamp::from_second(since).unwrap(),
        index,
        name: format!("ams1-{index}"),
    };
    let choose = |held: &[u32], resting: Vec<Resting>| {
        let mut world = world.clone();
        world.gateways.insert(
            "ams1".to_owned(),
            Indices {
                held: held.iter().copied().collect(),
                resting,
            },
        );
        placed(&world, &demand(1, 1, 1))
    };
    let at = spot(choose(&[0, 1, 3], vec![rest(2, 1)]));
    assert_eq!((at.index.0, at.replaces), (4, None));
    let at = spot(choose(&[0, 3, 4], vec![rest(1, 9), rest(2, 8)]));
    assert_eq!((at.index.0, at.replaces.as_deref()), (2, Some("ams1-2")));
    assert_eq!(
        needs(choose(&[0, 1, 2, 3, 4], vec![])),
        "Pool rack1 needs a free Slot at Gateway ams1"
    );
    assert_eq!(
        needs(choose(&[0, 1, 2, 3, 4], vec![rest(2, 1)])),
        "Pool rack1 needs a free Slot at Gateway ams1"
    );
}

#[test]
fn a_templates_vmid_is_no_slots() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.pools[0].plan = Some(plan(9000, 20_000, 20_049));
    assert_eq!(spot(placed(&world, &demand(1, 1, 1))).vmid, 9001);
}

fn position(decision: &Decision) -> Option<u32> {
    decision.position
}

#[test]
fn p29_a_full_pool_serves_in_order_of_arrival() {
    let mut world = world(vec![node("pve1", 13, 64, 1000)]);
    world.claims = (0..10).map(|_| claim("pve1", amount(1, 1, 1))).collect();
    let queue: Vec<Waiter> = (0..10)
        .map(|n| waiter(&format!("m{n}"), n, demand(1, 1, 1)))
        .collect();
    for (n, me) in queue.iter().enumerate() {
        let decision = decide(&world, me, &queue);
        let expected = u32::try_from(n).unwrap().checked_sub(2).filter(|p| *p > 0);
        assert_eq!(position(&decision), expected, "{n}");
        assert_eq!(matches!(decision.placement, Placement::At(_)), n < 3, "{n}");
    }
}

#[test]
fn a_later_small_one_does_not_pass_an_earlier_big_one() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.claims.push(claim("pve1", amount(1, 20, 1)));
    let queue = [
        waiter("big", 1, demand(1, 16, 1)),
        waiter("small", 2, demand(1, 4, 1)),
    ];
    let small = decide(&world, &queue[1], &queue);
    assert_eq!(position(&small), Some(2));
    assert_eq!(
        needs(small.placement),
        "Pool rack1 serves requests that came earlier first"
    );
    assert_eq!(position(&decide(&world, &queue[0], &queue)), Some(1));
}

#[test]
fn one_that_never_fits_holds_nobody_up() {
    let world = world(vec![node("pve1", 8, 32, 100)]);
    let queue = [
        waiter("huge", 1, demand(1, 64, 1)),
        waiter("small", 2, demand(1, 4, 1)),
    ];
    assert_eq!(spot(decide(&world, &queue[1], &queue).placement).node, "pve1");
}

#[test]
fn one_that_waits_for_another_pool_holds_nobody_up() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.pools.push(PoolView {
        cluster: "d".to_owned(),
        ..pool("rack2", vec![node("pve9", 8, 32, 100)])
    });
    world.claims.push(claim("pve1", amount(8, 1, 1)));
    let two = Demand {
        pools: vec!["rack1".to_owned(), "rack2".to_owned()],
        ..demand(1, 1, 1)
    };
    let queue = [waiter("first", 1, demand(1, 1, 1)), waiter("second", 2, two)];
    assert_eq!(spot(decide(&world, &queue[1], &queue).placement).pool, "rack2");
}

#[test]
fn those_ahead_keep_an_index_each() {
    let mut world = world(vec![node("pve1", 8, 32, 100)]);
    world.pools[0].plan = Some(plan(10_000, 20_000, 20_019));
    let queue: Vec<Waiter> = (0..3)
        .map(|n| waiter(&format!("m{n}"), n, demand(1, 1, 1)))
        .collect();
    let decisions = queue
        .iter()
        .map(|me| decide(&world, me, &queue).position)
        .collect::<Vec<_>>();
    assert_eq!(decisions, [None, None, Some(1)]);
}

#[test]
fn a_machine_states_its_demand() {
    let mut machine = MachineSpec::default();
    machine.offering.resources.cpu = 2;
    machine.offering.resources.memory = "4Gi".into();
    machine.offering.resources.disk = "40Gi".into();
    machine.offering.template.name = "debian-13".into();
    machine.offering.pools = vec!["rack1".into()];
    assert_eq!(Demand::of(&machine).unwrap(), demand(2, 4, 40));
    assert_eq!(Bytes::from_gib(4).get(), 4 * GIB);
    machine.offering.resources.memory = "much".into();
    assert!(Demand::of(&machine).is_err());
}
