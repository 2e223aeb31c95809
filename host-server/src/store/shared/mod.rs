//! A storage that several servers can reach, and one at a time serves.
//!
//! Who serves is the *holder* of a lease (`lease.rs`); the others stand by (`candidate.rs`). The holder
//! gives its changes to a database (`database.rs`) in groups, and finds out what has become of one whose
//! answer is lost (`groups.rs`). What a driver brings is a [`Database`]. Beside it, a file of the server's own
//! knows what the database has confirmed (`witness.rs`).

mod candidate;
mod database;
mod groups;
mod lease;
mod node;
mod witness;

pub use candidate::Candidate;
pub use database::{Change, Claim, Database, Witness};
pub use groups::Groups;
pub use lease::{
    Epoch, Fence, Holder, Instance, LeaseRow, Mark, Node, Renewal, Renewed, Seen, Standby, Verdict,
    beat_interval,
};
pub use node::{new_instance, node};
pub use witness::WitnessFile;

use super::ApplyError;

/// What an operator hears whose database lacks what a server knows to have been there.
pub(super) fn lost() -> ApplyError {
    ApplyError::Fatal(
        "the database lacks changes that it had confirmed: it is an older copy of what this server has \
         used; bring back the newer one. If that is lost for good, stop all servers and give \
         `waxwing-server storage adopt`"
            .into(),
    )
}

#[cfg(test)]
mod tests;
