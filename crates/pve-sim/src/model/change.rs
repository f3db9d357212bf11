//! A change of a guest's configuration: keys to set and to delete, with the digest that must hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::{VmConfig, format_size, is_disk_key, parse_size};
use super::refusal::{Outcome, Refusal};
use super::storage::{Volume, drive_volid, own_name, split_volid};
use super::values;
use super::world::World;

/// What to change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Keys to set.
    pub set: BTreeMap<String, String>,
    /// Keys to delete.
    pub delete: Vec<String>,
    /// The digest that the configuration must have.
    pub digest: Option<String>,
}

/// Keys whose change waits while the guest runs.
const WAITING: &[&str] = &[
    "cores", "sockets", "memory", "cpu", "balloon", "numa", "scsihw", "machine", "bios", "ostype",
];

/// Makes a change.
pub fn apply(world: &mut World, node: &str, vmid: u32, change: &Change) -> Outcome<()> {
    let vm = world.vm(node, vmid)?;
    if let Some(lock) = vm.config.lock() {
        return Err(Refusal::locked(lock));
    }
    if change
        .digest
        .as_ref()
        .is_some_and(|digest| *digest != vm.digest())
    {
        return Err(Refusal::stale());
    }
    world.check_writable(&format!("nodes/{node}/qemu-server/{vmid}.conf"))?;
    check_places(world, node, change)?;
    for key in &change.delete {
        delete(world, node, vmid, key)?;
    }
    for (key, value) in &change.set {
        let value = if is_disk_key(key) {
            prepare_drive(world, node, vmid, (key, value))?
        } else {
            values::stored(key, value, &mut world.dice)
        };
        set(world, node, vmid, key, value)?;
    }
    Ok(())
}

/// The storages of new drives, before anything is changed.
fn check_places(world: &World, node: &str, change: &Change) -> Outcome<()> {
    for (_, value) in change.set.iter().filter(|(key, _)| is_disk_key(key)) {
        if let Some((storage, name)) = drive_volid(value).and_then(split_volid)
            && (name == "cloudinit" || name.parse::<f64>().is_ok())
        {
            world.storage(storage)?.activate(node)?;
            world.locks.check(world.storage_lock(storage, node))?;
        }
    }
    Ok(())
}

fn set(world: &mut World, node: &str, vmid: u32, key: &str, value: String) -> Outcome<()> {
    let vm = world.vm_mut(node, vmid)?;
    vm.note_change(key, Some(&value));
    if key == "description" && value.is_empty() {
        vm.config.remove(key);
    } else if vm.running() && WAITING.contains(&key) {
        if vm.config.get(key) == Some(value.as_str()) {
            vm.pending.remove(key);
        } else {
            vm.pending.insert(key.to_owned(), Some(value));
        }
    } else {
        vm.config.set(key, value);
    }
    Ok(())
}

fn delete(world: &mut World, node: &str, vmid: u32, key: &str) -> Outcome<()> {
    let vm = world.vm_mut(node, vmid)?;
    if vm.running() && WAITING.contains(&key) && vm.config.get(key).is_some() {
        vm.pending.insert(key.to_owned(), None);
        return Ok(());
    }
    vm.note_change(key, None);
    vm.pending.remove(key);
    let protected = vm.config.flag("protection");
    let drive = is_disk_key(key) || key.starts_with("unused");
    if drive && protected && vm.config.get(key).is_some() {
        return Err(Refusal::died(format!(
            "can't remove drive '{key}' - protection mode enabled"
        )));
    }
    let Some(old) = vm.config.remove(key).filter(|_| drive) else {
        return Ok(());
    };
    let Some(volid) = drive_volid(&old).map(str::to_owned) else {
        return Ok(());
    };
    if key.starts_with("unused") || old.contains("media=cdrom") {
        if let Some((storage, name)) = split_volid(&volid)
            && let Some(storage) = world.storages.get_mut(storage)
        {
            storage.remove(node, own_name(name));
        }
    } else {
        let slot = free_slot(&vm.config, "unused");
        vm.config.set(&slot, volid);
    }
    Ok(())
}

fn free_slot(config: &VmConfig, family: &str) -> String {
    let slots = (0..256).map(|index| format!("{family}{index}"));
    slots
        .into_iter()
        .find(|slot| config.get(slot).is_none())
        .unwrap_or_else(|| format!("{family}256"))
}

