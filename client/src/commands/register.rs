//! `waxwing register`.

use std::path::Path;

use super::Console;
use crate::args::Register;
use crate::exit::Failure;

pub(super) fn run(
    _dir: &Path,
    _register: &Register,
    _console: &mut Console<'_>,
) -> Result<(), Failure> {
    Err(Failure::General("not available yet".into()))
}
