//! What a command reads and writes, and what becomes of it when nobody reads any more.
//!
//! Output is what a command was asked for: when it cannot be written, the command has failed.
//! [`Remarks`] are for a person who looks on. Nothing depends on them, so a remark that cannot be
//! written is dropped, and so is a line of the log.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::rc::Rc;

use jiff::tz::TimeZone;

use crate::show::Page;

/// What a command reads and writes.
pub struct Console<'a> {
    /// Where answers come from.
    pub input: &'a mut dyn BufRead,
    /// Where output goes: what the command was asked for.
    pub output: &'a mut dyn Write,
    /// Where remarks go that are not output.
    pub remarks: Remarks,
    /// Whether a person is there to be asked.
    pub interactive: bool,
    /// How many columns the terminal has that output goes to, if it goes to one. It may change.
    pub columns: fn() -> Option<usize>,
    /// The zone of times that people read.
    pub zone: TimeZone,
}

impl Console<'_> {
    /// What output is written on.
    #[must_use]
    pub fn page(&self) -> Page<'_> {
        Page { zone: &self.zone, columns: (self.columns)() }
    }
}

/// Where remarks go. Writing one never fails, and every clone writes to the same place.
#[derive(Clone)]
pub struct Remarks(Rc<RefCell<dyn Write>>);

impl Remarks {
    /// Remarks that go to `to`, as long as it takes them.
    pub fn new(to: impl Write + 'static) -> Self {
        Self(Rc::new(RefCell::new(to)))
    }

    /// What `write!` calls: in one piece, so that processes which share a terminal do not mix
    /// their lines.
    ///
    /// # Errors
    /// None.
    pub fn write_fmt(&mut self, what: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(what.to_string().as_bytes())
    }

    /// Passes on what was written.
    ///
    /// # Errors
    /// None.
    pub fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.borrow_mut().flush();
        Ok(())
    }
}

impl Write for Remarks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whoever does not read them cannot be told.
        let _ = self.0.borrow_mut().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _};

    /// Like a full disk, or a pipe without a reader.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::other("gone"))
        }
    }

    #[test]
    fn remarks_that_nobody_takes_are_dropped() {
        let mut remarks = Remarks::new(Gone);
        writeln!(remarks, "one {}", 1).unwrap();
        remarks.write_all(b"two").unwrap();
        remarks.flush().unwrap();
    }

    #[test]
    fn clones_write_to_one_place() {
        let mut file = tempfile::tempfile().unwrap();
        let mut one = Remarks::new(file.try_clone().unwrap());
        let mut other = one.clone();
        writeln!(one, "one").unwrap();
        writeln!(other, "two").unwrap();
        let mut written = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut written).unwrap();
        assert_eq!(written, "one\ntwo\n");
    }
}
