//! Calls beside the life of a clone: creation, templates, cloud-init, the agent, storages, options, index pages.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rig::{KEY, Rig};

#[tokio::test]
async fn a_guest_is_created_with_its_disks_and_becomes_a_template() {
    let rig = Rig::quick().await;
    let params = [
        ("vmid", "441"),
        ("memory", "64"),
        ("scsi0", "local:2"),
        ("ide2", "local:cloudinit"),
        ("net0", "virtio,bridge=vmbr0"),
    ];
    let upid = rig.root("POST", "/nodes/pve1/qemu", &params).await.data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    let config = rig.root("GET", "/nodes/pve1/qemu/441/config", &[]).await.data();
    assert_eq!(config["scsi0"], "local:441/vm-441-disk-0.raw,size=2G");
    assert!(config["meta"].as_str().unwrap().starts_with("creation-qemu="));
    assert!(config.get("lock").is_none());
    let again = rig.root("POST", "/nodes/pve1/qemu", &params).await;
    assert_eq!(
        again.line(),
        (
            500,
            "unable to create VM 441 - VM 441 already exists on node 'pve1'"
        )
    );
    let upid = rig
        .root("POST", "/nodes/pve1/qemu/441/template", &[])
        .await
        .data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    let config = rig.root("GET", "/nodes/pve1/qemu/441/config", &[]).await.data();
    assert_eq!(config["scsi0"], "local:441/base-441-disk-0.raw,size=2G");
    let again = rig.root("POST", "/nodes/pve1/qemu/441/template", &[]).await;
    assert_eq!(again.line(), (500, "you can't convert a template to a template"));
}

#[rstest]
#[case("POST", "/nodes/pve1/qemu", &[("vmid", "441"), ("scsi0", "nope:1")], "storage 'nope' does not exist")]
#[case("GET", "/nodes/pve1/qemu/200/agent/network-get-interfaces", &[], "VM 200 is not running")]
#[case("POST", "/nodes/pve1/qemu/200/status/reset", &[], "VM 200 not running")]
#[case("POST", "/nodes/pve1/qemu/200/status/suspend", &[], "VM 200 not running")]
#[case("POST", "/nodes/pve1/qemu/200/migrate", &[("target", "pve9")], "no such cluster node 'pve9'")]
#[case("GET", "/storage/nope", &[], "storage 'nope' does not exist")]
#[case("DELETE", "/storage/tiny", &[], "delete storage failed: storage 'tiny' does not exist")]
#[case("POST", "/storage", &[("storage", "local"), ("type", "dir"), ("path", "/mnt")],
    "create storage failed: storage ID 'local' already defined")]
#[tokio::test]
async fn refusals_have_the_recorded_texts(
    #[case] method: &str,
    #[case] path: &str,
    #[case] params: &[(&str, &str)],
    #[case] text: &str,
) {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    assert_eq!(rig.root(method, path, params).await.line(), (500, text));
}

#[tokio::test]
async fn a_creation_needs_vmid_and_rights() {
    let rig = Rig::quick().await;
    let missing = rig.root("POST", "/nodes/pve1/qemu", &[("memory", "64")]).await;
    assert_eq!(
        missing.body["errors"],
        json!({"vmid": "property is missing and it is not optional"})
    );
    let denied = rig.call("POST", "/nodes/pve1/qemu", &[("vmid", "150")]).await;
    assert_eq!(denied.line(), (403, "Permission check failed"));
}

