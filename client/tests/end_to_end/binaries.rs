//! Where the binaries under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub(crate) fn client() -> PathBuf {
    std::env::var_os("WAXWING_TEST_CLIENT")
        .map_or_else(|| env!("CARGO_BIN_EXE_waxwing").into(), PathBuf::from)
}

pub(crate) fn server() -> &'static Path {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(|| {
        std::env::var_os("WAXWING_TEST_SERVER").map_or_else(build_server, PathBuf::from)
    })
}

/// Cargo hands out the binaries of a test's own package only. This one is built with the same
/// profile and lies beside the client's.
fn build_server() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_waxwing")).parent().unwrap();
    let profile = match beside.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "waxwing-server", "--profile", profile])
        .arg("--target-dir")
        .arg(beside.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "waxwing-server does not build");
    beside.join("waxwing-server")
}
