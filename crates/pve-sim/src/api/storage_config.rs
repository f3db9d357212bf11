//! /storage: the definitions of storages.

use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use crate::model::storage::Storage;

use super::call::{Call, STORAGES};
use super::params::{Params, Raw};
use super::reply::{Answer, Fault, Reply, sync};
use super::schema::split_list;

/// Parameters that are kept elsewhere than among the settings.
const KNOWN: &[&str] = &[
    "storage",
    "type",
    "content",
    "disable",
    "nodes",
    "shared",
    "digest",
    "delete",
    "create-base-path",
    "create-subdirs",
];

/// GET /storage: those that the caller may use or audit.
pub fn list(call: &mut Call<'_>) -> Reply {
    let kind = call.params.filled("type");
    let visible = call.world.storages.values().filter(|storage| {
        let path = format!("/storage/{}", storage.name);
        kind.is_none_or(|kind| kind == storage.kind()) && may_see(call, &path)
    });
    Answer::of(
        visible
            .map(|storage| Value::Object(shown(storage)))
            .collect::<Vec<_>>(),
    )
}

fn may_see(call: &Call<'_>, path: &str) -> bool {
    call.need(path, &["Datastore.Audit", "Datastore.AllocateSpace"])
        .is_ok()
}

/// GET /storage/{storage}
pub fn get(call: &mut Call<'_>) -> Reply {
    Answer::of(shown(call.world.storage(call.segment("storage")).map_err(sync)?))
}

fn shown(storage: &Storage) -> Map<String, Value> {
    let mut entry: Map<String, Value> = Map::new();
    let settings = storage.settings.iter().filter(|(key, _)| *key != "type");
    entry.extend(settings.map(|(key, value)| (key.clone(), Value::from(value.as_str()))));
    let mut put = |key: &str, value: Value| drop(entry.insert(key.to_owned(), value));
    put("storage", Value::from(storage.name.as_str()));
    put("type", Value::from(storage.kind()));
    put("content", Value::from(storage.content.join(",")));
    if storage.shared {
        put("shared", Value::from(1));
    }
    if !storage.enabled {
        put("disable", Value::from(1));
    }
    if !storage.nodes.is_empty() {
        put("nodes", Value::from(storage.nodes.join(",")));
    }
    let text = Value::Object(entry.clone()).to_string();
    entry.insert(
        "digest".to_owned(),
        Value::from(hex::encode(Sha1::digest(text.as_bytes()))),
    );
    entry
}

/// POST /storage
pub fn create(call: &mut Call<'_>) -> Reply {
    let name = call.fill("{storage}");
    call.lock_file(STORAGES, "create storage")?;
    if call.world.storages.contains_key(&name) {
        return Err(Fault::died(format!(
            "create storage failed: storage ID '{name}' already defined"
        )));
    }
    let total = call
        .world
        .storages
        .values()
        .map(|storage| storage.total)
        .max()
        .unwrap_or(1 << 40);
    let mut storage = Storage::dir(&name, false, total);
    storage.content = ["images", "rootdir"].map(str::to_owned).to_vec();
    storage.settings.clear();
    if let Some(kind) = call.params.filled("type") {
        storage.settings.insert("type".to_owned(), kind.to_owned());
    }
    take(&mut storage, call.params);
    let answer = named(&storage);
    call.world.storages.insert(name, storage);
    answer
}

fn named(storage: &Storage) -> Reply {
    Answer::of(json!({"storage": storage.name, "type": storage.kind()}))
}

fn take(storage: &mut Storage, params: &Params) {
    let listed = |name: &str| Some(split_list(params.text(name)?).map(str::to_owned).collect());
    if let Some(content) = listed("content") {
        storage.content = content;
    }
    if let Some(nodes) = listed("nodes") {
        storage.nodes = nodes;
    }
    if let Some(disable) = params.text("disable") {
        storage.enabled = disable != "1";
    }
    if let Some(shared) = params.text("shared") {
        storage.shared = shared == "1";
    }
    for (key, raw) in params.iter().filter(|(key, _)| !KNOWN.contains(key)) {
        if let Raw::One(value) = raw {
            storage.settings.insert(key.to_owned(), value.clone());
        }
    }
    for key in split_list(params.text("delete").unwrap_or_default()) {
        match key {
            "nodes" => storage.nodes.clear(),
            "disable" => storage.enabled = true,
            "shared" => storage.shared = false,
            _ => drop(storage.settings.remove(key)),
        }
    }
}

/// PUT /storage/{storage}
pub fn update(call: &mut Call<'_>) -> Reply {
    let name = call.segment("storage").to_owned();
    call.lock_file(STORAGES, "update storage")?;
    match call.world.storages.get_mut(&name) {
        Some(storage) => {
            take(storage, call.params);
            named(storage)
        }
        None => Err(missing("update", &name)),
    }
}

fn missing(act: &str, name: &str) -> Fault {
    Fault::died(format!("{act} storage failed: storage '{name}' does not exist"))
}

/// DELETE /storage/{storage}
pub fn delete(call: &mut Call<'_>) -> Reply {
    let name = call.segment("storage").to_owned();
    call.lock_file(STORAGES, "delete storage")?;
    if call.world.storages.remove(&name).is_none() {
        return Err(missing("delete", &name));
    }
    call.world.access.forget(&format!("/storage/{name}"));
    Answer::null()
}
