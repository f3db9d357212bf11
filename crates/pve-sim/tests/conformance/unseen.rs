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
    let digest = shown.data()["digest"].as_str()?;
    let mut vm = Vm::new(0, "", entries::config(shown.data()));
    if vm.digest() == digest {
        return None;
    }
    let nothing = BTreeMap::new();
    let sent = unit.beside.iter().filter(|pair| pair.target == shown.target);
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