#[tokio::test]
async fn cloud_init_is_told_as_recorded() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let params = [
        ("ciuser", "ops9"),
        ("cipassword", "secret"),
        ("sshkeys", KEY),
        ("nameserver", "10.77.0.1"),
        ("searchdomain", "example.test"),
        ("ipconfig0", "ip=10.77.0.54/24,gw=10.77.0.1"),
        ("net0", "virtio=bc:24:11:00:03:40,bridge=vmbr0"),
    ];
    let path = "/nodes/pve1/qemu/200";
    rig.call("PUT", &format!("{path}/config"), &params).await.data();
    let list = rig.call("GET", &format!("{path}/cloudinit"), &[]).await.data();
    let keys: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["key"].as_str().unwrap())
        .collect();
    assert_eq!(
        keys,
        ["cipassword", "ciuser", "nameserver", "searchdomain", "sshkeys"]
    );
    assert_eq!(list[0]["value"], "**********");
    let dump = format!("{path}/cloudinit/dump");
    let network = rig.call("GET", &dump, &[("type", "network")]).await.data();
    assert_eq!(
        network,
        "version: 1\nconfig:\n    - type: physical\n      name: eth0\n      mac_address: 'bc:24:11:00:03:40'\n      \
         subnets:\n      - type: static\n        address: '10.77.0.54'\n        netmask: '255.255.255.0'\n        \
         gateway: '10.77.0.1'\n    - type: nameserver\n      address:\n      - '10.77.0.1'\n      search:\n      \
         - 'example.test'\n"
    );
    let user = rig.call("GET", &dump, &[("type", "user")]).await.data();
    let user = user.as_str().unwrap();
    assert!(user.starts_with(
        "#cloud-config\nhostname: dc-a\nmanage_etc_hosts: true\nfqdn: dc-a.example.test\nuser: ops9\n"
    ));
    assert!(user.contains("password: $5$"));
    let put = rig.call("PUT", &format!("{path}/cloudinit"), &[]).await;
    assert_eq!(
        put.line(),
        (403, "Permission check failed (/vms/200, VM.Config.Cloudinit)")
    );
    assert_eq!(
        rig.root("PUT", &format!("{path}/cloudinit"), &[]).await.data(),
        Value::Null
    );
}

#[tokio::test]
async fn the_agent_of_a_running_guest_tells_its_addresses() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let path = "/nodes/pve1/qemu/200";
    rig.call(
        "PUT",
        &format!("{path}/config"),
        &[("ipconfig0", "ip=10.77.0.101/24")],
    )
    .await
    .data();
    assert_eq!(rig.task("POST", &format!("{path}/status/start"), &[]).await, "OK");
    let asked = format!("{path}/agent/network-get-interfaces");
    let denied = rig.call("GET", &asked, &[]).await;
    assert_eq!(
        denied.line(),
        (
            403,
            "Permission check failed (/vms/200, VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted)"
        )
    );
    let told = rig.root("GET", &asked, &[]).await.data();
    assert_eq!(told["result"][0]["name"], "lo");
    let own = json!({"ip-address": "10.77.0.101", "ip-address-type": "ipv4", "prefix": 24});
    assert_eq!(told["result"][1]["ip-addresses"][0], own);
    rig.root("PUT", &format!("{path}/config"), &[("agent", "0")])
        .await
        .data();
    let silent = rig.root("POST", &format!("{path}/agent/ping"), &[]).await;
    assert_eq!(silent.line(), (500, "QEMU guest agent is not running"));
}

#[tokio::test]
async fn index_pages_name_what_is_below() {
    let rig = Rig::quick().await;
    let root = rig.root("GET", "/", &[]).await.data();
    assert_eq!(root[0], json!({"subdir": "version"}));
    let access = rig.root("GET", "/access", &[]).await.data();
    assert_eq!(access.as_array().unwrap().len(), 9);
    let guest = rig
        .root("GET", "/nodes/pve1/qemu/9000/firewall", &[])
        .await
        .data();
    assert!(guest.as_array().unwrap().contains(&json!({"name": "rules"})));
    let cluster = rig.root("GET", "/cluster", &[]).await.data();
    assert!(
        cluster
            .as_array()
            .unwrap()
            .contains(&json!({"name": "resources"}))
    );
}

#[rstest]
#[case(
    "GET",
    "/nodes/pve1/qemu/101/nothing",
    501,
    "Method 'GET /nodes/pve1/qemu/101/nothing' not implemented"
)]
#[case("POST", "/version", 501, "Method 'POST /version' not implemented")]
#[case("GET", "/cluster/backup", 501, "Method 'GET /cluster/backup' not implemented")]
#[tokio::test]
async fn what_is_not_there_is_501(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] text: &str,
) {
    let rig = Rig::quick().await;
    assert_eq!(rig.root(method, path, &[]).await.line(), (status, text));
}

