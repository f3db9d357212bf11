//! The examples that people copy: accepted by the API server, and read by the types without loss.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::Value;
use testkit::{GROUP, manifests, shared};

fn examples() -> Result<Vec<DynamicObject>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))?;
    let mut objects = manifests::read(&folder)?;
    for below in entries.flatten().filter(|entry| entry.path().is_dir()) {
        objects.extend(manifests::read(&below.path())?);
    }
    ensure!(objects.iter().any(ours), "no examples in {}", folder.display());
    Ok(objects)
}

fn ours(object: &DynamicObject) -> bool {
    object
        .types
        .as_ref()
        .is_some_and(|types| types.api_version.starts_with(GROUP))
}

fn reread<K: serde::de::DeserializeOwned + serde::Serialize>(value: &Value) -> Result<Value> {
    let typed: K = serde_json::from_value(value.clone())?;
    Ok(serde_json::to_value(typed)?)
}

fn through_type(kind: &str, value: &Value) -> Result<Value> {
    match kind {
        "Account" => reread::<crds::Account>(value),
        "Contract" => reread::<crds::Contract>(value),
        "Gateway" => reread::<crds::Gateway>(value),
        "Machine" => reread::<crds::Machine>(value),
        "Offering" => reread::<crds::Offering>(value),
        "Pool" => reread::<crds::Pool>(value),
        "Provider" => reread::<crds::Provider>(value),
        "Slot" => reread::<crds::Slot>(value),
        other => anyhow::bail!("no such kind: {other}"),
    }
}

/// Places of `given` that `read` lost or changed; what `read` has beside are defaults.
fn lost(path: &str, given: &Value, read: &Value) -> Vec<String> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given
            .iter()
            .flat_map(|(key, value)| {
                lost(
                    &format!("{path}.{key}"),
                    value,
                    read.get(key).unwrap_or(&Value::Null),
                )
            })
            .collect(),
        (Value::Array(given), Value::Array(read)) if given.len() == read.len() => given
            .iter()
            .zip(read)
            .enumerate()
            .flat_map(|(n, (a, b))| lost(&format!("{path}[{n}]"), a, b))
            .collect(),
        _ if given == read => Vec::new(),
        _ => vec![format!("{path}: {given} became {read}")],
    }
}

#[test]
fn examples_survive_their_types() -> Result<()> {
    for object in examples()?.iter().filter(|object| ours(object)) {
        let name = object.name_any();
        let kind = object
            .types
            .as_ref()
            .map(|types| types.kind.clone())
            .unwrap_or_default();
        let given = serde_json::to_value(object)?;
        let read = through_type(&kind, &given).with_context(|| format!("{kind} {name}"))?;
        assert_eq!(
            lost(&format!("{kind} {name}"), &given, &read),
            Vec::<String>::new()
        );
        assert_eq!(through_type(&kind, &read)?, read, "{kind} {name}: read again");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn examples_are_accepted_by_the_api_server() -> Result<()> {
    let client = shared().await?.client;
    let examples = examples()?;
    for mut object in examples.into_iter().filter(ours) {
        // Their own namespaces may not exist here; a rehearsal needs one that does.
        if object.metadata.namespace.is_some() {
            object.metadata.namespace = Some("default".into());
        }
        let api = manifests::api_for(&client, &object).await?;
        let rehearsal = PatchParams {
            dry_run: true,
            ..PatchParams::apply("decent-cli").force()
        }
        .validation_strict();
        let answer = api
            .patch(&object.name_any(), &rehearsal, &Patch::Apply(&object))
            .await;
        answer.with_context(|| format!("{} is refused", object.name_any()))?;
    }
    Ok(())
}
