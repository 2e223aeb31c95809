//! Packets as people have them at hand: hexadecimal, base64, or the bytes themselves.

use base64ct::{Base64, Encoding};

use crate::keylog::unhex;

/// The bytes that some input stands for. A packet itself is never taken for text: each has bytes
/// that no text has.
pub(super) fn decoded(input: Vec<u8>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&input) else { return input };
    let text: String = text.split_whitespace().collect();
    unhex(&text).or_else(|| Base64::decode_vec(&text).ok()).unwrap_or(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_and_base64_may_have_line_breaks() {
        assert_eq!(decoded(b"07 00\n2C01\n".to_vec()), [7, 0, 0x2c, 1]);
        assert_eq!(decoded(b"BwAs\nAQ==\n".to_vec()), [7, 0, 0x2c, 1]);
    }

    #[test]
    fn everything_else_is_itself() {
        for raw in [&b"\x07\x00,\x012026-03-14"[..], b"\xff\xfe", b"hello!"] {
            assert_eq!(decoded(raw.to_vec()), raw);
        }
    }
}
