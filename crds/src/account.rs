//! Account: somebody who may rent (and perhaps offer). Cluster-scoped; the market family makes its namespace.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::common::conditions;
use crate::text::{AccountName, Label, Line, PublicKeyHex};

/// Somebody who may rent machines, and perhaps offer them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "decent-cloud.org",
    version = "v1alpha1",
    kind = "Account",
    status = "AccountStatus",
    derive = "PartialEq",
    category = "decent",
    shortname = "acc",
    selectable = ".spec.namespace",
    printcolumn(name = "Namespace", type_ = "string", json_path = ".spec.namespace"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Contracts", type_ = "integer", json_path = ".status.contracts"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    doc = "Account is somebody who may rent machines, and perhaps offer them. Written by the market operator."
)]
pub struct AccountSpec {
    /// Ed25519 keys that may sign calls for this account; a key belongs to at most one account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["key".into()]))]
    pub public_keys: Vec<AccountKey>,
    /// Namespace in which this account's contracts live. Made, with its permissions and quota, by the market. Immutable.
    #[x_kube(
        validation = Rule::new("self == oldSelf").message("is immutable: make a new account for another namespace"),
        validation = Rule::new("!(self in ['default', 'kube-system', 'kube-public', 'kube-node-lease'])").message("must not be a namespace of Kubernetes itself")
    )]
    pub namespace: Label,
    /// Public name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<AccountName>,
    /// How to reach the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Line>,
    /// What this account may have at once.
    #[serde(default)]
    pub limits: AccountLimits,
    /// Set when this account also offers machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<AccountProvider>,
}

/// One key of an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountKey {
    /// The public key, in hex.
    pub key: PublicKeyHex,
    /// What the key is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Line>,
    /// When it was added, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Time>,
}

/// Limits of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountLimits {
    /// Contracts that may be alive at once.
    #[serde(default = "default_contracts")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 10000").message("must be 0 to 10000"))]
    pub contracts: i32,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            contracts: default_contracts(),
        }
    }
}

const fn default_contracts() -> i32 {
    10
}

/// Where an account offers machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountProvider {
    /// Namespace of the account's Provider, Offerings, Pools and Gateways; renting from it is free for this account.
    pub namespace: Label,
}

/// What the market found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountStatus {
    /// Generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Contracts alive now.
    #[serde(default)]
    pub contracts: i32,
    /// Conditions by type: Ready.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}