/// Makes the volume that a new drive asks for, such as `local:8`.
fn prepare_drive(world: &mut World, node: &str, vmid: u32, (key, value): (&str, &str)) -> Outcome<String> {
    let Some((storage, name)) = drive_volid(value).and_then(split_volid) else {
        return Ok(value.to_owned());
    };
    world.storage(storage)?.check(node)?;
    let now = world.now;
    if name == "cloudinit" {
        return prepare_cloudinit(world, node, vmid, (key, storage));
    }
    let import = value
        .split(',')
        .find_map(|part| part.strip_prefix("import-from="));
    let imported = match import {
        None => None,
        Some(volid) => Some(file_size(world, node, volid)?),
    };
    let Some(size) = name
        .parse::<f64>()
        .ok()
        .and_then(|_| imported.or_else(|| parse_size(&format!("{name}G"))))
    else {
        return Ok(value.to_owned());
    };
    let name = world.storage(storage)?.next_disk(node, vmid);
    let format = value.split(',').find_map(|part| part.strip_prefix("format="));
    let name = name.replace(".qcow2", &format!(".{}", format.unwrap_or("raw")));
    add_volume(
        world,
        node,
        (storage, &name),
        Volume {
            size,
            vmid,
            created: now,
            base: None,
        },
    );
    let rest = value
        .split(',')
        .skip(1)
        .filter(|part| !part.starts_with("format=") && !part.starts_with("import-from="));
    let (first, last) = (format!("{storage}:{name}"), format!("size={}", format_size(size)));
    let parts = [first.as_str()].into_iter().chain(rest).chain([last.as_str()]);
    Ok(parts.collect::<Vec<_>>().join(","))
}

/// Makes the drive that carries a guest's settings; it has one at most.
fn prepare_cloudinit(
    world: &mut World,
    node: &str,
    vmid: u32,
    (key, storage): (&str, &str),
) -> Outcome<String> {
    let config = &world.vm(node, vmid)?.config;
    let is_other = |(other, drive): &(&str, &str)| *other != key && drive.contains("-cloudinit");
    if let Some((other, _)) = config.iter().find(is_other) {
        let text = format!("{key} - cloud-init drive is already attached at '{other}'");
        return Err(Refusal::died(text));
    }
    let name = format!("{vmid}/vm-{vmid}-cloudinit.qcow2");
    let volume = Volume {
        size: 4 << 20,
        vmid,
        created: world.now,
        base: None,
    };
    add_volume(world, node, (storage, &name), volume);
    Ok(format!("{storage}:{name},media=cdrom"))
}

/// The size of a file that a disk is made from.
fn file_size(world: &World, node: &str, volid: &str) -> Outcome<u64> {
    let (storage, name) = split_volid(volid).unwrap_or_default();
    let files = world.storage(storage)?.files(node);
    let size = files
        .into_iter()
        .find(|(other, _)| *other == name)
        .map(|(_, file)| file.size);
    size.ok_or_else(|| Refusal::died(format!("volume '{volid}' does not exist")))
}

fn add_volume(world: &mut World, node: &str, (storage, name): (&str, &str), volume: Volume) {
    if let Some(storage) = world.storages.get_mut(storage) {
        storage.add(node, name, volume);
    }
}

/// Whether a key of this name can be in a configuration.
pub fn is_known_key(key: &str) -> bool {
    let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = [
        "net", "ipconfig", "scsi", "ide", "virtio", "sata", "unused", "serial", "usb", "hostpci", "parallel",
        "numa", "efidisk", "tpmstate", "audio", "smbios", "rng", "virtiofs",
    ];
    PLAIN_KEYS.contains(&key) || (family != key && numbered.contains(&family))
}

/// Keys without a number.
pub const PLAIN_KEYS: &[&str] = &[
    "acpi",
    "affinity",
    "agent",
    "allow-ksm",
    "amd-sev",
    "arch",
    "args",
    "autostart",
    "balloon",
    "bios",
    "boot",
    "bootdisk",
    "cdrom",
    "cicustom",
    "cipassword",
    "citype",
    "ciupgrade",
    "ciuser",
    "cores",
    "cpu",
    "cpulimit",
    "cpuunits",
    "description",
    "freeze",
    "hookscript",
    "hotplug",
    "hugepages",
    "intel-tdx",
    "ivshmem",
    "keephugepages",
    "keyboard",
    "kvm",
    "localtime",
    "lock",
    "machine",
    "memory",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "nameserver",
    "numa",
    "onboot",
    "ostype",
    "protection",
    "reboot",
    "scsihw",
    "searchdomain",
    "shares",
    "smp",
    "sockets",
    "spice_enhancements",
    "sshkeys",
    "startdate",
    "startup",
    "tablet",
    "tags",
    "tdf",
    "template",
    "vcpus",
    "vga",
    "vmgenid",
    "vmstatestorage",
    "watchdog",
];
