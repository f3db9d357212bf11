//! Who gets into a guest, and what is found there.

use serde_json::json;

use super::rig::{Running, Site, possible, until};

#[tokio::test]
async fn the_contracts_key_opens_the_guest_and_no_other_does() {
    if !possible() {
        return;
    }
    let site = Site::new();
    let sim = Running::start(&site).await;
    let ip = sim.put(&site, 101).await;
    site.plug(&sim.network().0);
    assert_eq!(site.said(&format!("root@{ip}"), "hostname").await, "web101");
    for (key, who) in [("other", "root"), ("contract", "debian"), ("contract", "nobody")] {
        let refused = site.ssh(key, &format!("{who}@{ip}"), "true");
        assert_eq!(refused.status.code(), Some(255), "{key} {who}");
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(why.contains("Permission denied (publickey)"), "{why}");
    }
    let page: serde_json::Value = serde_json::from_str(&site.gateway.page(ip)).unwrap();
    assert_eq!(page, json!({"vmid": 101, "name": "web101"}));
    // The machine's people are not to be seen, nor its processes.
    assert_eq!(
        site.said(&format!("root@{ip}"), "ls -A /home /tmp").await,
        "/home:\n\n/tmp:"
    );
    assert_eq!(site.said(&format!("root@{ip}"), "cat /proc/1/comm").await, "sshd");
}

#[tokio::test]
async fn host_keys_and_disk_outlive_a_restart_and_belong_to_one_machine() {
    if !possible() {
        return;
    }
    let site = Site::new();
    let sim = Running::start(&site).await;
    let ip = sim.put(&site, 101).await;
    sim.put(&site, 102).await;
    site.plug(&sim.network().0);
    let keys = sim.until_booted(101).await["host_keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    assert_ne!(keys, sim.until_booted(102).await["host_keys"]);
    let who = format!("root@{ip}");
    site.said(&who, "echo here > /etc/note").await;
    for status in ["stopped", "running"] {
        sim.control("PATCH", "/vms/101", json!({"status": status})).await;
        let there = status == "running";
        until(status, async || sim.fact(101).await.is_some() == there).await;
    }
    assert_eq!(site.said(&who, "cat /etc/note").await, "here");
    assert_eq!(sim.until_booted(101).await["host_keys"], keys);
    // Another machine under the same id has neither.
    sim.control("DELETE", "/vms/101", json!(null)).await;
    until("it is gone", async || sim.fact(101).await.is_none()).await;
    sim.put(&site, 101).await;
    assert_ne!(sim.until_booted(101).await["host_keys"], keys);
    assert_eq!(site.said(&who, "test ! -e /etc/note && echo new").await, "new");
}
