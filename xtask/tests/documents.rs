//! The documents of the tree: what they link to exists.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Markdown file; folders of tools and builds are left out.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let skipped = name.to_string_lossy().starts_with('.') || name == "target" || name == "node_modules";
        if path.is_dir() && !skipped {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Targets of the links of a text that lead into the tree. Code blocks hold no links.
fn links(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    let targets = prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let inside = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    inside
        .map(|target| target.split('#').next().unwrap_or_default().trim().to_owned())
        .collect()
}

#[test]
fn links_are_found_outside_of_code() {
    let text = "see [a](a.md#x) and [b](https://b.example) ```[c](c.md)``` and [d](#d), [e\nf](../e/)";
    assert_eq!(links(text), ["a.md", "../e/"]);
}

#[test]
fn every_link_into_the_tree_leads_somewhere() {
    let mut all = Vec::new();
    documents(&root(), &mut all);
    assert!(all.len() > 20, "only {} documents found", all.len());
    let mut broken = Vec::new();
    for document in all {
        let folder = document.parent().expect("a folder").to_path_buf();
        for link in links(&fs::read_to_string(&document).expect("a document")) {
            if !folder.join(&link).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}
