//! The simulator's table of calls, out of the API schema that a Proxmox VE prints of itself: names, types, bounds and
//! privileges, without the schema's texts. Decides nothing about how a request is checked.

mod property;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Map, Value};

use property::Formats;

/// Where the table is kept.
const TABLE: &str = "crates/pve-sim/src/api/schema/table.txt";
const HEAD: &str = "\
# What each call takes and asks for. Written by `cargo xtask api-table`, never by hand.
# format NAME, then its keys: what a value of the form key=value,key=value may hold.
# /path, then METHOD WHO FLAGS, then its parameters: name[?] type bounds; `?` may be missing, `[n]` stands for a number.
";

/// Derive the simulator's table of calls from a recorded API schema.
#[derive(Args)]
pub struct ApiTable {
    /// The schema: JSON, gzipped or plain.
    schema: PathBuf,
    /// Fail on a difference instead of writing; without the schema say so and pass.
    #[arg(long)]
    check: bool,
}

/// Writes the table, or with `--check` only compares.
///
/// # Errors
/// A schema that cannot be read or is not one, a table that cannot be written, or with `--check` one that differs.
pub fn run(args: &ApiTable) -> Result<ExitCode> {
    if args.check && !args.schema.exists() {
        eprintln!(
            "! SKIPPED: there is no API schema at {}; {TABLE} was not compared with it",
            args.schema.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let table = table(&read(&args.schema)?)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(TABLE);
    if args.check {
        let kept = std::fs::read_to_string(&path).with_context(|| format!("failed to read {TABLE}"))?;
        ensure!(
            kept == table,
            "{TABLE} differs from {}, run `cargo xtask api-table {0}`",
            args.schema.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::write(&path, table).with_context(|| format!("failed to write {TABLE}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the schema. gzip itself unpacks it: a crate for this one file of a developer would be in every build.
fn read(path: &Path) -> Result<Value> {
    let text = if path.extension().is_some_and(|end| end == "gz") {
        let unpacked = Command::new("gzip").arg("-cd").arg(path).output();
        let unpacked = unpacked.context("failed to run gzip")?;
        ensure!(unpacked.status.success(), "gzip failed on {}", path.display());
        unpacked.stdout
    } else {
        std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?
    };
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The table of a schema.
fn table(schema: &Value) -> Result<String> {
    let mut paths = BTreeMap::new();
    collect(schema, &mut paths)?;
    let (mut formats, mut calls) = (Formats::default(), String::new());
    for (path, node) in paths {
        let Some(methods) = node["info"].as_object() else {
            continue;
        };
        writeln!(calls, "{path}")?;
        let sorted: BTreeMap<_, _> = methods.iter().collect();
        for (name, method) in sorted {
            writeln!(calls, " {name} {}{}", who(method), flags(name, node, method))?;
            for (key, property) in sorted_properties(method) {
                writeln!(calls, "  {}", formats.line(key, property)?)?;
            }
        }
    }
    Ok(format!("{HEAD}{}{calls}", formats.text()))
}

fn collect<'a>(nodes: &'a Value, found: &mut BTreeMap<&'a str, &'a Value>) -> Result<()> {
    let Some(nodes) = nodes.as_array() else {
        bail!("the schema is no list of paths");
    };
    for node in nodes {
        let path = node["path"].as_str().context("an entry has no path")?;
        found.insert(path, node);
        if node["children"].is_array() {
            collect(&node["children"], found)?;
        }
    }
    Ok(())
}

/// Who may call: world, all, root, or an expression of privileges.
fn who(method: &Value) -> String {
    let permissions = &method["permissions"];
    match (permissions["user"].as_str(), &permissions["check"]) {
        (Some(user), _) => user.to_owned(),
        (None, Value::Null) => "root".to_owned(),
        (None, check) => check.to_string(),
    }
}

fn flags(name: &str, node: &Value, method: &Value) -> String {
    let mut flags = String::new();
    if truthy(&method["allowtoken"]) == Some(false) {
        flags.push_str(" notoken");
    }
    if truthy(&method["parameters"]["additionalProperties"]) != Some(false)
        && method["parameters"]["allOf"].is_null()
    {
        flags.push_str(" open");
    }
    let link = method["returns"]["links"][0]["href"].as_str();
    let key = link.and_then(|href| href.strip_prefix('{')?.strip_suffix('}'));
    if let Some(key) = key.filter(|_| name == "GET" && has_fixed_children(node)) {
        flags.push_str(" index=");
        flags.push_str(key);
    }
    flags
}

fn has_fixed_children(node: &Value) -> bool {
    let children = node["children"].as_array().map_or(&[][..], Vec::as_slice);
    let mut paths = children.iter().filter_map(|child| child["path"].as_str());
    !children.is_empty() && paths.all(|path| !path.ends_with('}'))
}

/// A boolean of the schema, in which numbers and texts stand for booleans too.
fn truthy(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::Number(number) => Some(number.as_i64() != Some(0)),
        Value::String(text) => Some(text != "0"),
        _ => None,
    }
}

fn sorted_properties(method: &Value) -> BTreeMap<&String, &Value> {
    let parameters = &method["parameters"];
    let alternatives = parameters["allOf"].as_array().map_or(&[][..], Vec::as_slice);
    let all = std::iter::once(parameters).chain(alternatives);
    all.filter_map(|part| part["properties"].as_object())
        .flat_map(Map::iter)
        .collect()
}
