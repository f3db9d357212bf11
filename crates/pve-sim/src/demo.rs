//! A cluster to look at: guests in various states, made by the control port's own calls, and lines for a shell that work.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::control;
use crate::sim::{Shared, SimHandle};

/// The calls that furnish the cluster.
fn calls() -> Vec<(&'static str, &'static str, Value)> {
    let guest = |vmid: u32, node: &str, name: &str, config: Value| json!({"vmid": vmid, "node": node, "name": name, "pool": "decent", "config": config});
    let mut running = guest(
        101,
        "pve1",
        "web-1",
        json!({"cores": "2", "memory": "2048", "tags": "web"}),
    );
    running["running"] = json!(true);
    let foreign = json!({"vmid": 105, "node": "pve1", "name": "somebody-elses", "running": true});
    vec![
        // A look at once shows them all by name.
        ("PUT", "/durations", json!({"stats_lag": 0})),
        ("POST", "/vms", running),
        (
            "POST",
            "/vms",
            guest(102, "pve1", "web-2-stopped", json!({"cores": "2"})),
        ),
        (
            "POST",
            "/vms",
            guest(103, "pve1", "db-protected", json!({"protection": "1"})),
        ),
        (
            "POST",
            "/vms",
            guest(104, "pve1", "locked-by-a-backup", json!({"lock": "backup"})),
        ),
        ("POST", "/vms", foreign),
    ]
}

/// Furnishes a cluster.
pub async fn furnish(shared: &Arc<Shared>) -> Result<(), String> {
    for (method, path, body) in calls() {
        control::call(shared, method, path, &body).await?;
    }
    Ok(())
}

/// What to try: a word about each line, and the line.
pub fn lines(handle: &SimHandle, ca_file: &str) -> Vec<(&'static str, String)> {
    let node = handle.templates.first().map_or("pve1", |(node, _)| node.as_str());
    let template = handle.templates.first().map_or(9000, |(_, vmid)| *vmid);
    let api = |method: &str, path: &str, more: &str| {
        let token = &handle.token;
        let url = &handle.url;
        format!(
            "curl -sS -X {method} --cacert '{ca_file}' -H 'Authorization: PVEAPIToken={token}' {more}'{url}/api2/json{path}'"
        )
    };
    let control = |path: &str, body: &str| {
        let url = &handle.control_url;
        format!("curl -sS -H 'Content-Type: application/json' -d '{body}' '{url}{path}'")
    };
    let clone = format!("/nodes/{node}/qemu/{template}/clone");
    let stop =
        r#"{"match": {"method": "POST"}, "act": {"refuse": {"status": 500, "reason": "got timeout"}}}"#;
    vec![
        (
            "What the service token sees (guest 105 is not its own)",
            api("GET", "/cluster/resources?type=vm", ""),
        ),
        (
            "A guest's configuration",
            api("GET", &format!("/nodes/{node}/qemu/101/config"), ""),
        ),
        (
            "A clone: the answer is the task's id",
            api("POST", &clone, "-d newid=200 -d name=mine -d pool=decent "),
        ),
        (
            "All tasks",
            api("GET", &format!("/nodes/{node}/tasks?source=all"), ""),
        ),
        (
            "A guest that is protected is not removed",
            api("DELETE", &format!("/nodes/{node}/qemu/103"), "-i "),
        ),
        ("The next change shall fail", control("/faults", stop)),
        (
            "It does",
            api("POST", &format!("/nodes/{node}/qemu/102/status/start"), "-i "),
        ),
        (
            "What was asked so far",
            format!("curl -sS '{}/requests'", handle.control_url),
        ),
    ]
}
