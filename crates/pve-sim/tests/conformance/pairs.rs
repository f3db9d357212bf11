//! The recorded pairs as they are in the files. Judges nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A recorded request with its answer.
#[derive(Debug, Clone)]
pub struct Pair {
    /// How the recording calls it; only its leading number is looked at.
    pub name: String,
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The path behind the format, decoded, in segments.
    pub segments: Vec<String>,
    /// The parameters of query and body.
    pub params: BTreeMap<String, String>,
    /// The changes of the datacenter's options that were recorded before it.
    pub settings: Vec<Value>,
    /// The recording itself.
    pub raw: Value,
    /// The recording as one line of text.
    pub line: String,
}

/// Where the recordings are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/proxmox")
}

/// All pairs of all files, in their order; none if there are no files.
pub fn read() -> Vec<Pair> {
    let Ok(entries) = std::fs::read_dir(folder()) else {
        return Vec::new();
    };
    let named = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.starts_with("transcripts") && Path::new(name).extension().is_some_and(|kind| kind == "jsonl")
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(named)
        .collect();
    files.sort();
    files.iter().flat_map(|file| of_file(file)).collect()
}

/// The pairs of one file, each with the options that were set when it was recorded.
fn of_file(file: &Path) -> Vec<Pair> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut settings: Vec<Value> = Vec::new();
    let mut pairs = Vec::new();
    for line in text.lines() {
        let pair = Pair {
            settings: settings.clone(),
            ..Pair::parse(line)
        };
        if pair.method == "PUT" && pair.template() == "/cluster/options" && pair.status() == 200 {
            settings.push(pair.raw["params"].clone());
        }
        pairs.push(pair);
    }
    pairs
}

/// Pairs by the number that their names begin with, in the order of the files.
pub fn groups(pairs: &[Pair]) -> BTreeMap<u32, Vec<&Pair>> {
    let mut groups: BTreeMap<u32, Vec<&Pair>> = BTreeMap::new();
    for pair in pairs {
        groups.entry(pair.number()).or_default().push(pair);
    }
    groups
}

impl Pair {
    fn parse(line: &str) -> Self {
        let raw: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| raw[key].as_str().unwrap_or_default().to_owned();
        let target = text("path");
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = path.strip_prefix("/api2/json").unwrap_or(path);
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let segments = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(decode)
            .collect();
        let mut params: BTreeMap<String, String> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if let Value::Object(map) = &raw["params"] {
            params.extend(map.iter().map(|(name, value)| (name.clone(), plain(value))));
        }
        Self {
            name: text("name"),
            method: text("method"),
            segments,
            params,
            line: line.to_owned(),
            settings: Vec::new(),
            target,
            raw,
        }
    }

    /// The number of its group.
    pub fn number(&self) -> u32 {
        let digits: String = self.name.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }

    /// The recorded status code.
    pub fn status(&self) -> u64 {
        self.raw["status"].as_u64().unwrap_or(0)
    }

    /// The recorded reason phrase.
    pub fn reason(&self) -> &str {
        self.raw["reason"].as_str().unwrap_or_default()
    }

    /// The value of `data` in the answer.
    pub fn data(&self) -> &Value {
        &self.raw["json"]["data"]
    }

    /// The task that the answer names.
    pub fn upid(&self) -> Option<&str> {
        self.data().as_str().filter(|text| text.starts_with("UPID:"))
    }

    /// The task that the path names.
    pub fn upid_of_path(&self) -> Option<&str> {
        let task = self
            .segments
            .get(3)
            .filter(|_| self.segments.get(2).is_some_and(|part| part == "tasks"));
        task.map(String::as_str).filter(|text| text.starts_with("UPID:"))
    }

    /// The path with names in place of what varies: `/nodes/{node}/qemu/{vmid}/config`.
    pub fn template(&self) -> String {
        let mut out = String::new();
        for (index, part) in self.segments.iter().enumerate() {
            let before = |back: usize| {
                index
                    .checked_sub(back)
                    .and_then(|at| self.segments.get(at))
                    .map(String::as_str)
            };
            let name = match (before(1), before(2)) {
                (Some("nodes"), None) => "{node}",
                (Some("qemu"), _) if index == 3 => "{vmid}",
                (Some("tasks"), _) if index == 3 => "{upid}",
                (Some("storage"), _) if index == 1 || index == 3 => "{storage}",
                (Some("content"), _) if index == 5 => "{volume}",
                (Some("users" | "roles" | "pools" | "token"), _) => "{id}",
                (Some("rules"), _) => "{pos}",
                (Some("ipset"), Some("firewall")) => "{name}",
                (_, Some("ipset")) => "{cidr}",
                _ => part.as_str(),
            };
            out.push('/');
            out.push_str(name);
        }
        if out.is_empty() { "/".to_owned() } else { out }
    }

    /// The segment behind another one.
    pub fn behind(&self, name: &str) -> Option<&str> {
        let at = self.segments.iter().position(|part| part == name)?;
        self.segments.get(at + 1).map(String::as_str)
    }

    /// The guest of the path.
    pub fn vmid(&self) -> Option<u32> {
        self.behind("qemu")?.parse().ok()
    }

    /// The node of the path.
    pub fn node(&self) -> Option<&str> {
        self.behind("nodes")
    }

    /// Whether it asks for something to be done.
    pub fn writes(&self) -> bool {
        self.method != "GET"
    }
}

/// A value as a form would carry it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => u8::from(*on).to_string(),
        other => other.to_string(),
    }
}
