//! Everything generated from types and constants: manifests of the kinds and the reference pages.

mod reference;

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// Writes all generated files, or with `check` only compares.
///
/// # Errors
/// A file that cannot be written, or with `check` one that differs.
pub fn run(check: bool) -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut stale = Vec::new();
    for (path, text) in files()? {
        let full = root.join(&path);
        if fs::read_to_string(&full).ok().as_deref() == Some(text.as_str()) {
            continue;
        }
        if check {
            stale.push(path);
            continue;
        }
        if let Some(folder) = full.parent() {
            fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        }
        fs::write(&full, text).with_context(|| format!("failed to write {path}"))?;
    }
    if !stale.is_empty() {
        bail!(
            "generated files differ from the code, run `./justw gen`:\n  {}",
            stale.join("\n  ")
        );
    }
    Ok(())
}

/// Every generated file by its path from the root.
fn files() -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for (stem, definition) in crds::manifests::definitions() {
        files.push((format!("crds/manifests/{stem}.yaml"), yaml(&[&definition])?));
    }
    let mut text = String::new();
    for (policy, binding) in crds::policy::all() {
        let rule = if text.is_empty() { "" } else { "---\n" };
        write!(text, "{rule}{}---\n{}", yaml(&[&policy])?, yaml(&[&binding])?)?;
    }
    files.push(("crds/manifests/policies.yaml".into(), text));
    files.extend(reference::pages());
    Ok(files)
}

fn yaml<T: Serialize>(documents: &[&T]) -> Result<String> {
    let mut text = String::new();
    for document in documents {
        text.push_str(&serde_saphyr::to_string(document).context("failed to write YAML")?);
    }
    Ok(text)
}
