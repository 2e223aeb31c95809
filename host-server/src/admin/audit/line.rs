//! A line of the audit log, and what may stand in it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Serializer;
use serde_json::ser::Formatter;
use waxwing_core::crypto::{CryptoRng, Digest, Provider};
use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;

use super::erase::Erased;
use crate::backend::{Backend, random};

/// Bytes of the longest line, without its end.
pub const MAX_LINE: usize = 16_384;
/// Bytes of the longest text in a line, before it is escaped.
pub const MAX_TEXT: usize = 256;
/// What a line has in it so that its hash tells nothing.
pub(super) const SALT: &str = "salt";
/// What the first line of all says of the line before it.
pub(super) const NO_LINE_BEFORE: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// One line: an act that is about to begin, what became of one, or phones that were shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Grows by one from line to line, also from file to file.
    pub number: u64,
    /// RFC 3339, UTC, whole seconds.
    pub time: String,
    /// The user who gave the command.
    pub uid: u32,
    /// Such as `users remove`.
    pub command: String,
    /// What the command is about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// The number of the line in which the act began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// What became of it; nothing in the line in which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<AuditResult>,
    /// More about the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The SHA-256 of the line before, in hexadecimal.
    pub before: String,
    /// That the line does not say any more what it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditResult {
    /// It was done.
    Done,
    /// It was not done.
    Failed,
    /// Nobody can say whether it was done.
    Unknown,
    /// Nothing was changed; phones were shown in full.
    Shown,
}

impl fmt::Display for AuditResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Shown => "shown",
        })
    }
}

/// What a command is about, by name. Phones are shortened, also inside of other text, and long text is
/// cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// None at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a command about a user, with a number that nobody can guess: it keeps others from finding
    /// out by trying what stood in a line of which the hash alone is left.
    #[must_use]
    pub fn about(user: UserId, phone: &Phone) -> Self {
        let (mut salt, rng) = ([0; 16], &mut random() as &mut dyn CryptoRng);
        rng.fill_bytes(&mut salt);
        let salt = salt.map(|byte| format!("{byte:02x}")).concat();
        Self::new().with("id", user).with("phone", phone.as_str()).with(SALT, salt)
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.insert(name.to_owned(), short(&value.to_string()));
        self
    }

    /// Those that stand in a line.
    pub(super) const fn of_line(arguments: BTreeMap<String, String>) -> Self {
        Self(arguments)
    }

    pub(super) const fn map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    pub(super) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

impl Line {
    /// The line that these bytes are, without the end of the line.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The bytes of this line, without the end of the line.
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.serialize(&mut Serializer::with_formatter(&mut bytes, Visible))?;
        if bytes.len() > MAX_LINE {
            return Err(io::Error::other("there is too much to say for one line"));
        }
        Ok(bytes)
    }
}

impl Line {
    /// What the next line says of this one, whose bytes these are: of one that was erased, what it was before.
    pub(super) fn digest(&self, bytes: &[u8]) -> String {
        self.erased.as_ref().map_or_else(|| digest(bytes), |erased| erased.sha256.clone())
    }
}

/// The SHA-256 of a line.
pub(super) fn digest(line: &[u8]) -> String {
    let digest: Digest = Backend::default().sha256(&[line]);
    format!("{digest:?}")
}

/// A text of which the log keeps no more than it may: phones by their ends, and not without a bound.
pub(super) fn short(text: &str) -> String {
    let mut short = shorten_phones(text);
    if short.len() > MAX_TEXT {
        short.truncate(short.floor_char_boundary(MAX_TEXT - '…'.len_utf8()));
        short.push('…');
    }
    short
}

fn shorten_phones(text: &str) -> String {
    let mut shortened = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('+') {
        let (before, phone) = rest.split_at(at);
        let digits = phone.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        let (phone, after) = phone.split_at(1 + digits);
        shortened.push_str(before);
        match Phone::parse(phone.as_bytes()) {
            Ok(phone) => shortened.push_str(&format!("{phone:?}")),
            Err(_) => shortened.push_str(phone),
        }
        rest = after;
    }
    shortened.push_str(rest);
    shortened
}

