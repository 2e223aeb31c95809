//! The bodies of the fuzz targets for machines, keys and files: functions that panic when something does not hold. They are
//! built by any compiler, so that `tests/corpus.rs` can replay every input that is kept.

pub mod client;
pub mod envelope;
pub mod files;
pub mod keys;
pub mod script;
pub mod server;

/// A target's name and body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this package.
pub const TARGETS: &[Target] = &[
    ("server_bytes", server::server_bytes),
    ("client_bytes", client::client_bytes),
    ("server_ops", server::server_ops),
    ("envelope_open", envelope::envelope_open),
    ("public_key", keys::public_key),
    ("config_file", files::config_file),
    ("sqlite_open", files::sqlite_open),
];
