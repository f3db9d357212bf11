//! Guests come and go with the model and with the simulator, and nobody else's are touched.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rig::{Running, Site, possible, program, until};

/// The command lines of all processes in guests of a folder's simulator.
fn programs_of(site: &Site) -> usize {
    let folder = site.folder.join("pve/guests");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| line.contains(&*folder.to_string_lossy()))
        .count()
}

#[tokio::test]
async fn a_stopped_guest_loses_namespace_processes_and_address() {
    if !possible() {
        return;
    }
    let site = Site::new();
    let sim = Running::start(&site).await;
    let ip = sim.put(&site, 101).await;
    site.plug(&sim.network().0);
    sim.until_booted(101).await;
    let guest = sim.guest(101);
    until("it listens", async || site.gateway.tcp(ip, 22)).await;
    assert!(programs_of(&site) > 0);
    let stops: [(&str, &str, Value); 2] = [
        ("PATCH", "/vms/101", json!({"status": "stopped"})),
        ("POST", "/nodes/pve1", json!({"online": false})),
    ];
    for (method, path, body) in stops {
        sim.control(method, path, body).await;
        until("it is gone", async || !guest.exists()).await;
        assert_eq!(programs_of(&site), 0);
        assert!(!site.gateway.tcp(ip, 22) && !site.gateway.ping(ip));
        sim.control("POST", "/nodes/pve1", json!({"online": true})).await;
        sim.control("PATCH", "/vms/101", json!({"status": "running"}))
            .await;
        until("it is back", async || site.gateway.tcp(ip, 22)).await;
    }
    sim.control("DELETE", "/vms/101", Value::Null).await;
    until("it is gone", async || !guest.exists()).await;
    let homes = || std::fs::read_dir(site.folder.join("pve/guests")).unwrap().count();
    // Nothing but the lock is left.
    until("its disk is gone", async || homes() == 1).await;
}

#[tokio::test]
async fn a_guest_boots_in_its_time() {
    if !possible() {
        return;
    }
    let site = Site::new();
    let sim = Running::with(&site, &["--guest-boot-seconds", "1.5"]).await;
    let begin = Instant::now();
    let ip = sim.put(&site, 101).await;
    site.plug(&sim.network().0);
    until("it answers pings", async || site.gateway.ping(ip)).await;
    assert_eq!(sim.fact(101).await.unwrap()["booted"], false);
    until("it listens", async || {
        sim.fact(101).await.unwrap()["booted"] == true
    })
    .await;
    assert!(begin.elapsed() >= Duration::from_millis(1500));
}

#[tokio::test]
async fn what_a_killed_simulator_left_is_removed_at_the_next_start() {
    if !possible() {
        return;
    }
    let site = Site::new();
    let mut sim = Running::start(&site).await;
    let (network, guest) = (sim.network(), sim.guest(101));
    sim.put(&site, 101).await;
    sim.until_booted(101).await;
    sim.kill();
    assert!(network.exists() && guest.exists());
    assert!(programs_of(&site) > 0);
    let next = Running::start(&site).await;
    assert_eq!(next.network().0, network.0);
    assert!(!guest.exists());
    assert_eq!(programs_of(&site), 0);
    let ip = next.put(&site, 101).await;
    site.plug(&network.0);
    assert_eq!(site.said(&format!("root@{ip}"), "hostname").await, "web101");
    next.stop();
    assert!(!network.exists() && !guest.exists());
    assert_eq!(programs_of(&site), 0);
}

#[tokio::test]
async fn two_simulators_do_not_disturb_one_another() {
    if !possible() {
        return;
    }
    let (one, other) = (Site::new(), Site::new());
    let (mut first, second) = (Running::start(&one).await, Running::start(&other).await);
    assert_ne!(first.network().0, second.network().0);
    // The same id, hardware address and address at both.
    let ip = first.put(&one, 101).await;
    second.put(&other, 101).await;
    one.plug(&first.network().0);
    other.plug(&second.network().0);
    let who = format!("root@{ip}");
    assert_eq!(one.said(&who, "hostname").await, "web101");
    assert_eq!(other.said(&who, "hostname").await, "web101");
    // Each has its own key.
    assert!(!other.gateway.run(&format!("ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -F none -i {} {who} true", one.folder.join("contract").display())).status.success());
    // A folder is one simulator's.
    let refused = program(&one, &[]).stderr(Stdio::piped()).output().unwrap();
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("belong to another simulator that runs"), "{why}");
    assert_eq!(one.said(&who, "hostname").await, "web101");
    first.kill();
    drop(Running::start(&one).await);
    assert_eq!(other.said(&who, "hostname").await, "web101");
}

#[test]
fn what_is_missing_is_named() {
    if !possible() {
        return;
    }
    let site = Site::new();
    // As somebody who is not root, in a folder that anybody can write to.
    let pve_sim = program(&site, &[]);
    let copy = site.folder.join("pve-sim");
    std::fs::copy(pve_sim.get_program(), &copy).unwrap();
    let mut command = std::process::Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(copy);
    let refused = command.args(["--guests", "netns"]).output().unwrap();
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("guests need the rights of root"), "{why}");
}
