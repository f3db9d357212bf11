//! The control plane of a test run serves what our tests rely on.

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use testkit::control_plane::audit;
use testkit::wait::until;
use testkit::{ControlPlane, Options, admission, kubeconfig, with_namespace};

#[tokio::test]
#[ignore = "needs a control plane: testbed run"]
async fn a_service_account_gets_its_own_kubeconfig() -> Result<()> {
    with_namespace(|ns| async move {
        let tenant = serde_json::from_value::<ServiceAccount>(json!({ "metadata": { "name": "tenant" } }))?;
        ns.api::<ServiceAccount>()
            .create(&PostParams::default(), &tenant)
            .await?;
        let client = kubeconfig::client(&ns.shared.kubeconfig_for(&ns.name, "tenant").await?).await?;
        let review = Api::<SelfSubjectReview>::all(client)
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await?;
        let user = review
            .status
            .and_then(|status| status.user_info)
            .and_then(|user| user.username);
        assert_eq!(user, Some(format!("system:serviceaccount:{}:tenant", ns.name)));
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a control plane: testbed run"]
async fn admission_assertions_tell_accepted_from_refused() -> Result<()> {
    with_namespace(|ns| async move {
        let map =
            |name: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
        admission::accepts(&ns, &map("good")).await;
        admission::rejects(&ns, &map("Bad_Name"))
            .await
            .at("metadata.name")
            .saying("lowercase RFC 1123");
        let mut typo = map("good");
        typo["dta"] = json!({});
        admission::rejects(&ns, &typo)
            .await
            .saying("unknown field \"dta\"");
        let mut fixed = map("fixed");
        fixed["immutable"] = json!(true);
        let mut changed = fixed.clone();
        changed["data"] = json!({ "a": "b" });
        admission::accepts_change(&ns, &fixed, &fixed).await;
        admission::rejects_change(&ns, &fixed, &changed)
            .await
            .at("data")
            .saying("immutable");
        assert!(
            ns.api::<ConfigMap>().get_opt("good").await?.is_none(),
            "tried, not stored"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the control plane's programs"]
async fn a_control_plane_deletes_namespaces_and_logs_writes() -> Result<()> {
    let plane = ControlPlane::start(Options {
        audit_log: true,
        ..Options::default()
    })
    .await?;
    let namespaces = Api::<Namespace>::all(plane.client());
    let wanted = serde_json::from_value::<Namespace>(json!({ "metadata": { "name": "short-lived" } }))?;
    let made = namespaces.create(&PostParams::default(), &wanted).await?;
    namespaces
        .delete(&made.name_any(), &DeleteParams::default())
        .await?;
    until(
        "the namespace is gone",
        std::time::Duration::from_secs(30),
        || async {
            namespaces
                .get_opt("short-lived")
                .await
                .map(|found| found.is_none().then_some(()))
                .context("failed to read")
        },
    )
    .await?;
    let writes = audit::writes(&plane.audit_log())?;
    let ours = writes
        .iter()
        .filter(|w| w.resource == "namespaces" && w.user == "admin" && w.name == "short-lived");
    let verbs: Vec<&str> = ours.map(|write| write.verb.as_str()).collect();
    assert_eq!(verbs, ["create", "delete"]);
    let dir = plane.dir().to_path_buf();
    plane.stop().await?;
    assert!(!dir.exists(), "its folder goes with it");
    Ok(())
}
