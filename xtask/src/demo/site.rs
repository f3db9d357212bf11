//! The processes of a demo: control plane, simulator, operator. Owns how they are started; must not know what the
//! examples say.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use serde_json::Value;
use testkit::control_plane::audit;
use testkit::process::log_tail;
use testkit::wait::until;
use testkit::{ControlPlane, GROUP, Launch, Lifetime, Options, Process, Ready, manifests};

use super::failure::{Act, Failure};
use super::screen::Screen;

/// How long a machine's clone takes, so that there is something to see.
const CLONE_SECONDS: &str = "3";
const NODES: &str = "2";
/// How long a kept demo waits for the gateway that it doesn't have.
const PROVISIONING_LIMIT: &str = "24h";
const DEADLINE: Duration = Duration::from_secs(30);
/// Where the operator's Lease lives.
const SYSTEM: &str = "decent-system";
/// What the operator calls itself at the API server.
const OPERATOR_AGENT: &str = "decent-operator";

/// Kinds of which each contract has objects of its own.
const OF_A_CONTRACT: [&str; 3] = ["contracts", "machines", "slots"];

/// Writes of the operator to our kinds.
#[derive(Clone, Copy, Debug)]
pub struct Writes {
    /// To Contracts, Machines and Slots.
    pub own: usize,
    /// To what contracts share: Pool, Gateway, Offerings, Accounts.
    pub beside: usize,
}

impl Writes {
    /// Those after `before`.
    pub const fn since(self, before: Self) -> Self {
        Self {
            own: self.own.saturating_sub(before.own),
            beside: self.beside.saturating_sub(before.beside),
        }
    }
}

/// What the simulator says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Sim {
    /// Address of the API.
    pub url: String,
    /// Address of the control port.
    pub control_url: String,
    /// Certificate of its authority.
    pub ca_pem: String,
    /// The service token.
    pub token: String,
}

/// Everything that runs.
pub struct Site {
    /// For reads and the people's writes.
    pub client: Client,
    /// The simulator.
    pub sim: Sim,
    /// UID of namespace kube-system: the hub's identity.
    pub hub_uid: String,
    /// Where logs, keys and data are.
    pub dir: PathBuf,
    kubeconfig: PathBuf,
    // Bound processes end when these go.
    _plane: ControlPlane,
    _sim: Process,
    _operator: Process,
}

/// Folder of the programs that are built together with this one.
///
/// # Errors
/// When the system can't say where this program is.
pub fn programs() -> Result<PathBuf> {
    let me = std::env::current_exe().context("failed to find this program")?;
    me.parent()
        .map(Path::to_path_buf)
        .context("this program has no folder")
}

impl Site {
    /// Starts everything, in order.
    ///
    /// # Errors
    /// The first part that does not start.
    pub async fn start(dir: &Path, lifetime: Lifetime, screen: &Screen) -> Result<Self, Failure> {
        let failed = |act| move |error| Failure::new(act, error, dir);
        let (plane, client) = start_plane(dir, lifetime, screen)
            .await
            .map_err(failed(Act::ControlPlane))?;
        let (process, sim) = start_sim(dir, lifetime, screen)
            .await
            .map_err(failed(Act::Proxmox))?;
        let hub_uid = hub_uid(&client).await.map_err(failed(Act::ControlPlane))?;
        let operator = start_operator(&plane, lifetime, screen)
            .await
            .map_err(failed(Act::Operator))?;
        Ok(Self {
            client,
            sim,
            hub_uid,
            dir: dir.to_path_buf(),
            kubeconfig: plane.kubeconfig_path(),
            _plane: plane,
            _sim: process,
            _operator: operator,
        })
    }

    /// How many writes to our kinds the operator has sent so far, by the API server's audit log.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn writes(&self) -> Result<Writes> {
        let all = audit::writes(&self.dir.join("audit.log"))?;
        let ours = all
            .iter()
            .filter(|write| write.group == GROUP && write.user_agent.starts_with(OPERATOR_AGENT));
        let (own, beside): (Vec<_>, Vec<_>) =
            ours.partition(|write| OF_A_CONTRACT.contains(&write.resource.as_str()));
        Ok(Writes {
            own: own.len(),
            beside: beside.len(),
        })
    }

    /// How to go on with a kept demo.
    pub fn tell_what_next(&self, screen: &Screen) {
        screen.line("The demo stays up. To look around:");
        screen.line(&format!("  export KUBECONFIG={}", self.kubeconfig.display()));
        if let Some(folder) = kubectl_folder() {
            screen.line(&format!(
                "  export PATH={}:$PATH    # for kubectl",
                folder.display()
            ));
        }
        screen.line(&format!(
            "  curl -s {}/vms    # what Proxmox holds",
            self.sim.control_url
        ));
        screen.line(
            "What to try next: kubectl get contracts -A · kubectl describe contract web -n tenant-alice ·",
        );
        screen.line("  kubectl delete contract web -n tenant-alice · docs/tutorials/first-contract.md · ./justw demo-down");
        screen.line(&format!(
            "No gateway runs here, so the contract waits for SSH to answer, for {PROVISIONING_LIMIT}. Logs: {}",
            self.dir.display()
        ));
    }
}

