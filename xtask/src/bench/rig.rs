//! The running system of one measure: control plane, simulator, operator, the stand-in of a gateway's agent, and a
//! market with one provider and one tenant on it. Each measure has its own, so that none disturbs another.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::api::DynamicObject;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use testkit::agent::Agent;
use testkit::wait::until;
use testkit::{ControlPlane, Launch, Options, Process, Ready, manifests};
use tokio::task::JoinSet;

use super::contracts::Contracts;
use super::objects::{self, GATEWAY, PROVIDER};
use super::sim::{Cluster, Sim};

const DEADLINE: Duration = Duration::from_mins(1);
/// How our processes call themselves, as the audit log shows it.
pub const OURS: [&str; 2] = ["decent-operator", "decent-agent"];

/// Everything that runs during one measure.
pub struct Rig {
    /// The contracts of the tenant.
    pub contracts: Contracts,
    /// The simulated Proxmox.
    pub sim: Sim,
    operator: Process,
    plane: ControlPlane,
    agent: JoinSet<Result<()>>,
}

impl Rig {
    /// Starts all of it and waits until the Offering can be rented.
    ///
    /// # Errors
    /// When a part does not start or the market does not become ready.
    pub async fn start(cluster: &Cluster, audit_log: bool) -> Result<Self> {
        let mut plane = ControlPlane::start(Options {
            audit_log,
            kinds: true,
            ..Options::default()
        })
        .await?;
        match Self::on(&plane, cluster).await {
            Ok((contracts, sim, operator, agent)) => Ok(Self {
                contracts,
                sim,
                operator,
                plane,
                agent,
            }),
            Err(error) => {
                plane.keep_folder();
                Err(error.context(format!("logs are in {}", plane.dir().display())))
            }
        }
    }

    async fn on(
        plane: &ControlPlane,
        cluster: &Cluster,
    ) -> Result<(Contracts, Sim, Process, JoinSet<Result<()>>)> {
        let tenant = client(plane.kubeconfig(), "bench").await?;
        apply(&tenant, &objects::system()).await?;
        let sim = Sim::start(program("pve-sim")?, plane.dir(), cluster).await?;
        let operator = operator("operator", plane).await?;
        for account in objects::accounts() {
            apply(&tenant, &account).await?;
            ready(&tenant, &account).await?;
        }
        let site = objects::site(&sim.facts);
        for object in &site {
            apply(&tenant, object).await?;
        }
        let agent = Agent {
            client: client(plane.kubeconfig(), "decent-agent").await?,
            namespace: PROVIDER.to_owned(),
            gateway: GATEWAY.to_owned(),
            sim_control: sim.facts.control_url.clone(),
        };
        let mut agents = JoinSet::new();
        agents.spawn(agent.run());
        for object in site
            .iter()
            .filter(|object| object["kind"] == "Pool" || object["kind"] == "Offering")
        {
            ready(&tenant, object).await?;
        }
        Ok((Contracts::new(tenant), sim, operator, agents))
    }

    /// The audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.plane.audit_log()
    }

    /// The operator's process id.
    pub fn operator_pid(&self) -> u32 {
        self.operator.pid()
    }

    /// Ends the operator and starts another.
    ///
    /// # Errors
    /// When it does not end or start.
    pub async fn restart_operator(&mut self) -> Result<()> {
        self.operator.stop(DEADLINE).await?;
        self.operator = operator("operator-again", &self.plane).await?;
        Ok(())
    }

    /// Fails when a part ended though it should run.
    ///
    /// # Errors
    /// The part that ended.
    pub fn alive(&mut self) -> Result<()> {
        if let Some(status) = self.operator.exited()? {
            bail!(
                "the operator ended with {status}: {}",
                self.operator.log().display()
            );
        }
        match self.agent.try_join_next() {
            Some(ended) => bail!("the agent's stand-in ended: {ended:?}"),
            None => Ok(()),
        }
    }

    /// Ends all of it; a measure that failed leaves the logs.
    ///
    /// # Errors
    /// The failure of the measure, or a part that does not end.
    pub async fn end<T>(mut self, measured: Result<T>) -> Result<T> {
        let alive = self.alive();
        let measured = match (measured, alive) {
            (Ok(_), Err(error)) => Err(error),
            (measured, _) => measured,
        };
        self.agent.shutdown().await;
        self.operator.kill()?;
        if measured.is_err() {
            self.plane.keep_folder();
        }
        let dir = self.plane.dir().to_path_buf();
        self.plane.stop().await?;
        measured.with_context(|| format!("logs are in {}", dir.display()))
    }
}

/// A program that was built beside this one.
///
/// # Errors
/// When it is not there.
pub fn program(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe().context("failed to find this program")?;
    let mut folders = me.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    folders
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built beside {}", me.display()))
}

/// Production's intervals; only what a simulator on loopback needs is switched on.
async fn operator(name: &str, plane: &ControlPlane) -> Result<Process> {
    let free = TcpListener::bind("127.0.0.1:0").context("failed to find a free port")?;
    let admin = free.local_addr().context("failed to read a port")?;
    drop(free);
    let launch = Launch::new(name, program("operator")?, plane.dir())
        .arg("--kubeconfig")
        .arg(plane.kubeconfig_path())
        .args(["--admin-address", &admin.to_string(), "--replica", "bench"])
        .args(["--allow-loopback-endpoints", "--allow-test-payment"])
        .ready(Ready::Http(format!("http://{admin}/readyz")), DEADLINE);
    Process::start(launch).await
}

async fn client(kubeconfig: &Kubeconfig, name: &'static str) -> Result<Client> {
    testkit::kubeconfig::install_tls();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await;
    let mut config = config.context("failed to read the kubeconfig")?;
    config.headers.push((USER_AGENT, HeaderValue::from_static(name)));
    Client::try_from(config).context("failed to build a client")
}

fn object(manifest: &Value) -> Result<DynamicObject> {
    serde_json::from_value(manifest.clone()).context("failed to build an object")
}

/// The market gives a provider its namespace in its own time: a refusal for want of it is tried again.
async fn apply(client: &Client, manifest: &Value) -> Result<()> {
    manifests::apply(client, &object(manifest)?).await.map(drop)
}

async fn ready(client: &Client, manifest: &Value) -> Result<()> {
    let wanted = object(manifest)?;
    let api = manifests::api_for(client, &wanted).await?;
    let name = wanted.metadata.name.clone().unwrap_or_default();
    let what = format!("{} {name} is Ready", manifest["kind"]);
    until(&what, DEADLINE, || async {
        let found = api.get(&name).await.context("failed to read an object")?;
        let conditions = found.data["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        Ok(conditions
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
            .then_some(()))
    })
    .await
}
