//! Slot: one claim on a gateway's index, and the written intent to make one VM. Created once, immutable.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::conditions;
use crate::text::{Label, NodeId, ObjectName, PveId, UidText};

/// One claim, and the written intent to make one VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "decent-cloud.org",
    version = "v1alpha1",
    kind = "Slot",
    namespaced,
    status = "SlotStatus",
    derive = "PartialEq",
    category = "decent",
    selectable = ".spec.gateway",
    selectable = ".spec.pool",
    selectable = ".spec.machineRef.name",
    printcolumn(name = "Machine", type_ = "string", json_path = ".spec.machineRef.name"),
    printcolumn(name = "VMID", type_ = "integer", json_path = ".spec.vmid"),
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.node"),
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Route", type_ = "boolean", json_path = ".status.route.programmed"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name == '%s-%d'.format([self.spec.gateway, self.spec.index])").message("metadata.name must be <gateway>-<index>: the name is the claim").field_path(".metadata.name"),
    validation = Rule::new(phase_rule()).message("phase moves Claimed → Releasing → Resting; Quarantined is left by clearing only").field_path(".status.phase"),
    validation = Rule::new("!has(oldSelf.status) || has(self.status)").message("a status is never taken away").field_path(".status"),
    doc = "Slot is one claim on a Gateway's index, and the written intent to make one VM. Creating it is the claim. Written by the operator; never edit one."
)]
#[x_kube(validation = Rule::new("self == oldSelf").message("is immutable: a Slot is a claim"))]
pub struct SlotSpec {
    /// The Gateway.
    pub gateway: Label,
    /// Index at that Gateway; address, MAC, ports and slug follow from it.
    #[x_kube(validation = Rule::new("self >= 0 && self < 100000").message("must be 0 to 99999"))]
    pub index: i32,
    /// The Pool.
    pub pool: ObjectName,
    /// VMID of the VM: the Pool's base plus the index.
    #[x_kube(validation = Rule::new("self >= 100 && self <= 999999999").message("must be 100 to 999999999"))]
    pub vmid: i32,
    /// Node that the VM is made on.
    pub node: NodeId,
    /// Storage of its boot disk.
    pub storage: PveId,
    /// Template that it is cloned from.
    #[x_kube(validation = Rule::new("self >= 100 && self <= 999999999").message("must be 100 to 999999999"))]
    pub template_vmid: i32,
    /// Whether the clone is a full copy.
    pub full_clone: bool,
    /// Private address of the VM; follows from the index, kept for people.
    #[schemars(length(max = 15))]
    #[x_kube(validation = Rule::new("isIP(self) && ip(self).family() == 4").message("must be an IPv4 address such as 192.0.2.10"))]
    pub address: String,
    /// The Machine that this attempt belongs to.
    pub machine_ref: MachineRef,
    /// UID of the Contract.
    #[serde(rename = "contractUID")]
    pub contract_uid: UidText,
}

/// Names one Machine, that very one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineRef {
    /// Name of the Machine.
    pub name: ObjectName,
    /// UID of the Machine.
    pub uid: UidText,
}

/// Where a Slot is in its life. Routes exist only in `Claimed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum SlotPhase {
    /// In use, or about to be.
    #[default]
    Claimed,
    /// Its route and VM are being removed.
    Releasing,
    /// Its VM is proven absent; kept for a day so that name and ports do not pass on at once.
    Resting,
    /// Something not provably ours is at its VMID, or nobody could prove absence: a person must clear it.
    Quarantined,
}

impl SlotPhase {
    /// Every phase.
    pub const ALL: [Self; 4] = [Self::Claimed, Self::Releasing, Self::Resting, Self::Quarantined];

    /// The phases that may follow; none after the last.
    #[must_use]
    pub const fn successors(self) -> &'static [Self] {
        match self {
            Self::Claimed => &[Self::Releasing, Self::Quarantined],
            Self::Releasing => &[Self::Resting, Self::Quarantined],
            Self::Quarantined => &[Self::Releasing, Self::Resting],
            Self::Resting => &[],
        }
    }
}

/// The phases' order as a rule on the whole object, which also holds when the status is written for the first time.
impl Slot {
    /// Where it is in its life; one that says nothing yet is claimed.
    #[must_use]
    pub fn phase(&self) -> SlotPhase {
        self.status
            .as_ref()
            .map_or(SlotPhase::Claimed, |status| status.phase)
    }
}

fn phase_rule() -> String {
    let old = "(has(oldSelf.status) ? oldSelf.status.phase : 'Claimed')";
    let new = "(has(self.status) ? self.status.phase : 'Claimed')";
    let mut clauses = vec![format!("{new} == {old}")];
    for from in SlotPhase::ALL {
        let to: Vec<String> = from
            .successors()
            .iter()
            .map(|phase| format!("'{phase:?}'"))
            .collect();
        clauses.push(format!("({old} == '{from:?}' && {new} in [{}])", to.join(", ")));
    }
    clauses.join(" || ")
}

/// What became of a Slot. `route` is written by the agent, the rest by the operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.release) || (has(self.release) && self.release == oldSelf.release)").message("release is set once").field_path(".release"),
    validation = Rule::new("self.phase == 'Claimed' || self.phase == 'Quarantined' || has(self.release)").message("a Slot is released with a cause only").field_path(".release")
)]
pub struct SlotStatus {
    /// Where the Slot is in its life.
    #[serde(default)]
    pub phase: SlotPhase,
    /// Why it was released; the only trigger of route removal and destruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// When it came to rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resting_since: Option<Time>,
    /// What the agent says of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Conditions by type: Ready, Quarantined.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// Why a Slot is given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The cause.
    pub cause: ReleaseCause,
    /// When it was decided, RFC 3339.
    pub at: Time,
    /// Who decided it.
    #[schemars(length(max = 128))]
    pub by: String,
}

/// Causes that give a Slot back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReleaseCause {
    /// The Machine is torn down.
    Teardown,
    /// The Machine was placed again, elsewhere.
    Superseded,
    /// Somebody else took the VMID first; it is not touched.
    LostRace,
}

/// What the agent says of a Slot's route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// A probe through the public port succeeded.
    #[serde(default)]
    pub programmed: bool,
    /// When it last did, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed_at: Option<Time>,
    /// The SSH banner that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub banner: Option<String>,
    /// The guest's host keys, each `type base64`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 2048)))]
    pub host_keys: Vec<String>,
    /// When the route was taken away, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Time>,
}
