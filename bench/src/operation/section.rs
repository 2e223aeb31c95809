//! The part of BENCHMARKS.md that [`super::measure`] fills: from its heading to the end of the page.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use waxwing_server::clock;

use super::Sizes;
use crate::findings::Findings;
use crate::report::{machine, scaled};

const TEMPLATE: &str = include_str!("section.md");
const HEADING: &str = "## With everything on\n";

/// What the page in this directory has of it; nothing if there is no such page.
pub(crate) fn kept(directory: &Path) -> Result<String> {
    let (_, page) = read(directory)?;
    Ok(page.find(HEADING).map_or_else(String::new, |at| format!("\n{}", &page[at..])))
}

/// Puts it into the page in this directory, in the place of the one before.
pub(crate) fn write(
    findings: &Findings,
    sizes: &Sizes,
    (scale, has_canary): (f64, bool),
    directory: &Path,
) -> Result<()> {
    let canary =
        if has_canary { "a canary each 10 s" } else { "no canary, since the server had none yet" };
    let section = TEMPLATE
        .replace("{disk}", "2 GiB")
        .replace("{machine}", &machine())
        .replace("{date}", clock::written(clock::unix_now()).split('T').next().unwrap_or_default())
        .replace("{scale}", &scaled(scale))
        .replace("{canary}", canary)
        .replace("{rounds}", &sizes.rounds.to_string())
        .replace("{before}", &sizes.full.as_secs_f64().to_string())
        .replace("{comparisons}", findings.comparison_table().trim_end())
        .replace("{goals}", findings.goal_table().trim_end())
        .replace("{remarks}", findings.notes().trim_end());
    let (path, page) = read(directory)?;
    let before = page.find(HEADING).map_or(&*page, |at| &page[..at]);
    fs::write(&path, format!("{}\n\n{section}", before.trim_end()))
        .with_context(|| path.display().to_string())
}

fn read(directory: &Path) -> Result<(PathBuf, String)> {
    let path = directory.join("BENCHMARKS.md");
    match fs::read_to_string(&path) {
        Ok(page) => Ok((path, page)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((path, String::new())),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}
