//! The lines of the audit log, from all of its files.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Purpose, failure, open, open_locked, tail};
use super::line::{Line, MAX_LINE};
use super::rotation::Files;
use crate::exit::Failure;

/// The log as it was at one moment. What is written to it or moved meanwhile changes nothing.
#[derive(Debug)]
pub struct Snapshot {
    /// The oldest first.
    files: Vec<Part>,
    is_full: bool,
    is_torn: bool,
}

/// A file of it.
#[derive(Debug)]
pub(super) struct Part {
    /// Where it was.
    pub(super) path: PathBuf,
    file: File,
    /// How much of it counts.
    len: u64,
}

/// What stands in one place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// Counts the lines of the file from 1.
    pub at: u64,
    /// The bytes, without the end of the line.
    pub bytes: &'a [u8],
    /// What they mean; nothing if they are none of ours.
    pub line: Option<Line>,
}

impl Snapshot {
    /// Nobody can write while it is taken, which does not take long: files are only opened.
    pub(super) fn take(files: &Files, patience: Duration) -> Result<Self, Failure> {
        let path = files.current();
        let oldest = files.older().last();
        let is_full = |parts: &[Part]| parts.first().map(|part| &part.path) == oldest.as_ref();
        loop {
            let current = open_locked(&path, Purpose::Read, patience)?;
            let mut parts = Vec::new();
            for path in files.older().rev() {
                if let Some(file) = open(&path, Purpose::Read)? {
                    let len = file.metadata().map_err(|error| failure(&path, error))?.len();
                    parts.push(Part { path, file, len });
                }
            }
            let Some(file) = current else {
                // Without a file there is no lock: somebody may have made one, and moved others.
                if fs::symlink_metadata(&path).is_ok() {
                    continue;
                }
                return Ok(Self { is_full: is_full(&parts), files: parts, is_torn: false });
            };
            let len = file.metadata().map_err(|error| failure(&path, error))?.len();
            // A damaged end is for those who read the lines.
            let (whole, torn) = tail(&path, &file).map_or((len, 0), |tail| (tail.whole, tail.torn));
            file.unlock().map_err(|error| failure(&path, error))?;
            let is_full = is_full(&parts);
            parts.push(Part { path, file, len: whole });
            return Ok(Self { files: parts, is_full, is_torn: torn > 0 });
        }
    }

    /// The same for whoever has the log locked.
    pub(super) fn of_locked(files: &Files) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        for path in files.older().rev().chain([files.current()]) {
            if let Some(file) = open(&path, Purpose::Read)? {
                let len = file.metadata().map_err(|error| failure(&path, error))?.len();
                parts.push(Part { path, file, len });
            }
        }
        Ok(Self { files: parts, is_full: false, is_torn: false })
    }

    /// The files, the oldest first.
    pub(super) fn parts(&self) -> &[Part] {
        &self.files
    }

    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Whether there is the oldest file that there can be. Only then have older ones gone.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether the last line is not whole. The next one that is written takes its place.
    #[must_use]
    pub const fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Calls `with` for each line, the oldest first, until that fails.
    ///
    /// # Errors
    /// That of `with`, or when a file cannot be read.
    pub fn each(&self, with: impl FnMut(Entry<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        self.each_from(0, with)
    }

    /// The same without so many of the oldest files.
    pub(super) fn each_from(
        &self,
        first: usize,
        mut with: impl FnMut(Entry<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.files.iter().skip(first).try_for_each(|part| part.each(&mut with))
    }

    /// Which of the files is the newest whose first line has no higher number than this; the oldest if
    /// none has.
    pub(super) fn newest_that_begins_by(&self, number: u64) -> Result<usize, Failure> {
        for (at, part) in self.files.iter().enumerate().rev() {
            if part.first_number()?.is_some_and(|first| first <= number) {
                return Ok(at);
            }
        }
        Ok(0)
    }
}

impl Part {
    /// The number of the first line, if it is one of ours.
    fn first_number(&self) -> Result<Option<u64>, Failure> {
        let mut bytes = Vec::new();
        let mut lines = BufReader::new(From { file: &self.file, at: 0, len: self.len });
        let read = lines.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut bytes);
        read.map_err(|error| failure(&self.path, error))?;
        Ok(Line::parse(bytes.trim_ascii_end()).map(|line| line.number))
    }

    /// Calls `with` for each line, until that fails.
    pub(super) fn each(
        &self,
        with: &mut impl FnMut(Entry<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut lines = BufReader::new(From { file: &self.file, at: 0, len: self.len });
        let (mut bytes, mut at) = (Vec::new(), 0_u64);
        let failed = |error| failure(Path::new(&self.path), error);
        loop {
            bytes.clear();
            let limit = MAX_LINE as u64 + 1;
            lines.by_ref().take(limit).read_until(b'\n', &mut bytes).map_err(failed)?;
            if bytes.is_empty() {
                return Ok(());
            }
            at += 1;
            let line = if bytes.pop_if(|last| *last == b'\n').is_some() {
                Line::parse(&bytes)
            } else {
                skip_line(&mut lines).map_err(failed)?;
                None
            };
            with(Entry { file: name, at, bytes: &bytes, line })?;
        }
    }
}

/// The rest of a line that is longer than any of ours.
fn skip_line(lines: &mut impl BufRead) -> std::io::Result<()> {
    lines.skip_until(b'\n').map(drop)
}

/// Reads a file from a place of its own, up to a length: others may read the same one, or write to it.
struct From<'a> {
    file: &'a File,
    at: u64,
    len: u64,
}

impl Read for From<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX).min(into.len());
        let read = self.file.read_at(into.get_mut(..left).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
