//! Several writers of one object: nobody drops what another wrote, and no schema default gets between them.

use anyhow::{Context, Result};
use http::Request;
use serde_json::{Value, json};
use testkit::{TestNamespace, with_namespace};

use crate::support::samples::{self, AT};
use crate::support::statuses::condition;
use crate::support::{collection, merged, send, store};

/// A server-side apply with force of this part of an object, as one of our managers does it.
async fn apply(
    ns: &TestNamespace,
    manager: &str,
    object: &Value,
    part: &Value,
) -> Result<Result<Value, Box<kube::core::Status>>> {
    let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
    let mut body = json!({ "apiVersion": object["apiVersion"], "kind": kind, "metadata": { "name": name } });
    body = merged(&body, part);
    let below = if part["status"].is_null() { "" } else { "/status" };
    let path = format!(
        "{}/{}{below}?fieldManager={manager}&force=true&fieldValidation=Strict",
        collection(ns, kind.as_str().unwrap_or_default()),
        name.as_str().unwrap_or_default()
    );
    let request = Request::patch(path)
        .header("content-type", "application/apply-patch+yaml")
        .body(serde_json::to_vec(&body)?)?;
    match ns.shared.client.request(request).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(kube::Error::Api(status)) => Ok(Err(status)),
        Err(error) => Err(error).context("no verdict"),
    }
}

async fn applied(ns: &TestNamespace, manager: &str, object: &Value, status: &Value) -> Result<Value> {
    let answer = apply(ns, manager, object, &json!({ "status": status })).await?;
    Ok(answer.unwrap_or_else(|refusal| panic!("{manager} is refused {status}: {}", refusal.message))["status"].clone())
}

