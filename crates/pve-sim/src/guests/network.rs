//! Namespaces, bridges, cards and rules, by the machine's own programs. Acts in namespaces of our names alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::names::{Names, tap};
use super::tools::{ToolError, run};
use super::wanted::Guest;

/// Where named namespaces are.
const NAMESPACES: &str = "/run/netns";
/// How often the end of a namespace's processes is looked for, and how long in between.
const KILL_ROUNDS: u32 = 400;
const PAUSE: Duration = Duration::from_millis(5);
/// After how many of these all of them are killed.
const PATIENCE: u32 = 40;

/// The file that stands for a namespace.
pub fn namespace_file(name: &str) -> PathBuf {
    Path::new(NAMESPACES).join(name)
}

/// All namespaces of this folder's names that there are.
pub fn ours(names: &Names) -> BTreeSet<String> {
    let entries = fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| entry.file_name().into_string().ok());
    found.filter(|name| names.owns(name)).collect()
}

/// Makes the namespace that holds the bridges.
pub fn create_network(names: &Names) -> Result<(), ToolError> {
    let network = names.network();
    run("ip", &["netns", "add", network], "")?;
    // Bridged packets pass the IP hooks, as on a node with its firewall on.
    let hooks = "for hook in iptables ip6tables; do echo 1 >/proc/sys/net/bridge/bridge-nf-call-$hook; done";
    run("ip", &["netns", "exec", network, "sh", "-e", "-c", hooks], "")?;
    run("ip", &["-n", network, "link", "set", "lo", "up"], "")
}

/// Makes a bridge.
pub fn create_bridge(names: &Names, bridge: &str) -> Result<(), ToolError> {
    let lines = format!("link add {bridge} type bridge\nlink set {bridge} up\n");
    run("ip", &["-n", names.network(), "-batch", "-"], &lines)
}

/// Removes the namespace of the bridges. Who else looks in from there, such as a gateway, is not ours to end.
pub fn remove_bridges(names: &Names) -> Result<(), ToolError> {
    run("ip", &["netns", "del", names.network()], "")
}

/// Lets rules hold, all at once or not at all.
pub fn program(names: &Names, rules: &str) -> Result<(), ToolError> {
    run("ip", &["netns", "exec", names.network(), "nft", "-f", "-"], rules)
}

/// Gives a guest its namespace and card.
pub fn create_guest(names: &Names, guest: &Guest) -> Result<(), ToolError> {
    let space = names.guest(guest.vmid);
    run("ip", &["netns", "add", &space], "")?;
    let mut inside = "link set lo up\n".to_owned();
    if let Some(card) = &guest.card {
        let link = tap(guest.vmid);
        let outside = format!(
            "link add name {link} type veth peer name eth0 netns {space}\n\
             link set {link} master {} up\n",
            card.bridge
        );
        run("ip", &["-n", names.network(), "-batch", "-"], &outside)?;
        let _ = writeln!(inside, "link set eth0 address {}", card.mac);
        if let Some(own) = card.address {
            let _ = writeln!(inside, "addr add {}/{} dev eth0", own.ip, own.prefix);
        }
        inside.push_str("link set eth0 up\n");
        if let Some(gateway) = card.address.and_then(|own| own.gateway) {
            let _ = writeln!(inside, "route add default via {gateway} dev eth0 onlink");
        }
    }
    run("ip", &["-n", &space, "-batch", "-"], &inside)
}

/// Takes a guest's card away: from here on nothing reaches it. It is no error if there is none.
pub fn unplug(names: &Names, vmid: u32) {
    if let Err(error) = run("ip", &["-n", names.network(), "link", "del", &tap(vmid)], "") {
        tracing::debug!(vmid, %error, "no card was there");
    }
}

/// Removes a guest's namespace with the processes in it.
pub fn remove_namespace(space: &str) -> Result<(), ToolError> {
    if !namespace_file(space).exists() {
        return Ok(());
    }
    kill_all_in(space);
    run("ip", &["netns", "del", space], "")
}

/// Kills every process in a guest's namespace. Who is in it is asked of the kernel for a process that is held by its
/// descriptor, so that whoever may get its number later is never hit.
pub fn kill_all_in(space: &str) {
    let Ok(file) = fs::metadata(namespace_file(space)) else {
        return;
    };
    for round in 0..KILL_ROUNDS {
        // With its first process all of a guest end; who waits for that one then ends by itself and leaves no trace.
        let all = round >= PATIENCE;
        if inhabitants((file.dev(), file.ino()), |pid| all || is_first(pid)) == 0 {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    tracing::warn!(space, "some processes did not end");
}

/// Whether a process is the first of the process namespace that it is in.
fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.and_then(|numbers| numbers.split_whitespace().nth(1)) == Some("1")
}

/// Says how many processes are in a namespace, given by its file, and kills those that are chosen.
fn inhabitants(space: (u64, u64), chosen: impl Fn(i32) -> bool) -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let inside = |pid: &i32| {
        let own = fs::metadata(format!("/proc/{pid}/ns/net"));
        own.is_ok_and(|own| (own.dev(), own.ino()) == space)
    };
    let kill = |pid: i32| {
        let held = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        // Asked again, now that the number cannot become another's.
        if inside(&pid) && chosen(pid) {
            pidfd_send_signal(held, Signal::KILL).ok()?;
        }
        Some(())
    };
    numbers.filter(inside).filter_map(kill).count()
}
