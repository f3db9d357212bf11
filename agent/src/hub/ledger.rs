//! What the hub was told of each Slot's route, and what is still to be told. Pure: writes nothing itself.

use std::collections::{BTreeMap, BTreeSet};

use crds::{Slot, slot::Route};
use domain::ids::Uid;
use domain::slot::SlotIndex;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use agent_core::routes::Claim;

use crate::probe::{Answer, Report};

/// Longest banner and most host keys that a Slot takes.
const BANNER: usize = 255;
const KEYS: usize = 8;

/// A Slot as the hub has it.
#[derive(Debug, Clone)]
struct Known {
    uid: Uid,
    index: SlotIndex,
    ended: bool,
    told: Route,
}

/// A route that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// The Slot's name.
    pub name: String,
    /// Its UID.
    pub uid: Uid,
    /// What to write.
    pub route: Route,
}

/// All Slots of the gateway.
#[derive(Debug, Default)]
pub struct Ledger {
    slots: BTreeMap<String, Known>,
    due: BTreeMap<String, Due>,
    flying: BTreeSet<String>,
    /// The last word of a probe about each route, also before the hub has told its Slot.
    seen: BTreeMap<(SlotIndex, Uid), Report>,
}

impl Ledger {
    /// Takes note of a Slot.
    pub fn heard(&mut self, slot: &Slot, claim: &Claim) {
        let name = slot.name_any();
        let mut told = slot
            .status
            .as_ref()
            .and_then(|status| status.route.clone())
            .unwrap_or_default();
        // An older word of the hub takes nothing back that it was told.
        let before = self.slots.get(&name).filter(|known| known.uid == claim.route.uid);
        if told.removed_at.is_none()
            && let Some(removed_at) = before.and_then(|known| known.told.removed_at.clone())
        {
            told.removed_at = Some(removed_at);
        }
        let known = Known {
            uid: claim.route.uid,
            index: claim.route.index,
            ended: claim.ended,
            told,
        };
        if self.due.get(&name).is_some_and(|due| due.uid != known.uid) {
            self.due.remove(&name);
        }
        let key = (known.index, known.uid);
        self.slots.insert(name, known);
        if claim.ended {
            self.seen.remove(&key);
        } else if let Some(report) = self.seen.get(&key).cloned() {
            self.tell(report);
        }
    }

    /// A Slot is gone from the hub.
    pub fn gone(&mut self, name: &str) {
        if let Some(known) = self.slots.remove(name) {
            self.seen.remove(&(known.index, known.uid));
        }
        self.due.remove(name);
    }

    /// Takes note of what a probe saw.
    pub fn probed(&mut self, report: Report) {
        self.seen.retain(|(index, _), _| *index != report.route.index);
        self.seen
            .insert((report.route.index, report.route.uid), report.clone());
        self.tell(report);
    }

    fn tell(&mut self, report: Report) {
        let Some((name, known)) = self.of(report.route.index, report.route.uid) else {
            return;
        };
        if known.ended {
            return;
        }
        let now = self.due.get(&name).map_or(&known.told, |due| &due.route);
        let route = match report.seen {
            Ok(answer) => answered(answer, report.at),
            // What it said last stays for whoever looks.
            Err(_) => Route {
                programmed: false,
                ..now.clone()
            },
        };
        if !same(now, &route) {
            let uid = known.uid;
            self.due.insert(name.clone(), Due { name, uid, route });
        }
    }

    /// A route is gone from the host.
    pub fn removed(&mut self, index: SlotIndex, uid: Uid, at: Timestamp) {
        let Some((name, _)) = self.of(index, uid) else {
            return;
        };
        let route = Route {
            removed_at: Some(Time(at)),
            ..Route::default()
        };
        self.due.insert(name.clone(), Due { name, uid, route });
    }

    fn of(&self, index: SlotIndex, uid: Uid) -> Option<(String, Known)> {
        let found = self
            .slots
            .iter()
            .find(|(_, known)| known.index == index && known.uid == uid);
        found.map(|(name, known)| (name.clone(), known.clone()))
    }

    /// Ended Slots whose routes the hub does not yet know to be removed.
    pub fn leaving(&self) -> Vec<(SlotIndex, Uid)> {
        let left = self.slots.iter().filter(|(name, known)| {
            known.ended && known.told.removed_at.is_none() && !self.due.contains_key(*name)
        });
        left.map(|(_, known)| (known.index, known.uid)).collect()
    }

    /// What is to be written now; it counts as under way until it has landed.
    pub fn launch(&mut self) -> Vec<Due> {
        let ready: Vec<Due> = self
            .due
            .values()
            .filter(|due| !self.flying.contains(&due.name))
            .cloned()
            .collect();
        self.flying.extend(ready.iter().map(|due| due.name.clone()));
        ready
    }

    /// A write has landed, or not.
    pub fn landed(&mut self, due: &Due, ok: bool) {
        self.flying.remove(&due.name);
        if !ok {
            return;
        }
        if self.due.get(&due.name) == Some(due) {
            self.due.remove(&due.name);
        }
        if let Some(known) = self.slots.get_mut(&due.name).filter(|known| known.uid == due.uid) {
            known.told = due.route.clone();
        }
    }
}

fn answered(answer: Answer, at: Timestamp) -> Route {
    let Answer {
        banner,
        mut host_keys,
    } = answer;
    host_keys.truncate(KEYS);
    Route {
        programmed: true,
        probed_at: Some(Time(Timestamp::from_second(at.as_second()).unwrap_or(at))),
        banner: Some(crds::condition::cut(banner, BANNER)),
        host_keys,
        removed_at: None,
    }
}

/// Whether two routes say the same, but for when it was seen.
fn same(one: &Route, other: &Route) -> bool {
    let timeless = |route: &Route| Route {
        probed_at: None,
        ..route.clone()
    };
    timeless(one) == timeless(other)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
