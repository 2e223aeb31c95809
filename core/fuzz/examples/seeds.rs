//! Writes the named seeds of every target of this package into `seeds/`: `cargo run --example seeds`, or
//! `cargo run --example seeds TARGET` for those of one.

use std::fs;
use std::path::Path;

use waxwing_core::client::SeenLetters;
use waxwing_core_fuzz::samples::{packets, spki};
use waxwing_core_fuzz::seen::{admit, encoded};

fn main() {
    let packets = packets();
    for (name, packet) in &packets {
        keep("packet_parse", name, packet);
    }
    bodies();
    let small = packets.iter().filter(|(_, packet)| packet.len() < 1_024);
    let stream: Vec<u8> = small.flat_map(|(_, packet)| packet.clone()).collect();
    for (name, cuts) in
        [("single-bytes", [0; 8]), ("mixed", [0, 1, 2, 3, 5, 8, 13, 21]), ("large", [90; 8])]
    {
        keep("stream_fragments", name, &[&cuts[..], &stream].concat());
    }
    // Nothing follows it.
    let (name, empty) = packets.iter().find(|(name, _)| *name == "102-empty").expect("is there");
    keep("stream_fragments", name, &[&[90; 8][..], empty].concat());
    seen();
    values();
    proxies();
}

fn keep(target: &str, name: &str, data: &[u8]) {
    if std::env::args().nth(1).is_some_and(|only| only != target) {
        return;
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), data).unwrap();
}

/// A body of each kind that is written as it was read; the first byte is the kind.
fn bodies() {
    let answer = [b"\x07\x00\x0c+15550001111", &spki()[..]].concat();
    let announced = [b"\x00\x002026-12-24 18:00:00", &spki()[..]].concat();
    let refusal = [b"\x0b\x00\x66\x05\x00\x01", &[7; 16][..], b"too much"].concat();
    let request = [&[5; 32][..], b"\x0c+15550001111"].concat();
    let proof = [&[5; 32][..], b"123456", &[9; 16], &[3; 32], b"\x0c+15550001111"].concat();
    let of_session = [&[5; 16][..], &[5; 12], &[7, 0, 0, 0]].concat();
    let of_another = [&[5; 16][..], &[5; 11], &[6, 7, 0, 0, 0]].concat();
    let bodies: [(&str, u8, &[u8]); 32] = [
        ("100", 10, &request),
        ("101", 11, &proof),
        ("150", 0, &[1]),
        ("255", 1, &[7, 0, 0, 0]),
        ("222", 2, &[2]),
        ("105-id", 3, &[1, 7, 0]),
        ("105-phone", 3, b"\x02\x0c+15550001111"),
        ("105-server", 3, &[1, 0, 0]),
        ("204", 4, &answer),
        ("204-server", 4, &announced),
        ("200", 5, b"\x2c\x01\x03\x3c\x00\x06123456"),
        ("200-no-code", 5, b"\x2c\x01\x03\x3c\x00\x00"),
        ("201", 6, &[9; 48]),
        ("244", 7, &refusal),
        ("244-shared", 7, b"\x01\x00\x00\x00\x00\x00"),
        ("203-confirmation", 8, &[0, 128]),
        ("203-held", 8, &[&[1, 1, 0][..], &[7; 16]].concat()),
        ("203-queries", 8, &[&[2, 1, 0, 9, 0][..], &[7; 16]].concat()),
        ("203-statuses", 9, &[&[1, 0][..], &[7; 16], &[1]].concat()),
        ("203-shared", 13, &[&[7; 15][..], &[2]].concat()),
        ("203-shared-no-status", 13, &[&[7; 15][..], &[4]].concat()),
        ("255-shared", 14, &of_session),
        ("255-of-another-session", 14, &of_another),
        ("101-in-two-parts", 15, &[&[9; 256][..], &spki()[..]].concat()),
        ("106-long", 12, &[9; 256]),
        ("106-short", 12, &[9; 48]),
        ("106-short-and-a-byte", 12, &[9; 49]),
        ("203-held-count-below-the-ids", 8, &[&[1, 1, 0][..], &[7; 32]].concat()),
        ("203-no-queries", 8, &[2, 0, 0]),
        ("203-queries-too-many-bytes", 8, &[&[2, 1, 0, 9, 0][..], &[7; 17]].concat()),
        ("244-longest", 7, &[b"\x0b\x00\x66\x05\x00\x00", &[b'a'; 128][..]].concat()),
        ("244-too-long", 7, &[b"\x0b\x00\x66\x05\x00\x00", &[b'a'; 129][..]].concat()),
    ];
    for (name, kind, body) in bodies {
        keep("packet_roundtrip", name, &[&[kind], body].concat());
    }
}