/// Folder of our kubectl, unless there is one already.
fn kubectl_folder() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).any(|folder| folder.join("kubectl").is_file());
    let ours = testkit::assets::Assets::find().ok()?.kubectl;
    (!found).then(|| ours.parent().map(Path::to_path_buf))?
}

async fn start_plane(dir: &Path, lifetime: Lifetime, screen: &Screen) -> Result<(ControlPlane, Client)> {
    screen.waiting("control plane: etcd, kube-apiserver, kube-controller-manager");
    let begun = Instant::now();
    let options = Options {
        dir: Some(dir.to_path_buf()),
        lifetime,
        audit_log: true,
        kinds: true,
    };
    let plane = ControlPlane::start(options).await?;
    let client = plane.client();
    let version = client
        .apiserver_version()
        .await
        .context("failed to ask the API server for its version")?;
    let seconds = begun.elapsed().as_secs_f32();
    let version = version.git_version.trim_start_matches('v').to_owned();
    screen.done(
        "control plane",
        &format!("kube-apiserver {version} ready in {seconds:.1} s"),
    );
    Ok((plane, client))
}

async fn start_sim(dir: &Path, lifetime: Lifetime, screen: &Screen) -> Result<(Process, Sim)> {
    screen.waiting("proxmox: the simulator starts");
    let ready = dir.join("pve-sim.json");
    let launch = Launch::new("pve-sim", program("pve-sim")?, dir)
        .args([
            "--nodes",
            NODES,
            "--clone-seconds",
            CLONE_SECONDS,
            "--full-clone-seconds",
            CLONE_SECONDS,
            "--dir",
        ])
        .arg(dir)
        .arg("--ready-file")
        .arg(&ready)
        .lifetime(lifetime)
        .ready(Ready::File(ready.clone()), DEADLINE);
    let process = Process::start(launch).await?;
    let text = fs::read(&ready).with_context(|| format!("failed to read {}", ready.display()))?;
    let sim =
        serde_json::from_slice(&text).with_context(|| format!("failed to decode {}", ready.display()))?;
    screen.done(
        "proxmox",
        &format!("pve-sim, {NODES} nodes, {CLONE_SECONDS} s clones"),
    );
    Ok((process, sim))
}

async fn start_operator(plane: &ControlPlane, lifetime: Lifetime, screen: &Screen) -> Result<Process> {
    screen.waiting("operator: starts and takes the lead");
    let begun = Instant::now();
    let client = plane.client();
    let system = manifests::parse(&format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {SYSTEM}}}}}"
    ))?;
    for namespace in &system {
        manifests::apply(&client, namespace).await?;
    }
    let launch = Launch::new("operator", program("operator")?, plane.dir())
        .args([
            "--admin-address",
            "127.0.0.1:0",
            "--replica",
            "demo",
            "--lease-namespace",
            SYSTEM,
        ])
        .args([
            "--allow-test-payment",
            "--allow-loopback-endpoints",
            "--provisioning-limit",
            PROVISIONING_LIMIT,
        ])
        .arg("--kubeconfig")
        .arg(plane.kubeconfig_path())
        .lifetime(lifetime);
    let mut process = Process::start(launch).await?;
    await_operator(&mut process).await?;
    screen.done(
        "operator",
        &format!("ready in {:.1} s", begun.elapsed().as_secs_f32()),
    );
    Ok(process)
}

/// Its admin port is known from its log only, since it takes any that is free.
async fn await_operator(process: &mut Process) -> Result<()> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .build()?;
    let log = process.log().to_path_buf();
    let ready = until("the operator answers /readyz", DEADLINE, || {
        let ended = process.exited();
        let (http, log) = (http.clone(), log.clone());
        async move {
            if let Some(status) = ended? {
                bail!("it ended with {status}");
            }
            let Some(address) = admin_address(&log) else {
                return Ok(None);
            };
            let answer = http.get(format!("http://{address}/readyz")).send().await;
            Ok(answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        }
    })
    .await;
    ready.with_context(|| log_tail(&log))
}

fn admin_address(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = lines.filter(|line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("admin port"))
    });
    said.filter_map(|line| line["address"].as_str().map(str::to_owned))
        .next_back()
}

fn program(name: &str) -> Result<PathBuf> {
    let path = programs()?.join(name);
    ensure!(
        path.is_file(),
        "{} is not built: run ./justw demo, which builds it",
        path.display()
    );
    Ok(path)
}

async fn hub_uid(client: &Client) -> Result<String> {
    let system = Api::<Namespace>::all(client.clone()).get("kube-system").await;
    system
        .context("failed to read namespace kube-system")?
        .uid()
        .context("namespace kube-system has no UID")
}
