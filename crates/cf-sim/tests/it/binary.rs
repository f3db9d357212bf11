//! The program: what it says when it is ready, and that it ends when asked.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The program and what it said.
pub async fn program(args: &[&str]) -> (Child, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cf-sim"));
    command.args(args).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    (child, ready)
}

#[tokio::test]
async fn it_says_where_it_is_and_ends_on_a_signal() {
    let dir = std::env::temp_dir().join(format!("cf-sim-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (folder, file) = (dir.display().to_string(), dir.join("ready.json"));
    let file_text = file.display().to_string();
    let args = [
        "--tls",
        "--dir",
        &folder,
        "--ready-file",
        &file_text,
        "--zone",
        "a.test",
        "--seed",
        "5",
    ];
    let (mut child, ready) = program(&args).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap(),
        ready
    );
    let ca = std::fs::read_to_string(ready["ca_file"].as_str().unwrap()).unwrap();
    assert_eq!(json!(ca), ready["ca_pem"]);
    assert!(ready["zones"]["a.test"].is_string());
    let client = crate::rig::client(Some(&ca));
    let url = format!("{}zones", ready["url"].as_str().unwrap());
    let got = client
        .get(url)
        .bearer_auth(ready["token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(got.status(), 200);
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").arg(id).status().await.unwrap().success());
    assert!(child.wait().await.unwrap().success());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn help_tells_the_options() {
    let output = Command::new(env!("CARGO_BIN_EXE_cf-sim"))
        .arg("--help")
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for option in [
        "--tls",
        "--publish-delay-ms",
        "--no-retry-after",
        "--standing-clock",
    ] {
        assert!(text.contains(option), "{option}");
    }
}

#[tokio::test]
async fn what_it_cannot_do_is_said_in_a_line() {
    let command = Command::new(env!("CARGO_BIN_EXE_cf-sim"))
        .args(["--listen", "192.0.2.1:1"])
        .output();
    let output = command.await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("failed to listen on 192.0.2.1:1"));
}
