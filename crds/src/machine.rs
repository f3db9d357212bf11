//! Machine: the provider's half of a Contract, as a volume is to its claim. Holds all that the provider family reads.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    common::{LocalRef, PowerState, Resources, Waiting, conditions},
    text::{Label, ObjectName, SshKey, UidText, UserName},
};

/// Finalizer that keeps a Machine until its teardown is finished.
pub const FINALIZER: &str = "decent-cloud.org/machine";

/// The provider's half of a Contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "decent-cloud.org",
    version = "v1alpha1",
    kind = "Machine",
    namespaced,
    status = "MachineStatus",
    derive = "PartialEq",
    category = "decent",
    shortname = "mach",
    selectable = ".spec.contractRef.uid",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.contractRef.namespace"),
    printcolumn(name = "Contract", type_ = "string", json_path = ".spec.contractRef.name"),
    printcolumn(name = "Offering", type_ = "string", json_path = ".spec.offering.name"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".status.decision"),
    printcolumn(name = "Slot", type_ = "string", json_path = ".status.slot"),
    printcolumn(name = "VMID", type_ = "integer", json_path = ".status.vm.vmid"),
    printcolumn(name = "Power", type_ = "string", json_path = ".status.vm.power"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!has(oldSelf.status) || has(self.status)").message("a status is never taken away").field_path(".status"),
    doc = "Machine is the provider's half of a Contract. Written by the market; the provider only sets status.decision."
)]
#[x_kube(
    validation = Rule::new("!has(oldSelf.teardown) || (has(self.teardown) && self.teardown == oldSelf.teardown)").message("teardown is set once").field_path(".teardown"),
    validation = Rule::new("!oldSelf.admitted || self.admitted").message("admitted is never taken back: tear the Machine down instead").field_path(".admitted")
)]
pub struct MachineSpec {
    /// The Contract.
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable"))]
    pub contract_ref: ContractRef,
    /// Identity of the hub: the UID of its namespace kube-system.
    #[serde(rename = "hubUID")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("is immutable"))]
    pub hub_uid: UidText,
    /// Copy of what was rented.
    pub offering: OfferingCopy,
    /// Keys that may log in.
    #[schemars(length(min = 1, max = 8))]
    pub ssh_keys: Vec<SshKey>,
    /// Whether it is meant to run.
    #[serde(default)]
    pub power_state: PowerState,
    /// Accepted and paid. Before that nothing is done outside.
    #[serde(default)]
    pub admitted: bool,
    /// When the market gives up: before it is admitted, if it has not been accepted by then; later, if it has not been
    /// reached by then. For people; the market keeps the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision_by: Option<Time>,
    /// Why the machine is to be destroyed; the only cause of destruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teardown: Option<Teardown>,
}

/// Names one Contract, that very one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContractRef {
    /// Namespace of the Contract.
    pub namespace: Label,
    /// Name of the Contract.
    pub name: ObjectName,
    /// UID of the Contract.
    pub uid: UidText,
}

/// Copy of what was rented, as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferingCopy {
    /// Name of the Offering.
    pub name: ObjectName,
    /// What the machine is made of.
    pub resources: Resources,
    /// The image.
    pub template: LocalRef,
    /// Pools that may hold it.
    #[schemars(length(min = 1, max = 16))]
    pub pools: Vec<ObjectName>,
    /// User that the keys are given to.
    pub user: UserName,
    /// Whether the tenant is the provider itself.
    #[serde(default)]
    pub self_rental: bool,
}

/// Why, when and by whom a Machine is ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Teardown {
    /// The cause.
    pub cause: TeardownCause,
    /// When it was decided, RFC 3339.
    pub at: Time,
    /// Who decided it.
    #[schemars(length(max = 128))]
    pub by: String,
}

/// Causes that end a Machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TeardownCause {
    /// The tenant cancelled.
    Cancelled,
    /// The paid time, or the time to wait, is over.
    Expired,
    /// The Contract was deleted.
    Deleted,
    /// The provider said no.
    Rejected,
    /// It could not be provided.
    ProvisioningFailed,
    /// A dispute was lost.
    DisputeLost,
}

/// What became of a Machine. `decision` and `decisionMessage` are the provider's, the rest the provider family's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.decision) || (has(self.decision) && self.decision == oldSelf.decision)").message("a decision is made once").field_path(".decision"),
    validation = Rule::new("!has(oldSelf.ended) || (has(self.ended) && self.ended == oldSelf.ended)").message("ended is set once").field_path(".ended")
)]
pub struct MachineStatus {
    /// Generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The provider's answer, where one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What the provider says to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub decision_message: Option<String>,
    /// Name of the Slot that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub slot: Option<String>,
    /// Task of Proxmox that was under way when the last pass ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskRef>,
    /// The VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmStatus>,
    /// Why it does not go on right now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// The last thing that went wrong, until it goes right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// When each step was first reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["phase".into()]))]
    pub phase_times: Vec<PhaseTime>,
    /// Starts by us after it stopped by itself, lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub restarts: Vec<Time>,
    /// Set once the teardown is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Conditions by type: Ready, Scheduled, Provisioned; Reconciling and Stalled while true.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// The provider's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// Yes.
    Accepted,
    /// No.
    Rejected,
}

/// A task of Proxmox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRef {
    /// Its identifier.
    #[schemars(length(max = 256))]
    pub upid: String,
    /// What it does.
    pub kind: TaskKind,
    /// When it was started, RFC 3339.
    pub started_at: Time,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaskKind {
    /// Clones the template.
    Clone,
    /// Grows the disk.
    Resize,
    /// Starts the VM.
    Start,
    /// Asks the guest to shut down.
    Shutdown,
    /// Stops the VM.
    Stop,
    /// Destroys the VM.
    Destroy,
}

/// The VM as last seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmStatus {
    /// Its VMID.
    pub vmid: i32,
    /// Node that it was last seen on.
    #[schemars(length(max = 63))]
    pub node: String,
    /// Whether it runs.
    pub power: PowerState,
}

/// The last thing that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// Its class.
    #[schemars(length(max = 32))]
    pub class: String,
    /// The reason that conditions give for it.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Its text.
    #[schemars(length(max = 1024))]
    pub text: String,
}

/// When a step was first reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTime {
    /// The step.
    #[schemars(length(max = 32))]
    pub phase: String,
    /// When, RFC 3339.
    pub at: Time,
}

/// How a Machine ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// What was done.
    pub outcome: Outcome,
    /// When, RFC 3339.
    pub at: Time,
    /// Why it was abandoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// What was done about the VM at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// It was destroyed and is proven absent.
    Deleted,
    /// There never was one.
    NeverCreated,
    /// Nobody could prove absence; its Slot stays quarantined.
    Abandoned,
}
