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
