//! What people get from the API server: defaults, columns, selectors, names.

use anyhow::Result;
use http::Request;
use serde_json::{Value, json};
use testkit::{TestNamespace, with_namespace};

use crate::support::samples::{self, KINDS};
use crate::support::walk::definitions;
use crate::support::{collection, merged, send, statuses, store};

/// The spec as the Rust type of the kind writes it.
fn through_type(object: &Value) -> Value {
    fn spec<K: serde::de::DeserializeOwned + serde::Serialize>(object: &Value) -> Value {
        let typed: K = serde_json::from_value(object.clone()).expect("the type reads it");
        serde_json::to_value(typed).expect("JSON")["spec"].clone()
    }
    match object["kind"].as_str().unwrap_or_default() {
        "Account" => spec::<crds::Account>(object),
        "Contract" => spec::<crds::Contract>(object),
        "Gateway" => spec::<crds::Gateway>(object),
        "Machine" => spec::<crds::Machine>(object),
        "Offering" => spec::<crds::Offering>(object),
        "Pool" => spec::<crds::Pool>(object),
        "Provider" => spec::<crds::Provider>(object),
        _ => spec::<crds::Slot>(object),
    }
}

#[test]
fn every_field_survives_its_type() {
    for kind in KINDS {
        let object = samples::full(kind);
        let mut read = through_type(&object);
        if kind == "Pool" {
            // The type writes the default that the sample leaves out.
            read["nodes"][0]
                .as_object_mut()
                .expect("a node")
                .remove("cordoned");
        }
        assert_eq!(read, object["spec"], "{kind}");
    }
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn the_api_server_and_the_types_have_the_same_defaults() -> Result<()> {
    with_namespace(|ns| async move {
        for kind in KINDS {
            let object = samples::minimal(kind);
            let path = format!("{}?dryRun=All", collection(&ns, kind));
            let stored = send(&ns, "POST", &path, &object).await?.expect("accepted");
            assert_eq!(stored["spec"], through_type(&object), "{kind}");
        }
        Ok(())
    })
    .await
}

/// What is promised to people who leave a field out.
#[test]
fn defaults_are_those_that_are_promised() {
    let rows = [
        ("Account", json!({ "limits": { "contracts": 10 } })),
        (
            "Contract",
            json!({ "durationHours": 720, "payment": { "method": "Free" }, "powerState": "Running" }),
        ),
        (
            "Gateway",
            json!({ "prefix": "gw", "ports": { "first": 20000, "last": 59999 } }),
        ),
        ("Machine", json!({ "admitted": false, "powerState": "Running" })),
        (
            "Offering",
            json!({ "visibility": "Private", "stock": "InStock", "draft": false, "user": "root", "hours": { "min": 1, "max": 8760 } }),
        ),
        (
            "Pool",
            json!({ "cloneMode": "Auto", "networkIsolation": "Proxmox", "limits": { "clonesPerNode": 2 } }),
        ),
        (
            "Provider",
            json!({ "operator": "Hub", "autoAccept": { "enabled": true }, "paused": false }),
        ),
    ];
    for (kind, defaults) in rows {
        let spec = through_type(&samples::minimal(kind));
        assert_eq!(merged(&spec, &defaults), spec, "{kind}");
    }
}

/// Columns between Name and Age, and what the full sample shows in them.
const COLUMNS: &[(&str, &[(&str, &str)])] = &[
    (
        "Account",
        &[
            ("Namespace", "tenant-alice"),
            ("Ready", "True"),
            ("Reason", "Settled"),
            ("Contracts", "1"),
        ],
    ),
    (
        "Contract",
        &[
            ("Provider", "acme"),
            ("Offering", "small"),
            ("State", "Accepted"),
            ("Ready", "True"),
            ("Reason", "Settled"),
            ("Host", "abc123.ams1.gw.example.org"),
            ("SSH", "20000"),
            ("Ends", samples::AT),
        ],
    ),
    (
        "Gateway",
        &[
            ("FQDN", "ams1.gw.example.org"),
            ("Used", "1"),
            ("Capacity", "4000"),
            ("Ready", "True"),
            ("Reason", "Settled"),
        ],
    ),
    (
        "Machine",
        &[
            ("Tenant", "tenant-alice"),
            ("Contract", "web"),
            ("Offering", "small"),
            ("Decision", "Accepted"),
            ("Slot", "ams1-0"),
            ("VMID", "10000"),
            ("Power", "Running"),
            ("Ready", "True"),
            ("Reason", "Settled"),
        ],
    ),
    (
        "Offering",
        &[
            ("Price", "12.50"),
            ("Currency", "USD"),
            ("CPU", "2"),
            ("Memory", "2Gi"),
            ("Disk", "10Gi"),
            ("Visibility", "Shared"),
            ("Stock", "OutOfStock"),
            ("Available", "7"),
            ("Ready", "True"),
            ("Reason", "Settled"),
        ],
    ),
    (
        "Pool",
        &[
            ("Gateway", "ams1"),
            ("Storage", "fast"),
            ("Version", "9.0.3"),
            ("Ready", "True"),
            ("Reason", "Settled"),
        ],
    ),
    (
        "Provider",
        &[
            ("Display", "Acme"),
            ("Location", "ams"),
            ("Operator", "Own"),
            ("Ready", "True"),
            ("Reason", "Settled"),
        ],
    ),
    (
        "Slot",
        &[
            ("Machine", "m-1"),
            ("VMID", "10000"),
            ("Node", "pve1"),
            ("Address", "10.64.0.10"),
            ("Phase", "Releasing"),
            ("Route", "true"),
        ],
    ),
];

async fn table(ns: &TestNamespace, kind: &str, name: &str) -> Result<Vec<(String, String)>> {
    let request = Request::get(format!("{}/{name}", collection(ns, kind)))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())?;
    let table: Value = ns.shared.client.request(request).await?;
    let cells = table["rows"][0]["cells"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    Ok(columns
        .zip(&cells)
        .map(|(column, cell)| (text(&column["name"]), text(cell)))
        .collect())
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn columns_show_the_key_facts() -> Result<()> {
    with_namespace(|ns| async move {
        for &(kind, expected) in COLUMNS {
            let mut object = samples::full(kind);
            object["status"] = statuses::status(kind);
            if kind == "Account" {
                object["metadata"]["name"] = json!(format!("{}-table", ns.name));
            }
            store(&ns, &object).await?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let found = table(&ns, kind, name).await?;
            let shown: Vec<(&str, &str)> = found
                .iter()
                .map(|(column, cell)| (column.as_str(), cell.as_str()))
                .collect();
            let (edges, facts) = (["Name", "Age"], shown.get(1..shown.len() - 1).unwrap_or_default());
            assert_eq!(facts, expected, "{kind}");
            assert_eq!([shown[0].0, shown[shown.len() - 1].0], edges, "{kind}");
        }
        Ok(())
    })
    .await
}

async fn selected(ns: &TestNamespace, kind: &str, field: &str, value: &str) -> Result<usize> {
    let request = Request::get(format!(
        "{}?fieldSelector={field}%3D{value}",
        collection(ns, kind)
    ))
    .body(Vec::new())?;
    let list: Value = ns.shared.client.request(request).await?;
    Ok(list["items"].as_array().map_or(0, Vec::len))
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn selectable_fields_select() -> Result<()> {
    with_namespace(|ns| async move {
        let mut tried = 0;
        for (kind, crd) in definitions() {
            let fields = crd["spec"]["versions"][0]["selectableFields"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let mut object = samples::full(&kind);
            if kind == "Account" {
                object["metadata"]["name"] = json!(format!("{}-selected", ns.name));
                object["spec"]["namespace"] = json!(ns.name);
            }
            if !fields.is_empty() {
                store(&ns, &object).await?;
            }
            for field in fields {
                let path = field["jsonPath"].as_str().unwrap_or_default();
                let value = object
                    .pointer(&path.replace('.', "/"))
                    .and_then(Value::as_str)
                    .expect("a text");
                let field = path.trim_start_matches('.');
                assert_eq!(selected(&ns, &kind, field, value).await?, 1, "{kind} {field}");
                assert_eq!(selected(&ns, &kind, field, "other").await?, 0, "{kind} {field}");
                tried += 1;
            }
        }
        assert!(tried >= 7, "{tried} fields");
        Ok(())
    })
    .await
}
