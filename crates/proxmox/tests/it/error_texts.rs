//! Every recorded error text of Proxmox has its row, and every row its class.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dc_proxmox::{Exit, classify};
use domain::pve::{Class, MissingPrivilege};
use serde::Deserialize;
use serde_json::Value;

use crate::support::skipped;

/// One text as Proxmox sent it, and what it means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    class: String,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    text: String,
    #[serde(default)]
    errors: BTreeMap<String, String>,
    #[serde(default)]
    exit: Option<String>,
    #[serde(default)]
    privilege: Option<(String, String)>,
}

type Fact = (u16, String, BTreeMap<String, String>, Option<String>);

impl Row {
    fn fact(&self) -> Fact {
        (
            self.status,
            self.text.clone(),
            self.errors.clone(),
            self.exit.clone(),
        )
    }
}

fn rows() -> Vec<Row> {
    let lines = include_str!("data/error-texts.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_row_has_its_class() {
    let rows = rows();
    assert!(rows.len() > 280);
    for row in &rows {
        let class = classify(row.status, &row.text, &row.errors, row.exit.as_deref());
        let shown = format!("{:?}", row.fact());
        assert_eq!(class.name(), row.class, "{shown}");
        if let Class::Denied { privilege } = class {
            let read = privilege.map(|MissingPrivilege { path, privilege }| (path, privilege));
            assert_eq!(read, row.privilege, "{shown}");
        }
    }
    let classes: BTreeSet<&str> = rows.iter().map(|row| row.class.as_str()).collect();
    assert_eq!(classes.len(), 10, "a class without a single text: {classes:?}");
}

#[test]
fn no_fact_has_two_rows() {
    let rows = rows();
    let facts: BTreeSet<Fact> = rows.iter().map(Row::fact).collect();
    assert_eq!(facts.len(), rows.len());
}

#[test]
fn a_failed_task_means_what_the_same_answer_means() {
    for row in rows()
        .into_iter()
        .filter(|row| row.status == 500 && row.errors.is_empty())
    {
        let answer = classify(500, &row.text, &row.errors, None);
        assert_eq!(
            Exit::Failed(row.text.clone()).class(),
            Some(answer),
            "{}",
            row.text
        );
    }
}

/// The recorded error of one exchange, and the failed tasks that its data shows.
fn recorded(exchange: &Value) -> Vec<Fact> {
    let mut facts = Vec::new();
    let status = exchange["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if status >= 400 {
        let errors = exchange["json"]["errors"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let errors = errors
            .into_iter()
            .map(|(key, value)| (key, text(&value)))
            .collect();
        facts.push((status, text(&exchange["reason"]), errors, None));
    }
    let data = &exchange["json"]["data"];
    let tasks = data
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| row["upid"].is_string());
    let listed = tasks
        .filter_map(|row| row["status"].as_str())
        .filter(|status| *status != "RUNNING");
    for exit in data["exitstatus"]
        .as_str()
        .into_iter()
        .chain(listed)
        .filter(|exit| *exit != "OK")
    {
        facts.push((0, String::new(), BTreeMap::new(), Some(exit.to_owned())));
    }
    facts
}

#[test]
fn every_recorded_text_has_its_row() {
    let known: BTreeSet<Fact> = rows().iter().map(Row::fact).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/proxmox");
    let mut seen = 0;
    for name in ["transcripts.jsonl", "transcripts-2.jsonl"] {
        let Ok(text) = fs::read_to_string(folder.join(name)) else {
            skipped(&format!(
                "SKIPPED: the recording {name} is not beside the repository, its texts are not compared"
            ));
            continue;
        };
        for line in text.lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            for fact in recorded(&exchange) {
                assert!(
                    known.contains(&fact),
                    "{} in {name} has no row: {fact:?}",
                    exchange["name"]
                );
                seen += 1;
            }
        }
    }
    assert!(seen == 0 || seen > 400, "only {seen} recorded texts were read");
}
