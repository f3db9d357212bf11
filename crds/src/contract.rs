//! Contract: what a tenant asks for and gets.

use domain::contract::State;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    common::{NamespacedRef, PowerState, Waiting, conditions},
    text::{Line, Prose, SshKey},
};

/// What a tenant asks for and gets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "decent-cloud.org",
    version = "v1alpha1",
    kind = "Contract",
    namespaced,
    status = "ContractStatus",
    derive = "PartialEq",
    category = "decent",
    shortname = "con",
    selectable = ".spec.offeringRef.namespace",
    selectable = ".spec.offeringRef.name",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.offeringRef.namespace"),
    printcolumn(name = "Offering", type_ = "string", json_path = ".spec.offeringRef.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Host", type_ = "string", json_path = ".status.connection.host"),
    printcolumn(name = "SSH", type_ = "integer", json_path = ".status.connection.sshPort"),
    printcolumn(name = "Ends", type_ = "string", json_path = ".status.endsAt"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new(domain::contract::cel_rule()).message("the state cannot go there from where it is").field_path(".status.state"),
    validation = Rule::new("!has(oldSelf.status) || has(self.status)").message("a status is never taken away").field_path(".status"),
    doc = "Contract rents one machine. Written by the tenant; `kubectl wait --for=condition=Ready` waits until SSH answers."
)]
#[x_kube(
    validation = Rule::new("!has(oldSelf.cancel) || (has(self.cancel) && self.cancel == oldSelf.cancel)").message("a cancellation is final").field_path(".cancel"),
    validation = Rule::new("!has(oldSelf.extendHours) || (has(self.extendHours) && size(self.extendHours) >= size(oldSelf.extendHours) && [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23].all(i, i >= size(oldSelf.extendHours) || self.extendHours[i] == oldSelf.extendHours[i]))").message("extensions are only added at the end").field_path(".extendHours")
)]
pub struct ContractSpec {
    /// What is rented. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: make a new Contract for another Offering"))]
    pub offering_ref: NamespacedRef,
    /// OpenSSH public keys that may log in; all current types.
    #[schemars(length(min = 1, max = 8))]
    pub ssh_keys: Vec<SshKey>,
    /// For how long, in hours, from the moment that the machine is first reached. Immutable; see extendHours.
    #[serde(default = "month")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 87600").message("must be 1 to 87600 hours"),
        validation = Rule::new("self == oldSelf").message("is immutable: add to extendHours instead")
    )]
    pub duration_hours: i32,
    /// Hours added later, one entry an extension; entries are never changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24), inner(range(min = 1, max = 87600)))]
    pub extend_hours: Vec<i32>,
    /// How it is paid. Immutable.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable"))]
    pub payment: Payment,
    /// Whether the machine is meant to run.
    #[serde(default)]
    pub power_state: PowerState,
    /// Operating system wished for; the Offering's template decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operating_system: Option<Line>,
    /// A note to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<Prose>,
    /// Set to end the Contract; cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
}

const fn month() -> i32 {
    720
}

/// How a Contract is paid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The method.
    #[serde(default)]
    pub method: PaymentMethod,
}

/// Ways to pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PaymentMethod {
    /// Nothing is paid: for what costs nothing, such as one's own machines.
    #[default]
    Free,
    /// Nothing is paid, whatever the price: only where the market allows it.
    Test,
}

/// A cancellation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
}

impl Contract {
    /// Where it is in its life; one that says nothing yet is requested.
    #[must_use]
    pub fn state(&self) -> State {
        self.status
            .as_ref()
            .map_or(State::Requested, |status| status.state)
    }
}

/// What became of a Contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.price) || (has(self.price) && self.price == oldSelf.price)").message("a price is fixed once").field_path(".price"),
    validation = Rule::new("!has(oldSelf.id) || (has(self.id) && self.id == oldSelf.id)").message("the id is fixed").field_path(".id"),
    validation = Rule::new("!has(oldSelf.startsAt) || (has(self.startsAt) && self.startsAt == oldSelf.startsAt)").message("the paid period starts once").field_path(".startsAt")
)]
pub struct ContractStatus {
    /// Generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the Contract is in its life.
    #[serde(default)]
    pub state: State,
    /// Its id on the wire: 64 hex digits, derived from the UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub id: Option<String>,
    /// What it costs, fixed when it was first looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<ContractPrice>,
    /// Start of the paid period: the first proof that the machine can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Time>,
    /// End of the paid period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// The provider's half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_ref: Option<NamespacedRef>,
    /// How to connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// Why it does not go on right now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Conditions by type: Accepted, Paid, Scheduled, Provisioned, Reachable, Ready; Reconciling and Stalled while true.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// What a Contract costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContractPrice {
    /// For the whole duration, in 10⁻⁹ of the currency.
    #[serde(rename = "amountE9s")]
    pub amount_e9s: i64,
    /// The currency.
    #[schemars(length(max = 3))]
    pub currency: String,
}

/// How to connect to a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Name of the machine.
    #[schemars(length(max = 253))]
    pub host: String,
    /// Port of SSH at that name.
    pub ssh_port: i32,
    /// User to log in as.
    #[schemars(length(max = 32))]
    pub user: String,
    /// Further ports at that name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9))]
    pub ports: Vec<ForwardedPort>,
    /// Address of its web server.
    #[schemars(length(max = 300))]
    pub url: String,
    /// Lines for `known_hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16384))]
    pub known_hosts: Option<String>,
}

/// A port forwarded to the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardedPort {
    /// Public port.
    pub public: i32,
    /// Port on the machine.
    pub internal: i32,
    /// Protocol.
    pub protocol: Protocol,
}

/// Protocol of a forwarded port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}
