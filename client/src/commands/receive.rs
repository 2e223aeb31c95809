//! `waxwing receive`.

use std::path::Path;

use super::Console;
use crate::args::Receive;
use crate::exit::Failure;

pub(super) fn run(
    _dir: &Path,
    _receive: &Receive,
    _console: &mut Console<'_>,
) -> Result<(), Failure> {
    Err(Failure::General("not available yet".into()))
}
