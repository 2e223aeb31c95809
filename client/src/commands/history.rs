//! `waxwing history`.

use super::{Console, Place};
use crate::exit::Failure;
use crate::show;
use crate::who::Who;

pub(super) fn run(
    place: &Place<'_>,
    who: &Who,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = place.open_to_read()?;
    let phone = place.find(&home, who, console)?;
    let name = home.conversations().with(&phone)?.and_then(|with| with.name);
    for entry in home.history(&phone)? {
        let line = if json {
            show::entry_json(&entry, name.as_deref())
        } else {
            show::entry_text(&entry, name.as_deref(), &console.page())
        };
        writeln!(console.output, "{line}")?;
    }
    Ok(())
}
