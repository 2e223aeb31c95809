//! SECURITY.md names tests. They exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The text of every source file of the workspace, tests and sources alike.
fn sources(below: &Path, into: &mut String) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// What stands between backticks and looks like the name of a test.
fn named(document: &str) -> BTreeSet<&str> {
    let spans = document.split('`').skip(1).step_by(2);
    let is_name = |span: &&str| {
        span.matches('_').count() > 1
            && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    spans.filter(is_name).collect()
}

#[test]
fn every_test_that_the_document_names_exists() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = fs::read_to_string(workspace.join("SECURITY.md")).unwrap();
    let mut source = String::new();
    for package in ["core", "crypto-aws-lc", "transport-mio", "host-server", "client"] {
        for folder in ["src", "tests"] {
            sources(&workspace.join(package).join(folder), &mut source);
        }
    }
    let tests = named(&document);
    assert!(tests.len() > 60, "the search has lost what it looks at: {tests:?}");
    let is_missing = |name: &&str| !source.contains(&format!("fn {name}("));
    let missing: Vec<_> = tests.into_iter().filter(is_missing).collect();
    assert_eq!(missing, [""; 0]);
}
