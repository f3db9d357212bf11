//! Tables of parameters: the names, types and bounds of what calls take.

use super::spec::Kind::{Bool, Choice, Config, Form, Int, Short, Text, VmId};
use super::spec::{Param, family, opt, req};
use super::{ipset, rules};

/// The digest of a firewall list.
pub const DIGEST: Param = opt("digest", Short(64));

/// A clone.
pub const CLONE: &[Param] = &[
    req("newid", VmId),
    opt("name", Config),
    opt("description", Text),
    opt("pool", Text),
    opt("storage", Text),
    opt("target", Text),
    opt("full", Bool),
    opt("format", Choice(&["raw", "qcow2", "vmdk"])),
    opt("snapname", Text),
    opt("bwlimit", Int(0, i64::MAX)),
];

/// Drives of a configuration.
pub const DRIVES: &[Param] = &[
    family("ide", Config),
    family("scsi", Config),
    family("virtio", Config),
    family("sata", Config),
    family("unused", Config),
    family("efidisk", Config),
    family("tpmstate", Config),
];

/// Devices of a configuration.
pub const DEVICES: &[Param] = &[
    family("net", Config),
    family("ipconfig", Config),
    family("serial", Config),
    family("usb", Config),
    family("hostpci", Config),
    family("smbios", Config),
    family("audio", Config),
    family("rng", Config),
    family("numa", Config),
];

/// How a configuration is changed.
pub const CHANGE: &[Param] = &[
    opt("digest", Short(40)),
    opt("delete", Text),
    opt("revert", Text),
    opt("force", Bool),
    opt("skiplock", Bool),
    opt("background_delay", Int(1, 30)),
];

/// Numbers and switches of a configuration.
pub const NUMBERS: &[Param] = &[
    opt("cores", Int(1, i64::MAX)),
    opt("sockets", Int(1, i64::MAX)),
    opt("vcpus", Int(1, i64::MAX)),
    opt("balloon", Int(0, i64::MAX)),
    opt("shares", Int(0, 50_000)),
    opt("cpuunits", Int(1, 262_144)),
    opt("onboot", Bool),
    opt("protection", Bool),
    opt("template", Bool),
    opt("kvm", Bool),
    opt("acpi", Bool),
    opt("tablet", Bool),
    opt("numa", Bool),
    opt("autostart", Bool),
    opt("freeze", Bool),
    opt("localtime", Bool),
    opt("reboot", Bool),
    opt("tdf", Bool),
    opt("keephugepages", Bool),
    opt("ciupgrade", Bool),
];

/// Texts of a configuration.
pub const TEXTS: &[Param] = &[
    opt("name", Config),
    opt("description", Short(8192)),
    opt("tags", Config),
    opt("memory", Config),
    opt("sshkeys", Config),
    opt("ciuser", Text),
    opt("cipassword", Text),
    opt("cicustom", Config),
    opt("citype", Choice(&["configdrive2", "nocloud", "opennebula"])),
    opt("nameserver", Text),
    opt("searchdomain", Text),
    opt("agent", Text),
    opt("cpu", Text),
    opt("cpulimit", Text),
    opt("boot", Text),
    opt("bootdisk", Text),
    opt("ostype", Text),
    opt("scsihw", Text),
    opt("machine", Text),
    opt("bios", Choice(&["seabios", "ovmf"])),
    opt("vga", Text),
    opt("hotplug", Text),
    opt("startup", Text),
    opt("hookscript", Config),
    opt("args", Text),
    opt("lock", Text),
    opt("vmgenid", Text),
    opt("affinity", Text),
    opt("keyboard", Text),
    opt("hugepages", Text),
    opt("watchdog", Text),
];

/// A firewall rule.
pub const RULE: &[Param] = &[
    opt("type", Choice(&["in", "out", "forward", "group"])),
    opt("action", Form(rules::check_action)),
    opt("enable", Int(0, i64::MAX)),
    opt("source", Form(rules::check_addresses)),
    opt("dest", Form(rules::check_addresses)),
    opt("proto", Form(rules::check_proto)),
    opt("dport", Form(rules::check_ports)),
    opt("sport", Form(rules::check_ports)),
    opt("iface", Form(rules::check_iface)),
    opt("comment", Text),
    opt(
        "log",
        Choice(&[
            "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "nolog",
        ]),
    ),
    opt("macro", Form(rules::check_macro)),
    opt("icmp-type", Text),
    opt("pos", Int(0, i64::MAX)),
    DIGEST,
];
/// What a change of a rule takes besides.
pub const RULE_CHANGE: &[Param] = &[opt("moveto", Int(0, i64::MAX)), opt("delete", Text)];

/// A guest's firewall options.
pub const FW_OPTIONS: &[Param] = &[
    opt("enable", Bool),
    opt("dhcp", Bool),
    opt("ndp", Bool),
    opt("radv", Bool),
    opt("macfilter", Bool),
    opt("ipfilter", Bool),
    opt("policy_in", Choice(&["ACCEPT", "REJECT", "DROP"])),
    opt("policy_out", Choice(&["ACCEPT", "REJECT", "DROP"])),
    opt("log_level_in", Text),
    opt("log_level_out", Text),
    opt("delete", Text),
    DIGEST,
];

/// The datacenter firewall's options.
pub const CLUSTER_FW_OPTIONS: &[Param] = &[
    opt("enable", Int(0, i64::MAX)),
    opt("ebtables", Bool),
    opt("policy_in", Choice(&["ACCEPT", "REJECT", "DROP"])),
    opt("policy_out", Choice(&["ACCEPT", "REJECT", "DROP"])),
    opt("policy_forward", Choice(&["ACCEPT", "DROP"])),
    opt("log_ratelimit", Text),
    opt("delete", Text),
    DIGEST,
];

/// An address of a set.
pub const ADDRESS: &[Param] = &[
    req("cidr", Form(ipset::check_cidr)),
    opt("comment", Text),
    opt("nomatch", Bool),
];

/// A list of tasks.
pub const TASK_LIST: &[Param] = &[
    opt("start", Int(0, i64::MAX)),
    opt("limit", Int(0, i64::MAX)),
    opt("source", Choice(&["archive", "active", "all"])),
    opt("vmid", VmId),
    opt("typefilter", Text),
    opt("userfilter", Text),
    opt("statusfilter", Text),
    opt("errors", Bool),
    opt("since", Int(0, i64::MAX)),
    opt("until", Int(0, i64::MAX)),
];

/// A stop or shutdown.
pub const STOP: &[Param] = &[
    opt("timeout", Int(0, i64::MAX)),
    opt("skiplock", Bool),
    opt("forceStop", Bool),
    opt("keepActive", Bool),
    opt("overrule-shutdown", Bool),
    opt("migratedfrom", Text),
];
/// A start.
pub const START: &[Param] = &[
    opt("timeout", Int(0, i64::MAX)),
    opt("skiplock", Bool),
    opt("machine", Text),
];
