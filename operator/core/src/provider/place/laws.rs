//! The laws of placement, held against the same rule stated a second time and against random worlds.

use domain::quantity::Bytes;
use proptest::prelude::*;

use super::{
    Amount, Claim, Ledger, Placement,
    queue::{Waiter, decide},
    tests::{amount, claim, demand, node, placed, waiter, world},
    view::World,
};

/// Node, processors, memory, disk, whether it runs.
type SmallClaim = (usize, u32, u64, u64, bool);

#[derive(Clone, Debug)]
struct Small {
    nodes: Vec<(u32, u64, u64, u64, u64)>,
    claims: Vec<SmallClaim>,
    reserve: (u32, u64, u64),
    percent: u32,
}

fn small() -> impl Strategy<Value = Small> {
    let node = (1_u32..9, 1_u64..9, 1_u64..9, 0_u64..9, 0_u64..9);
    let claim = (0_usize..4, 0_u32..3, 0_u64..3, 0_u64..3, any::<bool>());
    (
        proptest::collection::vec(node, 1..4),
        proptest::collection::vec(claim, 0..8),
        (0_u32..2, 0_u64..2, 0_u64..2),
        100_u32..300,
    )
        .prop_map(|(nodes, claims, reserve, percent)| Small {
            nodes,
            claims,
            reserve,
            percent,
        })
}

fn built(small: &Small) -> World {
    let nodes = small
        .nodes
        .iter()
        .enumerate()
        .map(|(i, (cpu, memory, disk, memory_used, disk_used))| {
            let mut node = node(&format!("pve{i}"), *cpu, *memory, *disk);
            node.size.as_mut().unwrap().memory_used = Bytes::from_gib(*memory_used);
            node.storage.as_mut().unwrap().used = Bytes::from_gib(*disk_used);
            node
        });
    let mut world = world(nodes.collect());
    world.pools[0].reserve = amount(small.reserve.0, small.reserve.1, small.reserve.2);
    world.pools[0].overcommit_percent = small.percent;
    world.claims = small
        .claims
        .iter()
        .map(|(on, cpu, memory, disk, running)| Claim {
            running: *running,
            ..claim(&format!("pve{on}"), amount(*cpu, *memory, *disk))
        })
        .collect();
    world
}

/// The rule of placement once more, in signed numbers and without the ledger.
fn oracle_fits(small: &Small, i: usize, cpu: u32, memory: u64, disk: u64) -> bool {
    let (cores, size, total, used, disk_used) = small.nodes[i];
    let on: Vec<_> = small.claims.iter().filter(|claim| claim.0 == i).collect();
    let signed = |value: u64| i64::try_from(value).unwrap();
    let sum = |part: &dyn Fn(&SmallClaim) -> u64| on.iter().map(|claim| signed(part(claim))).sum::<i64>();
    let free_cpu = i64::from(cores * small.percent / 100) - i64::from(small.reserve.0) - sum(&|c| c.1.into());
    let free_memory = signed(size) - signed(small.reserve.1) - sum(&|c| c.2);
    let idle = sum(&|c| if c.4 { 0 } else { c.2 });
    let free_disk = signed(total) - signed(small.reserve.2) - sum(&|c| c.3);
    cpu <= cores
        && i64::from(cpu) <= free_cpu
        && signed(memory) <= free_memory.min(signed(size) - signed(used) - idle)
        && signed(disk) <= free_disk.min(signed(total) - signed(disk_used))
}

proptest! {
    #[test]
    fn p25_it_fits_exactly_where_the_oracle_says(small in small(), cpu in 1_u32..5, memory in 1_u64..5, disk in 1_u64..5) {
        let fitting: Vec<String> = (0..small.nodes.len())
            .filter(|i| oracle_fits(&small, *i, cpu, memory, disk))
            .map(|i| format!("pve{i}"))
            .collect();
        match placed(&built(&small), &demand(cpu, memory, disk)) {
            Placement::At(spot) => prop_assert!(fitting.contains(&spot.node), "{} of {fitting:?}", spot.node),
            Placement::Full { .. } => prop_assert!(fitting.is_empty(), "{fitting:?}"),
            Placement::NotReady { .. } => prop_assert!(false, "the pool is ready"),
        }
    }

    #[test]
    fn p26_what_is_claimed_and_what_is_free_is_what_there_is(small in small()) {
        let world = built(&Small { claims: Vec::new(), ..small.clone() });
        let mut ledger = Ledger::of(&world);
        let pool = &world.pools[0];
        for (on, cpu, memory, disk, _) in &small.claims {
            let Some(node) = pool.nodes.get(*on) else { continue };
            let wanted = amount(*cpu, *memory, *disk);
            if ledger.free(pool, node).holds(wanted) {
                ledger.add(&claim(&node.name, wanted));
            }
            for node in &pool.nodes {
                let sum = ledger.claimed(pool, node).plus(ledger.free(pool, node));
                prop_assert_eq!(sum, Ledger::allocatable(pool, node));
            }
        }
    }

    #[test]
    fn p27_a_burst_never_takes_more_than_there_is(small in small(), burst in proptest::collection::vec((1_u32..3, 1_u64..3, 1_u64..3), 1..30)) {
        let mut world = built(&Small { claims: Vec::new(), ..small });
        for (cpu, memory, disk) in burst {
            if let Placement::At(spot) = placed(&world, &demand(cpu, memory, disk)) {
                world.claims.push(Claim { running: false, ..claim(&spot.node, amount(cpu, memory, disk)) });
            }
        }
        let pool = &world.pools[0];
        for node in &pool.nodes {
            let sum = world.claims.iter().filter(|c| c.node == node.name).fold(Amount::default(), |sum, c| sum.plus(c.amount));
            prop_assert!(Ledger::allocatable(pool, node).holds(sum));
        }
    }

    #[test]
    fn the_same_world_gives_the_same_spot(small in small(), cpu in 1_u32..5) {
        let world = built(&small);
        let mut turned = world.clone();
        turned.pools[0].nodes.reverse();
        turned.claims.reverse();
        prop_assert_eq!(placed(&world, &demand(cpu, 1, 1)), placed(&turned, &demand(cpu, 1, 1)));
    }

    /// What everybody is told at one instant fits together, and holds for each who is served in order.
    #[test]
    fn p29_what_a_queue_is_told_at_once_fits_together_and_holds_in_order(
        small in small(),
        asked in proptest::collection::vec((1_u32..4, 1_u64..4, 1_u64..4), 1..8),
    ) {
        let mut world = built(&small);
        let mut queue: Vec<Waiter> = (0_i64..)
            .zip(asked)
            .map(|(n, (cpu, memory, disk))| waiter(&format!("m{n}"), n, demand(cpu, memory, disk)))
            .collect();
        let told: Vec<Placement> = queue.iter().map(|me| decide(&world, me, &queue).placement).collect();
        for told in told {
            let me = queue.first().cloned().unwrap();
            let now = decide(&world, &me, &queue).placement;
            prop_assert_eq!(&now, &told);
            if let Placement::At(spot) = now {
                world.claims.push(Claim { running: false, cloning: true, ..claim(&spot.node, me.demand.amount) });
                queue.remove(0);
            } else {
                break;
            }
        }
        let pool = &world.pools[0];
        for node in &pool.nodes {
            let sum = world.claims.iter().filter(|c| c.node == node.name && c.cloning).fold(Amount::default(), |s, c| s.plus(c.amount));
            prop_assert!(Ledger::allocatable(pool, node).holds(sum));
        }
    }
}
