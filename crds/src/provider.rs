//! Provider: how one namespace of machines is run. One object, named `provider`, in the provider's namespace.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::conditions;
use crate::text::{Line, ObjectName};

/// The only name a Provider may have.
pub const PROVIDER_NAME: &str = "provider";

/// How one namespace of machines is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "decent-cloud.org",
    version = "v1alpha1",
    kind = "Provider",
    namespaced,
    status = "ProviderStatus",
    derive = "PartialEq",
    category = "decent",
    shortname = "prov",
    printcolumn(name = "Display", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Location", type_ = "string", json_path = ".spec.location"),
    printcolumn(name = "Operator", type_ = "string", json_path = ".spec.operator"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name == 'provider'").message("metadata.name must be 'provider': a namespace has one Provider").field_path(".metadata.name"),
    doc = "Provider says how the machines of its namespace are run: who drives Proxmox, what is accepted without asking. Written by the provider."
)]
pub struct ProviderSpec {
    /// Name that tenants see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Line>,
    /// Region of the machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Line>,
    /// Who runs the provider family for this namespace; the other refuses to.
    #[serde(default)]
    pub operator: OperatorSite,
    /// Which contracts are accepted without asking.
    #[serde(default)]
    pub auto_accept: AutoAccept,
    /// How tenants reach the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Line>,
    /// No new contracts while true; machines that run are not touched.
    #[serde(default)]
    pub paused: bool,
}

/// Who runs the provider family of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OperatorSite {
    /// The market's operator; it holds the Proxmox token.
    #[default]
    Hub,
    /// The provider's own operator, beside its Proxmox.
    Own,
}

/// What is accepted without asking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoAccept {
    /// Off: each contract waits for the provider's decision.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Limits for single Offerings; an Offering without a rule is accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["offering".into()]))]
    pub rules: Vec<AutoAcceptRule>,
}

impl Default for AutoAccept {
    fn default() -> Self {
        Self {
            enabled: true,
            rules: Vec::new(),
        }
    }
}

const fn yes() -> bool {
    true
}

/// Bounds within which contracts for one Offering are accepted without asking.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.minHours) || !has(self.maxHours) || self.minHours <= self.maxHours").message("minHours must not be above maxHours"))]
pub struct AutoAcceptRule {
    /// Name of the Offering.
    pub offering: ObjectName,
    /// Shortest duration accepted, in hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 87600").message("must be 1 to 87600 hours"))]
    pub min_hours: Option<i32>,
    /// Longest duration accepted, in hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 87600").message("must be 1 to 87600 hours"))]
    pub max_hours: Option<i32>,
}

/// What the market sums up over the Pools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pools, and how many of them are Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<PoolCount>,
    /// Conditions by type: Ready.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// How many Pools there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolCount {
    /// All.
    pub total: i32,
    /// Ready ones.
    pub ready: i32,
}
