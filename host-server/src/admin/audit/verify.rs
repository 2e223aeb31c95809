//! `audit verify`: whether each line of the log follows the one before, and none is gone from its end, as far as the
//! server has noted the last line when it started or stopped.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use super::erase::{self, Erased};
use super::file::Last;
use super::line::NO_LINE_BEFORE;
use super::read::{Entry, Snapshot};
use super::rotation::NAME;
use crate::exit::{Exit, Failure};
use crate::figures;

/// What the chain of lines says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Whether every line follows the one before, and the noted one is there.
    pub holds: bool,
    /// How many files there are.
    pub files: usize,
    /// How many lines were looked at.
    pub lines: u64,
    /// The number of the oldest line.
    pub first: Option<u64>,
    /// The number of the last line that follows.
    pub last: Option<u64>,
    /// Its SHA-256, in hexadecimal. The next line will have it.
    pub last_sha256: Option<String>,
    /// Whether lines before the oldest one are gone.
    pub older_lines_gone: bool,
    /// Whether these can have gone by themselves: there is the oldest file that there can be.
    pub rotated: bool,
    /// Whether the last line is not whole. The next one that is written takes its place.
    pub torn: bool,
    /// How many lines do not say any more what they were about, because somebody was erased.
    pub erased: u64,
    /// Why nobody can say whether lines are gone from the end: the note of the last line cannot be read.
    pub note_problem: Option<String>,
    /// Whether there are lines, and no note of the last one: nobody can say then, either.
    pub note_missing: bool,
    /// Where the chain breaks for the first time.
    pub fault: Option<Fault>,
}

/// What to do where lines are not there, or are others.
const PUT_BACK: &str = "Put the files back from their copy if there is one. Without one, keep a copy of what is left, and find \
                        out who can write there: nobody can make it whole again";

/// What to do about the last line of all, if it is none.
const TAKE_OUT: &str = "Nothing follows it, so it can be taken out: keep a copy of the file, and delete this one line, and the \
                        server's note, which may be about it (run in the data directory: rm -f audit.settled && \
                        sed -i '$d'";

/// What to do where the log and the note do not fit together.
const COMPARE: &str = "Compare the log with the last line that you have kept: `waxwing-server audit show --json` shows every \
                       line, and each names the SHA-256 of the one before. If the log still has it, and nothing is \
                       missing behind it, audit.settled was changed: delete audit.settled before anything else is done, \
                       and the server writes it anew when it starts or stops. If not, the log was changed: put its files \
                       back from their copy. In both cases find out who can write there";

/// What is wrong: from this follows what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A line does not follow the one before, or lines are gone.
    Chain,
    /// The last line of all is no line of the log. Those before it follow one another.
    LastLine,
    /// The lines follow one another, and are not those that the note names.
    Note,
}

/// Where the chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The name of the file.
    pub file: String,
    /// The line in it, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong there.
    pub problem: String,
}

/// The line before the one that is looked at.
struct Previous {
    file: String,
    at: u64,
    number: u64,
    digest: String,
}

/// What has to be there.
pub(super) struct Expected {
    /// The line that the server has noted when it started or stopped last.
    pub(super) noted: Option<Last>,
    /// Why that cannot be read.
    pub(super) note_problem: Option<String>,
    /// Whether there has to be a file.
    pub(super) file: bool,
}

pub(super) fn verify(snapshot: &Snapshot, expected: &Expected) -> Result<Verified, Failure> {
    let mut previous = None;
    let noted = expected.noted.as_ref();
    let mut is_met = noted.is_none();
    let mut at_noted = None;
    let (mut lines, mut first, mut fault) = (0, None, None);
    let mut erasures = Erasures::default();
    snapshot.each(|entry| {
        if let Some(Fault { kind, .. }) = &mut fault {
            *kind = FaultKind::Chain;
            return Ok(());
        }
        lines += 1;
        match follow(&entry, previous.as_ref()) {
            Ok(this) => {
                let oldest = *first.get_or_insert(this.number);
                is_met |= noted.is_some_and(|noted| this.is(noted) || oldest > noted.number);
                if noted.is_some_and(|noted| this.number == noted.number) {
                    at_noted = Some((this.file.clone(), this.at));
                }
                previous = Some(this);
                erasures.note(&entry);
            }
            Err(found) => fault = Some(found),
        }
        Ok(())
    })?;
    let end = previous.as_ref();
    let fault = fault.or_else(|| erasures.fault()).or_else(|| {
        let noted = noted.filter(|_| !is_met);
        let is_gone = expected.file && snapshot.files() == 0;
        noted.map(|noted| missing(end, at_noted, noted)).or_else(|| is_gone.then(no_file))
    });
    Ok(Verified {
        erased: erasures.lines.values().map(|lines| lines.count).sum(),
        holds: fault.is_none(),
        files: snapshot.files(),
        lines,
        first,
        last: previous.as_ref().map(|last| last.number),
        last_sha256: previous.map(|last| last.digest),
        older_lines_gone: first.is_some_and(|first| first > 1),
        rotated: snapshot.is_full(),
        torn: snapshot.is_torn(),
        note_problem: expected.note_problem.clone(),
        note_missing: lines > 0 && expected.noted.is_none() && expected.note_problem.is_none(),
        fault,
    })
}

