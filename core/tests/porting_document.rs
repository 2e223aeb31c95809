//! PORTING.md copies from the firmware. What it shows is what is there.

use std::fs;
use std::path::Path;

#[test]
fn every_block_that_names_a_file_stands_in_it() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = fs::read_to_string(workspace.join("docs/PORTING.md")).unwrap();
    let blocks: Vec<_> = document.split("```rust,ignore\n// ").skip(1).collect();
    assert_eq!(blocks.len(), document.matches("```rust,ignore").count(), "each names its file");
    assert!(blocks.len() >= 2, "the search has lost what it looks at");
    for block in blocks {
        let (path, rest) = block.split_once('\n').unwrap();
        let (code, _) = rest.split_once("```\n").unwrap();
        let file = fs::read_to_string(workspace.join(path)).unwrap();
        assert!(file.contains(code), "PORTING.md shows another text than {path}:\n{code}");
    }
}
