//! The guests of a recorded situation: those of the path and those of which the answer speaks, in the condition it tells.

use pve_sim::model::access::Principal;
use pve_sim::model::config::{VmConfig, is_disk_key, size_of};
use pve_sim::model::locks::LockFile;
use pve_sim::model::moment::Moment;
use pve_sim::model::storage::{Storage, Volume, drive_volid, own_name, split_volid};
use pve_sim::model::vm::{Power, Vm};
use pve_sim::model::work::{CloneJob, DestroyJob, Job, spawn};
use pve_sim::model::world::World;

use crate::accounts::ROOT;
use crate::bed::POOL;
use crate::entries;
use crate::evidence::Unit;
use crate::pairs::{Pair, plain};
use crate::unseen;

/// A guest such as the recording used.
pub fn ordinary(vmid: u32, template: bool) -> VmConfig {
    let prefix = if template { "base" } else { "vm" };
    let mut config = VmConfig::of([
        ("agent", "enabled=1"),
        ("boot", "order=scsi0"),
        ("cores", "1"),
        ("cpu", "x86-64-v2-AES"),
        ("memory", "64"),
        ("name", "tiny"),
        ("ostype", "l26"),
        ("scsihw", "virtio-scsi-pci"),
        ("serial0", "socket"),
        ("vga", "serial0"),
        ("meta", "creation-qemu=11.1.3,ctime=1795229229"),
    ]);
    config.set(
        "ide2",
        format!("local:{vmid}/vm-{vmid}-cloudinit.qcow2,media=cdrom"),
    );
    config.set(
        "scsi0",
        format!("local:{vmid}/{prefix}-{vmid}-disk-0.qcow2,size=1G"),
    );
    config.set(
        "net0",
        format!(
            "virtio=BC:24:11:00:{:02X}:{:02X},bridge=vmbr0",
            vmid / 256 % 256,
            vmid % 256
        ),
    );
    config.set("smbios1", format!("uuid=00000000-0000-4000-8000-{vmid:012}"));
    config.set("vmgenid", format!("00000000-0000-4000-9000-{vmid:012}"));
    if template {
        config.set("template", "1");
    }
    config
}

/// Puts a guest there, with the volumes that its configuration names.
pub fn put(world: &mut World, vmid: u32, node: &str, config: VmConfig) {
    let created = Moment::from_micros(1_794_000_000_000_000);
    for (key, value) in config.iter().filter(|(key, _)| !key.starts_with("unused")) {
        if !is_disk_key(key) {
            continue;
        }
        let Some((storage, name)) = drive_volid(value).and_then(split_volid) else {
            continue;
        };
        let base = own_name(name) != name;
        let volume = Volume {
            size: size_of(value).unwrap_or(4 << 20),
            vmid,
            created,
            base: base.then(|| name.split('/').take(2).collect::<Vec<_>>().join("/")),
        };
        if !world.storages.contains_key(storage) {
            world.storages.insert(
                storage.to_owned(),
                Storage::dir(storage, storage == "shared", 60 << 30),
            );
        }
        world
            .storages
            .get_mut(storage)
            .unwrap()
            .add(node, own_name(name), volume);
    }
    world.vms.insert(vmid, Vm::new(vmid, node, config));
}

/// Lets a guest run.
pub fn run(world: &mut World, vmid: u32) {
    let since = world.now;
    if let Some(vm) = world.vms.get_mut(&vmid) {
        vm.power = Power::Running { since, pid: 4242 };
    }
}

/// The guest of the path, and those that the answer speaks of.
pub fn prepare(world: &mut World, unit: &Unit<'_>) {
    let pair = unit.asked;
    if let Some(vmid) = pair.vmid() {
        let (node, missing) = (
            pair.node().unwrap_or("pve1"),
            format!("/{vmid}.conf' does not exist"),
        );
        let gone = unit.says(&missing) || unit.says(&format!("configuration file for VM {vmid} on node"));
        let races = gone && pair.method == "DELETE" && pair.status() == 200;
        if races {
            put(world, vmid, node, ordinary(vmid, false));
            remover(world, node, vmid);
        }
        if !gone && world.nodes.contains_key(node) {
            put(world, vmid, node, config_of(unit, vmid));
            condition(world, unit, vmid);
        }
    }
    if let Some(vmid) = unit
        .find(r"VM (\d+) already exists")
        .or_else(|| unit.find(r"unable to create VM (\d+)"))
    {
        let vmid: u32 = vmid.parse().unwrap();
        if pair.status() != 200 {
            put(world, vmid, "pve1", ordinary(vmid, false));
        } else if let Some(source) = pair.vmid() {
            rival(world, source, vmid);
        }
    }
    fill_range(world, unit);
    if let Some(vmid) = unit.find(r"contains VM (\d+)") {
        let (vmid, pool) = (
            vmid.parse().unwrap(),
            pair.behind("pools")
                .or(pair.params.get("poolid").map(String::as_str))
                .unwrap_or(POOL)
                .to_owned(),
        );
        put(world, vmid, "pve1", ordinary(vmid, false));
        world.pools.join(&pool, vmid);
    }
    for vmid in pair
        .params
        .get("vms")
        .into_iter()
        .flat_map(|list| list.split(','))
        .filter_map(|id| id.parse().ok())
    {
        put(world, vmid, "pve1", ordinary(vmid, false));
        let pool = pair.params.get("poolid").map_or(POOL, String::as_str).to_owned();
        if pair.params.contains_key("delete") {
            world.pools.join(&pool, vmid);
        }
        if let Some(other) = unit.find(r"belongs already to pool '([^']+)'") {
            let _ = world.pools.create(&other, None);
            world.pools.join(&other, vmid);
        }
    }
}

