//! Lines of an input that is not ours: one without an end fills no memory.

use std::io::{self, BufRead, ErrorKind};

/// A line of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes, with its end, which the last line may lack.
    Whole(Vec<u8>),
    /// It has more bytes than there is room for. They were read, and are gone.
    TooLong,
}

/// The next line, of at most `room` bytes with its end; nothing at the end of input.
///
/// # Errors
/// When the input cannot be read.
pub(crate) fn next(input: &mut impl BufRead, room: usize) -> io::Result<Option<Line>> {
    let (mut line, mut has_begun) = (Some(Vec::new()), false);
    loop {
        let available = match input.fill_buf() {
            Ok([]) => return Ok(has_begun.then(|| done(line))),
            Ok(available) => available,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        has_begun = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let len = end.map_or(available.len(), |at| at + 1);
        line = line.filter(|line| line.len() + len <= room);
        if let Some(line) = &mut line {
            line.extend_from_slice(&available[..len]);
        }
        input.consume(len);
        if end.is_some() {
            return Ok(Some(done(line)));
        }
    }
}

fn done(line: Option<Vec<u8>>) -> Line {
    line.map_or(Line::TooLong, Line::Whole)
}
