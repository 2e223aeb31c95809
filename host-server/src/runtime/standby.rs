//! A server that stands by: another one serves from the storage that both can reach.

use std::time::Duration;

use super::signals::Early;
use crate::clock::{Clock, SystemClock};
use crate::exit::Failure;
use crate::store::{Engine, Looked, Standby};

/// Waits until it is this server's turn. `None`: the process was asked to end.
pub(super) fn wait(
    storage: Box<dyn Standby>,
    early: &Early,
) -> Result<Option<Box<dyn Engine>>, Failure> {
    let waited = early.in_order(|| look_again_and_again(storage, early))?;
    match waited {
        // Somebody has asked for it in the last moment.
        Some(storage) if early.is_to_end(Duration::ZERO) => storage.close()?,
        waited => return Ok(waited),
    }
    Ok(None)
}

fn look_again_and_again(
    mut storage: Box<dyn Standby>,
    early: &Early,
) -> Result<Option<Box<dyn Engine>>, Failure> {
    let clock = SystemClock::start();
    let now = || clock.now().instant;
    let mut stands_by = false;
    loop {
        storage = match storage.look(now())? {
            Looked::Ours(storage) => {
                tracing::info!(name: "lease_taken", "this server has the lease of the database, and serves");
                return Ok(Some(storage));
            }
            Looked::Waits(storage) => storage,
        };
        if !stands_by {
            stands_by = true;
            tracing::info!(name: "stands_by", "another server serves; this one stands by");
        }
        if early.is_to_end(storage.poll_timeout().since(now())) {
            return Ok(None);
        }
    }
}
