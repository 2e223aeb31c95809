//! `waxwing send`.

use std::path::Path;

use super::Console;
use crate::args::Send;
use crate::exit::Failure;

pub(super) fn run(_dir: &Path, _send: &Send, _console: &mut Console<'_>) -> Result<(), Failure> {
    Err(Failure::General("not available yet".into()))
}
