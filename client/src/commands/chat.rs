//! `waxwing chat`.

use std::path::Path;

use waxwing_core::phone::Phone;

use super::Console;
use crate::exit::Failure;

pub(super) fn run(_dir: &Path, _phone: &Phone, _console: &mut Console<'_>) -> Result<(), Failure> {
    Err(Failure::General("not available yet".into()))
}
