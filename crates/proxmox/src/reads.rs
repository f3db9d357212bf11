//! Reads of a cluster: what there is, what we may do, how a guest stands.
//!
//! Reads change nothing and may be repeated. Lists show only what the token may see.

use std::collections::BTreeMap;

use domain::ids::{NodeName, StorageName, Vmid};
use domain::pve::Class;
use proxmox_api::client::Client;
use proxmox_api::nodes::NodesClient;
use proxmox_api::version::VersionClient;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Config, ConfigError, Fingerprint};
use crate::error::Error;
use crate::rows::{ClusterStatus, PoolView, PowerStatus, RawPool, Resources};
use crate::tolerant::Row;
use crate::transport::Transport;

/// A client of one Proxmox cluster. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Pve {
    pub(crate) transport: Transport,
}

/// What Proxmox says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Such as `9.2.11`.
    pub version: String,
    /// Such as `9.2`.
    pub release: String,
}

/// Privileges by path, and whether they hold below it as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions(pub BTreeMap<String, BTreeMap<String, bool>>);

impl Permissions {
    /// Whether exactly this path lists the privilege.
    #[must_use]
    pub fn has(&self, path: &str, privilege: &str) -> bool {
        self.0.get(path).is_some_and(|held| held.contains_key(privilege))
    }
}

/// A guest's configuration, every value as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VmConfig {
    /// The hash of the content, to be given back with a change.
    pub digest: String,
    /// All keys but the digest.
    pub values: BTreeMap<String, String>,
}

impl VmConfig {
    /// A value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// What people and we wrote about it.
    #[must_use]
    pub fn description(&self) -> &str {
        self.get("description").unwrap_or_default()
    }
}

/// How a guest stands right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmCurrent {
    /// Whether it runs.
    pub status: PowerStatus,
    /// The configuration's lock.
    pub lock: Option<String>,
    /// Whether it is a template.
    pub template: bool,
    /// Its name.
    pub name: Option<String>,
    /// Seconds since its start; 0 if it does not run.
    pub uptime: u64,
}

/// A storage on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageStatus {
    /// Whether it works.
    pub active: bool,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether all nodes see the same content.
    pub shared: bool,
    /// What kind of storage.
    pub kind: Option<String>,
    /// What it may hold.
    pub content: Vec<String>,
    /// Size in bytes.
    pub total: Option<u64>,
    /// Bytes in use.
    pub used: Option<u64>,
    /// Bytes free.
    pub avail: Option<u64>,
}

