//! A namespace per test. Owns its life and the dump when the test fails; must not know what the test does in it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};

use anyhow::{Context, Result};
use futures::FutureExt;
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};

use crate::{Shared, manifests, shared};

/// A fresh namespace on the run's control plane.
#[derive(Clone)]
pub struct TestNamespace {
    /// Its name.
    pub name: String,
    /// The control plane it is on.
    pub shared: Shared,
}

impl TestNamespace {
    /// A client with all rights.
    #[must_use]
    pub fn client(&self) -> Client {
        self.shared.client.clone()
    }

    /// The objects of one kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.name)
    }

    async fn create() -> Result<Self> {
        let shared = shared().await?;
        let metadata = ObjectMeta {
            generate_name: Some("test-".into()),
            ..ObjectMeta::default()
        };
        let wanted = Namespace {
            metadata,
            ..Namespace::default()
        };
        let namespaces = Api::<Namespace>::all(shared.client.clone());
        let made = namespaces
            .create(&PostParams::default(), &wanted)
            .await
            .context("failed to create a namespace")?;
        Ok(Self {
            name: made.name_any(),
            shared,
        })
    }

    /// Does not wait for the end: finalizers of our kinds may hold it, and the control plane goes soon.
    async fn delete(&self) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.client());
        namespaces
            .delete(&self.name, &DeleteParams::background())
            .await
            .context("failed to delete a namespace")?;
        Ok(())
    }
}

/// Runs a test in a fresh namespace. When it fails or panics, the objects of our kinds and the events in the
/// namespace go to stderr. The namespace is deleted afterwards.
///
/// # Errors
/// What the test returns, or that the control plane can't be reached.
pub async fn with_namespace<F, Fut>(test: F) -> Result<()>
where
    F: FnOnce(TestNamespace) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let ns = TestNamespace::create().await?;
    let outcome = AssertUnwindSafe(test(ns.clone())).catch_unwind().await;
    if !matches!(outcome, Ok(Ok(()))) {
        dump(&ns.client(), &ns.name)
            .await
            .unwrap_or_else(|error| eprintln!("no dump: {error:#}"));
    }
    ns.delete().await.unwrap_or_else(|error| eprintln!("{error:#}"));
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Writes the objects of our kinds and the events of a namespace to stderr.
///
/// # Errors
/// When the API server can't be asked.
pub async fn dump(client: &Client, ns: &str) -> Result<()> {
    eprintln!("--- objects in namespace {ns}");
    for resource in manifests::namespaced_kinds(client).await? {
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), ns, &resource);
        for mut object in api
            .list(&ListParams::default())
            .await
            .context("failed to list objects")?
        {
            object.metadata.managed_fields = None;
            eprintln!(
                "# {} {}\n{}",
                resource.kind,
                object.name_any(),
                serde_json::to_string_pretty(&object)?
            );
        }
    }
    eprintln!("--- events in namespace {ns}");
    let events = Api::<Event>::namespaced(client.clone(), ns);
    for event in events
        .list(&ListParams::default())
        .await
        .context("failed to list events")?
    {
        eprintln!("{}", line(&event));
    }
    Ok(())
}

fn line(event: &Event) -> String {
    let about = &event.involved_object;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    format!(
        "{} {}/{} {}: {}",
        text(&event.type_),
        text(&about.kind),
        text(&about.name),
        text(&event.reason),
        text(&event.message)
    )
}
