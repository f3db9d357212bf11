//! Configurations: values, digests, locks, what waits for a restart, growing a disk.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rig::{KEY, Rig};

const CONFIG: &str = "/nodes/pve1/qemu/200/config";

#[rstest]
#[case("a: 1\nb: 2\n", "a: 1\nb: 2")]
#[case("a: 1\n\n", "a: 1")]
#[case("\n  a\n\nb\t%41 # \u{1}", "\n  a\n\nb\t%41 # \u{1}")]
#[case("grüße – ✓", "grüße – ✓")]
#[tokio::test]
async fn a_description_comes_back_but_for_its_last_line_ends(#[case] sent: &str, #[case] kept: &str) {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    rig.call("PUT", CONFIG, &[("description", sent)]).await.data();
    assert_eq!(rig.config(200).await["description"], kept);
}

#[tokio::test]
async fn an_empty_description_removes_the_key_and_8192_characters_are_the_most() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    rig.call("PUT", CONFIG, &[("description", &"ü".repeat(8192))])
        .await
        .data();
    let long = rig
        .call("PUT", CONFIG, &[("description", &"x".repeat(8193))])
        .await;
    assert_eq!(
        long.body["errors"]["description"],
        "value may only be 8192 characters long"
    );
    rig.call("PUT", CONFIG, &[("description", "")]).await.data();
    assert!(rig.config(200).await.get("description").is_none());
}

#[tokio::test]
async fn a_stale_digest_is_refused_everywhere_and_the_same_content_has_the_same_digest() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let digest = |config: Value| config["digest"].as_str().unwrap().to_owned();
    let old = digest(rig.config(200).await);
    rig.call("PUT", CONFIG, &[("cores", "2"), ("digest", &old)])
        .await
        .data();
    let stale = "checksum mismatch (file change by other user?)";
    for method in ["PUT", "POST"] {
        let got = rig
            .call(method, CONFIG, &[("cores", "3"), ("digest", &old)])
            .await;
        assert_eq!(got.line(), (500, stale));
    }
    let resize = [("disk", "scsi0"), ("size", "+1M"), ("digest", old.as_str())];
    assert_eq!(
        rig.task("PUT", "/nodes/pve1/qemu/200/resize", &resize).await,
        stale
    );
    rig.call("PUT", CONFIG, &[("cores", "1"), ("digest", "")])
        .await
        .data();
    assert_eq!(digest(rig.config(200).await), old, "A to B to A");
    assert_eq!(
        rig.task("POST", "/nodes/pve1/qemu/200/status/start", &[]).await,
        "OK"
    );
    assert_eq!(digest(rig.config(200).await), old, "a start changes no digest");
    let long = rig
        .call("PUT", CONFIG, &[("cores", "1"), ("digest", &"a".repeat(50))])
        .await;
    assert_eq!(
        long.body["errors"]["digest"],
        "value may only be 40 characters long"
    );
}

#[tokio::test]
async fn values_read_back_with_the_recorded_types_and_order() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let set = [
        ("cores", "2"),
        ("memory", "1024"),
        ("net0", "bridge=vmbr1,firewall=1,virtio=bc:24:11:00:00:01"),
        ("tags", "Zeta alpha;decent"),
        ("ipconfig0", "ip=10.77.0.50/24,gw=10.77.0.1"),
        ("sshkeys", KEY),
        ("protection", "1"),
        ("cipassword", "hush"),
    ];
    rig.call("PUT", CONFIG, &set).await.data();
    let config = rig.config(200).await;
    assert_eq!(config["cores"], 2);
    assert_eq!(config["memory"], "1024");
    assert_eq!(config["net0"], "virtio=bc:24:11:00:00:01,bridge=vmbr1,firewall=1");
    assert_eq!(config["tags"], "alpha;decent;zeta");
    assert_eq!(config["sshkeys"], KEY);
    assert_eq!(config["protection"], 1);
    assert_eq!(config["cipassword"], "**********");
}