impl Pve {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            transport: Transport::new(config)?,
        })
    }

    pub(crate) fn nodes(&self) -> NodesClient<&Transport> {
        NodesClient::new(&self.transport)
    }

    /// A list or object by its path; a missing one is empty.
    pub(crate) async fn read<R: DeserializeOwned + Default, Q: Serialize>(
        &self,
        path: &str,
        query: &Q,
        act: impl FnOnce() -> String,
    ) -> Result<R, Error> {
        let answer: Result<Option<R>, _> = self.transport.get(path, query).await;
        answer
            .map(Option::unwrap_or_default)
            .map_err(|failure| Error::during(failure, act()))
    }

    /// The certificate that the endpoint in use presented last, trusted or not.
    #[must_use]
    pub fn tls_fingerprint(&self) -> Option<Fingerprint> {
        self.transport.presented()
    }

    /// What Proxmox says of itself; needs no privilege.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn version(&self) -> Result<Version, Error> {
        let version = VersionClient::new(&self.transport).get().await;
        let version =
            version.map_err(|failure| Error::during(failure, "read the version of Proxmox".to_owned()))?;
        Ok(Version {
            version: version.version,
            release: version.release,
        })
    }

    /// Every privilege that the token holds.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn permissions(&self) -> Result<Permissions, Error> {
        let rows: BTreeMap<String, Row> = self
            .read("/access/permissions", &(), || {
                "read the token's privileges".to_owned()
            })
            .await?;
        let held = |row: Row| {
            row.into_texts()
                .into_iter()
                .map(|(name, flag)| (name, flag != "0"))
                .collect()
        };
        Ok(Permissions(
            rows.into_iter().map(|(path, row)| (path, held(row))).collect(),
        ))
    }

    /// Quorum and nodes; needs Sys.Audit on /.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, Error> {
        let rows: Vec<Row> = self
            .read("/cluster/status", &(), || "read the cluster's status".to_owned())
            .await?;
        Ok(ClusterStatus::read(&rows))
    }

    /// Guests, nodes and storages that the token may see.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn resources(&self) -> Result<Resources, Error> {
        let rows = self
            .read("/cluster/resources", &(), || {
                "list the cluster's resources".to_owned()
            })
            .await?;
        Ok(Resources::read(rows))
    }

    /// Whether the datacenter's firewall is on; needs Sys.Audit on /.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn firewall_enabled(&self) -> Result<bool, Error> {
        let act = || "read the datacenter's firewall options".to_owned();
        let row: Row = self.read("/cluster/firewall/options", &(), act).await?;
        Ok(row.flag("enable"))
    }

    /// Whether no guest of the cluster has this VMID, whatever the token may see.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn vmid_free(&self, vmid: Vmid) -> Result<bool, Error> {
        let query = BTreeMap::from([("vmid", vmid.get())]);
        let answer: Result<serde::de::IgnoredAny, _> = self.transport.get("/cluster/nextid", &query).await;
        match answer.map_err(|failure| Error::during(failure, format!("ask whether VMID {vmid} is free"))) {
            Ok(_) => Ok(true),
            Err(error) if error.class() == Class::LostRace => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A guest's configuration on this node.
    ///
    /// # Errors
    /// [`Class::Gone`] if it is not on this node and we may know; [`Class::Denied`] also if it is absent and we may not.
    pub async fn vm_config(&self, node: &NodeName, vmid: Vmid) -> Result<VmConfig, Error> {
        let act = || format!("read the configuration of VM {vmid} on {node}");
        let row: Row = self
            .read(&format!("/nodes/{node}/qemu/{vmid}/config"), &(), act)
            .await?;
        let mut values = row.into_texts();
        let digest = values.remove("digest").unwrap_or_default();
        Ok(VmConfig { digest, values })
    }

    /// How a guest stands on this node.
    ///
    /// # Errors
    /// As for [`Pve::vm_config`].
    pub async fn vm_current(&self, node: &NodeName, vmid: Vmid) -> Result<VmCurrent, Error> {
        let act = || format!("read the status of VM {vmid} on {node}");
        let row: Row = self
            .read(&format!("/nodes/{node}/qemu/{vmid}/status/current"), &(), act)
            .await?;
        Ok(VmCurrent {
            status: PowerStatus::read(row.text("status").as_deref()),
            lock: row.text("lock"),
            template: row.flag("template"),
            name: row.text("name"),
            uptime: row.whole("uptime").unwrap_or_default(),
        })
    }

    /// A storage on this node.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn storage_status(
        &self,
        node: &NodeName,
        storage: &StorageName,
    ) -> Result<StorageStatus, Error> {
        let act = || format!("read the status of storage {storage} on {node}");
        let row: Row = self
            .read(&format!("/nodes/{node}/storage/{storage}/status"), &(), act)
            .await?;
        let content = row.text("content").unwrap_or_default();
        Ok(StorageStatus {
            active: row.flag("active"),
            enabled: row.flag("enabled"),
            shared: row.flag("shared"),
            kind: row.text("type"),
            content: content
                .split(',')
                .filter(|kind| !kind.is_empty())
                .map(str::to_owned)
                .collect(),
            total: row.whole("total"),
            used: row.whole("used"),
            avail: row.whole("avail"),
        })
    }

    /// A Proxmox pool with its guests; nothing if Proxmox shows none of that name.
    ///
    /// # Errors
    /// If there is no usable answer, or the pool does not exist ([`Class::Provider`]).
    pub async fn pool(&self, poolid: &str) -> Result<Option<PoolView>, Error> {
        let query = BTreeMap::from([("poolid", poolid)]);
        let pools: Vec<RawPool> = self
            .read("/pools", &query, || format!("read the pool {poolid}"))
            .await?;
        Ok(pools
            .into_iter()
            .map(PoolView::from)
            .find(|pool| pool.poolid == poolid))
    }
}
