//! Writing a status of this family: server-side apply of exactly the object that was seen, only when it says
//! something else, with its events.

use std::{fmt::Debug, sync::Arc, time::Duration};

use crds::common::API_VERSION;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::Condition};
use kit::{apply::Object, events};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Key, Shared,
    error::{Error, at},
    labels::{Outcome, Step},
};

/// The API of a kind in an object's namespace.
pub(super) fn api<K>(shared: &Shared, namespace: &str) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(shared.ctx.client.clone(), namespace)
}

/// Who is meant: this very object, or the write is refused.
pub(super) fn identity<K: Resource<DynamicType = ()>>(seen: &K) -> Value {
    let metadata = match seen.namespace() {
        Some(namespace) => json!({"name": seen.name_any(), "namespace": namespace, "uid": seen.uid()}),
        None => json!({"name": seen.name_any(), "uid": seen.uid()}),
    };
    json!({"apiVersion": API_VERSION, "kind": K::kind(&()), "metadata": metadata})
}

/// Stores a status and publishes what changed; None if the object is gone.
pub(super) async fn store<K: Object, S: Serialize>(
    shared: &Shared,
    api: &Api<K>,
    seen: &K,
    status: &S,
    conditions: [&[Condition]; 2],
) -> Result<Option<Arc<K>>, Error> {
    let mut body = identity(seen);
    body["status"] = json!(status);
    let name = seen.name_any();
    let stored = shared
        .ctx
        .writer
        .apply_status_if_present(api, &name, &body)
        .await
        .map_err(at(Step::Status))?;
    let [before, after] = conditions;
    shared
        .ctx
        .events
        .publish(&seen.object_ref(&()), events::transitions(before, after));
    Ok(stored.map(Arc::new))
}

/// What is done about a status that is recomputed from sums.
pub(super) enum Due {
    /// It says the same.
    Same,
    /// Only counters moved: look again after this.
    Later(Duration),
    /// Store it.
    Now,
}

impl Due {
    /// By what has changed: conditions at once, counters once they have stood.
    pub(super) fn of<S: PartialEq + Debug>(
        shared: &Shared,
        key: &Key,
        statuses: [Option<&S>; 2],
        urgent: bool,
    ) -> Self {
        let [before, after] = statuses;
        if before == after {
            shared.pace.settled(key);
            return Self::Same;
        }
        if urgent {
            shared.pace.settled(key);
            return Self::Now;
        }
        shared.pace.counters(key).map_or(Self::Now, Self::Later)
    }

    /// For the measure of the pass.
    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Same | Self::Later(_) => Outcome::Settled,
            Self::Now => Outcome::Wrote,
        }
    }
}

impl Due {
    /// When to look again.
    pub(super) fn action(&self) -> kube::runtime::controller::Action {
        match self {
            Self::Same | Self::Now => kube::runtime::controller::Action::await_change(),
            Self::Later(rest) => kube::runtime::controller::Action::requeue(*rest),
        }
    }
}
