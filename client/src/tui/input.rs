//! What a terminal sends, made into keys: a parser without I/O.
//!
//! Whatever it sends, nothing grows without a bound and nothing panics: a sequence that nobody knows is
//! dropped, and so is a paste that no letter has room for.

use std::str;

use waxwing_core::limits::MAX_BODY;

/// The longest sequence of a key. Longer ones are dropped.
const SEQUENCE: usize = 32;
/// What ends a paste, as terminals that bracket it send it.
const PASTE_END: &[u8] = b"\x1b[201~";
/// Bytes of the longest paste. A letter may have half as many line ends of two bytes.
const LONGEST_PASTE: usize = 2 * MAX_BODY;

/// Something that a person has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// More was pasted than any letter has room for, and nothing is left of it.
    PasteTooLong,
    /// The window has the keyboard, or has it no more.
    Focus(bool),
    /// The wheel was turned: up or down.
    Wheel {
        /// Away from the person.
        up: bool,
    },
    /// The first button was pressed there, counted from 0.
    Click {
        /// The column.
        column: u16,
        /// The row.
        row: u16,
    },
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A letter, small, with Ctrl.
    Ctrl(char),
    /// A character with Alt.
    Alt(char),
    /// Enter.
    Enter,
    /// Enter with Alt or Shift, or Ctrl-J.
    NewLine,
    /// Tab.
    Tab,
    /// Tab with Shift.
    BackTab,
    /// Backspace.
    Backspace,
    /// Backspace with Alt, or Ctrl-W.
    WordBackspace,
    /// Delete.
    Delete,
    /// Esc.
    Esc,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// An arrow with Ctrl or Alt.
    WordLeft,
    /// An arrow with Ctrl or Alt.
    WordRight,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// A function key, by its number.
    Function(u8),
    /// The arrow up with Ctrl, Alt or Shift.
    Above,
}

/// Makes keys of bytes.
#[derive(Debug, Default)]
pub struct Parser {
    bytes: Vec<u8>,
    /// What has come so far of a paste that has not ended.
    paste: Option<Paste>,
}

/// A paste. What is too long is not kept.
#[derive(Debug, Default)]
struct Paste {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Paste {
    fn take(&mut self, bytes: impl ExactSizeIterator<Item = u8>) {
        self.is_too_long |= self.bytes.len() + bytes.len() > LONGEST_PASTE;
        if self.is_too_long {
            self.bytes = Vec::new();
            bytes.for_each(drop);
        } else {
            self.bytes.extend(bytes);
        }
    }

    /// What was pasted, if it was anything.
    fn end(self) -> Option<Input> {
        if self.is_too_long {
            return Some(Input::PasteTooLong);
        }
        // Terminals send what Enter would.
        let text = String::from_utf8_lossy(&self.bytes).replace("\r\n", "\n").replace('\r', "\n");
        (!text.is_empty()).then_some(Input::Paste(text))
    }
}

/// What was found at the beginning of the bytes.
enum Found {
    Input(Input),
    /// So many bytes that mean nothing.
    Nothing,
    /// More bytes could make it something else.
    More,
}

impl Parser {
    /// Takes in what the terminal has sent.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether a key could be whole, and could be the beginning of another: after a moment without more,
    /// [`Parser::end_of_key`] says which.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.paste.is_none() && !self.bytes.is_empty()
    }

    /// Nothing more has come: Esc was the key, or the rest of something that is lost.
    pub fn end_of_key(&mut self) -> Option<Input> {
        if !self.is_in_doubt() {
            return None;
        }
        let is_escape = self.bytes == b"\x1b";
        self.bytes.clear();
        is_escape.then_some(Input::Key(Key::Esc))
    }

    /// Goes on with a paste; `None` when it has not ended.
    fn pasted(&mut self, mut paste: Paste) -> Option<Paste> {
        let end = find(&self.bytes, PASTE_END);
        // The end may be half there.
        let len = end.unwrap_or(self.bytes.len().saturating_sub(PASTE_END.len()));
        paste.take(self.bytes.drain(..len));
        if end.is_none() {
            self.paste = Some(paste);
            return None;
        }
        self.bytes.drain(..PASTE_END.len());
        Some(paste)
    }