fn values() {
    for (name, text) in [
        ("now", "2026-11-22 12:34:56"),
        ("leap-day", "2028-02-29 23:59:59"),
        ("no-leap-day", "2100-02-29 00:00:00"),
        ("day-behind-the-leap-day", "2028-02-30 00:00:00"),
        ("first", "0000-01-01 00:00:00"),
        ("last", "9999-12-31 23:59:59"),
    ] {
        keep("timestamp", name, text.as_bytes());
    }
    for (name, text) in [
        ("phone", "+4915112345678"),
        ("short", "+1234567"),
        ("code", "012345"),
        ("longest", "+123456789012345"),
        ("too-long", "+1234567890123456"),
        ("too-short", "+123456"),
    ] {
        keep("phone_otp", name, text.as_bytes());
    }
}

fn seen() {
    // Each of three senders writes in turn, one uid after the other, and later.
    let in_turn: Vec<u8> = (0..30).flat_map(|n| [n % 3, n, n]).collect();
    for (name, size) in [("small", 0), ("middling", 1), ("large", 2)] {
        keep("seen_letters", name, &[&[size], &in_turn[..], &[0x80, 0, 0], &in_turn].concat());
    }
    let mut memory = SeenLetters::<4, 2>::new();
    for n in 0..9 {
        let _ = admit(&mut memory, (n % 4, n, n));
    }
    keep("seen_letters", "page", &[&[3], &encoded(&memory)[..]].concat());
}

fn proxies() {
    // Signature, command and family, length, what follows.
    let header = |command: u8, family: u8, rest: &[u8]| {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
    };
    let pieces = |bytes: &[u8], size: usize| -> Vec<u8> {
        let piece = |piece: &[u8]| [&[u8::try_from(piece.len()).unwrap()], piece].concat();
        bytes.chunks(size).flat_map(piece).collect()
    };
    let ipv4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xc0, 1, 0x24, 0x4f];
    let mut mapped = [0; 36];
    mapped[10..16].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 7]);
    let mut ipv6 = [0; 496];
    ipv6[..2].copy_from_slice(&[0x20, 0x01]);
    keep("proxy_header", "ipv4", &pieces(&header(0x21, 0x11, &ipv4), 28));
    keep("proxy_header", "byte-by-byte", &pieces(&header(0x21, 0x11, &ipv4), 1));
    keep("proxy_header", "mapped", &pieces(&header(0x21, 0x21, &mapped), 9));
    keep("proxy_header", "longest", &pieces(&header(0x21, 0x21, &ipv6), 200));
    keep("proxy_header", "local", &pieces(&[&header(0x20, 0, &[])[..], b"more"].concat(), 255));
    keep("proxy_header", "half", &pieces(&header(0x21, 0x11, &ipv4)[..20], 5));
    keep("proxy_header", "no-address", &pieces(&header(0x21, 0x21, &[]), 9));
    keep("proxy_header", "version-1", &pieces(b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n", 40));
    keep("proxy_header", "unix", &pieces(&header(0x21, 0x31, &[0; 216]), 255));
}
