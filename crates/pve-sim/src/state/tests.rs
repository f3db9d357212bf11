//! A state on disk: found again, also after a torn write, and never larger than it must be.

use super::*;
use crate::model::bed::{begin_clone, cluster, pass};

/// How many bytes a journal may have.
const JOURNAL: u64 = 1 << 20;

/// A folder that is removed in the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pve-sim-state-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self) -> (World, Store) {
        Folder::open(&self.0, JOURNAL).unwrap().follow(cluster).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn journal(store: &Store) -> PathBuf {
    store.folder.journal(store.generation)
}

#[test]
fn a_clone_that_was_under_way_goes_on_after_the_restart() {
    let place = Place::new("clone");
    let (mut world, mut store) = place.open();
    let upid = begin_clone(&mut world);
    pass(&mut world, 100);
    store.save(&world).unwrap();
    drop(store);
    let (mut world, _store) = place.open();
    assert_eq!(world.vms[&200].config.lock(), Some("clone"));
    pass(&mut world, 1000);
    assert_eq!(
        world.tasks.find(&upid).unwrap().end.as_ref().unwrap().status,
        "OK"
    );
    assert_eq!(world.pools.of(200), Some("decent"));
}

#[test]
fn a_torn_last_write_is_forgotten_and_the_ones_before_it_are_not() {
    let place = Place::new("torn");
    let (mut world, mut store) = place.open();
    world.vm_mut("pve1", 9000).unwrap().config.set("tags", "one");
    store.save(&world).unwrap();
    let whole = store.size;
    world.vm_mut("pve1", 9000).unwrap().config.set("tags", "two");
    world.deaf.insert(9000);
    store.save(&world).unwrap();
    store.journal.set_len(whole + 30).unwrap();
    drop(store);
    let (world, _store) = place.open();
    assert_eq!(world.vms[&9000].config.get("tags"), Some("one"));
    assert!(
        !world.deaf.contains(&9000),
        "a change is there as a whole or not at all"
    );
}

#[test]
fn a_journal_that_has_grown_is_replaced_by_a_state() {
    let place = Place::new("bounded");
    let (mut world, mut store) = place.open();
    let long = "x".repeat(8000);
    for round in 0..1500 {
        let text = format!("{round}{long}");
        world
            .vm_mut("pve1", 9000)
            .unwrap()
            .config
            .set("description", text);
        store.save(&world).unwrap();
        assert!(fs::metadata(journal(&store)).unwrap().len() <= JOURNAL + 20_000);
    }
    assert!(store.generation > 2);
    let files = fs::read_dir(&place.0).unwrap().count();
    assert_eq!(files, 3, "lock, state, journal");
    drop(store);
    let (world, _store) = place.open();
    assert!(
        world.vms[&9000]
            .config
            .get("description")
            .unwrap()
            .starts_with("1499x")
    );
}

#[test]
fn a_folder_has_one_simulator() {
    let place = Place::new("taken");
    let held = place.open();
    assert!(matches!(
        Folder::open(&place.0, JOURNAL),
        Err(StateError::Taken { .. })
    ));
    drop(held);
    place.open();
}
