//! /nodes/{node}/storage: the list, a storage's status, its volumes.

use serde_json::{Value, json};

use crate::model::storage::Storage;

use super::call::Call;
use super::reply::{Answer, Fault, Reply, sync};

/// GET /nodes/{node}/storage
pub fn list(call: &mut Call<'_>) -> Reply {
    let node = call.node();
    let wanted = |storage: &&Storage| {
        let content = call
            .params
            .filled("content")
            .is_none_or(|kind| storage.content.iter().any(|own| own == kind));
        let name = call
            .params
            .filled("storage")
            .is_none_or(|name| name == storage.name);
        content && name && storage.on(&node) && (storage.enabled || !call.params.flag("enabled"))
    };
    let mut touched = call.world.storages.values().filter(wanted);
    touched.try_for_each(Storage::check_alive).map_err(sync)?;
    let visible = call.world.storages.values().filter(wanted).filter(|storage| {
        call.need(
            &format!("/storage/{}", storage.name),
            &["Datastore.Audit", "Datastore.AllocateSpace"],
        )
        .is_ok()
    });
    let list = visible.map(|storage| {
        let mut entry = storage.status(&node);
        entry["storage"] = Value::from(storage.name.as_str());
        if storage.total > 0 {
            entry["used_fraction"] = Value::from(fraction(storage.used(&node), storage.total));
        }
        entry
    });
    Answer::of(list.collect::<Vec<_>>())
}

fn fraction(used: u64, total: u64) -> f64 {
    let permille = used.saturating_mul(1000) / total.max(1);
    f64::from(u32::try_from(permille.min(1000)).unwrap_or(1000)) / 1000.0
}

/// GET /nodes/{node}/storage/{storage}/status
pub fn status(call: &mut Call<'_>) -> Reply {
    let missing = || Fault::param("storage", "No such storage.");
    let storage = call
        .world
        .storages
        .get(call.segment("storage"))
        .ok_or_else(missing)?;
    if !storage.on(call.segment("node")) {
        return Err(missing());
    }
    storage.check_alive().map_err(sync)?;
    Answer::of(storage.status(call.segment("node")))
}

/// GET /nodes/{node}/storage/{storage}/content: images only of guests that the caller has rights on.
pub fn content(call: &mut Call<'_>) -> Reply {
    let name = call.segment("storage");
    let node = call.segment("node");
    let storage = call.world.storage(name).map_err(sync)?;
    storage.check(node).map_err(sync)?;
    let audit = call.allows(&format!("/storage/{name}"), "Datastore.Audit");
    let only = call.params.number::<u32>("vmid");
    storage.activate(node).map_err(sync)?;
    let images = call.params.filled("content").is_none_or(|kind| kind == "images");
    let visible = storage.volumes(node).filter(|(_, volume)| {
        let owner = call.allows(&format!("/vms/{}", volume.vmid), "VM.Audit");
        images && audit && owner && only.is_none_or(|vmid| vmid == volume.vmid)
    });
    let list = visible.map(|(path, volume)| {
        let base = volume.base.as_ref().map(|base| format!("{base}/")).unwrap_or_default();
        json!({
            "volid": format!("{name}:{base}{path}"), "content": "images", "format": "qcow2", "vmid": volume.vmid,
            "size": volume.size, "used": volume.size / 10, "ctime": volume.created.secs(),
            "parent": volume.base.as_ref().map(|base| format!("../{base}")),
        })
    });
    let mut list: Vec<Value> = list.collect();
    let kind = call.params.filled("content");
    let templates = call.allows(&format!("/storage/{name}"), "Datastore.AllocateTemplate");
    let files = storage
        .files(node)
        .filter(|(_, file)| (audit || templates) && kind.is_none_or(|kind| kind == file.content));
    list.extend(files.map(|(path, file)| {
        let end = path.rsplit('.').next().unwrap_or_default();
        let format = if file.content == "snippets" {
            "snippet"
        } else {
            end
        };
        json!({
            "volid": format!("{name}:{path}"), "content": file.content, "format": format, "size": file.size,
            "ctime": file.created.secs(),
        })
    }));
    Answer::of(list)
}