async fn patched(ns: &TestNamespace, object: &Value, status: &Value) -> Result<Value> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!(
        "{}/{name}/status",
        collection(ns, object["kind"].as_str().unwrap_or_default())
    );
    let answer = send(ns, "PATCH", &path, &json!({ "status": status })).await?;
    Ok(answer.unwrap_or_else(|refusal| panic!("refused {status}: {}", refusal.message))["status"].clone())
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn operator_and_agent_share_a_slots_status_whoever_is_first() -> Result<()> {
    with_namespace(|ns| async move {
        let claimed = json!({ "phase": "Claimed", "conditions": [condition("Ready", "True")] });
        let released = merged(
            &claimed,
            &json!({ "phase": "Releasing", "release": { "cause": "Teardown", "at": AT, "by": "m-1" } }),
        );
        let up = json!({ "route": { "programmed": true, "probedAt": AT, "hostKeys": ["a"] } });
        let down = json!({ "route": { "programmed": false, "removedAt": AT } });
        for (index, agent_first) in [(0, true), (1, false)] {
            let mut slot = merged(&samples::full("Slot"), &json!({ "spec": { "index": index } }));
            slot["metadata"]["name"] = json!(format!("ams1-{index}"));
            store(&ns, &slot).await?;
            let mut first = [("decent-agent", &up), ("decent-operator", &claimed)];
            if !agent_first {
                first.reverse();
            }
            for (manager, status) in first {
                applied(&ns, manager, &slot, status).await?;
            }
            let both = applied(&ns, "decent-operator", &slot, &released).await?;
            assert_eq!(both, merged(&released, &up), "the route stays");
            let last = applied(&ns, "decent-agent", &slot, &down).await?;
            assert_eq!(
                last["route"],
                json!({ "programmed": false, "removedAt": AT }),
                "its own old fields go"
            );
            assert_eq!(
                (&last["phase"], &last["release"]),
                (&released["phase"], &released["release"])
            );
            assert_eq!(last["conditions"], released["conditions"]);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn a_decision_survives_what_the_operator_applies_and_the_other_way_round() -> Result<()> {
    with_namespace(|ns| async move {
        let decision = json!({ "decision": "Accepted", "decisionMessage": "welcome" });
        let ours = json!({
            "slot": "ams1-0", "conditions": [condition("Ready", "False")], "phaseTimes": [{ "phase": "Claimed", "at": AT }],
        });
        for (name, decided_first) in [("first", true), ("later", false)] {
            let mut machine = samples::full("Machine");
            machine["metadata"]["name"] = json!(name);
            store(&ns, &machine).await?;
            if decided_first {
                patched(&ns, &machine, &decision).await?;
                applied(&ns, "decent-operator", &machine, &ours).await?;
            } else {
                applied(&ns, "decent-operator", &machine, &ours).await?;
                patched(&ns, &machine, &decision).await?;
            }
            let next = merged(&ours, &json!({ "slot": "ams1-1", "phaseTimes": null }));
            let seen = applied(&ns, "decent-operator", &machine, &next).await?;
            assert_eq!(seen, merged(&next, &decision));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn three_writers_share_a_gateways_status() -> Result<()> {
    with_namespace(|ns| async move {
        let gateway = samples::full("Gateway");
        store(&ns, &gateway).await?;
        let parts = [
            ("decent-operator", json!({ "slotsInUse": true })),
            (
                "decent-agent",
                json!({ "agent": { "version": "0.1.0", "applied": 1 } }),
            ),
            (
                "decent-gateway",
                json!({ "fqdn": "a.example.org", "conditions": [condition("Ready", "True")] }),
            ),
        ];
        let mut whole = json!({ "conditions": [] });
        for (manager, status) in parts.iter().chain(&parts) {
            whole = merged(&whole, status);
            assert_eq!(applied(&ns, manager, &gateway, status).await?, whole, "{manager}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn conditions_are_shared_by_type() -> Result<()> {
    with_namespace(|ns| async move {
        for kind in samples::KINDS {
            let mut object = samples::full(kind);
            if kind == "Account" {
                object["metadata"]["name"] = json!(ns.name);
            }
            store(&ns, &object).await?;
            let (ready, other) = (condition("Ready", "True"), condition("Other", "False"));
            applied(&ns, "one", &object, &json!({ "conditions": [ready] })).await?;
            let both = applied(&ns, "two", &object, &json!({ "conditions": [other] })).await?;
            assert_eq!(both["conditions"], json!([ready, other]), "{kind}");
            let flipped = condition("Ready", "False");
            let after = applied(&ns, "one", &object, &json!({ "conditions": [flipped] })).await?;
            assert_eq!(after["conditions"], json!([flipped, other]), "{kind}");
            let gone = applied(&ns, "one", &object, &json!({ "conditions": [] })).await?;
            assert_eq!(gone["conditions"], json!([other]), "{kind}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn an_apply_with_an_undeclared_field_is_refused_by_name() -> Result<()> {
    with_namespace(|ns| async move {
        for kind in samples::KINDS {
            let object = samples::full(kind);
            let part = json!({ "spec": merged(&object["spec"], &json!({ "colour": "red" })) });
            let refusal = apply(&ns, "decent-cli", &object, &part)
                .await?
                .expect_err("refused");
            assert!(
                refusal
                    .message
                    .contains(".spec.colour: field not declared in schema"),
                "{kind}: {}",
                refusal.message
            );
        }
        Ok(())
    })
    .await
}

/// What Flux and `kubectl diff` rely on.
#[tokio::test]
#[ignore = "needs a control plane"]
async fn a_second_apply_changes_nothing() -> Result<()> {
    with_namespace(|ns| async move {
        for kind in samples::KINDS {
            for (n, mut object) in [samples::full(kind), samples::minimal(kind)]
                .into_iter()
                .enumerate()
            {
                match kind {
                    "Account" => object["metadata"]["name"] = json!(format!("{}-again", ns.name)),
                    "Machine" => object["metadata"]["name"] = json!(format!("m-{n}")),
                    _ => {}
                }
                let part = json!({ "spec": object["spec"] });
                let first = apply(&ns, "decent-cli", &object, &part).await?;
                let first = first.unwrap_or_else(|refusal| panic!("{}", refusal.message));
                let second = apply(&ns, "decent-cli", &object, &part).await?;
                let second = second.unwrap_or_else(|refusal| panic!("{}", refusal.message));
                assert_eq!(
                    first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"],
                    "{kind}"
                );
                let path = collection(&ns, kind);
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                if kind != "Machine" {
                    send(&ns, "DELETE", &format!("{path}/{name}"), &json!({}))
                        .await?
                        .expect("deleted");
                }
            }
        }
        Ok(())
    })
    .await
}
