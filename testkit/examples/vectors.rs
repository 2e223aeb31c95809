//! Writes the test vectors under `vectors/` anew.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    for (name, text) in waxwing_testkit::vectors::files() {
        std::fs::write(dir.join(name), text)?;
    }
    Ok(())
}
