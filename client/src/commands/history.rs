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
    let with = home.conversations().with(&phone)?;
    let held = with.as_ref().and_then(show::held_text);
    let name = with.and_then(|with| with.name);
    for entry in home.history(&phone)? {
        let line = if json {
            show::entry_json(&entry, name.as_deref())
        } else {
            show::entry_text(&entry, name.as_deref(), &console.page())
        };
        writeln!(console.output, "{line}")?;
    }
    if let Some(words) = held.filter(|_| !json) {
        writeln!(console.remarks, "{words}")?;
    }
    Ok(())
}
