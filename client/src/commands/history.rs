//! `waxwing history`.

use super::{Console, Place};
use crate::exit::Failure;
use crate::home::Window;
use crate::show;
use crate::who::Who;

pub(super) fn run(
    place: &Place<'_>,
    who: &Who,
    limit: Option<u32>,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, _) = place.open_to_read()?;
    let phone = place.find(&home, who, console)?;
    let with = home.conversations().with(&phone)?;
    let held = with.as_ref().and_then(show::held_text);
    let name = with.and_then(|with| with.name);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    for entry in home.page(&phone, Window::Last, limit)? {
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
