//! Exact requests of the writer and its finalizer steps.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use serde_json::{Value, json};

use super::{Claim, Writer};
use crate::{
    call::Fault,
    managers,
    scripted::{Server, refusal, server},
};

const PATH: &str = "/api/v1/namespaces/n/configmaps";
const FINALIZER: &str = "decent-cloud.org/machine";

fn scene() -> (Writer, Api<ConfigMap>, Server) {
    let (client, server) = server();
    let writer = Writer::new(managers::OPERATOR, Duration::from_secs(10));
    (writer, Api::namespaced(client, "n"), server)
}

fn object(finalizers: &[&str]) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "namespace": "n", "name": "a", "uid": "u1", "resourceVersion": "7", "finalizers": finalizers,
    }})
}

fn seen(finalizers: &[&str]) -> ConfigMap {
    serde_json::from_value(object(finalizers)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn apply_is_forced_and_named() {
    let (writer, api, mut server) = scene();
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}});
    let line = format!("PATCH {PATH}/a?&force=true&fieldManager=decent-operator");
    let (result, request) = tokio::join!(
        writer.apply(&api, "a", &body),
        server.expect(&line, 200, object(&[]))
    );
    assert_eq!(result.unwrap().metadata.uid.as_deref(), Some("u1"));
    assert_eq!(request.content_type, "application/apply-patch+yaml");
    assert_eq!(request.body, body);
}

#[tokio::test(start_paused = true)]
async fn status_of_an_absent_object_is_none() {
    let (client, mut server) = server();
    let api: Api<Pod> = Api::namespaced(client, "n");
    let writer = Writer::new(managers::OPERATOR, Duration::from_secs(10));
    let body = json!({"status": {}});
    let line = "PATCH /api/v1/namespaces/n/pods/a/status?&force=true&fieldManager=decent-operator";
    let (result, _) = tokio::join!(
        writer.apply_status_if_present(&api, "a", &body),
        server.expect(line, 404, refusal(404, "NotFound")),
    );
    assert!(result.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_a_post_and_a_taken_name_is_no_error() {
    let (writer, api, mut server) = scene();
    let line = format!("POST {PATH}?&fieldManager=decent-operator");
    let claim = seen(&[]);
    let (result, _) = tokio::join!(
        writer.create_claim(&api, &claim),
        server.expect(&line, 201, object(&[]))
    );
    assert_eq!(result.unwrap(), Claim::Created(Box::new(seen(&[]))));
    let (result, _) = tokio::join!(
        writer.create_claim(&api, &claim),
        server.expect(&line, 409, refusal(409, "AlreadyExists")),
    );
    assert_eq!(result.unwrap(), Claim::AlreadyExists);
    let (result, _) = tokio::join!(
        writer.create_claim(&api, &claim),
        server.expect(&line, 409, refusal(409, "Conflict")),
    );
    assert_eq!(result.unwrap_err().fault(), Fault::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_answer_is_retryable_and_named() {
    let (writer, api, mut server) = scene();
    let claim = seen(&[]);
    let (result, _unanswered) = tokio::join!(writer.create_claim(&api, &claim), server.next());
    let error = result.unwrap_err();
    assert_eq!(
        crate::chain(&error),
        "failed to create ConfigMap a: no answer within 10s"
    );
    assert_eq!(error.fault(), Fault::Retryable);
}

#[tokio::test(start_paused = true)]
async fn replace_needs_a_resource_version() {
    let (writer, api, mut server) = scene();
    let mut object = seen(&[]);
    object.metadata.resource_version = None;
    let error = writer.replace(&api, &object).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Invalid);
    server.silence(Duration::from_mins(1)).await;
}

#[tokio::test(start_paused = true)]
async fn delete_names_what_was_seen_and_absence_is_success() {
    let (writer, api, mut server) = scene();
    let object = seen(&[]);
    let line = format!("DELETE {PATH}/a?");
    let (result, request) = tokio::join!(
        writer.delete_seen(&api, &object, true),
        server.expect(&line, 404, refusal(404, "NotFound")),
    );
    result.unwrap();
    assert_eq!(
        request.body["preconditions"],
        json!({"uid": "u1", "resourceVersion": "7"})
    );
    let (result, _) = tokio::join!(
        writer.delete_seen(&api, &object, false),
        server.expect(&line, 409, refusal(409, "Conflict")),
    );
    assert_eq!(result.unwrap_err().fault(), Fault::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_is_added_only_to_what_was_seen() {
    let (writer, api, mut server) = scene();
    let line = format!("PATCH {PATH}/a?&fieldManager=decent-operator");
    for (finalizers, before, after) in [
        (&[][..], Value::Null, json!([FINALIZER])),
        (&["other"][..], json!(["other"]), json!(["other", FINALIZER])),
    ] {
        let object_seen = seen(finalizers);
        let (result, request) = tokio::join!(
            writer.add_finalizer(&api, &object_seen, FINALIZER),
            server.expect(&line, 200, object(&[FINALIZER])),
        );
        assert!(result.unwrap().is_some());
        assert_eq!(request.content_type, "application/json-patch+json");
        let want = json!([
            {"op": "test", "path": "/metadata/uid", "value": "u1"},
            {"op": "test", "path": "/metadata/finalizers", "value": before},
            {"op": "add", "path": "/metadata/finalizers", "value": after},
        ]);
        assert_eq!(request.body, want);
    }
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_is_dropped_by_its_tested_place() {
    let (writer, api, mut server) = scene();
    let object_seen = seen(&["other", FINALIZER]);
    let line = format!("PATCH {PATH}/a?&fieldManager=decent-operator");
    let (result, request) = tokio::join!(
        writer.drop_finalizer(&api, &object_seen, FINALIZER),
        server.expect(&line, 200, object(&["other"])),
    );
    assert!(result.unwrap().is_some());
    let want = json!([
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "test", "path": "/metadata/finalizers/1", "value": FINALIZER},
        {"op": "remove", "path": "/metadata/finalizers/1"},
    ]);
    assert_eq!(request.body, want);
    let (result, _) = tokio::join!(
        writer.drop_finalizer(&api, &object_seen, FINALIZER),
        server.expect(&line, 422, refusal(422, "Invalid")),
    );
    assert_eq!(result.unwrap_err().fault(), Fault::Conflict);
    let (result, _) = tokio::join!(
        writer.drop_finalizer(&api, &object_seen, FINALIZER),
        server.expect(&line, 404, refusal(404, "NotFound")),
    );
    assert!(result.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn finalizers_as_wanted_send_nothing() {
    let (writer, api, mut server) = scene();
    assert!(
        writer
            .add_finalizer(&api, &seen(&[FINALIZER]), FINALIZER)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        writer
            .drop_finalizer(&api, &seen(&["other"]), FINALIZER)
            .await
            .unwrap()
            .is_none()
    );
    server.silence(Duration::from_mins(1)).await;
}
