//! Guests, tasks, volumes, pools and nodes out of recorded answers.

use pve_sim::model::access::{AclEntry, Principal};
use pve_sim::model::config::{VmConfig, format_size};
use pve_sim::model::moment::Moment;
use pve_sim::model::pace::Pace;
use pve_sim::model::storage::{Health, Storage, StoredFile, Volume, own_name, split_volid};
use pve_sim::model::task::{End, Task, Upid};
use pve_sim::model::work::{ConfigJob, Job};
use pve_sim::model::world::World;
use serde_json::Value;

use crate::evidence::Unit;
use crate::guests;
use crate::pairs::{Pair, plain};

/// The configuration that an answer shows.
pub fn config(shown: &Value) -> VmConfig {
    let mut config = VmConfig::default();
    for (key, value) in shown
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "digest")
    {
        config.set(key, plain(value));
    }
    config
}

/// Some value that a key may have.
pub fn some_value(key: &str, vmid: u32) -> String {
    match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "description" => "something".to_owned(),
        "scsi" => format!("local:{vmid}/vm-{vmid}-disk-9.qcow2,size=1G"),
        "tags" => "some".to_owned(),
        _ => "1".to_owned(),
    }
}

/// A configuration that makes a guest be listed as it was.
pub fn config_of_entry(entry: &Value) -> VmConfig {
    let mut config = VmConfig::default();
    let number = |key: &str| entry[key].as_u64();
    let vmid = number("vmid").unwrap_or(0);
    let name = entry["name"]
        .as_str()
        .filter(|name| *name != format!("VM {vmid}"));
    for (key, value) in [
        ("name", name),
        ("tags", entry["tags"].as_str()),
        ("lock", entry["lock"].as_str()),
    ] {
        if let Some(value) = value {
            config.set(key, value);
        }
    }
    if let Some(cpus) = number("maxcpu").or(number("cpus")) {
        config.set("cores", cpus.to_string());
    }
    if let Some(memory) = number("maxmem") {
        config.set("memory", (memory >> 20).to_string());
    }
    if let Some(size) = number("maxdisk").filter(|size| *size > 0) {
        config.set("boot", "order=scsi0");
        config.set(
            "scsi0",
            format!("local:{vmid}/vm-{vmid}-disk-0.qcow2,size={}", format_size(size)),
        );
    }
    if number("template") == Some(1) {
        config.set("template", "1");
    }
    if entry.get("serial").is_some() {
        config.set("serial0", "socket");
    }
    if entry.get("clipboard").is_some() {
        config.set("vga", "serial0");
    }
    if number("agent") == Some(1) {
        config.set("agent", "enabled=1");
    }
    for (index, _) in entry["nics"].as_object().into_iter().flatten().enumerate() {
        config.set(
            &format!("net{index}"),
            format!("virtio=BC:24:11:00:00:0{index},bridge=vmbr0"),
        );
    }
    config
}

/// The configuration that a list of pending values shows.
pub fn config_of_pending(list: &Value) -> VmConfig {
    let mut config = VmConfig::default();
    for item in list
        .as_array()
        .into_iter()
        .flatten()
        .filter(|item| item["key"] != "digest")
    {
        if let Some(value) = item.get("value") {
            config.set(item["key"].as_str().unwrap_or_default(), plain(value));
        }
    }
    config
}

/// Everything that the answer of a read shows is put there.
pub fn apply(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    task_of_path(world, unit);
    if pair.method != "GET" || pair.status() != 200 {
        return;
    }
    if pair.template() == "/cluster/nextid" {
        return;
    }
    if let ("/nodes/{node}/storage/{storage}/status", Some(name)) =
        (pair.template().as_str(), pair.behind("storage"))
    {
        storage(world, name, pair.data());
    }
    if pair.template().ends_with("/pending") {
        pending(world, pair);
    }
    if pair.template() == "/access/acl" {
        return acl(world, pair);
    }
    for entry in pair.data().as_array().into_iter().flatten() {
        apply_entry(world, pair, entry);
        for member in entry["members"].as_array().into_iter().flatten() {
            apply_entry(world, pair, member);
            let pool = entry["poolid"].as_str().unwrap_or_default().to_owned();
            if let Some(vmid) = member["vmid"].as_u64() {
                world.pools.join(&pool, u32::try_from(vmid).unwrap());
            }
        }
    }
    if pair.template() == "/pools" || pair.template() == "/cluster/resources" {
        keep_pools(world, pair);
    }
}

