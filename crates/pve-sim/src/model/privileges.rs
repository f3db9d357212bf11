//! The privileges that exist, the built-in roles, and which one a configuration key asks for.

use std::collections::BTreeSet;

/// Every privilege.
pub const ALL: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Replicate",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

/// The roles that cannot be deleted.
pub fn builtin_roles() -> Vec<(&'static str, BTreeSet<String>)> {
    let pick = |wanted: fn(&str) -> bool| {
        ALL.iter()
            .filter(|name| wanted(name))
            .map(|name| (*name).to_owned())
            .collect()
    };
    vec![
        ("Administrator", pick(|_| true)),
        ("NoAccess", BTreeSet::new()),
        (
            "PVEAdmin",
            pick(|name| {
                !matches!(
                    name,
                    "Permissions.Modify" | "Sys.PowerMgmt" | "Sys.Modify" | "Realm.Allocate"
                )
            }),
        ),
        ("PVEAuditor", pick(|name| name.ends_with(".Audit"))),
        (
            "PVEDatastoreUser",
            pick(|name| matches!(name, "Datastore.AllocateSpace" | "Datastore.Audit")),
        ),
        ("PVEPoolUser", pick(|name| name == "Pool.Audit")),
        ("PVESDNUser", pick(|name| matches!(name, "SDN.Use" | "SDN.Audit"))),
        (
            "PVETemplateUser",
            pick(|name| matches!(name, "VM.Audit" | "VM.Clone")),
        ),
        ("PVEVMAdmin", pick(|name| name.starts_with("VM."))),
        (
            "PVEVMUser",
            pick(|name| {
                matches!(
                    name,
                    "VM.Audit"
                        | "VM.Backup"
                        | "VM.Config.CDROM"
                        | "VM.Config.Cloudinit"
                        | "VM.Console"
                        | "VM.PowerMgmt"
                )
            }),
        ),
    ]
}

/// What the change of a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// One of these on the guest.
    OneOf(&'static [&'static str]),
    /// Sys.Modify on the root path.
    SysModify,
    /// root@pam with a ticket.
    Root,
}

/// What a change of `key` asks for; `cdrom` if the drive is one.
pub fn needed_for(key: &str, cdrom: bool) -> Needs {
    let family = key.trim_end_matches(|c: char| c.is_ascii_digit());
    Needs::OneOf(match family {
        "cores" | "sockets" | "cpu" | "cpulimit" | "cpuunits" | "numa" | "vcpus" | "smp" | "affinity" => {
            &["VM.Config.CPU"]
        }
        "memory" | "balloon" | "shares" | "hugepages" | "keephugepages" => &["VM.Config.Memory"],
        "net" if family != key => &["VM.Config.Network"],
        "ipconfig" | "sshkeys" | "ciuser" | "cipassword" | "nameserver" | "searchdomain" | "citype"
        | "ciupgrade" | "cicustom" => &["VM.Config.Cloudinit", "VM.Config.Network"],
        "ide" | "scsi" | "sata" | "virtio" if cdrom => &["VM.Config.CDROM"],
        "ide" | "scsi" | "sata" | "virtio" | "efidisk" | "tpmstate" | "unused" | "bootdisk" => {
            &["VM.Config.Disk"]
        }
        "startup" => return Needs::SysModify,
        "args" | "lock" | "vmgenid" => return Needs::Root,
        "acpi" | "kvm" | "machine" | "scsihw" | "smbios" | "tablet" | "vga" | "watchdog" | "audio"
        | "serial" | "parallel" | "hotplug" | "rng" | "usb" | "hostpci" => &["VM.Config.HWType"],
        _ => &["VM.Config.Options"],
    })
}
