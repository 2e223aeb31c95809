//! The bodies of the fuzz targets: functions that panic when something does not hold. They are
//! built by any compiler, so that `tests/corpus.rs` can replay every input that is kept.

pub use waxwing_core_fuzz::{Reached, Target, name_of, taken};

pub mod client;
pub mod decisions;
pub mod envelope;
pub mod files;
pub mod home;
pub mod keys;
pub mod messenger;
pub mod mutation;
pub mod outbox;
pub mod private_key;
pub mod script;
pub mod server;
pub mod settings;

/// Every target.
pub const TARGETS: &[Target] = &[
    ("server_bytes", server::server_bytes),
    ("client_bytes", client::client_bytes),
    ("messenger_bytes", messenger::messenger_bytes),
    ("server_ops", server::server_ops),
    ("envelope_open", envelope::envelope_open),
    ("public_key", keys::public_key),
    ("private_key", private_key::private_key),
    ("config_file", files::config_file),
    ("config_keys", settings::config_keys),
    ("sqlite_open", files::sqlite_open),
    ("home_open", home::home_open),
    ("outbox_steps", outbox::outbox_steps),
];