fn apply_entry(world: &mut World, pair: &Pair, entry: &Value) {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    if let Some(name) = entry["poolid"].as_str() {
        let _ = world.pools.create(name, None);
        world.pools.get_mut(name).unwrap().comment = entry["comment"].as_str().map(str::to_owned);
    }
    if !text("upid").is_empty() {
        return add_task(world, entry);
    }
    if !text("volid").is_empty() {
        return add_content(world, pair, entry);
    }
    match text("type") {
        "pool" => drop(world.pools.create(text("pool"), None)),
        "node" => node(world, entry),
        "storage" => storage(world, text("storage"), entry),
        "cluster" => world.datacenter.parted = entry["quorate"] != 1,
        _ if !text("storage").is_empty() => storage(world, text("storage"), entry),
        _ => {
            if let Some(vmid) = entry["vmid"].as_u64() {
                let node = if text("node").is_empty() {
                    pair.node().unwrap_or("pve1")
                } else {
                    text("node")
                };
                let vmid = u32::try_from(vmid).unwrap();
                guests::put(world, vmid, node, config_of_entry(entry));
                if text("status") == "running" {
                    guests::run(world, vmid);
                }
                if !text("pool").is_empty() {
                    let _ = world.pools.create(text("pool"), None);
                    world.pools.join(text("pool"), vmid);
                }
            }
        }
    }
}

/// Changes that wait for a restart, of a guest that then runs.
fn pending(world: &mut World, pair: &Pair) {
    let Some(vmid) = pair.vmid() else { return };
    let mut waiting = false;
    for item in pair.data().as_array().into_iter().flatten() {
        let change = match item.get("pending") {
            Some(value) => Some(plain(value)),
            None if item.get("delete").is_some() => None,
            None => continue,
        };
        waiting = true;
        if let Some(vm) = world.vms.get_mut(&vmid) {
            vm.pending
                .insert(item["key"].as_str().unwrap_or_default().to_owned(), change);
        }
    }
    if waiting {
        guests::run(world, vmid);
    }
}

fn acl(world: &mut World, pair: &Pair) {
    for entry in pair.data().as_array().into_iter().flatten() {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        world.access.roles.entry(text("roleid")).or_default();
        world.access.grant(AclEntry {
            path: text("path"),
            who: text("ugid"),
            role: text("roleid"),
            propagate: entry["propagate"] == 1,
        });
    }
}

fn keep_pools(world: &mut World, pair: &Pair) {
    let shown = |name: &str| pair.line.contains(&format!("\"{name}\""));
    let hidden: Vec<String> = world
        .pools
        .iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| !shown(name))
        .collect();
    for name in hidden {
        let _ = world.pools.delete(&name);
    }
}

fn node(world: &mut World, entry: &Value) {
    let name = entry["node"]
        .as_str()
        .or(entry["name"].as_str())
        .unwrap_or_default();
    let Some(node) = world.nodes.get_mut(name) else {
        return;
    };
    node.online = entry["online"] == 1 || entry["status"] == "online";
    if let Some(memory) = entry["maxmem"].as_u64() {
        node.memory = memory;
    }
    if let Some(cores) = entry["maxcpu"].as_u64() {
        node.cores = cores;
    }
    if let Some(disk) = entry["maxdisk"].as_u64() {
        node.disk = disk;
    }
}

fn storage(world: &mut World, name: &str, entry: &Value) {
    let total = entry["total"]
        .as_u64()
        .or(entry["maxdisk"].as_u64())
        .unwrap_or(60 << 30);
    let mut storage = Storage::dir(name, entry["shared"] == 1, total);
    let content = entry["content"].as_str().unwrap_or_default();
    storage.content = content.split(',').map(str::to_owned).collect();
    if entry["status"] == "unknown" {
        storage.health = Health::Unmounted;
    }
    storage.enabled = entry.get("enabled").is_none_or(|on| *on == 1);
    world.storages.insert(name.to_owned(), storage);
}

