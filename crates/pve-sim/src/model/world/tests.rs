//! The cluster as a whole: it repeats itself, and can be written down at any time.

use super::super::bed::{begin_clone, cluster};
use super::*;

fn text(world: &World) -> String {
    serde_json::to_string(world).unwrap()
}

#[test]
fn the_same_seed_and_acts_give_the_same_cluster() {
    let run = || {
        let mut world = cluster();
        begin_clone(&mut world);
        world.advance(world.now.plus(Duration::from_secs(1)));
        text(&world)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_cluster_written_down_in_the_middle_of_work_goes_on_where_it_was() {
    let mut world = cluster();
    let upid = begin_clone(&mut world);
    world.advance(world.now.plus(Duration::from_millis(100)));
    assert!(world.tasks.find(&upid).unwrap().end.is_none());
    let mut copy: World = serde_json::from_str(&text(&world)).unwrap();
    for world in [&mut world, &mut copy] {
        world.advance(world.now.plus(Duration::from_secs(1)));
    }
    assert_eq!(copy.tasks.find(&upid).unwrap().end.as_ref().unwrap().status, "OK");
    assert_eq!(text(&copy), text(&world));
}

#[test]
fn statistics_are_as_old_as_the_last_full_period() {
    let mut world = cluster();
    begin_clone(&mut world);
    world.advance(world.now.plus(Duration::from_secs(9)));
    assert!(!world.nodes["pve1"].published.contains_key(&200));
    world.advance(world.now.plus(Duration::from_secs(1)));
    assert!(world.nodes["pve1"].published.contains_key(&200));
}

#[test]
fn a_relocated_guest_takes_its_own_volumes_along() {
    let mut world = cluster();
    begin_clone(&mut world);
    world.advance(world.now.plus(Duration::from_secs(1)));
    world.relocate(200, "pve2");
    let of = |node: &str| {
        world.storages["local"]
            .volumes(node)
            .filter(|(_, volume)| volume.vmid == 200)
            .count()
    };
    assert_eq!((of("pve1"), of("pve2")), (0, 2));
}
