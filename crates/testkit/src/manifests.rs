//! Our kinds and policies on an API server. Owns the order (definitions first) and the wait until they are served;
//! must not generate them: what is installed is what is committed under `crds/manifests/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::wait::{Condition, conditions::is_crd_established};
use kube::{Api, Client, Error, ResourceExt, discovery};
use serde_json::Value;

use crate::wait::until;
use crate::{FIELD_MANAGER, GROUP, assets};

const DEADLINE: Duration = Duration::from_mins(1);

/// Folder of the committed manifests.
#[must_use]
pub fn folder() -> PathBuf {
    assets::tree().join("crds/manifests")
}

/// Applies all manifests of the tree and waits until the API server serves and enforces them.
///
/// # Errors
/// When a manifest can't be read or applied, or isn't served in time.
pub async fn install(client: &Client) -> Result<()> {
    let objects = read(&folder())?;
    ensure!(
        !objects.is_empty(),
        "{} holds no manifests: run cargo xtask gen",
        folder().display()
    );
    define(client).await?;
    let rest: Vec<_> = objects
        .into_iter()
        .filter(|object| !is_definition(object))
        .collect();
    apply_all(client, &rest).await?;
    let policies = rest
        .iter()
        .filter(|object| kind(object) == "ValidatingAdmissionPolicy");
    try_join_all(policies.map(|object| compiled(client, object.name_any()))).await?;
    Ok(())
}

/// Applies the definitions of the kinds and waits until the API server serves them. Before the controller manager
/// starts, since its quota controller looks for new kinds every half minute only.
///
/// # Errors
/// As for [`install`].
pub async fn define(client: &Client) -> Result<()> {
    let definitions: Vec<_> = read(&folder())?.into_iter().filter(is_definition).collect();
    apply_all(client, &definitions).await?;
    try_join_all(definitions.iter().map(|object| served(client, object.name_any()))).await?;
    Ok(())
}

/// Applies all and names every refusal, not only the first.
async fn apply_all(client: &Client, objects: &[DynamicObject]) -> Result<()> {
    let applied = join_all(objects.iter().map(|object| apply(client, object))).await;
    let refusals: Vec<String> = applied
        .into_iter()
        .filter_map(Result::err)
        .map(|error| format!("{error:#}"))
        .collect();
    ensure!(refusals.is_empty(), "{}", refusals.join("\n"));
    Ok(())
}

/// Reads all objects of the YAML files of a folder, by file name.
///
/// # Errors
/// When a file can't be read or decoded.
pub fn read(folder: &Path) -> Result<Vec<DynamicObject>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    let mut objects = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        objects.extend(parse(&text).with_context(|| format!("failed to decode {}", file.display()))?);
    }
    Ok(objects)
}

/// Decodes the objects of a YAML text; empty documents are skipped.
///
/// # Errors
/// When the text is no YAML or a document is no object.
pub fn parse(yaml: &str) -> Result<Vec<DynamicObject>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("failed to decode YAML")?;
    let objects = documents.into_iter().filter(|document| !document.is_null());
    objects
        .map(|document| serde_json::from_value(document).context("failed to decode an object"))
        .collect()
}

/// Applies one object with force as the test bed.
///
/// # Errors
/// When the API server doesn't know the kind or refuses the object.
pub async fn apply(client: &Client, object: &DynamicObject) -> Result<DynamicObject> {
    let api = api_for(client, object).await?;
    let name = object.name_any();
    let applied = api
        .patch(
            &name,
            &PatchParams::apply(FIELD_MANAGER).force(),
            &Patch::Apply(object),
        )
        .await;
    applied.map_err(|error| match error {
        // The API server's sentence; the rest of its answer only repeats it.
        Error::Api(status) => anyhow!("failed to apply: {}", status.message),
        other => anyhow!(other).context(format!("failed to apply {} {name}", kind(object))),
    })
}

/// The endpoint of an object's kind, in the object's namespace.
///
/// # Errors
/// When the object names no kind, or one that the API server doesn't know.
pub async fn api_for(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object
        .types
        .as_ref()
        .context("an object needs apiVersion and kind")?;
    let gvk = GroupVersionKind::try_from(types).context("failed to parse apiVersion")?;
    let found = discovery::pinned_kind(client, &gvk).await;
    let (resource, capabilities) =
        found.with_context(|| format!("the API server doesn't know {}", types.kind))?;
    Ok(match object.namespace() {
        Some(ns) if capabilities.scope == discovery::Scope::Namespaced => {
            Api::namespaced_with(client.clone(), &ns, &resource)
        }
        None if capabilities.scope == discovery::Scope::Namespaced => {
            Api::default_namespaced_with(client.clone(), &resource)
        }
        _ => Api::all_with(client.clone(), &resource),
    })
}

/// The namespaced kinds of our group that the API server serves.
///
/// # Errors
/// When the API server can't be asked.
pub async fn namespaced_kinds(client: &Client) -> Result<Vec<ApiResource>> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let all = definitions
        .list(&ListParams::default())
        .await
        .context("failed to list definitions")?;
    let ours = all
        .into_iter()
        .filter(|crd| crd.spec.group == GROUP && crd.spec.scope == "Namespaced");
    Ok(ours.filter_map(|crd| resource(&crd)).collect())
}

fn resource(crd: &CustomResourceDefinition) -> Option<ApiResource> {
    let version = &crd.spec.versions.iter().find(|v| v.served)?.name;
    let gvk = GroupVersionKind::gvk(&crd.spec.group, version, &crd.spec.names.kind);
    Some(ApiResource::from_gvk_with_plural(&gvk, &crd.spec.names.plural))
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}

fn is_definition(object: &DynamicObject) -> bool {
    kind(object) == "CustomResourceDefinition"
}

/// Established, and listing its objects works.
async fn served(client: &Client, name: String) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    until(&format!("definition {name} is served"), DEADLINE, || async {
        let found = definitions
            .get_opt(&name)
            .await
            .context("failed to read a definition")?;
        if !is_crd_established().matches_object(found.as_ref()) {
            return Ok(None);
        }
        let Some(resource) = found.as_ref().and_then(resource) else {
            return Ok(None);
        };
        let objects = Api::<DynamicObject>::all_with(client.clone(), &resource);
        Ok(objects.list(&ListParams::default().limit(1)).await.ok().map(drop))
    })
    .await
}

/// The controller manager has type-checked the policy, so its expressions compile.
async fn compiled(client: &Client, name: String) -> Result<()> {
    let policies = Api::<ValidatingAdmissionPolicy>::all(client.clone());
    let policy = until(&format!("policy {name} is type-checked"), DEADLINE, || async {
        let policy = policies.get(&name).await.context("failed to read a policy")?;
        let seen = policy
            .status
            .as_ref()
            .and_then(|status| status.observed_generation);
        Ok((seen == policy.metadata.generation).then_some(policy))
    })
    .await?;
    let warnings = policy
        .status
        .and_then(|s| s.type_checking)
        .and_then(|t| t.expression_warnings)
        .unwrap_or_default();
    ensure!(warnings.is_empty(), "policy {name}: {warnings:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_documents_are_skipped() {
        let objects =
            parse("---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n").expect("decodes");
        assert_eq!(
            objects.iter().map(ResourceExt::name_any).collect::<Vec<_>>(),
            ["a"]
        );
    }
}
