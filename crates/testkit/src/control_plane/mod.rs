//! A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager.
//!
//! Owns its certificates, ports, processes and admin kubeconfig, all under one private folder. Must not know our
//! kinds ([`crate::manifests`] installs them).

pub mod audit;
mod certs;
mod flags;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::Kubeconfig;
use kube::{Api, Client};
use tempfile::TempDir;

use crate::assets::Assets;
use crate::kubeconfig;
use crate::manifests;
use crate::process::{self, GRACE, Launch, Lifetime, Process, Ready, Record, log_tail};
use crate::wait::until;
use certs::Pki;

/// Sockets have short names in every Unix.
const LONGEST_SOCKET: usize = 100;
const DEADLINE: Duration = Duration::from_secs(90);
/// How often a port may turn out to be taken before we give up.
const PORT_TRIES: usize = 5;

/// What control plane is wanted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it lives; a folder that goes away with it when not given.
    pub dir: Option<PathBuf>,
    /// Whether it ends with us.
    pub lifetime: Lifetime,
    /// Whether writes are logged ([`audit::writes`]).
    pub audit_log: bool,
    /// Whether our kinds and policies are installed.
    pub kinds: bool,
}

/// A running control plane.
pub struct ControlPlane {
    // Ended in this order: each is a client of the next.
    controller_manager: Process,
    api_server: Process,
    etcd: Process,
    admin: Kubeconfig,
    client: Client,
    dir: PathBuf,
    temporary: Option<TempDir>,
}

/// Folder, socket and keys: what all three programs share.
struct Site {
    dir: PathBuf,
    socket: PathBuf,
    pki: Pki,
    options: Options,
    assets: Assets,
}

impl ControlPlane {
    /// Starts it and waits until it serves and its controllers work.
    ///
    /// # Errors
    /// When a program is missing, ends early or isn't ready in time; the text ends with its log's last lines.
    pub async fn start(options: Options) -> Result<Self> {
        let assets = Assets::find()?;
        let (dir, temporary) = folder(&options)?;
        let socket = dir.join("etcd.sock");
        let length = socket.as_os_str().len();
        ensure!(
            length <= LONGEST_SOCKET,
            "{} is too long for a socket: choose a shorter folder",
            dir.display()
        );
        let site = Site {
            pki: Pki::create(&dir)?,
            socket,
            dir,
            options,
            assets,
        };
        let etcd = site.start_etcd().await?;
        let (api_server, admin, client) = site.start_api_server().await?;
        if site.options.kinds {
            manifests::define(&client).await?;
        }
        let controller_manager = site.start_controller_manager(&admin, &client).await?;
        if site.options.kinds {
            manifests::install(&client).await?;
        }
        Ok(Self {
            controller_manager,
            api_server,
            etcd,
            admin,
            client,
            dir: site.dir,
            temporary,
        })
    }

    /// A client with all rights.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The admin's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.admin
    }

    /// The admin's kubeconfig as a file.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// A kubeconfig with a token of a ServiceAccount.
    ///
    /// # Errors
    /// When the ServiceAccount doesn't exist.
    pub async fn kubeconfig_for(&self, ns: &str, name: &str) -> Result<Kubeconfig> {
        kubeconfig::for_service_account(&self.client, &self.admin, ns, name).await
    }

    /// Folder with logs, keys and data.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The audit log, where one was asked for.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// Ends it in order and waits until it is gone.
    ///
    /// # Errors
    /// When a signal can't be sent.
    pub async fn stop(mut self) -> Result<()> {
        for part in [&mut self.controller_manager, &mut self.api_server, &mut self.etcd] {
            part.stop(GRACE).await?;
        }
        Ok(())
    }

    /// Keeps a temporary folder (logs) beyond our end.
    pub fn keep_folder(&mut self) {
        if let Some(dir) = &mut self.temporary {
            dir.disable_cleanup(true);
        }
    }
}

/// Ends whatever is recorded in `dir`: a kept control plane and what was started beside it.
///
/// # Errors
/// When the folder can't be read or a signal can't be sent.
pub async fn stop_kept(dir: &Path) -> Result<Vec<Record>> {
    process::stop_all(dir, GRACE).await
}

