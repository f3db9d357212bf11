//! Offering: what a provider lets, at which price, to whom.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    common::{LocalRef, Resources, conditions},
    text::{Currency, Decimal, Line, ObjectName, Prose, UserName},
};

/// What a provider lets, at which price, to whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "decent-cloud.org",
    version = "v1alpha1",
    kind = "Offering",
    namespaced,
    status = "OfferingStatus",
    derive = "PartialEq",
    category = "decent",
    shortname = "off",
    printcolumn(name = "Price", type_ = "string", json_path = ".spec.price.monthly"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.price.currency"),
    printcolumn(name = "CPU", type_ = "integer", json_path = ".spec.resources.cpu"),
    printcolumn(name = "Memory", type_ = "string", json_path = ".spec.resources.memory"),
    printcolumn(name = "Disk", type_ = "string", json_path = ".spec.resources.disk"),
    printcolumn(
        name = "Visibility",
        type_ = "string",
        json_path = ".spec.visibility",
        priority = 1
    ),
    printcolumn(name = "Stock", type_ = "string", json_path = ".spec.stock", priority = 1),
    printcolumn(name = "Available", type_ = "integer", json_path = ".status.available"),
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
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    doc = "Offering is what a provider lets, at which price, to whom. Contracts carry a full copy: it may be deleted while they run. Written by the provider."
)]
pub struct OfferingSpec {
    /// Name that tenants see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Line>,
    /// What the machine is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Prose>,
    /// Who may see and rent it; to others it does not exist.
    #[serde(default)]
    pub visibility: Visibility,
    /// Account names or public keys (hex) that may see a Shared Offering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allow: Vec<ObjectName>,
    /// Whether it can be rented now.
    #[serde(default)]
    pub stock: Stock,
    /// Being written: nobody but the owner can rent it.
    #[serde(default)]
    pub draft: bool,
    /// The price.
    pub price: Price,
    /// What the machine is made of.
    pub resources: Resources,
    /// The image, by the name that the Pools give it.
    pub template: LocalRef,
    /// Pools of this namespace that may hold the machine.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub pools: Vec<ObjectName>,
    /// Durations that can be rented.
    #[serde(default)]
    pub hours: Hours,
    /// User that the SSH keys are given to.
    #[serde(default = "root")]
    pub user: UserName,
    /// What tenants look for: free words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub features: Vec<Line>,
}

fn root() -> UserName {
    UserName::from("root")
}

/// Who may see and rent an Offering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Visibility {
    /// Every account.
    Public,
    /// The owner and those in `allow`.
    Shared,
    /// The owner.
    #[default]
    Private,
}

/// Whether an Offering can be rented now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Stock {
    /// Yes.
    #[default]
    InStock,
    /// Not now: new contracts wait.
    OutOfStock,
    /// Never again; contracts that run go on.
    Discontinued,
}

/// What an Offering costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// For 720 hours, as an exact decimal; other durations in proportion, rounded down to 10⁻⁹.
    pub monthly: Decimal,
    /// Currency of the price.
    pub currency: Currency,
    /// Paid once. Refused unless 0, since nothing bills it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches(r'^0+([.]0+)?$')").message("must be 0: a setup fee is not billed yet"))]
    pub setup_fee: Option<Decimal>,
}

/// Durations that can be rented, in hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min must not be above max"))]
pub struct Hours {
    /// Shortest, in hours.
    #[serde(default = "hour")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 87600").message("must be 1 to 87600 hours"))]
    pub min: i32,
    /// Longest, in hours.
    #[serde(default = "year")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 87600").message("must be 1 to 87600 hours"))]
    pub max: i32,
}

impl Default for Hours {
    fn default() -> Self {
        Self {
            min: hour(),
            max: year(),
        }
    }
}

const fn hour() -> i32 {
    1
}

const fn year() -> i32 {
    8760
}

/// What the market found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferingStatus {
    /// Generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many more would fit now; follows within seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<i32>,
    /// Contracts for it that are alive.
    #[serde(default)]
    pub active_contracts: i32,
    /// Conditions by type: Ready.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}
