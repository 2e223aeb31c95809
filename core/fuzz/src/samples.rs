//! Well-formed packets and payloads, written by hand: what fuzzing begins with.

/// The time in every packet here.
pub const TIMESTAMP: &[u8; 19] = b"2026-11-22 12:34:56";

/// A packet of each form in PROTOCOL.md, "Op codes", with a name. Nothing in it is encrypted or
/// signed: its payload is so many bytes of one kind.
#[must_use]
pub fn packets() -> Vec<(&'static str, Vec<u8>)> {
    [
        ("100", 0, 0, 100, 256),
        ("101", 0, 0, 101, 550),
        ("102", 7, 300, 102, 306),
        ("102-empty", 7, 300, 102, 0),
        ("102-largest", 7, 300, 102, 65_535),
        ("105-id", 7, 0, 105, 32),
        ("105-phone", 7, 0, 105, 48),
        ("106-long", 7, 0, 106, 256),
        ("106-short", 7, 0, 106, 48),
        ("150", 0, 0, 150, 32),
        ("200", 0, 0, 200, 32),
        ("201", 0, 7, 201, 256),
        ("203-confirmation", 7, 0, 203, 32),
        ("203-held", 7, 0, 203, 48),
        ("203-queries", 7, 0, 203, 48),
        ("203-shared", 0, 0, 203, 2_048),
        ("203-statuses", 0, 7, 203, 2_048),
        ("204", 0, 7, 204, 336),
        ("206", 0, 7, 206, 256),
        ("222-client", 7, 0, 222, 32),
        ("222-server", 0, 7, 222, 32),
        ("244-clear", 0, 0, 244, 6),
        ("244-sealed", 0, 7, 244, 176),
        ("255-sealed", 0, 7, 255, 32),
        ("255-shared", 0, 0, 255, 32),
    ]
    .map(|(name, sender, recipient, op, size)| {
        let payload = vec![0x5a; size];
        (name, packet(sender, recipient, TIMESTAMP, op, &payload))
    })
    .into()
}

/// A packet with this header and payload. Its signature is no signature.
#[must_use]
pub fn packet(sender: u16, recipient: u16, time: &[u8; 19], op: u8, payload: &[u8]) -> Vec<u8> {
    let size = u16::try_from(payload.len()).expect("a payload has at most 65,535 bytes");
    let (from, to) = (sender.to_le_bytes(), recipient.to_le_bytes());
    [&from, &to, &time[..], &[op], &size.to_le_bytes(), payload, &[0xa5; 256]].concat()
}

/// A public key by its form: nobody has made it.
#[must_use]
pub fn spki() -> Vec<u8> {
    let head = b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\
                 \x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00";
    [&head[..], &[0xe1; 256], b"\x02\x03\x01\x00\x01"].concat()
}
