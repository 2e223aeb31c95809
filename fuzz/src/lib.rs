//! The bodies of the fuzz targets: functions that panic when something does not hold. They are
//! built by any compiler, so that `tests/corpus.rs` can replay every input that is kept.

pub mod client;
pub mod envelope;
pub mod files;
pub mod packets;
pub mod reference;
pub mod script;
pub mod server;
pub mod values;

/// A target's name and body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("packet_parse", packets::packet_parse),
    ("packet_roundtrip", packets::packet_roundtrip),
    ("stream_fragments", packets::stream_fragments),
    ("server_bytes", server::server_bytes),
    ("client_bytes", client::client_bytes),
    ("server_ops", server::server_ops),
    ("envelope_open", envelope::envelope_open),
    ("public_key", values::public_key),
    ("timestamp", values::timestamp),
    ("phone_otp", values::phone_otp),
    ("config_file", files::config_file),
    ("sqlite_open", files::sqlite_open),
];