    fn key(&mut self) -> Found {
        let (len, found) = first(&self.bytes);
        if let Found::Input(Input::Paste(_)) = found {
            self.paste = Some(Paste::default());
        }
        self.bytes.drain(..len);
        found
    }
}

impl Iterator for Parser {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        loop {
            if let Some(paste) = self.paste.take() {
                match self.pasted(paste)?.end() {
                    None => continue,
                    pasted => return pasted,
                }
            }
            match self.key() {
                Found::Input(Input::Paste(_)) | Found::Nothing => {}
                Found::Input(input) => return Some(input),
                Found::More => return None,
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

const fn key(key: Key) -> Found {
    Found::Input(Input::Key(key))
}

/// The first thing in the bytes, and how many they are.
fn first(bytes: &[u8]) -> (usize, Found) {
    match bytes {
        [] => (0, Found::More),
        [0x1b, rest @ ..] => escape(rest),
        [b'\r', ..] => (1, key(Key::Enter)),
        [b'\n', ..] => (1, key(Key::NewLine)),
        [b'\t', ..] => (1, key(Key::Tab)),
        [0x08 | 0x7f, ..] => (1, key(Key::Backspace)),
        [0x17, ..] => (1, key(Key::WordBackspace)),
        [0, ..] => (1, Found::Nothing),
        [control @ 0x01..=0x1a, ..] => (1, key(Key::Ctrl(char::from(control + 0x60)))),
        [0x1c..=0x1f, ..] => (1, Found::Nothing),
        _ => match character(bytes) {
            Some((len, Some(character))) => (len, key(Key::Char(character))),
            Some((len, None)) => (len, Found::Nothing),
            None => (0, Found::More),
        },
    }
}

/// The first character; `None` in it when there is none in these bytes.
fn character(bytes: &[u8]) -> Option<(usize, Option<char>)> {
    let four = &bytes[..bytes.len().min(4)];
    match str::from_utf8(four) {
        Ok(text) => text.chars().next().map(|first| (first.len_utf8(), Some(first))),
        Err(error) if error.valid_up_to() > 0 => {
            let text = str::from_utf8(&four[..error.valid_up_to()]).unwrap_or_default();
            text.chars().next().map(|first| (first.len_utf8(), Some(first)))
        }
        Err(error) => error.error_len().map(|len| (len, None)),
    }
}

/// What stands behind an Esc.
fn escape(rest: &[u8]) -> (usize, Found) {
    match rest {
        [] => (0, Found::More),
        [0x1b, ..] => (1, key(Key::Esc)),
        [b'[', rest @ ..] => sequence(rest),
        [b'O', last @ b'P'..=b'S', ..] => (3, key(Key::Function(last - b'P' + 1))),
        [b'O', last, ..] => (3, last_byte(*last, "")),
        [b'O'] => (0, Found::More),
        [b'\r' | b'\n', ..] => (2, key(Key::NewLine)),
        [0x08 | 0x7f, ..] => (2, key(Key::WordBackspace)),
        [..0x20, ..] => (1, key(Key::Esc)),
        _ => match character(rest) {
            Some((len, Some('b'))) => (1 + len, key(Key::WordLeft)),
            Some((len, Some('f'))) => (1 + len, key(Key::WordRight)),
            Some((len, Some(character))) => (1 + len, key(Key::Alt(character))),
            Some((len, None)) => (1 + len, Found::Nothing),
            None => (0, Found::More),
        },
    }
}

/// What stands behind `ESC [`.
fn sequence(rest: &[u8]) -> (usize, Found) {
    let Some(at) = rest.iter().position(|byte| !(0x20..0x40).contains(byte)) else {
        return if rest.len() > SEQUENCE {
            (2 + rest.len(), Found::Nothing)
        } else {
            (0, Found::More)
        };
    };
    let last = rest[at];
    if !(0x40..0x7f).contains(&last) {
        // Not a sequence after all; the byte is for itself.
        return (2 + at, Found::Nothing);
    }
    let parameters = str::from_utf8(&rest[..at]).unwrap_or_default();
    (3 + at, last_byte(last, parameters))
}

fn last_byte(last: u8, parameters: &str) -> Found {
    if let Some(mouse) = parameters.strip_prefix('<') {
        return pointed(last, mouse);
    }
    let mut numbers = parameters.split(';').map(|number| number.parse::<u32>().unwrap_or(1));
    let (first, second) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
    let is_word = matches!(second, 3 | 5 | 7);
    key(match (last, first) {
        (b'A', _) if second > 1 => Key::Above,
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if is_word => Key::WordRight,
        (b'C', _) => Key::Right,
        (b'D', _) if is_word => Key::WordLeft,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', 1 | 7) => Key::Home,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'P'..=b'S', _) => Key::Function(last - b'P' + 1),
        (b'~', 27) if parameters.ends_with(";13") => Key::NewLine,
        (b'~', 11..=34) => return function(first),
        (b'Z', _) => Key::BackTab,
        (b'~', 3) => Key::Delete,
        (b'~', 5) => Key::PageUp,
        (b'~', 6) => Key::PageDown,
        // Enter with Shift, Alt or Ctrl, of terminals that tell.
        (b'u', 13) => Key::NewLine,
        (b'M', _) if parameters.is_empty() => Key::Enter,
        (b'I', _) => return Found::Input(Input::Focus(true)),
        (b'O', _) => return Found::Input(Input::Focus(false)),
        (b'~', 200) => return Found::Input(Input::Paste(String::new())),
        _ => return Found::Nothing,
    })
}

/// A function key by the number that terminals send, in which there are gaps.
fn function(number: u32) -> Found {
    let number = match number {
        11..=15 => number - 10,
        17..=21 => number - 11,
        23..=24 => number - 12,
        _ => return Found::Nothing,
    };
    u8::try_from(number).map_or(Found::Nothing, |number| key(Key::Function(number)))
}

fn pointed(last: u8, parameters: &str) -> Found {
    let mut numbers = parameters.split(';').map(|number| number.parse::<u16>().ok());
    let (Some(Some(button)), Some(Some(column)), Some(Some(row))) =
        (numbers.next(), numbers.next(), numbers.next())
    else {
        return Found::Nothing;
    };
    match (button, last) {
        (64, _) => Found::Input(Input::Wheel { up: true }),
        (65, _) => Found::Input(Input::Wheel { up: false }),
        (0, b'M') => Found::Input(Input::Click {
            column: column.saturating_sub(1),
            row: row.saturating_sub(1),
        }),
        _ => Found::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Input> {
        let mut parser = Parser::default();
        parser.push(bytes);
        let mut all: Vec<_> = parser.by_ref().collect();
        all.extend(parser.end_of_key());
        all
    }

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let keys = all(bytes).into_iter().map(|input| match input {
            Input::Key(key) => key,
            other => panic!("{other:?}"),
        });
        keys.collect()
    }

    #[test]
    fn keys_are_what_terminals_send_for_them() {
        for (bytes, key) in [
            (&b"a"[..], Key::Char('a')),
            ("ü".as_bytes(), Key::Char('ü')),
            ("語".as_bytes(), Key::Char('語')),
            (b"\r", Key::Enter),
            (b"\n", Key::NewLine),
            (b"\x1b\r", Key::NewLine),
            (b"\x1b[13;2u", Key::NewLine),
            (b"\x1b[27;2;13~", Key::NewLine),
            (b"\x1b", Key::Esc),
            (b"\x1b[A", Key::Up),
            (b"\x1bOA", Key::Up),
            (b"\x1b[1;5C", Key::WordRight),
            (b"\x1b[C", Key::Right),
            (b"\x1bb", Key::WordLeft),
            (b"\x1bx", Key::Alt('x')),
            (b"\x1b[5~", Key::PageUp),
            (b"\x1b[3~", Key::Delete),
            (b"\x1b[Z", Key::BackTab),
            (b"\x1b[H", Key::Home),
            (b"\x1bOP", Key::Function(1)),
            (b"\x1b[11~", Key::Function(1)),
            (b"\x1bOS", Key::Function(4)),
            (b"\x1b[15~", Key::Function(5)),
            (b"\x1b[17~", Key::Function(6)),
            (b"\x1b[24~", Key::Function(12)),
            (b"\x1b[1;5A", Key::Above),
            (b"\x1b[1;1A", Key::Up),
            (b"\x07", Key::Ctrl('g')),
            (b"\x7f", Key::Backspace),
            (b"\x1b\x7f", Key::WordBackspace),
        ] {
            assert_eq!(keys(bytes), [key], "{bytes:?}");
        }
    }

    #[test]
    fn a_paste_is_one_text_whatever_is_in_it() {
        let pasted = all(b"\x1b[200~one\r\ntwo\x1b[A\x03\x1b[201~x");
        let text = "one\ntwo\x1b[A\x03".to_owned();
        assert_eq!(pasted, [Input::Paste(text), Input::Key(Key::Char('x'))]);
        assert_eq!(all(b"\x1b[200~\x1b[201~x"), [Input::Key(Key::Char('x'))]);
    }

    #[test]
    fn nothing_depends_on_how_the_bytes_are_divided() {
        let bytes = "aü\x1b[1;5C\x1b[200~grüße\r語\x1b[201~\x1b[<0;3;4M\x1bOB語\x1b[O\r".as_bytes();
        let whole = all(bytes);
        assert!(whole.contains(&Input::Click { column: 2, row: 3 }));
        for at in 0..bytes.len() {
            let mut parser = Parser::default();
            let mut parts = Vec::new();
            for part in [&bytes[..at], &bytes[at..]] {
                parser.push(part);
                parts.extend(parser.by_ref());
            }
            assert_eq!(parts, whole, "{at}");
        }
    }

    #[test]
    fn a_paste_comes_whole_or_not_at_all_and_takes_a_bounded_room() {
        let mut parser = Parser::default();
        let mut paste = |len: usize| {
            parser.push(b"\x1b[200~");
            for part in vec![b'x'; len].chunks(4_096) {
                parser.push(part);
                assert_eq!(parser.next(), None);
                let kept = parser.paste.as_ref().map_or(0, |paste| paste.bytes.len());
                assert!(kept <= LONGEST_PASTE);
            }
            parser.push(b"\x1b[201~y");
            let pasted = parser.next();
            assert_eq!(parser.next(), Some(Input::Key(Key::Char('y'))));
            pasted
        };
        let whole = |len| Some(Input::Paste("x".repeat(len)));
        assert_eq!(paste(LONGEST_PASTE), whole(LONGEST_PASTE));
        assert_eq!(paste(LONGEST_PASTE + 1), Some(Input::PasteTooLong));
        assert_eq!(paste(100 * LONGEST_PASTE), Some(Input::PasteTooLong));
        assert_eq!(paste(9), whole(9));
    }

    #[test]
    fn bytes_that_mean_nothing_are_dropped() {
        assert_eq!(keys(b"\x1b[?1;2ca"), [Key::Char('a')]);
        assert_eq!(keys(b"\xff\xfea"), [Key::Char('a')]);
        assert_eq!(keys(b"\x1b[99~\x1b[999999999999999999999Aa"), [Key::Up, Key::Char('a')]);
        let mut long = vec![0x1b, b'['];
        long.extend([b'1'; 1_000]);
        assert!(keys(&long).is_empty());
        // Any bytes at all, one by one.
        let mut parser = Parser::default();
        let mut seed = 1_u32;
        for _ in 0..100_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            parser.push(&[(seed >> 24) as u8]);
            parser.by_ref().for_each(drop);
            assert!(parser.bytes.len() < 100);
        }
    }
}
