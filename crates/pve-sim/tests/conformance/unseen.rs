//! What no answer shows of a configuration file, but its digest tells: the cloud-init values that a running guest's image
//! still has.

use std::collections::BTreeMap;

use pve_sim::model::image::{Outdated, is_in_image};
use pve_sim::model::vm::Vm;

use crate::entries;
use crate::evidence::Unit;

/// The first of all values that were sent for this guest beside the request with which the digest is the shown one.
pub fn outdated(unit: &Unit<'_>) -> Option<Outdated> {
    let shown = unit.read.unwrap_or(unit.asked);
    let list = shown.data().as_array();
    let entry = list.and_then(|list| list.iter().find(|item| item["key"] == "digest"));
    let digest = entry.map_or(&shown.data()["digest"], |entry| &entry["value"]);
    let digest = digest.as_str()?;
    let config = match entry {
        Some(_) => entries::config_of_pending(shown.data()),
        None => entries::config(shown.data()),
    };
    let mut vm = Vm::new(0, "", config);
    if vm.digest() == digest {
        return None;
    }
    let nothing = BTreeMap::new();
    let sent = unit
        .beside
        .iter()
        .filter(|pair| pair.writes() && pair.vmid() == shown.vmid());
    let values = sent
        .flat_map(|pair| &pair.params)
        .filter(|(key, _)| is_in_image(key))
        .map(|(key, value)| BTreeMap::from([(key.clone(), value.clone())]));
    std::iter::once(nothing)
        .chain(values)
        .map(Outdated::of)
        .find(|outdated| {
            vm.outdated = Some(outdated.clone());
            vm.digest() == digest
        })
}