/// Guests that take the whole of a range of ids.
fn fill_range(world: &mut World, unit: &Unit<'_>) {
    let bound = |pattern: &str| unit.find(pattern).and_then(|text| text.parse::<u32>().ok());
    let range = (
        bound(r"free VMID in range \[(\d+),"),
        bound(r"free VMID in range \[\d+, (\d+)\]"),
    );
    if let (Some(lower), Some(upper)) = range {
        for vmid in lower..upper {
            put(world, vmid, "pve1", ordinary(vmid, false));
        }
    }
}

/// Somebody else clones into the same id at the same moment, and was first.
fn rival(world: &mut World, source: u32, newid: u32) {
    let job = CloneJob {
        source,
        newid,
        name: None,
        description: None,
        pool: None,
        storage: None,
        target: "pve1".to_owned(),
        full: true,
        bwlimit: None,
    };
    let who = Principal::parse(ROOT);
    spawn(world, "pve1", ("qmclone", source), &who, Job::Clone(job));
}

/// Somebody else removes the same guest at the same moment, and was first.
fn remover(world: &mut World, node: &str, vmid: u32) {
    let job = DestroyJob {
        vmid,
        purge: true,
        unreferenced: false,
        skiplock: false,
    };
    let who = Principal::parse(ROOT);
    spawn(world, node, ("qmdestroy", vmid), &who, Job::Destroy(job));
}

/// The configuration before the request.
fn config_of(unit: &Unit<'_>, vmid: u32) -> VmConfig {
    let pair = unit.asked;
    let (template, last) = (pair.template(), pair.segments.last().map_or("", String::as_str));
    if pair.method == "GET" && last == "config" && pair.data().is_object() {
        return entries::config(pair.data());
    }
    if last == "pending" && pair.data().is_array() {
        return entries::config_of_pending(pair.data());
    }
    if last == "current" && pair.data().is_object() {
        return entries::config_of_entry(pair.data());
    }
    if let Some(read) = unit.read {
        let mut config = entries::config(read.data());
        if pair.status() == 200 {
            for key in pair.params.keys() {
                config.remove(key);
            }
            let deleted = pair.params.get("delete").map_or("", String::as_str);
            for key in deleted.split(',').filter(|key| !key.is_empty()) {
                let detached = config.get("unused0").map(str::to_owned);
                if let Some(volume) = detached.filter(|_| is_disk_key(key)) {
                    config.remove("unused0");
                    config.set(key, format!("{volume},size=1G"));
                }
                if config.get(key).is_none() {
                    config.set(key, entries::some_value(key, vmid));
                }
            }
        }
        return config;
    }
    let clones = template.ends_with("/clone");
    let plain_source = unit.says(&format!("local:{vmid}/vm-{vmid}-disk"))
        || unit.says(&format!("/{vmid}/vm-{vmid}-disk"))
        || unit.says("already running");
    let is_template = (clones && !plain_source)
        || unit.says("if it's a template")
        || unit.says("template to a template")
        || unit.says("by linked cloned");
    let mut config = ordinary(vmid, is_template);
    if let Some(volid) = unit.find(r"clone of drive scsi0 \((local:[^)]+/vm-[^)]+)\)") {
        config.set("scsi0", format!("{volid},size=1G"));
    }
    let carried = pair.data()["local_disks"].as_array().is_some_and(Vec::is_empty);
    let storage = carried.then(|| "shared".to_owned());
    match storage.or_else(|| unit.find(r"of drive scsi0 \((\w+):")) {
        Some(storage) if storage != "local" => {
            let moved = config
                .iter()
                .map(|(key, value)| (key.to_owned(), value.replace("local:", &format!("{storage}:"))));
            let mut there = VmConfig::default();
            moved.for_each(|(key, value)| there.set(&key, value));
            there
        }
        _ => config,
    }
}