impl Previous {
    fn is(&self, line: &Last) -> bool {
        (self.number, &self.digest) == (line.number, &line.digest)
    }
}

fn no_file() -> Fault {
    let problem = "the file is missing, which a server makes when it starts: somebody has deleted it, or moved it \
                   away";
    let kind = FaultKind::Chain;
    Fault { file: NAME.to_owned(), line: 0, kind, problem: problem.to_owned() }
}

/// The line is not there that the server has noted. The line with its number, if there is one, is `at_noted`.
fn missing(end: Option<&Previous>, at_noted: Option<(String, u64)>, noted: &Last) -> Fault {
    let number = noted.number;
    let is_noted =
        format!("the server has noted in audit.settled that line number {number} is there");
    let (kind, problem) = match end {
        Some(_) if at_noted.is_some() => (
            FaultKind::Note,
            format!(
                "{is_noted}, and with another SHA-256: this line was changed, or audit.settled was"
            ),
        ),
        Some(_) => (
            FaultKind::Note,
            format!(
                "{is_noted}, and the log ends before it: lines were removed from the end, or audit.settled was changed"
            ),
        ),
        None => (
            FaultKind::Chain,
            format!(
                "{is_noted}, and there is no line at all: somebody has removed lines, or moved a file away"
            ),
        ),
    };
    let at_end = end.map(|end| (end.file.clone(), end.at));
    let (file, line) = at_noted.or(at_end).unwrap_or_else(|| (NAME.to_owned(), 0));
    Fault { file, line, kind, problem }
}

fn follow(entry: &Entry<'_>, previous: Option<&Previous>) -> Result<Previous, Fault> {
    let kind = FaultKind::Chain;
    let here =
        |problem: String| Fault { file: entry.file.to_owned(), line: entry.at, kind, problem };
    let Some(line) = &entry.line else {
        let problem = "this is not a line of the audit log".to_owned();
        // As long as nothing comes behind it.
        return Err(Fault { kind: FaultKind::LastLine, ..here(problem) });
    };
    match previous {
        None if line.number == 0 => {
            return Err(here("no line has the number 0".to_owned()));
        }
        None if line.number == 1 && line.before != NO_LINE_BEFORE => {
            return Err(here("the first line of all names a line before it".to_owned()));
        }
        // What was before the oldest line is gone.
        None => {}
        Some(previous) if previous.number.checked_add(1) != Some(line.number) => {
            return Err(here(format!(
                "number {} follows number {}: lines were removed, added, or put in another order",
                line.number, previous.number
            )));
        }
        Some(previous) if previous.digest != line.before => {
            return Err(Fault {
                file: previous.file.clone(),
                line: previous.at,
                kind,
                problem: format!(
                    "the next line, number {}, was written after another line than this: this one was \
                     changed, or that one",
                    line.number
                ),
            });
        }
        Some(_) => {}
    }
    Ok(Previous {
        file: entry.file.to_owned(),
        at: entry.at,
        number: line.number,
        digest: line.digest(entry.bytes),
    })
}

/// Lines that were erased, and the acts that may have done so.
#[derive(Default)]
struct Erasures {
    /// By the number of the act.
    lines: BTreeMap<u64, ErasedLines>,
    /// How many lines each act has erased, as it says itself; `None` while it has not ended.
    acts: BTreeMap<u64, Option<u64>>,
}

struct ErasedLines {
    count: u64,
    /// File and line of the first.
    first: (String, u64),
}

