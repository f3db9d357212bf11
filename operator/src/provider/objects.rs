//! Reading and writing this family's objects: identities, Slots of a Machine, status writes with their preconditions.

use crds::{Machine, Slot, SlotStatus, common::API_VERSION};
use domain::ids::Uid;
use kube::{Api, Client, Resource, ResourceExt, runtime::reflector::Store};
use serde_json::{Value, json};

use super::error::Error;
use crate::{
    caches::{Guarded, all, decoded},
    ctx::Ctx,
};

/// Finalizer of Slots.
pub const SLOT_FINALIZER: &str = "decent-cloud.org/slot";
/// Finalizer of Machines.
pub const MACHINE_FINALIZER: &str = crds::machine::FINALIZER;

/// Name, namespace and UID of an object that the API server returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: Uid,
}

impl Identity {
    /// Of this object.
    ///
    /// # Errors
    /// It lacks what the API server always sets.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Result<Self, Error> {
        let what = format!("{} {}", K::kind(&()), object.name_any());
        let missing = |field| Error::Incomplete {
            what: what.clone(),
            field,
        };
        Ok(Self {
            namespace: object.namespace().ok_or_else(|| missing("namespace"))?,
            name: object.name_any(),
            uid: object
                .uid()
                .and_then(|uid| uid.parse().ok())
                .ok_or_else(|| missing("uid"))?,
        })
    }
}

/// The Slots of this very Machine, by index.
#[must_use]
pub fn slots_of(store: &Store<Guarded<Slot>>, machine: &Identity) -> Vec<Slot> {
    let uid = machine.uid.to_string();
    let mut slots: Vec<Slot> = all(store, |slot: &Slot| {
        slot.namespace().as_deref() == Some(machine.namespace.as_str())
            && slot.spec.machine_ref.uid.as_str() == uid
    })
    .into_iter()
    .filter_map(|guard| decoded(&guard).cloned())
    .collect();
    slots.sort_by_key(|slot| slot.spec.index);
    slots
}

/// Stores the operator's part of a Slot's status, if nobody changed the Slot since it was read.
///
/// # Errors
/// The write failed; a change meanwhile is a conflict.
pub async fn write_slot_status(ctx: &Ctx, slot: &Slot, status: &SlotStatus) -> Result<Slot, Error> {
    let SlotStatus {
        phase,
        release,
        resting_since,
        conditions,
        route: _,
    } = status;
    let namespace = slot.namespace().unwrap_or_default();
    let api: Api<Slot> = Api::namespaced(ctx.client.clone(), &namespace);
    let mut part = json!({"phase": phase, "conditions": conditions});
    if let Some(release) = release {
        part["release"] = json!(release);
    }
    if let Some(since) = resting_since {
        part["restingSince"] = json!(since);
    }
    let metadata =
        json!({"name": slot.name_any(), "uid": slot.uid(), "resourceVersion": slot.resource_version()});
    let body = status_body("Slot", &metadata, &part);
    ctx.writer
        .apply_status(&api, &slot.name_any(), &body)
        .await
        .map_err(Error::kube)
}

/// Stores the family's part of a Machine's status.
///
/// # Errors
/// The write failed; absence is none.
pub async fn write_machine_status(
    ctx: &Ctx,
    machine: &Machine,
    status: &crds::MachineStatus,
) -> Result<Option<Machine>, Error> {
    let namespace = machine.namespace().unwrap_or_default();
    let api: Api<Machine> = Api::namespaced(ctx.client.clone(), &namespace);
    let metadata = json!({"name": machine.name_any(), "uid": machine.uid(), "resourceVersion": machine.resource_version()});
    let body = status_body("Machine", &metadata, &json!(status));
    ctx.writer
        .apply_status_if_present(&api, &machine.name_any(), &body)
        .await
        .map_err(Error::kube)
}

fn status_body(kind: &str, metadata: &Value, status: &Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "status": status})
}

/// The Slots of a Machine as the API server has them now, not as a cache has them.
///
/// # Errors
/// The read failed.
pub async fn live_slots(ctx: &Ctx, client: &Client, machine: &Identity) -> Result<Vec<Slot>, Error> {
    let api: Api<Slot> = Api::namespaced(client.clone(), &machine.namespace);
    let params = kube::api::ListParams::default().fields(&format!("spec.machineRef.name={}", machine.name));
    let listed = ctx.writer.list(&api, &params).await.map_err(Error::kube)?;
    let uid = machine.uid.to_string();
    Ok(listed
        .items
        .into_iter()
        .filter(|slot| slot.spec.machine_ref.uid.as_str() == uid)
        .collect())
}