fn add_content(world: &mut World, pair: &Pair, entry: &Value) {
    let volid = entry["volid"].as_str().unwrap_or_default();
    let Some((storage, name)) = split_volid(volid) else {
        return;
    };
    let node = pair.node().unwrap_or("pve1");
    let size = entry["size"].as_u64().unwrap_or(0);
    let created = Moment::from_micros(entry["ctime"].as_u64().unwrap_or(0) * 1_000_000);
    let Some(storage) = world.storages.get_mut(storage) else {
        return;
    };
    if entry["content"] != "images" {
        let content = plain(&entry["content"]);
        return storage.add_file(
            node,
            name,
            StoredFile {
                content,
                size,
                created,
            },
        );
    }
    let volume = Volume {
        size,
        vmid: entry["vmid"]
            .as_u64()
            .and_then(|vmid| u32::try_from(vmid).ok())
            .unwrap_or(0),
        created,
        base: entry["parent"]
            .as_str()
            .map(|base| base.trim_start_matches("../").to_owned()),
    };
    storage.add(node, own_name(name), volume);
}

/// Statistics that had not been published yet, or were of another name.
pub fn unpublish(world: &mut World, unit: &Unit<'_>) {
    let list = unit.asked.data().as_array();
    let members = list
        .into_iter()
        .flatten()
        .flat_map(|entry| entry["members"].as_array().into_iter().flatten());
    for entry in list
        .into_iter()
        .flatten()
        .chain(members)
        .filter(|entry| entry["status"] == "unknown")
    {
        if let Some(vmid) = entry["vmid"].as_u64().and_then(|vmid| u32::try_from(vmid).ok()) {
            for node in world.nodes.values_mut() {
                node.published.remove(&vmid);
            }
        }
    }
}

/// A task with a recorded id and a recorded end.
fn add_task(world: &mut World, entry: &Value) {
    let Some(upid) = entry["upid"].as_str().and_then(upid) else {
        return;
    };
    let status = entry["status"]
        .as_str()
        .filter(|status| !matches!(*status, "RUNNING" | "running"));
    let end = entry["exitstatus"].as_str().or(status).map(|status| End {
        status: status.to_owned(),
        at: Moment::from_micros(entry["endtime"].as_u64().unwrap_or(upid.starttime) * 1_000_000),
    });
    insert(world, upid, end);
}

fn insert(world: &mut World, upid: Upid, end: Option<End>) {
    let change = pve_sim::model::change::Change::default();
    let pace = Pace::draw(&mut world.dice);
    world.tasks.add(Task {
        upid,
        log: Vec::new(),
        end,
        job: Job::Config(ConfigJob { vmid: 100, change }),
        stage: 0,
        waiting: None,
        doom: None,
        pace,
        made: Vec::new(),
        stuck: None,
    });
}

/// The task of the path, unless the answer says that there is none.
fn task_of_path(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    let Some(upid) = pair.upid_of_path().and_then(upid) else {
        return;
    };
    let data = pair.data();
    let lines = data.as_array().filter(|list| !list.is_empty());
    let nothing = unit.says("no such task") || pair.line.contains("unable to open file - No such file");
    if nothing {
        return;
    }
    let at = Moment::from_micros(upid.starttime * 1_000_000);
    let running = data["status"] == "running" || pair.method == "DELETE";
    let status = data["exitstatus"].as_str().unwrap_or("OK").to_owned();
    insert(world, upid, (!running).then_some(End { status, at }));
    if let (Some(lines), Some(number)) = (lines, world.tasks.number(pair.upid_of_path().unwrap_or_default()))
    {
        let log = lines
            .iter()
            .map(|line| line["t"].as_str().unwrap_or_default().to_owned());
        world.tasks.get_mut(number).unwrap().log = log.collect();
    }
}

/// The parts of a recorded task id.
pub fn upid(text: &str) -> Option<Upid> {
    let parts: Vec<&str> = text.split(':').collect();
    let ["UPID", node, pid, pstart, start, kind, id, user, ""] = parts.as_slice() else {
        return None;
    };
    Some(Upid {
        node: (*node).to_owned(),
        pid: u32::from_str_radix(pid, 16).ok()?,
        pstart: u64::from_str_radix(pstart, 16).ok()?,
        starttime: u64::from_str_radix(start, 16).ok()?,
        kind: (*kind).to_owned(),
        id: (*id).to_owned(),
        who: Principal::parse(user),
    })
}