impl Erasures {
    fn note(&mut self, entry: &Entry<'_>) {
        let Some(line) = &entry.line else { return };
        if let Some(Erased { by, .. }) = line.erased {
            let first = || ErasedLines { count: 0, first: (entry.file.to_owned(), entry.at) };
            self.lines.entry(by).or_insert_with(first).count += 1;
        } else if erase::of_whom(&line.arguments).is_some() {
            self.acts.insert(line.number, None);
        } else if let Some(said) = line.of.and_then(|of| self.acts.get_mut(&of)) {
            *said = line.arguments.get(erase::LINES).and_then(|lines| lines.parse().ok());
        }
    }

    /// Lines that no act has erased. Some that one has erased may have been rotated away.
    fn fault(&self) -> Option<Fault> {
        let is_unexplained = |(by, lines): &(&u64, &ErasedLines)| match self.acts.get(by) {
            None => true,
            Some(said) => said.is_some_and(|said| said < lines.count),
        };
        let (by, ErasedLines { first: (file, line), .. }) =
            self.lines.iter().find(is_unexplained)?;
        let problem = format!(
            "number {by} is said to have erased this line and others, but does not say so itself"
        );
        Some(Fault { file: file.clone(), line: *line, kind: FaultKind::Chain, problem })
    }
}

impl Verified {
    /// Writes this to `out`, for people or as JSON.
    ///
    /// # Errors
    /// When something is wrong, or `out` takes nothing.
    pub fn report(&self, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
        let text = if json { self.as_json()? } else { self.as_text() };
        out.write_all(text.as_bytes()).map_err(Failure::output)?;
        let wrong = self.wrong();
        wrong.map_or(Ok(()), |wrong| Err(Failure::new(Exit::Failure, wrong)))
    }

    /// What is wrong with the log, if something is, and what to do.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        if let Some(Fault { file, line, kind, problem }) = &self.fault {
            let line = match line {
                0 => String::new(),
                line => format!(", line {line}"),
            };
            let (what, help) = match kind {
                FaultKind::Chain => ("the audit log does not hold together", PUT_BACK.to_owned()),
                FaultKind::LastLine => (
                    "the audit log ends with something else",
                    format!("{TAKE_OUT} {file}), or put the file back from its copy"),
                ),
                FaultKind::Note => (
                    "the audit log and the note of its last line do not fit together",
                    COMPARE.to_owned(),
                ),
            };
            return Some(format!("{what}: {file}{line}: {problem}. {help}"));
        }
        if self.older_lines_gone && !self.rotated {
            let first = self.first.unwrap_or_default();
            return Some(format!(
                "the lines before number {first} are missing, and rotation has not removed them: \
                 somebody has moved the log away, or deleted it. {PUT_BACK}"
            ));
        }
        self.note_problem.as_ref().map(|why| {
            format!(
                "whether lines are gone from the end cannot be said: {why}. The server writes that file anew when it \
                 starts or stops; compare the last line with the one that you have kept, if you have"
            )
        })
    }

    fn as_json(&self) -> Result<String, Failure> {
        let json = serde_json::to_string(self);
        json.map(|json| json + "\n").map_err(|error| Failure::new(Exit::Failure, error))
    }

    fn as_text(&self) -> String {
        let mut text = String::new();
        let Self { files, lines, .. } = self;
        if self.holds && *lines == 0 {
            text.push_str(
                "lines      none: nothing was noted here, or all that came since the last start is gone\n",
            );
        } else if self.holds
            || self.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Note)
        {
            let files = figures::count(*files as u64, "file", "files");
            let from = match self.first {
                Some(first) if self.older_lines_gone => format!(" from number {first} on"),
                _ => String::new(),
            };
            text.push_str(&format!("lines      {lines}, in {files}; the chain holds{from}\n"));
        } else {
            text.push_str(&format!("lines      {lines}; the chain does not hold\n"));
        }
        if let (Some(first), Some(last), Some(digest)) = (self.first, self.last, &self.last_sha256)
        {
            text.push_str(&format!("numbers    {first} to {last}\n"));
            text.push_str(&format!("last line  {digest}\n"));
        }
        match (self.older_lines_gone, self.rotated) {
            (false, _) => {}
            (true, true) => text.push_str("older      lines were rotated away\n"),
            (true, false) => {
                text.push_str("older      lines were removed: rotation has not removed any yet\n");
            }
        }
        if self.erased > 0 {
            let lines = figures::count(self.erased, "line", "lines");
            text.push_str(&format!("erased     {lines}, which named users who were removed\n"));
        }
        if self.note_missing {
            text.push_str(
                "note       none: lines that are gone from the end do not show; the server notes the last line in \
                 audit.settled when it starts or stops\n",
            );
        }
        if self.torn {
            text.push_str("torn       half a line is at the end; the next line takes its place\n");
        }
        text
    }
}
