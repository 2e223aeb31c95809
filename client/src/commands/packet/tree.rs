//! Lines of an annotated packet: where, which bytes, what they are, what is wrong with them.

use std::fmt::Display;
use std::io::{self, Write};

use crate::keylog::hex;

/// Bytes that are shown of a longer field.
const SHOWN: usize = 8;

/// Writes the lines, and counts what was wrong.
pub(super) struct Tree<'a> {
    output: &'a mut dyn Write,
    depth: usize,
    faults: usize,
}

impl<'a> Tree<'a> {
    pub(super) fn new(output: &'a mut dyn Write) -> Self {
        Self { output, depth: 0, faults: 0 }
    }

    /// A line of its own.
    pub(super) fn title(&mut self, what: impl Display) -> io::Result<()> {
        writeln!(self.output, "{what}")
    }

    /// A field at an offset.
    pub(super) fn field(
        &mut self,
        at: usize,
        bytes: &[u8],
        name: &str,
        meaning: impl Display,
    ) -> io::Result<()> {
        let shown = match bytes.len() {
            0..=SHOWN => hex(bytes),
            len => format!("{}… {len} bytes", hex(&bytes[..SHOWN / 2])),
        };
        let name = format!("{:indent$}{name}", "", indent = 2 * self.depth);
        let line = format!("{at:>7}  {shown:<20}  {name:<18}  {meaning}");
        writeln!(self.output, "{}", line.trim_end())
    }

    /// Something that is not a field.
    pub(super) fn note(&mut self, what: impl Display) -> io::Result<()> {
        writeln!(self.output, "{:31}{:indent$}{what}", "", "", indent = 2 * self.depth)
    }

    /// Something that is wrong.
    pub(super) fn fault(&mut self, what: impl Display) -> io::Result<()> {
        self.faults += 1;
        self.note(format_args!("! {what}"))
    }

    /// What belongs to the line before.
    pub(super) fn inside<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
        self.depth += 1;
        let written = write(self);
        self.depth -= 1;
        written
    }

    pub(super) const fn faults(&self) -> usize {
        self.faults
    }
}