impl Site {
    async fn start_etcd(&self) -> Result<Process> {
        let ready = Ready::Socket(self.socket.clone());
        Process::start(
            self.launch("etcd", &self.assets.etcd)
                .args(flags::etcd(&self.dir, &self.socket))
                .ready(ready, DEADLINE),
        )
        .await
    }

    /// A free port can be taken by somebody else before the server binds it: then the next one is tried.
    async fn start_api_server(&self) -> Result<(Process, Kubeconfig, Client)> {
        if self.options.audit_log {
            kubeconfig::write_private(&self.dir.join("audit-policy.json"), audit::POLICY)?;
        }
        let credential = self.pki.client("admin", &["system:masters"])?;
        let mut tries = 0;
        loop {
            tries += 1;
            let port = free_port()?;
            let server = format!("https://127.0.0.1:{port}");
            let admin = kubeconfig::build(&server, &self.pki.ca_pem, "admin", &credential)?;
            let client = kubeconfig::client(&admin).await?;
            let flags = flags::api_server(&self.dir, &self.socket, port, &self.pki, self.options.audit_log);
            let mut process =
                Process::start(self.launch("kube-apiserver", &self.assets.api_server).args(flags)).await?;
            match self.await_api_server(&mut process, &client).await {
                Ok(()) => {
                    kubeconfig::write(&admin, &self.dir.join("kubeconfig"))?;
                    return Ok((process, admin, client));
                }
                Err(error) => {
                    process.kill()?;
                    let log = log_tail(process.log());
                    let taken = log.contains("address already in use");
                    ensure!(
                        taken && tries < PORT_TRIES,
                        "kube-apiserver did not become ready: {error:#}\n{log}"
                    );
                }
            }
        }
    }

    async fn await_api_server(&self, process: &mut Process, client: &Client) -> Result<()> {
        until("kube-apiserver answers /readyz", DEADLINE, || {
            let alive = process::still_running(process);
            async move {
                alive?;
                let request = http_get("/readyz")?;
                let asked = tokio::time::timeout(Duration::from_secs(2), client.request_text(request)).await;
                Ok(matches!(asked, Ok(Ok(_))).then_some(()))
            }
        })
        .await
    }

    async fn start_controller_manager(&self, admin: &Kubeconfig, client: &Client) -> Result<Process> {
        let path = self.dir.join("controller-manager.kubeconfig");
        kubeconfig::write(admin, &path)?;
        let program = &self.assets.controller_manager;
        let launch = self
            .launch("kube-controller-manager", program)
            .args(flags::controller_manager(&path, &self.pki));
        let mut process = Process::start(launch).await?;
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
        let works = until(
            "the controller manager has made its first ServiceAccount",
            DEADLINE,
            || {
                let alive = process::still_running(&mut process);
                let accounts = accounts.clone();
                async move {
                    alive?;
                    accounts
                        .get_opt("default")
                        .await
                        .map(|found| found.map(drop))
                        .context("failed to read a ServiceAccount")
                }
            },
        )
        .await;
        match works {
            Ok(()) => Ok(process),
            Err(error) => Err(anyhow!(
                "kube-controller-manager does not work: {error:#}\n{}",
                log_tail(process.log())
            )),
        }
    }

    fn launch(&self, name: &str, program: &Path) -> Launch {
        Launch::new(name, program, &self.dir).lifetime(self.options.lifetime)
    }
}

/// The folder, private and without the data of an earlier control plane.
fn folder(options: &Options) -> Result<(PathBuf, Option<TempDir>)> {
    let Some(dir) = &options.dir else {
        let dir = tempfile::Builder::new()
            .prefix("testbed-")
            .tempdir()
            .context("failed to create a folder")?;
        return Ok((dir.path().to_path_buf(), Some(dir)));
    };
    fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .context("failed to make the folder private")?;
    let dir = dir.canonicalize().context("failed to resolve the folder")?;
    let running = process::running(&dir)?;
    ensure!(
        running.is_empty(),
        "{} holds running processes ({}): end them first",
        dir.display(),
        running.join(", ")
    );
    fs::remove_dir_all(dir.join("etcd")).ok();
    fs::remove_file(dir.join("audit.log")).ok();
    Ok((dir, None))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("failed to find a free port")?;
    Ok(listener.local_addr().context("failed to read a port")?.port())
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    http::Request::get(path)
        .body(Vec::new())
        .context("failed to build a request")
}
