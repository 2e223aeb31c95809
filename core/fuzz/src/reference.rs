//! A second decoder of packets and bodies, as simple as it can be, with the numbers of PROTOCOL.md: what
//! the real one is compared with.

/// What a packet's header says.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    pub sender: u16,
    pub recipient: u16,
    pub timestamp: String,
    pub op_code: u8,
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

/// Decodes exactly one packet.
pub fn decode(bytes: &[u8]) -> Option<Decoded> {
    if bytes.len() < 26 + 256 {
        return None;
    }
    let number = |at: usize| u16::from(bytes[at]) + 256 * u16::from(bytes[at + 1]);
    let payload_size = usize::from(number(24));
    if bytes.len() != 26 + payload_size + 256 {
        return None;
    }
    let timestamp = String::from_utf8(bytes[4..23].to_vec()).ok()?;
    if !is_timestamp(&timestamp) {
        return None;
    }
    Some(Decoded {
        sender: number(0),
        recipient: number(2),
        timestamp,
        op_code: bytes[23],
        payload: bytes[26..26 + payload_size].to_vec(),
        signature: bytes[26 + payload_size..].to_vec(),
    })
}

/// The packets at the front of a stream, and whether what follows may become one.
pub fn packets(mut stream: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut found = Vec::new();
    while let Some(header) = stream.get(..26) {
        if !std::str::from_utf8(&header[4..23]).is_ok_and(is_timestamp) {
            return (found, false);
        }
        let len = 26 + usize::from(header[24]) + 256 * usize::from(header[25]) + 256;
        let Some((packet, rest)) = stream.split_at_checked(len) else { break };
        found.push(packet.to_vec());
        stream = rest;
    }
    (found, true)
}

/// Whether this is a timestamp: its form, character by character, and a calendar that is not ours.
pub fn is_timestamp(text: &str) -> bool {
    let form = "dddd-dd-dd dd:dd:dd";
    let matches = |(is, should): (char, char)| match should {
        'd' => is.is_ascii_digit(),
        other => is == other,
    };
    text.len() == form.len() && text.chars().zip(form.chars()).all(matches) && {
        let number = |at: usize, len: usize| text[at..at + len].parse::<i16>().unwrap();
        let small = |at: usize| number(at, 2) as i8;
        jiff::civil::Date::new(number(0, 4), small(5), small(8)).is_ok()
            && jiff::civil::Time::new(small(11), small(14), small(17), 0).is_ok()
    }
}

/// Whether these bytes are a body of the kind that [`packet_roundtrip`](crate::packets::packet_roundtrip)
/// numbers so.
pub fn is_body(kind: u8, body: &[u8]) -> bool {
    let counted = |at: usize, len: usize, counts: std::ops::RangeInclusive<usize>| {
        body.len() >= at + 2 && {
            let count = usize::from(body[at]) + 256 * usize::from(body[at + 1]);
            counts.contains(&count) && body.len() == at + 2 + len * count
        }
    };
    match kind {
        0 => body == [1],
        1 => body.len() == 4,
        2 => body.len() == 1 && (1..=4).contains(&body[0]),
        3 => match body {
            // The id 0 is the server's.
            [1, id @ ..] => id.len() == 2,
            [2, phone @ ..] => is_phone(phone),
            _ => false,
        },
        4 if body.starts_with(&[0, 0]) => {
            body.len() == 2 + 19 + 294
                && std::str::from_utf8(&body[2..21]).is_ok_and(is_timestamp)
                && is_spki(&body[21..])
        }
        4 => {
            let phone_len = body.len().saturating_sub(2 + 294);
            body.len() >= 2 + 294
                && is_user(&body[..2])
                && is_phone(&body[2..2 + phone_len])
                && is_spki(&body[2 + phone_len..])
        }
        5 => match body.len() {
            6 => body[5] == 0,
            12 => body[5] == 6 && is_digits(&body[6..]),
            _ => false,
        },
        6 => body.len() == 48,
        7 => {
            let head = match body.get(5) {
                Some(0) => 6,
                Some(1) => 22,
                _ => return false,
            };
            body.len() >= head
                && body.len() <= head + 128
                && std::str::from_utf8(&body[head..]).is_ok()
        }
        8 => match body.first() {
            Some(0) => body.len() == 2 && (1..=128).contains(&body[1]),
            Some(1) => counted(1, 16, 0..=112),
            Some(2) => counted(1, 18, 1..=110) && body[3..].chunks(18).all(is_user),
            _ => false,
        },
        9 => counted(0, 17, 1..=119) && body[2..].chunks(17).all(|entry| entry[16] <= 3),
        10 => body.len() >= 32 && is_phone(&body[32..]),
        11 => body.len() >= 86 && is_digits(&body[32..38]) && is_phone(&body[86..]),
        12 => body.len() == 256 || body.len() == 48,
        13 => body.len() == 16 && body[15] <= 3,
        14 => body.len() == 16 + 16 && body[16..28] == body[..12],
        15 => body.len() == 256 + 294,
        _ => unreachable!("no kind {kind}"),
    }
}

fn is_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

/// Whether the number at the front is an id.
fn is_user(bytes: &[u8]) -> bool {
    bytes[..2] != [0, 0]
}

/// A phone with its length before it.
fn is_phone(bytes: &[u8]) -> bool {
    match bytes {
        [len @ 8..=16, b'+', b'1'..=b'9', rest @ ..] => {
            bytes.len() == 1 + usize::from(*len) && is_digits(rest)
        }
        _ => false,
    }
}

fn is_spki(bytes: &[u8]) -> bool {
    let head = b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\
        \x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00";
    bytes.len() == 294
        && bytes.starts_with(head)
        && bytes[33] >= 0x80
        && bytes[288] % 2 == 1
        && bytes.ends_with(&[2, 3, 1, 0, 1])
}
