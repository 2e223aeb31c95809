//! The bodies of the fuzz targets that need no backend, no machine and no file: functions that panic
//! when something does not hold. They are built by any compiler, so that `tests/corpus.rs` can replay
//! every input that is kept.

use std::collections::BTreeSet;

use waxwing_core::wire::Op;

pub mod input;
pub mod packets;
pub mod proxy;
pub mod readable;
pub mod reference;
pub mod samples;
pub mod seeds;
pub mod seen;
pub mod values;

/// What an input has led to, in words. `tests/corpus.rs` says what each seed has to lead to.
pub type Reached = BTreeSet<&'static str>;

/// A target's name and body.
pub type Target = (&'static str, fn(&[u8]) -> Reached);

/// Every target of this package.
pub const TARGETS: &[Target] = &[
    ("packet_parse", packets::packet_parse),
    ("packet_roundtrip", packets::packet_roundtrip),
    ("stream_fragments", packets::stream_fragments),
    ("seen_letters", seen::seen_letters),
    ("timestamp", values::timestamp),
    ("phone_otp", values::phone_otp),
    ("proxy_header", proxy::proxy_header),
];

/// What an input reaches that is taken, or refused.
#[must_use]
pub fn taken(is_taken: bool) -> Reached {
    Reached::from([if is_taken { "taken" } else { "refused" }])
}

/// The op code, as what a packet reaches.
#[must_use]
pub const fn name_of(op: Op) -> &'static str {
    match op {
        Op::RegistrationRequest => "100",
        Op::OtpProof => "101",
        Op::Letter => "102",
        Op::KeyQuestion => "105",
        Op::ReconnectRequest => "106",
        Op::RegistrationRejected => "150",
        Op::OtpIssued => "200",
        Op::SessionIssued => "201",
        Op::Acknowledgment => "203",
        Op::KeyAnswer => "204",
        Op::SessionRenewed => "206",
        Op::Close => "222",
        Op::Refusal => "244",
        Op::BacklogEnd => "255",
    }
}
