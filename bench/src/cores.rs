//! Cores for the server, and cores for its clients.

use anyhow::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// As long as this lives, what this thread starts has only one half of the cores.
///
/// The scheduler of a machine with caches of their own for its cores likes to run whoever wakes up
/// where the waker runs, even if another core has nothing to do. Between a server and clients that
/// wait for one another that makes queues of milliseconds, of which no network knows anything.
pub(crate) struct Half {
    before: CpuSet,
}

/// Whose cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Clients,
}

impl Half {
    /// Where there is but one core, it is for both.
    pub(crate) fn of(side: Side) -> Result<Self> {
        let before = sched_getaffinity(None)?;
        let all: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| before.is_set(*core)).collect();
        let (servers, clients) = all.split_at(all.len().div_ceil(2));
        let cores = if side == Side::Server || clients.is_empty() { servers } else { clients };
        let mut half = CpuSet::new();
        cores.iter().for_each(|core| half.set(*core));
        sched_setaffinity(None, &half)?;
        Ok(Self { before })
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // They were this thread's a moment ago.
        let _ = sched_setaffinity(None, &self.before);
    }
}
