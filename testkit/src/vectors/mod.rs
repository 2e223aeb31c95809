//! The test vectors under `vectors/`: what makes them, and what holds an implementation against
//! them. `vectors/README.md` says what the files hold.
//!
//! [`files`] writes every layout by hand. [`replay`] reads the files, and nothing of what made them.

mod bad;
mod before_session;
mod cast;
mod in_session;
mod json;
mod letters;
mod packet;
pub mod replay;
mod sequences;

pub use cast::counting;
pub use json::{hex, unhex};

use json::{Json, object};

/// Every file: its name, and what is in it.
pub fn files() -> Vec<(&'static str, String)> {
    let cases = |about, cases: Vec<Json>| object().with("about", about).with("cases", cases);
    let files = vec![
        ("keys.json", cast::keys_file()),
        ("registration.json", cases("100, 101, 150, 200, 201", before_session::registration())),
        ("session.json", cases("106, 206, the confirmation", before_session::session())),
        ("letters.json", cases("102", letters::letters())),
        ("acknowledgments.json", cases("203", in_session::acknowledgments())),
        ("directory.json", cases("105, 204", in_session::directory())),
        ("backlog.json", cases("255", in_session::backlog())),
        ("closing.json", cases("222", in_session::closing())),
        ("refusals.json", cases("244", in_session::refusals())),
        ("envelope.json", cases("Envelopes, without a packet", letters::envelopes())),
        ("safety.json", cases("Fingerprints and safety numbers", letters::safety())),
        ("bad_values.json", cases("What no parser may take", bad::values::cases())),
        ("bad_to_server.json", cases("What a server refuses", bad::to_server::cases())),
        ("bad_to_client.json", cases("What a client refuses", bad::to_client::cases())),
        ("sequences.json", cases("What comes one after the other", sequences::cases())),
    ];
    let text = |json| serde_json::to_string_pretty(&json).unwrap() + "\n";
    files.into_iter().map(|(name, json)| (name, text(json))).collect()
}
