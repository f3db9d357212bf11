//! The program: what it says when it is ready, and that it ends when asked.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn it_says_where_it_is_and_ends_on_a_signal() {
    let dir = std::env::temp_dir().join(format!("pve-sim-{}", std::process::id()));
    let ready_file = dir.join("ready.json");
    std::fs::create_dir_all(&dir).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pve-sim"));
    command
        .arg("--dir")
        .arg(&dir)
        .arg("--ready-file")
        .arg(&ready_file)
        .args(["--nodes", "2", "--seed", "5"]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let line = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .next_line()
        .await
        .unwrap()
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&std::fs::read(&ready_file).unwrap()).unwrap(),
        ready
    );
    assert_eq!(
        std::fs::read_to_string(ready["ca_file"].as_str().unwrap()).unwrap(),
        ready["ca_pem"].as_str().unwrap()
    );
    assert_eq!(
        ready["templates"],
        serde_json::json!({"pve1": 9000, "pve2": 9001})
    );
    assert_eq!(ready["pid"], child.id().unwrap());
    assert_eq!(ready["fingerprint"].as_str().unwrap().split(':').count(), 32);
    let sent = Command::new("kill")
        .arg(child.id().unwrap().to_string())
        .status()
        .await
        .unwrap();
    assert!(sent.success());
    assert!(child.wait().await.unwrap().success());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn every_line_of_the_demo_cluster_works() {
    let dir = std::env::temp_dir().join(format!("pve-sim-demo-{}", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_pve-sim"));
    command.arg("--dir").arg(&dir).arg("demo-cluster");
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    loop {
        let line = output.next_line().await.unwrap().unwrap();
        if line.starts_with("# Ctrl-C") {
            break;
        }
        if line.starts_with("curl ") {
            lines.push(line);
        }
    }
    assert!(lines.len() >= 8, "{lines:?}");
    let mut shown = String::new();
    for line in &lines {
        let ran = Command::new("sh").args(["-c", line]).output().await.unwrap();
        assert!(
            ran.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        shown += &String::from_utf8_lossy(&ran.stdout);
    }
    for text in [
        "locked-by-a-backup",
        "UPID:pve1:",
        "protection mode enabled",
        "500 got timeout",
        "\"last\":",
    ] {
        assert!(shown.contains(text), "no {text} in {shown}");
    }
    assert!(!lines[0].is_empty() && !shown.contains("somebody-elses"));
    drop(child);
    std::fs::remove_dir_all(&dir).unwrap();
}
