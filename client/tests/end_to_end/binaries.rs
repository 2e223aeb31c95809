//! Where the binaries under test are.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use waxwing_testkit::binaries::built_beside;

pub(crate) fn client() -> PathBuf {
    std::env::var_os("WAXWING_TEST_CLIENT")
        .map_or_else(|| env!("CARGO_BIN_EXE_waxwing").into(), PathBuf::from)
}

pub(crate) fn server() -> &'static Path {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(|| {
        let build = || built_beside(env!("CARGO_BIN_EXE_waxwing"), "waxwing-server");
        std::env::var_os("WAXWING_TEST_SERVER").map_or_else(build, PathBuf::from)
    })
}
