//! `waxwing recover`: a home whose log is damaged.

use serde::Serialize;

use super::{Console, Place, json_line};
use crate::clock;
use crate::exit::Failure;
use crate::home::{Home, Recovery};

#[derive(Serialize)]
struct Line {
    /// Changes that are not in the home any more.
    lost: u64,
    /// The files as they were, if something was lost.
    kept: Vec<String>,
}

pub(super) fn run(place: &Place<'_>, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let recovered = Home::recover(&place.dir, clock::now())?;
    let dir = place.dir.display();
    let kept = recovered.as_ref().map_or_else(Vec::new, |Recovery { kept, .. }| {
        ["", "-wal"].map(|suffix| format!("{}{suffix}", kept.display())).into()
    });
    let lost = recovered.map_or(0, |recovery| recovery.lost);
    if json {
        return json_line(&Line { lost, kept }, console);
    }
    let [database, log] = kept.as_slice() else {
        writeln!(
            console.output,
            "the log of the home in {dir} hides nothing; nothing was changed"
        )?;
        return Ok(());
    };
    writeln!(
        console.output,
        "the home in {dir} can be used again. It is without the changes that were stored last (about {lost}): \
         letters that came or were written, and what became of them. The damaged files are kept as {database} and \
         {log}; delete them when nobody needs them"
    )?;
    Ok(())
}
