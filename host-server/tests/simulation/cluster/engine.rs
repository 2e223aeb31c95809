//! The storage of a server that has the lease.

use std::sync::Arc;
use std::time::Duration;

use waxwing_core::server::storage::{Answer, Batch, Question, Snapshot};
use waxwing_core::time::UnixTime;
use waxwing_server::store::shared::{Groups, beat_interval};
use waxwing_server::store::{ApplyError, MemoryStorage, Resolved, StorageError};

use super::connection::Connection;
use super::node::LEASE;
use crate::simulated::Behaviour;

pub(super) struct Engine(pub(super) Groups<Connection>);

impl Behaviour for Engine {
    fn durable(&self) -> MemoryStorage {
        self.0.database().database().lock().confirmed().data.clone()
    }

    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        let loaded = self.0.load(rested_before);
        loaded.map_err(|error| StorageError::Unreachable(error.into()))
    }

    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        self.0.apply(batches)
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        self.0.answer(question)
    }

    fn resolve(&mut self) -> Result<Option<Resolved>, ApplyError> {
        self.0.resolve()
    }

    fn beat_interval(&self) -> Option<Duration> {
        Some(beat_interval(LEASE))
    }

    fn close(&mut self) {
        self.0.give_back();
    }
}
