//! Recorded answers of the real daemons, served again: every read understands them.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::{Reply, Server, json, skipped};
use dc_proxmox::{Pve, TaskQuery, TaskSource};
use domain::ids::{NodeName, Vmid};
use serde_json::Value;

/// Successful recorded reads: path with query, body.
fn recorded() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/proxmox");
    let mut all = Vec::new();
    for name in ["transcripts.jsonl", "transcripts-2.jsonl"] {
        let Ok(text) = fs::read_to_string(folder.join(name)) else {
            skipped(&format!(
                "SKIPPED: the recording {name} is not beside the repository, its answers are not replayed"
            ));
            continue;
        };
        for line in text.lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            let read =
                exchange["method"] == "GET" && exchange["status"] == 200 && exchange["auth"] == "token";
            if read && exchange["json"].is_object() {
                let path = exchange["path"].as_str().unwrap_or_default().to_owned();
                all.push((path, exchange["json"].to_string()));
            }
        }
    }
    all
}

/// Asks again what was asked when this was recorded; false for paths that the client never reads.
async fn ask(pve: &Pve, path: &str) -> Result<bool, dc_proxmox::Error> {
    let path = path.strip_prefix("/api2/json/").unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let node = |name: &str| name.parse::<NodeName>().unwrap();
    let vm = |id: &str| Vmid::try_from(id.parse::<u32>().unwrap()).unwrap();
    let query = query.strip_prefix("poolid=").unwrap_or_default();
    match parts.as_slice() {
        ["version"] => pve.version().await.map(drop)?,
        ["access", "permissions"] => pve.permissions().await.map(drop)?,
        ["cluster", "status"] => assert!(!pve.cluster_status().await?.nodes.is_empty()),
        ["cluster", "resources"] => pve.resources().await.map(drop)?,
        ["cluster", "firewall", "options"] => pve.firewall_enabled().await.map(drop)?,
        ["cluster", "nextid"] => assert!(pve.vmid_free(vm("100")).await?),
        ["pools"] if !query.is_empty() => assert!(pve.pool(query).await?.is_some()),
        ["nodes", n, "tasks"] => {
            let query = TaskQuery {
                source: TaskSource::All,
                since: None,
            };
            pve.node_tasks(&node(n), query).await.map(drop)?;
        }
        ["nodes", _, "tasks", upid, "status"] => {
            let upid = upid.replace("%3A", ":").replace("%40", "@").replace("%21", "!");
            pve.task_status(&upid.parse().unwrap()).await.map(drop)?;
        }
        ["nodes", n, "storage", storage, "status"] => {
            assert!(
                pve.storage_status(&node(n), &storage.parse().unwrap())
                    .await?
                    .kind
                    .is_some()
            );
        }
        ["nodes", n, "qemu", id, "config"] => {
            assert_eq!(pve.vm_config(&node(n), vm(id)).await?.digest.len(), 40);
        }
        ["nodes", n, "qemu", id, "status", "current"] => pve.vm_current(&node(n), vm(id)).await.map(drop)?,
        ["nodes", n, "qemu", id, "firewall", "options"] => {
            assert!(pve.firewall_options(&node(n), vm(id)).await?.digest.is_some());
        }
        ["nodes", n, "qemu", id, "firewall", "rules"] => {
            pve.firewall_rules(&node(n), vm(id)).await.map(drop)?;
        }
        ["nodes", n, "qemu", id, "firewall", "ipset"] => pve.ipsets(&node(n), vm(id)).await.map(drop)?,
        ["nodes", n, "qemu", id, "firewall", "ipset", set] => {
            pve.ipset(&node(n), vm(id), set).await.map(drop)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

#[tokio::test]
async fn every_recorded_answer_is_understood() {
    let body = Arc::new(Mutex::new(String::new()));
    let now = Arc::clone(&body);
    let server = Server::start(move |_| json("200 OK", &now.lock().unwrap())).await;
    let pve = server.client();
    let all = recorded();
    let mut read = 0;
    for (path, answer) in &all {
        body.lock().unwrap().clone_from(answer);
        match ask(&pve, path).await {
            Ok(asked) => read += usize::from(asked),
            Err(error) => panic!("{path}: {error}: {answer}"),
        }
    }
    assert!(all.is_empty() || read > 300, "only {read} answers were read");
}

#[tokio::test]
async fn rows_of_a_recorded_kind_keep_their_facts() {
    let text = r#"{"data":[{"type":"qemu","vmid":5001,"node":"pve2","status":"running","name":"dc-1","maxmem":4294967296,
        "pool":"decent","template":0},{"type":"node","node":"pve2","status":"offline"}]}"#;
    let server = Server::start(move |asked| {
        if asked.head.contains("/cluster/resources ") {
            json("200 OK", text)
        } else {
            Reply::Close
        }
    })
    .await;
    let all = server.client().resources().await.unwrap();
    let vm = all.vm(Vmid::try_from(5001_u32).unwrap()).unwrap();
    assert_eq!(
        (vm.node.as_str(), vm.pool.as_deref(), vm.maxmem),
        ("pve2", Some("decent"), Some(4 << 30))
    );
    assert!(!all.nodes[0].online);
}
