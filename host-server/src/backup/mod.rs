//! Backups: copies of the storage, each with a manifest beside it that says what is in it. The copy has the name of a
//! draft until it has been read from end to end and its manifest is written; a file without one is no backup.
//!
//! The server's key is in none of them: it has to be kept elsewhere.

mod check;
mod deletion;
mod drill;
mod make;
mod manifest;
mod place;
mod priority;
mod restore;
mod service;
mod shelf;
mod turn;

pub use check::check;
pub use drill::{Drill, Drilled, Step};
pub use make::{Making, make};
pub use manifest::{Manifest, manifest_of};
pub use place::directory_of;
pub use restore::{Ready, Wanted, undo};
#[cfg(feature = "postgres")]
pub(crate) use restore::{no_id_left, restoration};
pub use service::{Backups, Made, Schedule, State, Target, Trouble, no_shelf};
pub use shelf::{Entry, Shelf};

use std::fmt;
use std::path::Path;

use waxwing_core::crypto::Digest;

use crate::exit::{Exit, Failure};

/// Something about a file is wrong, and it is a matter of storage.
fn failure(path: &Path, why: impl fmt::Display) -> Failure {
    Failure::new(Exit::Storage, format!("{}: {why}", path.display()))
}

/// A file that was named cannot be used.
fn unusable(path: &Path, why: impl fmt::Display) -> Failure {
    Failure::new(Exit::Config, format!("{}: {why}", path.display()))
}

/// What to do about a backup that belongs to a server with another key, where it can be used all the same.
pub const IF_MEANT: &str =
    "Use a backup of this server. If you mean this one, repeat the command with --other-key";

/// A backup belongs to a server with another key, and what to do about that.
#[must_use]
pub fn another_key(file: &Path, manifest: &Manifest, own: &Digest, help: &str) -> Failure {
    let theirs = manifest.key.as_deref().unwrap_or("none");
    of_another_key(&file.display(), theirs, own, help)
}

/// The same of anything that is named so.
fn of_another_key(named: &dyn fmt::Display, theirs: &str, own: &Digest, help: &str) -> Failure {
    Failure::new(
        Exit::Key,
        format!(
            "{named} belongs to a server with another key: its fingerprint is {theirs}, and the key here has \
             {own:?}. {help}"
        ),
    )
}
