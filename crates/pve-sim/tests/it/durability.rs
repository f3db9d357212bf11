//! A simulator that is killed again and again while calls go on: what it answered is there, nothing is half there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Certificate, Client, Method};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::rig::{install_tls, until};

/// How often it is killed.
const ROUNDS: u32 = 12;
/// The seed of the moments at which it is killed; printed by a failing assertion.
const SEED: u64 = 20_261_121;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Life {
    child: Child,
    client: Client,
    url: String,
    root: String,
    facts: Value,
}

impl Life {
    async fn begin(dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pve-sim"));
        let spans = ["--clone-seconds", "0.02..0.2", "--destroy-seconds", "0.01..0.1"];
        command
            .arg("--state")
            .arg(dir)
            .args(["--journal-kb", "64"])
            .args(["--nodes", "2", "--stats-lag", "0"])
            .args(spans);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let line = BufReader::new(out).lines().next_line().await.unwrap().unwrap();
        let facts: Value = serde_json::from_str(&line).unwrap();
        let ca = Certificate::from_pem(facts["ca_pem"].as_str().unwrap().as_bytes()).unwrap();
        Self {
            child,
            client: Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap(),
            url: facts["url"].as_str().unwrap().to_owned(),
            root: facts["root_token"].as_str().unwrap().to_owned(),
            facts,
        }
    }

    /// An answer, or nothing if the simulator died over it.
    async fn call(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Option<(u16, Value)> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self
            .client
            .request(method, format!("{}/api2/json{path}", self.url));
        let request = request.header("authorization", format!("PVEAPIToken={}", self.root));
        let request = if form.is_empty() {
            request
        } else {
            request.form(form)
        };
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let body: Value = serde_json::from_str(&response.text().await.ok()?).ok()?;
        Some((status, body["data"].clone()))
    }

    async fn read(&self, path: &str) -> Value {
        let (status, data) = self.call("GET", path, &[]).await.unwrap();
        assert_eq!(status, 200, "{path}");
        data
    }
}

/// What the client knows.
#[derive(Default)]
struct Known {
    /// The notes of the template: the last that was answered, and one that may have been written.
    notes: String,
    asked: Option<String>,
    /// Clones whose task was answered.
    clones: BTreeMap<u32, String>,
    /// Removals whose task was answered.
    removed: BTreeMap<u32, String>,
    next: u32,
}

impl Known {
    /// Changes one thing after another until the simulator is gone.
    async fn work(&mut self, life: &Life) {
        for count in 0.. {
            // Long, so that the journal is replaced now and then.
            let text = format!("{:0>8000}", format!(" round {} change {count}", self.next));
            self.asked = Some(text.clone());
            let form = [("description", text.as_str()), ("cores", "2")];
            let Some((status, _)) = life.call("PUT", "/nodes/pve1/qemu/9000/config", &form).await else {
                return;
            };
            assert_eq!(status, 200);
            self.notes = text;
            self.asked = None;
            let newid = 200 + self.next;
            self.next += 1;
            let id = newid.to_string();
            let form = [("newid", id.as_str()), ("pool", "decent")];
            let Some((status, upid)) = life.call("POST", "/nodes/pve2/qemu/9001/clone", &form).await else {
                return;
            };
            assert_eq!(status, 200);
            self.clones.insert(newid, upid.as_str().unwrap().to_owned());
            if !self.remove_one(life).await {
                return;
            }
        }
    }

    /// Removes the oldest clone that is done, if there is one; false if the simulator died over it.
    async fn remove_one(&mut self, life: &Life) -> bool {
        let Some((&vmid, upid)) = self.clones.iter().next() else {
            return true;
        };
        let Some((_, status)) = life
            .call("GET", &format!("/nodes/pve2/tasks/{upid}/status"), &[])
            .await
        else {
            return false;
        };
        if status["status"] != "stopped" {
            return true;
        }
        // From here on it may go at any time, answered or not.
        self.clones.remove(&vmid);
        let removal = life
            .call("DELETE", &format!("/nodes/pve2/qemu/{vmid}"), &[])
            .await;
        if let Some((status, upid)) = &removal {
            assert_eq!(*status, 200);
            self.removed.insert(vmid, upid.as_str().unwrap().to_owned());
        }
        removal.is_some()
    }

