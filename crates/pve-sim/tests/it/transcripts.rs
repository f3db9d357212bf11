//! Recorded parameter errors, replayed: each recorded 400 of a call that is simulated must come back word for word.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::rig::{KEY, Rig};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/proxmox")
}

fn pairs() -> Vec<Value> {
    let mut pairs = Vec::new();
    for name in ["transcripts.jsonl", "transcripts-2.jsonl"] {
        let Ok(text) = std::fs::read_to_string(folder().join(name)) else {
            continue;
        };
        pairs.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    pairs
}

/// Pairs whose error depends on something that is not set up here.
const ELSEWHERE: &[&str] = &[
    "627-",  // a storage for images of other kinds only
    "416-",  // a snippet that is there
    "119b-", // sent as multipart
    "432-",  // sent without a login
];

/// The request's path with a guest of ours in place of the recorded one.
fn ours(path: &str) -> Option<String> {
    let path = path.strip_prefix("/api2/json")?.split('?').next()?;
    let parts: Vec<&str> = path.split('/').collect();
    let mut parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
    if parts.get(3).map(String::as_str) == Some("qemu") && parts.len() > 4 {
        let clone = parts.get(5).map(String::as_str) == Some("clone");
        parts[2] = "pve1".to_owned();
        parts[4] = if clone { "9000" } else { "200" }.to_owned();
    }
    Some(parts.join("/"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The parameters: those of the query, and a map or a list with repeated names.
fn params(pair: &Value) -> Vec<(String, String)> {
    let query = pair["path"]
        .as_str()
        .unwrap()
        .split_once('?')
        .map_or("", |(_, query)| query);
    let mut all: Vec<(String, String)> = match &pair["params"] {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        Value::Array(list) => list.iter().map(|item| (text(&item[0]), text(&item[1]))).collect(),
        _ => Vec::new(),
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
        if !all.iter().any(|(other, _)| *other == name) {
            all.push((name, value));
        }
    }
    all
}

async fn prepared() -> Rig {
    let rig = Rig::quick().await;
    rig.clone(200).await;
    rig.call("PUT", "/nodes/pve1/qemu/200/config", &[("sshkeys", KEY)])
        .await
        .data();
    for vmid in [210, 300] {
        rig.control("POST", "/vms", serde_json::json!({"vmid": vmid, "node": "pve1"}))
            .await;
    }
    let user = [("userid", "svc@pve")];
    rig.root("POST", "/access/users", &user).await.data();
    rig.root("POST", "/access/users/svc@pve/token/agent", &[])
        .await
        .data();
    let firewall = "/nodes/pve1/qemu/200/firewall/ipset";
    rig.call("POST", firewall, &[("name", "ipfilter-net0")])
        .await
        .data();
    for cidr in ["10.77.0.50", "10.77.0.0/24"] {
        rig.call("POST", &format!("{firewall}/ipfilter-net0"), &[("cidr", cidr)])
            .await
            .data();
    }
    rig
}

#[tokio::test]
async fn recorded_parameter_errors_come_back_word_for_word() {
    let pairs = pairs();
    if pairs.is_empty() {
        // Straight to stderr: the test runner would keep a passing test's words to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no transcripts in {}",
            folder().display()
        );
        return;
    }
    let rig = prepared().await;
    let (mut same, mut wrong) = (0, Vec::new());
    for pair in pairs
        .iter()
        .filter(|pair| pair["status"] == 400 && pair["json"]["errors"].is_object())
    {
        let name = pair["name"].as_str().unwrap();
        let Some(path) = ours(pair["path"].as_str().unwrap()) else {
            continue;
        };
        if ELSEWHERE.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let params = params(pair);
        let params: Vec<(&str, &str)> = params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let got = rig.root(pair["method"].as_str().unwrap(), &path, &params).await;
        if got.status == 501 {
            continue;
        }
        if got.body["errors"] == pair["json"]["errors"] {
            same += 1;
        } else {
            wrong.push(format!(
                "{name}: want {} got {} {} {}",
                pair["json"]["errors"], got.status, got.reason, got.body["errors"]
            ));
        }
    }
    eprintln!("reproduced {same} parameter errors of {}", same + wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
