//! What operators and programs hear of a server that stands by.

use std::path::PathBuf;
use std::time::Instant;

use waxwing_core::crypto::Digest;
use waxwing_core::time::UnixTime;

use super::health::Health;
use super::http::Watched;
use super::metrics;
use super::protocol::Problem;
use crate::clock;
use crate::data_dir::DataDir;
use crate::exit::Exit;

/// A server that waits for its turn.
pub struct StandingBy {
    /// The data directory.
    pub(super) data: PathBuf,
    /// Its own key, if it has one.
    pub(super) key: Option<Digest>,
    /// Since when it waits.
    pub(super) since: UnixTime,
    /// The same by a clock that nobody sets.
    pub(super) begun: Instant,
}

const OTHER: &str = "the server stands by: another one serves from the database that both share";

impl StandingBy {
    /// From now on.
    #[must_use]
    pub fn new(directory: &DataDir, key: Option<Digest>) -> Self {
        let data = directory.path().to_owned();
        Self { data, key, since: clock::unix_now(), begun: Instant::now() }
    }

    /// How it is, with the question whether it takes letters.
    pub(super) fn health(&self, ready: bool) -> Health {
        Health { healthy: !ready, message: OTHER.into() }
    }

    /// What an operator hears of whatever only the server that serves can do.
    pub(super) fn elsewhere() -> Problem {
        let message = format!("{OTHER}; give the command on the machine of that one");
        Problem::new(Exit::Network, message)
    }
}

impl Watched for StandingBy {
    fn numbers(&self) -> String {
        metrics::standby_page()
    }

    fn health(&self, ready: bool) -> Health {
        self.health(ready)
    }
}
