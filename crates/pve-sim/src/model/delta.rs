//! What has changed between two states of the cluster, as data that can be written down and applied again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::firewall::FirewallFile;
use super::moment::Moment;
use super::node::Node;
use super::storage::{Storage, Volume};
use super::task::Task;
use super::vm::Vm;
use super::world::World;

/// The parts of the cluster that are written as a whole, as text by name.
pub type Parts = BTreeMap<String, String>;

/// A change.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Delta {
    /// When.
    now: Moment,
    /// Guests that are new, different or gone.
    vms: BTreeMap<u32, Option<Vm>>,
    /// Firewall files that are new, different or gone.
    firewalls: BTreeMap<u32, Option<FirewallFile>>,
    /// Tasks that are new, different or forgotten.
    tasks: Vec<(u64, Option<Task>)>,
    /// Volumes that are new, different or gone: storage, place, name.
    volumes: Vec<(String, String, String, Option<Volume>)>,
    /// Parts that are different.
    parts: Parts,
}

impl Delta {
    /// What has changed since `old`, whose parts were `parts`.
    pub fn between(old: &World, parts: &Parts, new: &World) -> serde_json::Result<Self> {
        let mut changed = parts_of(new)?;
        changed.retain(|name, text| parts.get(name) != Some(text));
        let none = Storage::dir("", false, 0);
        let mut volumes = Vec::new();
        for (name, storage) in &new.storages {
            let before = old.storages.get(name).unwrap_or(&none);
            for (place, volume, now) in storage.changes_since(before) {
                volumes.push((name.clone(), place, volume, now));
            }
        }
        Ok(Self {
            now: new.now,
            vms: changes(&old.vms, &new.vms),
            firewalls: changes(&old.firewalls, &new.firewalls),
            tasks: new.tasks.changes_since(&old.tasks)?,
            volumes,
            parts: changed,
        })
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        let Self {
            now: _,
            vms,
            firewalls,
            tasks,
            volumes,
            parts,
        } = self;
        vms.is_empty() && firewalls.is_empty() && tasks.is_empty() && volumes.is_empty() && parts.is_empty()
    }

    /// Takes the change over into a copy that is kept to compare with.
    pub fn note(self, last: &mut World, parts: &mut Parts) {
        let Self {
            now: _,
            vms,
            firewalls,
            tasks,
            volumes,
            parts: changed,
        } = self;
        put(&mut last.vms, vms);
        put(&mut last.firewalls, firewalls);
        last.tasks.change(tasks);
        for (storage, place, name, volume) in volumes {
            let empty = || Storage::dir(&storage, false, 0);
            let kept = last.storages.entry(storage.clone()).or_insert_with(empty);
            kept.put(&place, name, volume);
        }
        parts.extend(changed);
    }

    /// Makes the change.
    pub fn apply(self, world: &mut World) -> serde_json::Result<()> {
        let Self {
            now,
            vms,
            firewalls,
            tasks,
            volumes,
            parts,
        } = self;
        world.now = world.now.max(now);
        for (name, text) in parts {
            set_part(world, &name, &text)?;
        }
        put(&mut world.vms, vms);
        put(&mut world.firewalls, firewalls);
        world.tasks.change(tasks);
        for (storage, place, name, volume) in volumes {
            if let Some(storage) = world.storages.get_mut(&storage) {
                storage.put(&place, name, volume);
            }
        }
        Ok(())
    }
}

/// Values that are new, different or gone.
pub fn changes<K, V>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> BTreeMap<K, Option<V>>
where
    K: Ord + Clone,
    V: PartialEq + Clone,
{
    let gone = old.keys().filter(|key| !new.contains_key(key));
    let mut changes: BTreeMap<K, Option<V>> = gone.map(|key| (key.clone(), None)).collect();
    let other = new.iter().filter(|(key, value)| old.get(key) != Some(value));
    changes.extend(other.map(|(key, value)| (key.clone(), Some(value.clone()))));
    changes
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, changes: BTreeMap<K, Option<V>>) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.remove(&key)),
        }
    }
}

