//! Objects that cannot be decoded: a typed error instead of a dead watch. Must
//! not touch such an object: only a person can mend it.

use std::sync::Arc;

use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, ObjectMeta},
};

/// An object in the API server that does not fit our type.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to decode {kind} {namespace}/{name}: {text}")]
pub struct Undecodable {
    /// Its API group and version.
    pub api_version: Box<str>,
    /// Its kind.
    pub kind: String,
    /// Its namespace, empty if it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What the decoder said.
    pub text: String,
    /// Its metadata, for an event.
    pub metadata: Box<ObjectMeta>,
}

/// The object, or why it cannot be decoded.
///
/// # Errors
/// When the object does not fit `K`.
pub fn decoded<K: Resource<DynamicType = ()>>(guard: &Arc<DeserializeGuard<K>>) -> Result<&K, Undecodable> {
    guard.0.as_ref().map_err(|invalid| Undecodable {
        api_version: K::api_version(&()).into(),
        kind: K::kind(&()).into_owned(),
        namespace: guard.namespace().unwrap_or_default(),
        name: guard.name_any(),
        text: invalid.error.clone(),
        metadata: Box::new(invalid.metadata.clone()),
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_undecodable_object_is_named_with_its_fault() {
        let pod = json!({"metadata": {"namespace": "n", "name": "p"}, "spec": {"containers": 7}});
        let guard: Arc<DeserializeGuard<Pod>> = Arc::new(serde_json::from_value(pod).unwrap());
        let error = decoded(&guard).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("failed to decode Pod n/p: Invalid type"),
            "{text}"
        );
        assert_eq!(error.metadata.name.as_deref(), Some("p"));
    }

    #[test]
    fn a_good_object_passes() {
        let pod = json!({"metadata": {"name": "p"}});
        let guard: Arc<DeserializeGuard<Pod>> = Arc::new(serde_json::from_value(pod).unwrap());
        assert_eq!(decoded(&guard).unwrap().name_any(), "p");
    }
}
