//! Who may give which tag: the datacenter's tag options against what a change does to a guest's tags.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::values::split_tags;

use super::call::Call;
use super::reply::Fault;

/// The tags that an option of the datacenter lists.
fn listed(list: Option<&Value>) -> BTreeSet<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn mode<'a>(call: &'a Call<'_>) -> &'a str {
    let access = call.world.datacenter.options.get("user-tag-access");
    access
        .and_then(|access| access["user-allow"].as_str())
        .unwrap_or("free")
}

/// The tags that the caller may give, as the options show them.
pub fn allowed(call: &Call<'_>) -> BTreeSet<String> {
    let options = &call.world.datacenter.options;
    let mode = mode(call);
    let mut tags = BTreeSet::new();
    if mode != "none" {
        tags.extend(listed(
            options
                .get("user-tag-access")
                .and_then(|access| access.get("user-allow-list")),
        ));
    }
    if matches!(mode, "free" | "existing") {
        let visible = call
            .world
            .vms
            .values()
            .filter(|vm| call.allows(&format!("/vms/{}", vm.vmid), "VM.Audit"));
        for vm in visible {
            tags.extend(split_tags(vm.config.get("tags").unwrap_or_default()).map(str::to_owned));
        }
    }
    let registered = listed(options.get("registered-tags"));
    if call.allows("/", "Sys.Modify") {
        tags.extend(registered);
    } else {
        tags.retain(|tag| !registered.contains(tag));
    }
    tags
}

/// Refuses a change of tags that the caller may not make; new tags are looked at first.
pub fn check(call: &Call<'_>, old: &str, new: &str) -> Result<(), Fault> {
    if call.allows("/", "Sys.Modify") {
        return Ok(());
    }
    let set = |list: &str| -> BTreeSet<String> { split_tags(list).map(str::to_lowercase).collect() };
    let (old, new) = (set(old), set(new));
    let registered = listed(call.world.datacenter.options.get("registered-tags"));
    let free = mode(call) == "free";
    let known = allowed(call);
    let refused = |tag: &&String| registered.contains(*tag) || !(free || known.contains(*tag));
    match new.difference(&old).chain(old.difference(&new)).find(refused) {
        Some(tag) => Err(Fault::denied(
            "/",
            &[&format!("Sys.Modify for modifying tag '{tag}'")],
        )),
        None => Ok(()),
    }
}
