//! No Machine is deleted before its teardown is finished, by whatever verb.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{TestNamespace, with_namespace};

use crate::support::samples::{self, AT};
use crate::support::{collection, send, store};

const SENTENCE: &str = "a Machine is deleted only after its teardown is finished";

async fn refused(ns: &TestNamespace, path: &str) -> Result<()> {
    let refusal = send(ns, "DELETE", path, &json!({})).await?.expect_err("refused");
    assert_eq!(refusal.code, 403);
    assert!(refusal.message.contains(SENTENCE), "{}", refusal.message);
    Ok(())
}

async fn set(ns: &TestNamespace, path: &str, status: Value) -> Result<()> {
    send(
        ns,
        "PATCH",
        &format!("{path}/status"),
        &json!({ "status": status }),
    )
    .await?
    .expect("accepted");
    Ok(())
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn a_machine_stays_until_its_teardown_is_finished() -> Result<()> {
    with_namespace(|ns| async move {
        store(&ns, &samples::full("Machine")).await?;
        let all = collection(&ns, "Machine");
        let one = format!("{all}/sample");
        // The policy holds from some moment after it was installed.
        until("the policy holds", Duration::from_secs(30), || async {
            Ok(send(&ns, "DELETE", &format!("{one}?dryRun=All"), &json!({}))
                .await?
                .err())
        })
        .await?;
        refused(&ns, &one).await?;
        refused(&ns, &all).await?;
        set(&ns, &one, json!({ "slot": "ams1-0" })).await?;
        refused(&ns, &one).await?;
        set(&ns, &one, json!({ "ended": { "outcome": "Deleted", "at": AT } })).await?;
        send(&ns, "DELETE", &one, &json!({})).await?.expect("deleted");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn the_other_kinds_may_be_deleted() -> Result<()> {
    with_namespace(|ns| async move {
        for kind in samples::KINDS.iter().filter(|kind| **kind != "Machine") {
            let mut object = samples::full(kind);
            if *kind == "Account" {
                object["metadata"]["name"] = json!(format!("{}-deleted", ns.name));
            }
            store(&ns, &object).await?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            send(
                &ns,
                "DELETE",
                &format!("{}/{name}", collection(&ns, kind)),
                &json!({}),
            )
            .await?
            .expect("deleted");
        }
        Ok(())
    })
    .await
}
