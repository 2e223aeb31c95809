//! `waxwing history`.

use std::path::Path;

use waxwing_core::phone::Phone;

use super::{Console, open_to_read};
use crate::exit::Failure;
use crate::show;

pub(super) fn run(
    dir: &Path,
    phone: &Phone,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = open_to_read(dir)?;
    for entry in home.history(phone)? {
        let line = if json {
            show::entry_json(&entry, phone.as_str())
        } else {
            show::entry_text(&entry, phone.as_str(), &console.page())
        };
        writeln!(console.output, "{line}")?;
    }
    Ok(())
}
