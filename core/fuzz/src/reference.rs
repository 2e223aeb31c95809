//! A second decoder of packets, as simple as it can be: what the real one is compared with.

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
