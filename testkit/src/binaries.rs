//! Programs of other packages, for tests that run them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `package` and says where its program lies: beside `own`, a program of the test's own
/// package. Cargo hands out no others. It is built with the same profile.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn built_beside(own: &str, package: &str) -> PathBuf {
    let beside = Path::new(own).parent().expect("a program lies in a directory");
    let profile = match beside.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", package, "--profile", profile])
        .arg("--target-dir")
        .arg(beside.parent().unwrap_or(beside))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "{package} does not build");
    beside.join(package)
}
