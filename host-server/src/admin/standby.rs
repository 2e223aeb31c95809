//! What operators and programs hear of a server that stands by.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
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
    /// The key of the server that serves, if this one could not take over with its own.
    other_key: Mutex<Option<Digest>>,
    trouble: Mutex<Option<String>>,
}

const OTHER: &str = "the server stands by: another one serves from the database that both share";

impl StandingBy {
    /// From now on.
    #[must_use]
    pub fn new(directory: &DataDir, key: Option<Digest>) -> Self {
        let data = directory.path().to_owned();
        let (since, begun) = (clock::unix_now(), Instant::now());
        let (other_key, trouble) = (Mutex::default(), Mutex::default());
        Self { data, key, since, begun, other_key, trouble }
    }

    /// The server that serves has this key, with which this one could not take over; `None`: nothing is in
    /// the way. Whether that is news.
    pub fn note_other_key(&self, found: Option<Digest>) -> bool {
        let mut other_key = self.other_key.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *other_key, found) != found
    }

    /// The key of the server that serves, if this one could not take over with its own.
    pub(super) fn other_key(&self) -> Option<Digest> {
        *self.other_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it could not take over, or see whether it has to; `None`: another server serves. Whether that is
    /// news.
    pub fn note_trouble(&self, why: Option<&str>) -> bool {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = trouble.as_deref() != why;
        if is_news {
            *trouble = why.map(str::to_owned);
        }
        is_news
    }

    /// Why it could not take over, or see whether it has to.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it is, with the question whether it takes letters.
    pub(super) fn health(&self, ready: bool) -> Health {
        let message = match self.trouble() {
            None => OTHER.into(),
            Some(why) => format!("the server stands by, and could not take over: {why}"),
        };
        Health { healthy: !ready, message }
    }

    /// What an operator hears of whatever only the server that serves can do.
    pub(super) fn elsewhere() -> Problem {
        let message = format!("{OTHER}; give the command on the machine of that one");
        Problem::new(Exit::Network, message)
    }
}

impl Watched for StandingBy {
    fn numbers(&self) -> String {
        metrics::standby_page(self)
    }

    fn health(&self, ready: bool) -> Health {
        self.health(ready)
    }
}