#[tokio::test]
async fn the_other_form_of_answers_says_errors_in_good_ones() {
    let rig = Rig::quick().await;
    let ask = async |path: &str| {
        let url = format!("{}{path}", rig.sim.url);
        let token = format!("PVEAPIToken={}", rig.sim.root_token);
        crate::rig::got(
            rig.client
                .get(url)
                .header("authorization", token)
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    let good = ask("/api2/extjs/version").await;
    assert_eq!((good.status, &good.body["success"]), (200, &json!(1)));
    let bad = ask("/api2/extjs/nodes/pve1/qemu/7777/config").await;
    let text = "Configuration file 'nodes/pve1/qemu-server/7777.conf' does not exist\n";
    assert_eq!(bad.status, 200);
    assert_eq!(
        bad.body,
        json!({"data": null, "success": 0, "status": 500, "message": text})
    );
    let none = ask("/api2/foo/version").await;
    assert_eq!(none.line(), (501, "no formatter for uri /version, foo"));
}

#[tokio::test]
async fn an_upload_is_a_multipart_body_with_a_known_kind_of_content() {
    let rig = Rig::quick().await;
    let send = async |content: &str| {
        let body = format!(
            "--X1\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\n{content}\r\n--X1\r\nContent-Disposition: \
             form-data; name=\"filename\"; filename=\"x.iso\"\r\nContent-Type: application/octet-stream\r\n\r\n\
             hello\r\n--X1--\r\n"
        );
        let url = format!("{}/api2/json/nodes/pve1/storage/local/upload", rig.sim.url);
        let request = rig
            .client
            .post(url)
            .header("content-type", "multipart/form-data; boundary=X1")
            .body(body);
        let token = format!("PVEAPIToken={}", rig.sim.root_token);
        crate::rig::got(request.header("authorization", token).send().await.unwrap()).await
    };
    let text = "value 'snippets' does not have a value in the enumeration 'iso, vztmpl, import'";
    assert_eq!(send("snippets").await.body["errors"], json!({"content": text}));
    let upid = send("iso").await.data();
    assert!(upid.as_str().unwrap().contains(":imgcopy::"));
    assert_eq!(rig.end_of(&upid).await, "OK");
    let files = rig
        .root("GET", "/nodes/pve1/storage/local/content", &[("content", "iso")])
        .await
        .data();
    assert_eq!(
        (&files[0]["volid"], &files[0]["size"]),
        (&json!("local:iso/x.iso"), &json!(5))
    );
}

#[tokio::test]
async fn a_guest_moves_only_when_it_may() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let path = "/nodes/pve1/qemu/200";
    rig.task("POST", &format!("{path}/status/start"), &[]).await;
    let target = [("target", "pve2")];
    let running = rig.root("POST", &format!("{path}/migrate"), &target).await;
    assert_eq!(running.line(), (500, "can't migrate running VM without --online"));
    let facts = rig.root("GET", &format!("{path}/migrate"), &[]).await.data();
    assert_eq!(
        (&facts["running"], &facts["allowed_nodes"]),
        (&json!(1), &json!(["pve2", "pve3"]))
    );
    rig.task("POST", &format!("{path}/status/stop"), &[]).await;
    let upid = rig.root("POST", &format!("{path}/migrate"), &target).await.data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    assert_eq!(rig.truth(200).await.unwrap()["node"], "pve2");
    let gone = rig.root("GET", &format!("{path}/config"), &[]).await;
    assert_eq!(
        gone.line(),
        (
            500,
            "Configuration file 'nodes/pve1/qemu-server/200.conf' does not exist"
        )
    );
}

#[tokio::test]
async fn snapshots_are_listed_before_the_present_state() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let path = "/nodes/pve1/qemu/200/snapshot";
    let list = rig.root("GET", path, &[]).await.data();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["name"], &list[0]["description"]),
        (&json!("current"), &json!("You are here!"))
    );
    let upid = rig.root("POST", path, &[("snapname", "s1")]).await.data();
    assert_eq!(rig.end_of(&upid).await, "OK");
    let upid = rig.root("POST", path, &[("snapname", "s1")]).await.data();
    assert_eq!(rig.end_of(&upid).await, "snapshot name 's1' already used");
    let list = rig.root("GET", path, &[]).await.data();
    assert_eq!(
        (&list[0]["name"], &list[1]["parent"]),
        (&json!("s1"), &json!("s1"))
    );
    let feature = rig
        .root("GET", "/nodes/pve1/qemu/200/feature", &[("feature", "clone")])
        .await
        .data();
    assert_eq!(feature, json!({"hasFeature": 0, "nodes": ["pve1"]}));
}

#[tokio::test]
async fn a_guest_that_stands_still_says_so() {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    let path = "/nodes/pve1/qemu/200/status";
    rig.task("POST", &format!("{path}/start"), &[]).await;
    for (act, state) in [("suspend", "paused"), ("resume", "running"), ("reset", "running")] {
        assert_eq!(
            rig.task("POST", &format!("{path}/{act}"), &[]).await,
            "OK",
            "{act}"
        );
        let now = rig.call("GET", &format!("{path}/current"), &[]).await.data();
        assert_eq!(
            (&now["status"], &now["qmpstatus"]),
            (&json!("running"), &json!(state)),
            "{act}"
        );
    }
}