/// The parts of a cluster and how one of them is set. A new field of the cluster must be placed here.
macro_rules! parts {
    ($($field:ident),*) => {
        /// Every part as text.
        pub fn parts_of(world: &World) -> serde_json::Result<Parts> {
            let World { $($field,)* now: _, vms: _, firewalls: _, tasks: _, nodes, storages } = world;
            let mut parts = Parts::new();
            $(parts.insert(stringify!($field).to_owned(), serde_json::to_string($field)?);)*
            let heads: BTreeMap<_, _> = nodes.iter().map(|(name, node)| (name, node.head())).collect();
            parts.insert("nodes".to_owned(), serde_json::to_string(&heads)?);
            let heads: BTreeMap<_, _> = storages.iter().map(|(name, storage)| (name, storage.head())).collect();
            parts.insert("storages".to_owned(), serde_json::to_string(&heads)?);
            Ok(parts)
        }

        fn set_part(world: &mut World, name: &str, text: &str) -> serde_json::Result<()> {
            match name {
                $(stringify!($field) => world.$field = serde_json::from_str(text)?,)*
                "nodes" => set_nodes(world, serde_json::from_str(text)?),
                "storages" => set_storages(world, serde_json::from_str(text)?),
                _ => {}
            }
            Ok(())
        }
    };
}

parts!(
    durations, stats_lag, dice, datacenter, deaf, pools, access, locks, rebooting, version, agenda,
    next_event
);

fn set_nodes(world: &mut World, heads: BTreeMap<String, Node>) {
    let mut old = std::mem::take(&mut world.nodes);
    for (name, mut node) in heads {
        if node.online
            && let Some(old) = old.remove(&name)
        {
            node.published = old.published;
        }
        world.nodes.insert(name, node);
    }
}

fn set_storages(world: &mut World, heads: BTreeMap<String, Storage>) {
    let mut old = std::mem::take(&mut world.storages);
    for (name, head) in heads {
        let storage = match old.remove(&name) {
            Some(old) => head.with_contents_of(old),
            None => head,
        };
        world.storages.insert(name, storage);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bed::{begin_clone, cloned, cluster, destroy, pass, run};
    use super::*;

    fn text(world: &World) -> String {
        let mut world = world.clone();
        // What a live node publishes is published anew.
        for node in world.nodes.values_mut().filter(|node| node.online) {
            node.published.clear();
        }
        let mut value = serde_json::to_value(&world).unwrap();
        value["now"] = serde_json::Value::Null;
        value.to_string()
    }

    #[test]
    fn every_change_of_a_busy_cluster_can_be_written_down_and_made_again() {
        let mut world = cluster();
        let mut copy = world.clone();
        let mut parts = parts_of(&world).unwrap();
        let mut last = world.clone();
        let mut step = |world: &World| {
            let delta = Delta::between(&last, &parts, world).unwrap();
            let written = serde_json::to_string(&delta).unwrap();
            serde_json::from_str::<Delta>(&written)
                .unwrap()
                .apply(&mut copy)
                .unwrap();
            parts = parts_of(world).unwrap();
            last = world.clone();
            assert_eq!(text(&copy), text(world));
        };
        begin_clone(&mut world);
        for _ in 0..50 {
            pass(&mut world, 10);
            step(&world);
        }
        cloned(&mut world, 201);
        step(&world);
        let upid = destroy(&mut world, 200);
        assert_eq!(run(&mut world, &upid).0, "OK");
        world.kill_node("pve2");
        step(&world);
        world.revive_node("pve2");
        step(&world);
    }

    #[test]
    fn an_unchanged_cluster_gives_an_empty_change() {
        let world = cluster();
        let parts = parts_of(&world).unwrap();
        assert!(Delta::between(&world, &parts, &world).unwrap().is_empty());
    }
}