/// The condition of the guest that the answer speaks of.
fn condition(world: &mut World, unit: &Unit<'_>, vmid: u32) {
    let pair = unit.asked;
    let last = pair.segments.last().map_or("", String::as_str);
    if must_run(unit, last) {
        run(world, vmid);
    }
    if unit.says("powerdown failed") {
        world.deaf.insert(vmid);
    }
    let lock = unit.find(r"VM is locked \((\w+)\)");
    let bridge = unit.find(r"bridge '(\w+)' does not exist");
    let missing = unit.find(r"volume '(local:snippets/[^']+)' does not exist");
    let vm = world.vms.get_mut(&vmid).unwrap();
    if let Some(lock) = lock {
        vm.config.set("lock", lock);
    }
    if unit.says("protection mode enabled") {
        vm.config.set("protection", "1");
    }
    if let Some(bridge) = bridge {
        vm.config
            .set("net1", format!("virtio=BC:24:11:00:00:77,bridge={bridge}"));
    }
    if let Some(volume) = missing {
        vm.config.set("cicustom", format!("user={volume}"));
    }
    let bare_start =
        last == "start" && unit.good() && unit.end.is_some_and(|end| end.raw["tasklog"].is_array());
    if bare_start && !unit.says("generating cloud-init ISO") {
        vm.config.remove("ide2");
    }
    if unit.says("vcpus allowed per VM") {
        vm.config.set("cores", "9999");
    }
    if unit.says("QEMU exited with code 1") {
        vm.config.set("memory", "4000000");
    }
    if unit.says("snapshot feature is not available") {
        vm.config
            .set("scsi0", format!("local:{vmid}/vm-{vmid}-disk-0.raw,size=1G"));
    }
    if pair.data()["qmpstatus"] == "paused" {
        vm.paused = true;
    }
    tags(vm, pair);
    vm.outdated = unseen::outdated(unit);
    if pair.good_drive() && unit.good() {
        vm.config.remove("ide2");
    }
    surroundings(world, unit, vmid);
    lose_volume(world, unit, vmid);
}

/// Where the datacenter's options say which tags may be set, those that went through by themselves were there before.
fn tags(vm: &mut Vm, pair: &Pair) {
    let last = pair.settings.last();
    let restricted = last.is_some_and(|change| !change["user-tag-access"].is_null());
    let alone = pair.params.len() == 1 && pair.status() == 200;
    if restricted && pair.params.get("delete").is_some_and(|keys| keys == "tags") {
        vm.config.remove("tags");
    }
    let sent = pair.params.get("tags").filter(|_| restricted && alone);
    let listed = |tag: &str| last.is_some_and(|change| plain(&change["user-tag-access"]).contains(tag));
    if let Some(tags) = sent.filter(|tags| !listed(tags)) {
        vm.config.set("tags", tags.clone());
    }
}

/// Whether the answer says that the guest runs, or runs no more only by this request.
fn must_run(unit: &Unit<'_>, last: &str) -> bool {
    let texts = [
        "is running -",
        "already running",
        "if VM is running",
        "guest agent is not running",
        "running VM without",
        "powerdown failed",
        "can't migrate running VM",
        "drive mirror is starting",
    ];
    let pair = unit.asked;
    let shown = pair.method == "GET" && (pair.data()["status"] == "running" || pair.data()["running"] == 1);
    let power = ["stop", "shutdown", "reboot", "suspend", "resume", "reset"];
    let held = matches!(last, "stop" | "shutdown") && unit.says("got timeout");
    held || shown || texts.iter().any(|text| unit.says(text)) || (power.contains(&last) && unit.good())
}

/// What is around the guest: somebody who holds its lock file, a clone that depends on it.
fn surroundings(world: &mut World, unit: &Unit<'_>, vmid: u32) {
    if unit.says(&format!("lock-{vmid}.conf' - got timeout")) {
        let somebody = world.locks.other();
        let _ = world.locks.take(LockFile::Guest(vmid), somebody, false);
    }
    if unit.says("by linked cloned") {
        let volume = Volume {
            size: 1 << 30,
            vmid: 777,
            created: world.now,
            base: Some(format!("{vmid}/base-{vmid}-disk-0.qcow2")),
        };
        world
            .storages
            .get_mut("local")
            .unwrap()
            .add("pve1", "777/vm-777-disk-0.qcow2", volume);
    }
}

fn lose_volume(world: &mut World, unit: &Unit<'_>, vmid: u32) {
    let by_volid = unit.find(r"volume 'local:([^']*disk[^']*)' does not exist");
    let by_path = || unit.find(r"disk image '/var/lib/vz/images/([^']*)' does not exist");
    let Some(volume) = by_volid.or_else(by_path) else {
        return;
    };
    let name = own_name(&volume).to_owned();
    if let Some(vm) = world.vms.get_mut(&vmid) {
        vm.config.set("scsi0", format!("local:{volume},size=1G"));
    }
    world.storages.get_mut("local").unwrap().remove("pve1", &name);
}

impl Pair {
    /// Whether it asks for a cloud-init drive.
    fn good_drive(&self) -> bool {
        self.params.values().any(|value| value.contains(":cloudinit"))
    }
}
