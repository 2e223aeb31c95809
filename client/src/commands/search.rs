//! `waxwing search`.

use super::{Console, Place};
use crate::args::Search;
use crate::exit::Failure;
use crate::home::{Home, Query};
use crate::show;

/// Items that are put into the index at a time. Others write in between.
const STEP: u32 = 1_000;

pub(super) fn run(
    place: &Place<'_>,
    search: &Search,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if show::is_blank(&search.text) {
        return Err(Failure::Usage("say what to look for".into()));
    }
    let (home, _) = place.open_to_read()?;
    let with = search.with.as_ref().map(|who| place.find(&home, who, console)).transpose()?;
    write_index(&home);
    let limit = usize::try_from(search.limit).unwrap_or(usize::MAX);
    let query = Query { text: &search.text, with: with.as_ref(), before: None, limit };
    let names = home.conversations().names()?;
    let mut found = home.search(&query)?;
    found.reverse();
    for entry in &found {
        let name = names.get(&entry.with).map(String::as_str);
        let line = if search.json {
            show::entry_json(entry, name)
        } else {
            show::found_text(entry, name, &console.page())
        };
        writeln!(console.output, "{line}")?;
    }
    if found.is_empty() && !search.json {
        writeln!(console.remarks, "no letter says that")?;
    }
    Ok(())
}

/// What cannot be put into the index, because the home cannot be written or the disk is full, is found
/// all the same.
fn write_index(home: &Home) {
    while let Ok(true) = home.index_more(STEP) {}
}
