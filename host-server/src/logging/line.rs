//! A line on its way out: control characters in it cannot begin another one, or speak to a terminal.

use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::{file, journal};
use crate::stderr;

/// Makes the writer of each line.
pub(super) struct Writers {
    /// Lines have the colors of a terminal.
    pub(super) colored: bool,
    /// Lines on standard error begin with how urgent they are.
    pub(super) prefixed: bool,
}

/// Takes a whole line: so the log hands it over.
pub(super) struct Line {
    colored: bool,
    prefix: &'static [u8],
}

impl Writers {
    fn line(&self, level: Level) -> Line {
        let prefix = if self.prefixed { journal::prefix(level) } else { b"" };
        Line { colored: self.colored, prefix }
    }
}

impl<'a> MakeWriter<'a> for Writers {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        self.line(Level::INFO)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        self.line(*metadata.level())
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = visible(line, self.colored);
        if !file::write(&shown) {
            stderr::write(&[self.prefix, &shown].concat());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line with every control character written out, in the way of JSON, but for the end of the line.
/// Colors begin with an escape, which the formatter lets nobody else write.
fn visible(line: &[u8], colored: bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
    let mut shown = String::with_capacity(line.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\x1b' if colored => shown.push(c),
            _ if c.is_control() => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => shown.push(c),
        }
    }
    shown.push_str(end);
    shown.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_says_nothing_to_a_terminal() {
        let shown = |text: &str| String::from_utf8(visible(text.as_bytes(), false)).unwrap();
        assert_eq!(
            shown("a\nb\r\tc\x1b[2J\u{7f}\u{85}ö\n"),
            "a\\nb\\r\\tc\\u001b[2J\\u007f\\u0085ö\n"
        );
        assert_eq!(shown("half"), "half");
    }
}
