//! What several kinds share: references, resources, waits and the names of the group.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::text::{Label, ObjectName, Size};

/// The API group.
pub const GROUP: &str = "decent-cloud.org";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
/// Both, as `apiVersion` has them.
pub const API_VERSION: &str = "decent-cloud.org/v1alpha1";

/// Names an object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object.
    pub name: ObjectName,
}

/// Names an object of another namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedRef {
    /// Namespace of the object.
    pub namespace: Label,
    /// Name of the object.
    pub name: ObjectName,
}

/// What a machine is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Virtual processors.
    #[x_kube(validation = Rule::new("self >= 1 && self <= 512").message("must be 1 to 512 processors"))]
    pub cpu: i32,
    /// Memory, in whole MiB, as a quantity.
    #[x_kube(validation = Rule::new("!isQuantity(self) || !quantity(self).isInteger() || quantity(self).asInteger() % 1048576 == 0 && quantity(self).asInteger() >= 16777216").message("must be at least 16Mi and whole MiB, such as \"4Gi\""))]
    pub memory: Size,
    /// Size of the boot disk, in whole GiB, as a quantity.
    #[x_kube(validation = Rule::new("!isQuantity(self) || !quantity(self).isInteger() || quantity(self).asInteger() % 1073741824 == 0").message("must be whole GiB, such as \"40Gi\""))]
    pub disk: Size,
}

/// Whether a machine is meant to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PowerState {
    /// It runs, and is started again when it stops by itself.
    #[default]
    Running,
    /// It is shut down and stays so; the paid period goes on.
    Stopped,
}

/// Who has to act for a wait to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Actor {
    /// The one who rents.
    Tenant,
    /// The one who offers.
    Provider,
    /// The one who runs the cluster.
    Market,
    /// Nobody: it goes on by itself.
    Nobody,
}

/// Why something has not happened yet. Written when the reason changes; clients show what has elapsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Reason, from the closed list that the conditions use.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Who has to act.
    pub actor: Actor,
    /// Since when, RFC 3339.
    pub since: Time,
    /// Until when at most, RFC 3339; what happens then is said by the condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// What to do, or what happens next.
    #[schemars(length(max = 1024))]
    pub next_step: String,
    /// Place in the queue, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
}

/// The schema of `status.conditions`: a list map by type, with the bounds of Kubernetes' own conditions.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "description": "What is true or not, in CamelCase.",
                    "type": "string", "minLength": 1, "maxLength": 316
                },
                "status": {
                    "description": "Whether it is.",
                    "type": "string", "enum": ["True", "False", "Unknown"]
                },
                "observedGeneration": {
                    "description": "Generation of the object that this speaks of.",
                    "type": "integer", "format": "int64", "minimum": 0
                },
                "lastTransitionTime": {
                    "description": "When the status last changed, RFC 3339.",
                    "type": "string", "format": "date-time"
                },
                "reason": {
                    "description": "Why, from a closed list, in CamelCase.",
                    "type": "string", "minLength": 1, "maxLength": 64
                },
                "message": {
                    "description": "One sentence that a person can act on.",
                    "type": "string", "maxLength": 32768
                }
            }
        }
    })
}
