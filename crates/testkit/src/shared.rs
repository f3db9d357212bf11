//! The one control plane that all tests of a run share. Owns how tests find it: `testbed run` says so in the
//! environment, and nothing else is ever taken, so that no test can reach a cluster that isn't ours.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::Client;
use kube::config::Kubeconfig;
use tokio::sync::OnceCell;

use crate::{kubeconfig, manifests};

/// Set by `testbed run`: the admin's kubeconfig.
pub const KUBECONFIG_VAR: &str = "TESTBED_KUBECONFIG";
/// Set by `testbed run`: the control plane's folder. It also marks all processes of a run.
pub const DIR_VAR: &str = "TESTBED_DIR";

/// The run's control plane, as a test sees it.
#[derive(Clone)]
pub struct Shared {
    /// A client with all rights.
    pub client: Client,
    /// The admin's kubeconfig as a file.
    pub kubeconfig_path: PathBuf,
    admin: Kubeconfig,
}

impl Shared {
    /// A kubeconfig with a token of a ServiceAccount.
    ///
    /// # Errors
    /// When the ServiceAccount doesn't exist.
    pub async fn kubeconfig_for(&self, ns: &str, name: &str) -> Result<Kubeconfig> {
        kubeconfig::for_service_account(&self.client, &self.admin, ns, name).await
    }

    /// The control plane's folder: logs, audit log.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.kubeconfig_path.parent()
    }
}

/// The run's control plane with our kinds installed.
///
/// # Errors
/// When the tests run outside of `testbed run`.
pub async fn shared() -> Result<Shared> {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let path = std::env::var_os(KUBECONFIG_VAR).map(PathBuf::from);
    let path =
        path.with_context(|| format!("{KUBECONFIG_VAR} isn't set: run the tests by `./justw test`"))?;
    let admin = Kubeconfig::read_from(&path).with_context(|| format!("failed to read {}", path.display()))?;
    // A client belongs to its test's runtime: each test builds its own.
    let client = kubeconfig::client(&admin).await?;
    INSTALLED.get_or_try_init(|| manifests::install(&client)).await?;
    Ok(Shared {
        client,
        kubeconfig_path: path,
        admin,
    })
}
