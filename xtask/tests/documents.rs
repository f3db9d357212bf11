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

/// The tests that a table names in its last column, as (file, function).
fn named_tests(text: &str) -> Vec<(String, String)> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next());
    let names = cells.filter_map(|cell| {
        cell.trim()
            .strip_prefix('`')?
            .strip_suffix('`')?
            .rsplit_once("::")
    });
    let path = |file: &str| match file.strip_prefix("stories/") {
        Some(story) => format!("tests/e2e/stories/{story}"),
        None => file.to_owned(),
    };
    names.map(|(file, test)| (path(file), test.to_owned())).collect()
}

#[test]
fn every_fault_of_the_matrix_names_a_test_that_exists() {
    let text = fs::read_to_string(root().join("docs/reference/fault-matrix.md")).expect("the matrix");
    let rows = text.lines().filter(|line| line.starts_with("| ")).count() - 1;
    let tests = named_tests(&text);
    assert!(
        tests.len() > 40 && tests.len() == rows,
        "{rows} rows name {} tests",
        tests.len()
    );
    let mut missing = Vec::new();
    for (file, test) in tests {
        let source = fs::read_to_string(root().join(&file)).unwrap_or_default();
        let defined = ["def ", "fn "].map(|word| format!("{word}{test}("));
        if !defined.iter().any(|line| source.contains(line)) {
            missing.push(format!("{file}::{test}"));
        }
    }
    assert!(missing.is_empty(), "no such tests:\n{}", missing.join("\n"));
}

#[test]
fn every_fault_of_the_stories_is_in_the_matrix() {
    let data = fs::read_to_string(root().join("tests/e2e/decent/faults.py")).expect("the faults");
    let matrix = fs::read_to_string(root().join("docs/reference/fault-matrix.md")).expect("the matrix");
    let names: Vec<&str> = data
        .lines()
        .filter_map(|line| line.strip_prefix("    \"")?.split_once("\": one("))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 20, "only {} faults found", names.len());
    let unknown: Vec<&&str> = names
        .iter()
        .filter(|name| !matrix.contains(&format!("\"{name}\"")))
        .collect();
    assert!(unknown.is_empty(), "not in the matrix: {unknown:?}");
}