/// Whether a terminal would show something else than this character, or nothing. JSON itself lets
/// some of them through.
pub(super) fn is_hidden(character: char) -> bool {
    !character.is_ascii_graphic() && character.escape_debug().len() > 1
}

/// Writes JSON in which every character can be seen.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_hidden) {
            let (seen, hidden) = rest.split_at(at);
            writer.write_all(seen.as_bytes())?;
            let Some(character) = hidden.chars().next() else { break };
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = hidden.get(character.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use waxwing_core::time::UnixTime;

    use super::*;
    use crate::clock;

    fn line(detail: &str) -> Line {
        Line {
            number: 7,
            time: clock::written(UnixTime::from_seconds(0)),
            uid: 1_000,
            command: "users remove".to_owned(),
            arguments: Arguments::new().with("id", 2).into_map(),
            of: Some(6),
            result: Some(AuditResult::Done),
            detail: Some(short(detail)),
            before: NO_LINE_BEFORE.to_owned(),
            erased: None,
        }
    }

    #[test]
    fn a_line_looks_like_this() {
        let expected = format!(
            "{{\"number\":7,\"time\":\"1970-01-01T00:00:00Z\",\"uid\":1000,\"command\":\"users remove\",\
             \"arguments\":{{\"id\":\"2\"}},\"of\":6,\"result\":\"done\",\"detail\":\"gone\",\
             \"before\":\"{}\"}}",
            "0".repeat(64)
        );
        let bytes = line("gone").to_bytes().unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn the_digest_is_sha_256() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(b"abc"), of_abc);
    }

    #[test]
    fn phones_are_shortened_wherever_they_stand() {
        for (text, expected) in [
            ("+4915112345617", "+49…17"),
            ("from +4915112345617, to +15550001111.", "from +49…17, to +15…11."),
            ("++4915112345617+4915112345617", "++49…17+49…17"),
            ("a+b, 1+1, +123456, +0123456789, +", "a+b, 1+1, +123456, +0123456789, +"),
        ] {
            assert_eq!(short(text), expected);
        }
        let phone = Phone::parse(b"+4915112345617").unwrap();
        let arguments = Arguments::new().with("phone", phone.as_str()).into_map();
        assert_eq!(arguments["phone"], "+49…17");
    }

    #[test]
    fn every_character_can_be_seen_and_comes_back() {
        let mut every = (0..=0x2ff_u32).chain(0x2000..0x2070).chain([0xfeff, 0xe_0041, 0x1_f600]);
        let hidden = every.clone().filter_map(char::from_u32).filter(|c| is_hidden(*c)).count();
        assert!(hidden > 65, "{hidden}");
        let characters: Vec<char> = every.by_ref().filter_map(char::from_u32).collect();
        for some in characters.chunks(50) {
            let text: String = some.iter().collect();
            let before = Line { detail: Some(text), ..line("") };
            let bytes = before.to_bytes().unwrap();
            let written = std::str::from_utf8(&bytes).unwrap();
            assert!(!written.chars().any(|c| c.is_control() || is_hidden(c)), "{written}");
            assert_eq!(Line::parse(&bytes), Some(before));
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        for text in ["x".repeat(1 << 20), "ä".repeat(1 << 19), "\0".repeat(1 << 20)] {
            let cut = short(&text);
            assert!((MAX_TEXT - 3..=MAX_TEXT).contains(&cut.len()), "{}", cut.len());
            assert!(cut.ends_with('…'));
            assert!(line(&text).to_bytes().unwrap().len() < 8 * MAX_TEXT);
        }
        assert_eq!(short(&"x".repeat(MAX_TEXT)), "x".repeat(MAX_TEXT));
    }

    #[test]
    fn a_line_has_a_bound() {
        let arguments = (0..60).map(|n| (n.to_string(), "\0".repeat(MAX_TEXT))).collect();
        assert!(Line { arguments, ..line("") }.to_bytes().is_err());
    }
}
