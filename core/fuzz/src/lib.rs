//! The bodies of the fuzz targets that need the core alone: functions that panic when something
//! does not hold. They are built by any compiler, so that `tests/corpus.rs` can replay every input
//! that is kept.

pub mod packets;
pub mod reference;
pub mod samples;
pub mod seen;
pub mod values;

/// A target's name and body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this package.
pub const TARGETS: &[Target] = &[
    ("packet_parse", packets::packet_parse),
    ("packet_roundtrip", packets::packet_roundtrip),
    ("stream_fragments", packets::stream_fragments),
    ("seen_letters", seen::seen_letters),
    ("timestamp", values::timestamp),
    ("phone_otp", values::phone_otp),
];
