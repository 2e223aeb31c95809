//! The test vectors that are checked in.

use std::path::Path;

use waxwing_testkit::vectors::files;

#[test]
fn the_files_are_what_the_generator_writes() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    for (name, text) in files() {
        let stored = std::fs::read_to_string(dir.join(name)).unwrap();
        let anew = "cargo run -p waxwing-testkit --example vectors";
        assert!(stored == text, "{name} is not what the generator writes; `{anew}`");
    }
}
