//! Adding and dropping a finalizer as steps of their own, by JSON patches that
//! fail rather than touch another object or another finalizer. Must not decide
//! when a finalizer may go: kube's helper drops it on any `Ok`, this never does.

use kube::{Api, ResourceExt, api::Patch};
use serde_json::{Value, json};

use crate::{
    apply::{Object, Writer, tolerate_absence, unbuilt},
    call::{Act, Error},
    managers,
};

impl Writer {
    /// Adds `finalizer` to the object that was seen. `None`: it was there already.
    ///
    /// # Errors
    /// When the call fails; the finalizers having changed since is a conflict.
    pub async fn add_finalizer<K: Object>(
        &self,
        api: &Api<K>,
        seen: &K,
        finalizer: &str,
    ) -> Result<Option<K>, Error> {
        let finalizers = seen.finalizers();
        if finalizers.iter().any(|name| name == finalizer) {
            return Ok(None);
        }
        let before = if finalizers.is_empty() {
            Value::Null
        } else {
            json!(finalizers)
        };
        let after: Vec<_> = finalizers.iter().map(String::as_str).chain([finalizer]).collect();
        let steps = json!([
            {"op": "test", "path": "/metadata/uid", "value": seen.uid()},
            {"op": "test", "path": "/metadata/finalizers", "value": before},
            {"op": "add", "path": "/metadata/finalizers", "value": after},
        ]);
        self.patch_seen(Act::AddFinalizer, api, seen, steps)
            .await
            .map(Some)
    }

    /// Drops `finalizer` from the object that was seen. `None`: nothing to
    /// drop, or the object is gone.
    ///
    /// # Errors
    /// When the call fails; the finalizers having changed since is a conflict.
    pub async fn drop_finalizer<K: Object>(
        &self,
        api: &Api<K>,
        seen: &K,
        finalizer: &str,
    ) -> Result<Option<K>, Error> {
        let Some(index) = seen.finalizers().iter().position(|name| name == finalizer) else {
            return Ok(None);
        };
        let path = format!("/metadata/finalizers/{index}");
        let steps = json!([
            {"op": "test", "path": "/metadata/uid", "value": seen.uid()},
            {"op": "test", "path": path, "value": finalizer},
            {"op": "remove", "path": path},
        ]);
        tolerate_absence(self.patch_seen(Act::DropFinalizer, api, seen, steps).await)
    }

    async fn patch_seen<K: Object>(
        &self,
        act: Act,
        api: &Api<K>,
        seen: &K,
        steps: Value,
    ) -> Result<K, Error> {
        let name = seen.name_any();
        let patch = match (seen.uid(), serde_json::from_value(steps)) {
            (Some(_), Ok(patch)) => Patch::<()>::Json(patch),
            _ => return Err(unbuilt::<K>(act, name)),
        };
        let params = managers::patch_params(self.manager());
        self.call::<K, _>(act, &name, api.patch(&name, &params, &patch))
            .await
    }
}