    /// Everything that was answered is there, and whole.
    async fn check(&mut self, life: &Life) {
        let config = life.read("/nodes/pve1/qemu/9000/config").await;
        let notes = config["description"].as_str().unwrap_or_default().to_owned();
        let expected = [Some(self.notes.clone()), self.asked.take()];
        assert!(
            expected.contains(&Some(notes.clone())),
            "{} is none of {expected:?}",
            notes.trim_start_matches('0')
        );
        self.notes = notes;
        until("all tasks have ended", async || {
            let running = life.read("/nodes/pve2/tasks?source=active").await;
            running.as_array().unwrap().is_empty().then_some(())
        })
        .await;
        for (newid, upid) in &self.clones {
            let status = life.read(&format!("/nodes/pve2/tasks/{upid}/status")).await;
            assert_eq!(status["exitstatus"], "OK", "{newid}");
            let config = life.read(&format!("/nodes/pve2/qemu/{newid}/config")).await;
            assert!(
                config["scsi0"].is_string() && config.get("lock").is_none(),
                "{config}"
            );
        }
        for (vmid, upid) in &self.removed {
            let status = life.read(&format!("/nodes/pve2/tasks/{upid}/status")).await;
            assert_eq!(status["exitstatus"], "OK", "the removal of {vmid}");
            let config = life
                .call("GET", &format!("/nodes/pve2/qemu/{vmid}/config"), &[])
                .await;
            assert_eq!(config.unwrap().0, 500, "{vmid} is gone");
        }
        let pool = life.read("/pools?poolid=decent").await;
        let members = pool[0]["members"].as_array().unwrap().len();
        let guests = life.read("/nodes/pve2/qemu").await.as_array().unwrap().len() - 1;
        assert_eq!(members, guests, "a clone and its membership are one change");
    }
}

/// How many whole states were begun.
fn generation(dir: &Path) -> u64 {
    let names = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let numbers = names.filter_map(|name| name.to_str()?.strip_prefix("world-")?.parse().ok());
    numbers.max().unwrap()
}

#[tokio::test]
async fn a_simulator_killed_at_any_moment_has_all_that_it_answered_and_no_half_change() {
    install_tls();
    let dir = Folder(std::env::temp_dir().join(format!("pve-sim-durable-{}", std::process::id())));
    let mut dice = fastrand::Rng::with_seed(SEED);
    let mut known = Known::default();
    let mut facts: Option<Value> = None;
    for round in 0..ROUNDS {
        let mut life = Life::begin(&dir.0).await;
        for key in ["ca_pem", "fingerprint", "token", "root_token"] {
            let before = facts.get_or_insert_with(|| life.facts.clone());
            assert_eq!(
                before[key], life.facts[key],
                "{key} in round {round}, seed {SEED}"
            );
        }
        known.check(&life).await;
        let moment = Duration::from_micros(dice.u64(1_000..250_000));
        // Where the loop of calls is when it is killed is up to the clock.
        let _ = tokio::time::timeout(moment, known.work(&life)).await;
        life.child.start_kill().unwrap();
        life.child.wait().await.unwrap();
    }
    let life = Life::begin(&dir.0).await;
    known.check(&life).await;
    let work = (known.clones.len(), known.removed.len());
    assert!(work.0 > 3 && work.1 > 3, "there was work: {work:?}");
    let generation = generation(&dir.0);
    assert!(
        generation > u64::from(ROUNDS) + 1,
        "a journal was replaced beneath: {generation}"
    );
}
