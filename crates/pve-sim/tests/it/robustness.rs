//! Garbage is answered, many guests are answered quickly.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use crate::rig::Rig;

fn segment() -> impl Strategy<Value = String> {
    let known = [
        "nodes", "pve1", "qemu", "200", "9000", "config", "clone", "firewall", "rules", "0", "ipset",
        "tasks", "status",
    ];
    prop_oneof![
        proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        "[^/?#]{0,12}"
    ]
}

fn parameter() -> impl Strategy<Value = (String, String)> {
    let names = [
        "newid",
        "pool",
        "cores",
        "memory",
        "net0",
        "ipconfig0",
        "sshkeys",
        "delete",
        "digest",
        "scsi1",
        "size",
        "disk",
        "cidr",
        "name",
        "moveto",
        "source",
        "limit",
        "start",
        "tags",
        "full",
    ];
    let name = prop_oneof![
        proptest::sample::select(names.to_vec()).prop_map(str::to_owned),
        ".{0,8}"
    ];
    let value = prop_oneof![
        ".{0,30}",
        "-?[0-9]{1,25}",
        "virtio[=,a-z0-9:]{0,20}",
        "local:[0-9.eE+]{1,20}",
        "[+]?[0-9.]{1,20}[KMGT]?"
    ];
    (name, value)
}

#[test]
fn no_request_breaks_the_simulator() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(async {
        let rig = Rig::quick().await;
        rig.clone(200).await;
        rig
    });
    let method = proptest::sample::select(vec!["GET", "PUT", "POST", "DELETE"]);
    let request = (
        method,
        prop::collection::vec(segment(), 0..8),
        prop::collection::vec(parameter(), 0..5),
    );
    proptest!(ProptestConfig::with_cases(400), |((method, segments, params) in request)| {
        let path: Vec<String> = segments.iter().map(|part| encoded(part)).collect();
        let path = format!("/{}", path.join("/"));
        let pairs: Vec<(&str, &str)> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let got = runtime.block_on(rig.root(method, &path, &pairs));
        prop_assert!(got.status >= 200);
    });
    runtime.block_on(async { rig.call("GET", "/version", &[]).await.data() });
}

fn encoded(part: &str) -> String {
    percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn a_thousand_guests_are_listed_in_a_moment() {
    let rig = Rig::quick().await;
    for vmid in 1000..2000 {
        rig.control(
            "POST",
            "/vms",
            json!({"vmid": vmid, "node": "pve1", "pool": "decent"}),
        )
        .await;
    }
    let begin = Instant::now();
    let list = rig
        .call("GET", "/cluster/resources", &[("type", "vm")])
        .await
        .data();
    assert_eq!(list.as_array().unwrap().len(), 1003);
    // An unoptimised build on a busy machine: the bound of the released one is a tenth.
    assert!(
        begin.elapsed() < Duration::from_millis(500),
        "{:?}",
        begin.elapsed()
    );
}
