//! What is another one in each run, each with the reason. Compares nothing.

/// How a value is compared that is another one in each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Only its JSON type.
    Type,
    /// Only its form: every run of digits or hexadecimal digits counts as one.
    Form,
    /// As a list in any order.
    Unordered,
}

/// Every value that is not compared as it stands: key, where (part of the path; empty: everywhere), how, why.
pub const NORMALISED: &[(&str, &str, How, &str)] = &[
    ("cpu", "", How::Type, "a measured load"),
    ("mem", "", How::Type, "a measured load"),
    ("memhost", "", How::Type, "a measured load"),
    ("disk", "", How::Type, "bytes in use on a real disk"),
    ("netin", "", How::Type, "a measured load"),
    ("netout", "", How::Type, "a measured load"),
    ("diskread", "", How::Type, "a measured load"),
    ("diskwrite", "", How::Type, "a measured load"),
    ("uptime", "", How::Type, "time since a start"),
    ("used", "", How::Type, "bytes in use on a real disk"),
    ("avail", "", How::Type, "bytes free on a real disk"),
    ("used_fraction", "", How::Type, "bytes in use on a real disk"),
    ("pid", "", How::Type, "a process id"),
    ("pressurecpusome", "", How::Type, "a measured load"),
    ("pressurecpufull", "", How::Type, "a measured load"),
    ("pressureiosome", "", How::Type, "a measured load"),
    ("pressureiofull", "", How::Type, "a measured load"),
    ("pressurememorysome", "", How::Type, "a measured load"),
    ("pressurememoryfull", "", How::Type, "a measured load"),
    ("upid", "", How::Form, "process id and times of a worker"),
    ("pstart", "", How::Type, "the time of a worker's start"),
    ("starttime", "", How::Type, "the time of a worker's start"),
    ("endtime", "", How::Type, "the time of a worker's end"),
    (
        "ssl_fingerprint",
        "",
        How::Form,
        "a certificate of that installation",
    ),
    (
        "content",
        "/storage",
        How::Unordered,
        "the daemon lists content types in the order of a hash",
    ),
    (
        "content",
        "/resources",
        How::Unordered,
        "the daemon lists content types in the order of a hash",
    ),
    (
        "digest",
        "/rules/{pos}",
        How::Form,
        "of the whole list, of which only this entry was recorded",
    ),
    (
        "digest",
        "/ipset/{name}/{cidr}",
        How::Form,
        "of the whole list, of which only this entry was recorded",
    ),
    (
        "digest",
        "/pending",
        How::Form,
        "of a file with a password hash, which is not shown; all others are compared",
    ),
    (
        "digest",
        "/config",
        How::Form,
        "of a file with a password hash, which is not shown; all others are compared",
    ),
    ("value", "/token", How::Type, "a random secret, in parts blanked"),
    ("ticket", "/ticket", How::Type, "a signature"),
    ("CSRFPreventionToken", "/ticket", How::Type, "a signature"),
    ("statistics", "/agent", How::Type, "measured traffic"),
    (
        "digest",
        "/snapshot",
        How::Form,
        "of the configuration, which was not recorded with it",
    ),
    (
        "total",
        "/tasks",
        How::Type,
        "how many tasks, or lines of other programs, there were",
    ),
    ("loadavg", "/status", How::Type, "a measured load"),
    ("wait", "/status", How::Type, "a measured load"),
    ("idle", "/status", How::Type, "a measured load"),
    ("memory", "/nodes/pve", How::Type, "the size of that machine"),
    ("rootfs", "/status", How::Type, "the size of that machine"),
    ("swap", "/status", How::Type, "the size of that machine"),
    ("ksm", "/status", How::Type, "the size of that machine"),
    ("cpuinfo", "/status", How::Type, "the processor of that machine"),
    ("kversion", "/status", How::Type, "the kernel of that machine"),
    (
        "current-kernel",
        "/status",
        How::Type,
        "the kernel of that machine",
    ),
    ("boot-info", "/status", How::Type, "the firmware of that machine"),
];

/// Texts in which something differs in each run, with what stands for it: pattern, replacement, why.
pub const TEXTS: &[(&str, &str, &str)] = &[
    (r"\.tmp\.\d+", ".tmp.N", "the process id of a worker"),
    (
        r"transferred .* of .* \(.*%\) in \d+s",
        "transferred",
        "the size and the pace of a copy",
    ),
    (r"pveupload-[0-9a-f]+", "pveupload-N", "a name that was drawn"),
    (
        r"instance-id: [0-9a-f]{40}",
        "instance-id: N",
        "a hash over the hash of a password, which is blanked",
    ),
    (
        r"Temporary failure in name resolution",
        "Name or service not known",
        "the resolver's words; that bed had no name server",
    ),
    (
        r"UPID:([^:]+):\w+:\w+:\w+:",
        "UPID:$1:N:N:N:",
        "process id and times of a worker",
    ),
];

/// Lines of a task's log that other programs wrote, which do not run here: how they begin, which program.
pub const FOREIGN_LINES: &[(&str, &str)] = &[
    ("Formatting '", "qemu-img create"),
    ("transferred ", "qemu-img convert"),
    ("qemu-img", "qemu-img"),
    ("qemu-system", "QEMU"),
    (
        "trying to acquire lock...",
        "the wait for a lock: which workers met there was not recorded",
    ),
    (" OK", "the end of that wait"),
    ("Image resized.", "qemu-img resize"),
    ("command '/usr/bin/chattr", "chattr, which that bed lacked"),
];
