//! Pool: one Proxmox cluster (or a part of it) that holds machines, and what may be used of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    common::{LocalRef, conditions},
    text::{Digest, Fingerprint, Line, NodeId, ObjectName, Pem, ProxmoxUrl, PveId, Ratio, SizeOrZero},
};

/// One Proxmox cluster that holds machines, and what may be used of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "decent-cloud.org",
    version = "v1alpha1",
    kind = "Pool",
    namespaced,
    status = "PoolStatus",
    derive = "PartialEq",
    category = "decent",
    printcolumn(name = "Gateway", type_ = "string", json_path = ".spec.gatewayRef.name"),
    printcolumn(name = "Storage", type_ = "string", json_path = ".spec.storage"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!(has(oldSelf.status) && has(oldSelf.status.slotsInUse) && oldSelf.status.slotsInUse) || self.spec.vmidBase == oldSelf.spec.vmidBase").message("spec.vmidBase is immutable while Slots name this Pool").field_path(".spec.vmidBase"),
    validation = Rule::new("!(has(oldSelf.status) && has(oldSelf.status.slotsInUse) && oldSelf.status.slotsInUse) || self.spec.gatewayRef == oldSelf.spec.gatewayRef").message("spec.gatewayRef is immutable while Slots name this Pool").field_path(".spec.gatewayRef"),
    validation = Rule::new("!(has(oldSelf.status) && has(oldSelf.status.slotsInUse) && oldSelf.status.slotsInUse) || self.spec.proxmox.pool == oldSelf.spec.proxmox.pool").message("spec.proxmox.pool is immutable while Slots name this Pool").field_path(".spec.proxmox.pool"),
    validation = Rule::new("!has(oldSelf.status) || has(self.status)").message("a status is never taken away").field_path(".status"),
    doc = "Pool is one Proxmox cluster that holds machines, and what may be used of it. Written by the provider."
)]
pub struct PoolSpec {
    /// How to reach Proxmox, and what fences our writes there.
    pub proxmox: Proxmox,
    /// Nodes that may hold machines.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub nodes: Vec<PoolNode>,
    /// Storage for boot disks, where a node names no other.
    pub storage: PveId,
    /// How disks are made from templates.
    #[serde(default)]
    pub clone_mode: CloneMode,
    /// Images by name, and where their templates are.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub templates: Vec<Template>,
    /// Bridge that the machines are attached to.
    pub bridge: PveId,
    /// VLAN tag on that bridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 4094").message("must be 1 to 4094"))]
    pub vlan: Option<i32>,
    /// A machine's VMID is this plus its Slot's index. Keep the range free of other VMs.
    #[x_kube(validation = Rule::new("self >= 100 && self <= 999900000").message("must be 100 to 999900000"))]
    pub vmid_base: i32,
    /// Gateway of this namespace that the machines are reached through.
    pub gateway_ref: LocalRef,
    /// Who keeps neighbours on the bridge apart.
    #[serde(default)]
    pub network_isolation: NetworkIsolation,
    /// Kept free on each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Reserve>,
    /// How much more may be let than a node has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overcommit: Option<Overcommit>,
    /// Bounds on what we ask of Proxmox at once.
    #[serde(default)]
    pub limits: PoolLimits,
}

/// How to reach a Proxmox cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.caBundle) != has(self.fingerprint)").message("exactly one of caBundle and fingerprint must be set: TLS is always verified"))]
pub struct Proxmox {
    /// Addresses of the API, any node of the cluster; tried in order.
    #[schemars(length(min = 1, max = 8))]
    pub endpoints: Vec<ProxmoxUrl>,
    /// Secret of this namespace with key `token`: `USER@REALM!ID=SECRET`.
    pub token_secret_ref: LocalRef,
    /// Certificates that sign the API's own, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<Pem>,
    /// SHA-256 fingerprint of the API's certificate, as Proxmox shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Proxmox pool that our VMs are put into; it fences what our token may write.
    pub pool: PveId,
}

/// A node of the Proxmox cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolNode {
    /// Name of the node in Proxmox.
    pub name: NodeId,
    /// Takes no new machines while true.
    #[serde(default)]
    pub cordoned: bool,
    /// Storage for boot disks on this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<PveId>,
}

/// How a disk is made from a template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CloneMode {
    /// Linked where the storage can, else full.
    #[default]
    Auto,
    /// Shares unchanged blocks with the template: fast.
    Linked,
    /// A copy of its own.
    Full,
}

/// An image and where its templates are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Name that Offerings use.
    pub name: ObjectName,
    /// The template's VMID on each node.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["node".into()]))]
    pub vmids: Vec<TemplateVmid>,
    /// Digest of the image that the templates were made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// A template on one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVmid {
    /// Node that holds the template.
    pub node: NodeId,
    /// Its VMID there.
    #[x_kube(validation = Rule::new("self >= 100 && self <= 999999999").message("must be 100 to 999999999"))]
    pub vmid: i32,
}

/// Who keeps neighbours on the bridge apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkIsolation {
    /// The Proxmox firewall; it must be on.
    #[default]
    Proxmox,
    /// The provider states that the network does it otherwise.
    External,
}

/// Kept free on each node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reserve {
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 1024").message("must be 0 to 1024 processors"))]
    pub cpu: Option<i32>,
    /// Memory, as a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<SizeOrZero>,
    /// Disk on each storage, as a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<SizeOrZero>,
}

/// How much more may be let than a node has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overcommit {
    /// Virtual processors for one of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Ratio>,
}

/// Bounds on what we ask of Proxmox at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolLimits {
    /// Clones under way on one node.
    #[serde(default = "two")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 16").message("must be 1 to 16"))]
    pub clones_per_node: i32,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            clones_per_node: two(),
        }
    }
}

const fn two() -> i32 {
    2
}

/// What the provider family found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(oldSelf.slotsInUse) && oldSelf.slotsInUse) || has(self.slotsInUse)").message("slotsInUse is changed on purpose only"))]
pub struct PoolStatus {
    /// Generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Version of Proxmox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// The cluster that answers. While Slots name this Pool it stays: another cluster is never taken for theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterIdentity>,
    /// Slots name this Pool: some of its fields are immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots_in_use: Option<bool>,
    /// What each node has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub nodes: Vec<NodeStatus>,
    /// Stamped VMs that no Slot claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub orphans: Vec<Line>,
    /// SHA-256 fingerprint of the certificate that the API shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 95))]
    pub fingerprint: Option<String>,
    /// Conditions by type: Ready.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// By what a Proxmox cluster is told from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterIdentity {
    /// The cluster's name; a single node has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub name: Option<String>,
    /// The address of a single node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub address: Option<String>,
    /// Its nodes.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub nodes: Vec<Line>,
}

/// What a node has. Sizes as quantities; all from our own ledger, but `online`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Name of the node.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Whether the cluster sees it.
    pub online: bool,
    /// Processors that may still be let.
    pub free_cpu: i32,
    /// Memory that may still be let.
    #[schemars(length(max = 32))]
    pub free_memory: String,
    /// Disk that may still be let.
    #[schemars(length(max = 32))]
    pub free_disk: String,
    /// Machines placed here.
    pub machines: i32,
}
