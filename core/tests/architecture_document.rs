//! ARCHITECTURE.md names files and folders. They exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// All files and folders of the repository that are not built, below its root.
fn tree(root: &Path, below: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if ["target", ".git"].contains(&name) {
            continue;
        }
        into.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        if path.is_dir() {
            tree(root, &path, into);
        }
    }
}

/// What `a/{b,c}.rs` means.
fn expanded(path: &str) -> Vec<String> {
    let Some((begin, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (names, end) = rest.split_once('}').expect("a closing brace");
    names.split(',').flat_map(|name| expanded(&format!("{begin}{name}{end}"))).collect()
}

/// What stands between backticks in a line and looks like a path.
fn paths(document: &str) -> BTreeSet<String> {
    let spans = document.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "/._-{},".contains(c);
    let is_path = |span: &&str| span.contains('/') && span.chars().all(is_of_path);
    spans.filter(is_path).flat_map(expanded).collect()
}

#[test]
fn every_path_that_the_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut files = BTreeSet::new();
    tree(root, root, &mut files);
    let paths = paths(&document);
    assert!(paths.len() > 100, "the search has lost what it looks at: {paths:?}");
    // A path may lack its beginning.
    let exists = |path: &str| {
        let path = path.trim_end_matches('/');
        files.contains(path) || files.iter().any(|file| file.ends_with(&format!("/{path}")))
    };
    let missing: Vec<_> = paths.iter().filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names {missing:?}");
}
