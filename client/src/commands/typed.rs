//! Text from standard input. Nothing of it is dropped without a word, and no line without an end
//! fills the memory.

use std::io::{self, BufRead, Read};

use waxwing_core::limits::MAX_BODY;

use super::Console;
use crate::exit::Failure;
use crate::lines;
use crate::system;

/// Marks that a text is UTF-8. It is not part of the text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A line of input.
#[derive(Debug)]
pub(super) enum Line {
    /// What it says, without its end.
    Text(String),
    /// It can be no letter.
    Unusable {
        /// Its number, from 1.
        number: u64,
        /// Why.
        why: String,
    },
    /// What follows cannot be read.
    Broken(io::Error),
}

/// The lines of an input.
pub(super) struct Lines<R> {
    input: R,
    /// Lines that have begun.
    number: u64,
    is_broken: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn of(input: R) -> Self {
        Self { input, number: 0, is_broken: false }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        if self.is_broken {
            return None;
        }
        // The longest text, and a line end of two bytes.
        let room = MAX_BODY + BYTE_ORDER_MARK.len() + 2;
        let line = match lines::next(&mut self.input, room) {
            Ok(line) => line?,
            Err(error) => {
                self.is_broken = true;
                return Some(Line::Broken(error));
            }
        };
        self.number += 1;
        let text = match line {
            lines::Line::TooLong => Err(too_long()),
            lines::Line::Whole(mut bytes) => {
                if bytes.pop_if(|byte| *byte == b'\n').is_some() {
                    bytes.pop_if(|byte| *byte == b'\r');
                }
                text_of(bytes, self.number == 1)
            }
        };
        Some(text.map_or_else(|why| Line::Unusable { number: self.number, why }, Line::Text))
    }
}

/// Everything on standard input, as one text.
pub(super) fn whole_text(console: &mut Console<'_>) -> Result<String, Failure> {
    let room = u64::try_from(MAX_BODY + BYTE_ORDER_MARK.len() + 1).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // It may never end.
    let read = console.input.take(room).read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::General(format!("standard input cannot be read: {}", system::of_file(&error)))
    })?;
    text_of(bytes, true).map_err(|why| {
        Failure::Usage(format!("standard input is no letter: {why}; nothing is sent"))
    })
}

fn text_of(bytes: Vec<u8>, is_first: bool) -> Result<String, String> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        format!("its byte {at} is not UTF-8 (`iconv -f ENCODING -t UTF-8` converts a file)")
    })?;
    if is_first && text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    if text.len() > MAX_BODY {
        return Err(too_long());
    }
    if text.contains('\0') {
        return Err("it has zero bytes, as UTF-16 has and text in UTF-8 has not \
                    (`iconv -f UTF-16 -t UTF-8` converts a file)"
            .into());
    }
    Ok(text)
}

fn too_long() -> String {
    format!("it is longer than the {MAX_BODY} bytes that fit a letter; send it in parts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Texts as they are, and of what is none its number and why.
    fn lines(input: &[u8]) -> Vec<String> {
        // Lines that are longer than what is read at a time.
        Lines::of(BufReader::with_capacity(7, input))
            .map(|line| match line {
                Line::Text(text) => text,
                Line::Unusable { number, why } => format!("{number}: {why}"),
                Line::Broken(error) => error.to_string(),
            })
            .collect()
    }

    #[test]
    fn lines_end_as_on_any_system() {
        assert_eq!(lines(b""), [""; 0]);
        assert_eq!(lines(b"one\ntwo\r\n\nthree"), ["one", "two", "", "three"]);
        assert_eq!(lines(b"one\rtwo\r"), ["one\rtwo\r"]);
        assert_eq!(lines("\u{feff}one\n\u{feff}two".as_bytes()), ["one", "\u{feff}two"]);
        assert_eq!(lines("grüße an alle\n".as_bytes()), ["grüße an alle"]);
    }

    #[test]
    fn a_line_that_is_no_text_is_named_and_the_others_are_there() {
        let lines = lines(b"one\ntw\xffo\nthree\nfo\0ur\nfive");
        assert_eq!(lines[1].get(..22), Some("2: its byte 3 is not U"));
        assert!(lines[3].starts_with("4: ") && lines[3].contains("zero"), "{lines:?}");
        assert_eq!([&lines[0], &lines[2], &lines[4]], ["one", "three", "five"]);
    }

    #[test]
    fn the_longest_text_is_a_line_and_a_longer_one_takes_no_memory() {
        let longest = "x".repeat(MAX_BODY);
        for input in [format!("{longest}\n"), format!("\u{feff}{longest}\r\n"), longest.clone()] {
            assert_eq!(lines(input.as_bytes()), [longest.as_str()]);
        }
        for input in [format!("{longest}y\nnext\n"), format!("{}\nnext", longest.repeat(9))] {
            let lines = lines(input.as_bytes());
            assert!(lines[0].starts_with("1: it is longer"), "{}", &lines[0][..20]);
            assert_eq!(lines[1..], ["next"]);
        }
        let mut endless = Lines::of(BufReader::new(io::repeat(b'x').take(100_000_000)));
        assert!(matches!(endless.next(), Some(Line::Unusable { number: 1, .. })));
        assert!(endless.next().is_none());
    }

    /// Gives one line, and fails then.
    struct Failing(bool);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::other("gone"));
            }
            buffer[..4].copy_from_slice(b"one\n");
            Ok(4)
        }
    }

    #[test]
    fn an_input_that_cannot_be_read_any_further_says_so_and_ends() {
        let mut lines = Lines::of(BufReader::new(Failing(false)));
        assert!(matches!(lines.next(), Some(Line::Text(text)) if text == "one"));
        assert!(matches!(lines.next(), Some(Line::Broken(_))));
        assert!(lines.next().is_none());
    }
}
