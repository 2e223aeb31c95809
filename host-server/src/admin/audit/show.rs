//! `audit show`: what operators did, the newest last.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::line::{AuditResult, Line, SALT, is_hidden};
use super::read::{Entry, Snapshot};
use crate::exit::{Exit, Failure};

/// What became of an act.
struct End {
    result: Option<AuditResult>,
    detail: Option<String>,
}

/// Writes the log to `out`: an act a line for people, or the lines as they are.
///
/// # Errors
/// When a file cannot be read, `out` takes nothing, or there was something in the log that is not of
/// the log; what can be shown has been shown then.
pub fn show(snapshot: &Snapshot, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let mut strange = 0_u64;
    if json {
        snapshot.each(|entry| match entry.line {
            None => {
                strange += 1;
                Ok(())
            }
            Some(_) => write(out, &[entry.bytes, b"\n"].concat()),
        })?;
    } else {
        table(snapshot, out, &mut strange)?;
    }
    if strange == 0 {
        return Ok(());
    }
    let message = format!(
        "{strange} lines are not lines of the audit log and were left out; `waxwing-server audit verify` \
         names the first"
    );
    Err(Failure::new(Exit::Failure, message))
}

fn table(snapshot: &Snapshot, out: &mut dyn Write, strange: &mut u64) -> Result<(), Failure> {
    let (mut begun, mut ends) = (BTreeSet::new(), BTreeMap::new());
    snapshot.each(|Entry { line, .. }| {
        match line {
            Some(Line { of: Some(of), result, detail, .. }) => {
                _ = ends.insert(of, End { result, detail });
            }
            Some(Line { number, .. }) => _ = begun.insert(number),
            None => {}
        }
        Ok(())
    })?;
    write(out, format!("{}\n", row("number", "time (UTC)", "uid", "result", "act")).as_bytes())?;
    snapshot.each(|Entry { line, .. }| {
        let Some(line) = line else {
            *strange += 1;
            return Ok(());
        };
        let end = match line.of {
            // It stands where the act began.
            Some(of) if begun.contains(&of) => return Ok(()),
            // That line was rotated away.
            Some(_) => None,
            None => ends.remove(&line.number),
        };
        let (result, detail) = match end {
            Some(End { result, detail }) => (result, detail),
            None => (line.result, line.detail.clone()),
        };
        let result = result.map_or("open".to_owned(), |result| result.to_string());
        let mut act = visible(&line.command);
        for (name, value) in line.arguments.iter().filter(|(name, _)| *name != SALT) {
            act.push_str(&format!(" {}={}", visible(name), visible(value)));
        }
        if let Some(erased) = &line.erased {
            act.push_str(&format!(" (erased by {})", erased.by));
        }
        if let Some(detail) = detail {
            act.push_str(&format!(": {}", visible(&detail)));
        }
        let (number, uid) = (line.number.to_string(), line.uid.to_string());
        let row = row(&number, &visible(&line.time), &uid, &result, &act);
        write(out, format!("{row}\n").as_bytes())
    })
}

fn row(number: &str, time: &str, uid: &str, result: &str, act: &str) -> String {
    format!("{number:>7}  {time:<20}  {uid:>5}  {result:<7}  {act}")
}

/// Text in which every character can be seen.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            visible.extend(character.escape_debug());
        } else {
            visible.push(character);
        }
    }
    visible
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<(), Failure> {
    out.write_all(bytes).map_err(Failure::output)
}