#[rstest]
#[case(&[], 500, "no options specified")]
#[case(&[("args", "-foo")], 500, "only root can set 'args' config")]
#[case(&[("startup", "order=1")], 403, "Permission check failed (/, Sys.Modify)")]
#[case(&[("serial1", "socket")], 403, "Permission check failed (/vms/200, VM.Config.HWType)")]
#[case(&[("ide2", "none,media=cdrom")], 403, "Permission check failed (/vms/200, VM.Config.CDROM)")]
#[case(&[("net0", "virtio,bridge=vmbr9")], 403, "Permission check failed (/sdn/zones/localnetwork/vmbr9, SDN.Use)")]
#[case(&[("scsi1", "nope:1")], 500, "storage 'nope' does not exist")]
#[case(&[("sshkeys", "%23%20note%0A")], 500, "SSH public key validation error")]
#[tokio::test]
async fn refused_changes_have_the_recorded_texts(
    #[case] set: &[(&str, &str)],
    #[case] status: u16,
    #[case] reason: &str,
) {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    assert_eq!(rig.call("PUT", CONFIG, set).await.line(), (status, reason));
}

#[tokio::test]
async fn changes_of_a_running_guest_wait_for_its_next_start() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    assert_eq!(
        rig.task("POST", "/nodes/pve1/qemu/200/status/start", &[]).await,
        "OK"
    );
    rig.call("PUT", CONFIG, &[("cores", "4"), ("protection", "1")])
        .await
        .data();
    assert_eq!(rig.config(200).await["cores"], 4);
    let current = rig.call("GET", CONFIG, &[("current", "1")]).await.data();
    assert_eq!(
        (&current["cores"], &current["protection"]),
        (&json!(1), &json!(1))
    );
    let pending = rig.call("GET", "/nodes/pve1/qemu/200/pending", &[]).await.data();
    assert!(
        pending
            .as_array()
            .unwrap()
            .contains(&json!({"key": "cores", "value": 1, "pending": 4}))
    );
    assert_eq!(
        rig.task("POST", "/nodes/pve1/qemu/200/status/stop", &[]).await,
        "OK"
    );
    assert_eq!(
        rig.call("GET", CONFIG, &[("current", "1")]).await.data()["cores"],
        4
    );
}

#[tokio::test]
async fn a_disk_only_grows_and_only_in_its_task_is_that_said() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let resize = "/nodes/pve1/qemu/200/resize";
    let size = |size| [("disk", "scsi0"), ("size", size)];
    assert_eq!(rig.task("PUT", resize, &size("10G")).await, "OK");
    assert!(
        rig.config(200).await["scsi0"]
            .as_str()
            .unwrap()
            .ends_with(",size=10G")
    );
    assert_eq!(rig.task("PUT", resize, &size("10G")).await, "OK");
    assert_eq!(rig.task("PUT", resize, &size("+100M")).await, "OK");
    assert!(
        rig.config(200).await["scsi0"]
            .as_str()
            .unwrap()
            .ends_with(",size=10340M")
    );
    assert_eq!(
        rig.task("PUT", resize, &size("1G")).await,
        "shrinking disks is not supported"
    );
    rig.control(
        "POST",
        "/privileges/revoke",
        json!({"path": "/storage/local", "privilege": "Datastore.AllocateSpace"}),
    )
    .await;
    let end = rig.task("PUT", resize, &size("+1G")).await;
    assert_eq!(
        end,
        "403 Permission check failed (/storage/local, Datastore.AllocateSpace)"
    );
    let missing = rig
        .root("PUT", "/nodes/pve1/qemu/7777/resize", &size("1G"))
        .await
        .data();
    assert_eq!(
        rig.end_of(&missing).await,
        "Configuration file 'nodes/pve1/qemu-server/7777.conf' does not exist"
    );
}

#[tokio::test]
async fn json_booleans_and_numbers_are_fine() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let url = format!("{}/api2/json{CONFIG}", rig.sim.url);
    let request = rig
        .client
        .put(url)
        .header("authorization", format!("PVEAPIToken={}", rig.sim.token));
    let body = json!({"cores": 1, "memory": 64, "protection": false, "onboot": true});
    assert_eq!(request.json(&body).send().await.unwrap().status(), 200);
    let config = rig.config(200).await;
    assert_eq!(
        (&config["onboot"], &config["protection"], &config["memory"]),
        (&json!(1), &json!(0), &json!("64"))
    );
}

#[tokio::test]
async fn a_change_in_a_worker_logs_what_it_sets() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let upid = rig.call("POST", CONFIG, &[("cores", "2")]).await.data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    let log = rig
        .call(
            "GET",
            &format!("/nodes/pve1/tasks/{}/log", upid.as_str().unwrap()),
            &[],
        )
        .await
        .data();
    assert_eq!(log[0]["t"], "update VM 200: -cores 2");
    assert_eq!(log[1]["t"], "TASK OK");
}
