//! Cores for the server, and cores for its clients.

use std::io;

use anyhow::Result;
use rustix::process::Pid;
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
        let all = cores_in(&before);
        let (servers, clients) = all.split_at(all.len().div_ceil(2));
        stay_on(if side == Side::Server || clients.is_empty() { servers } else { clients })?;
        Ok(Self { before })
    }
}

/// The cores on which a process may run.
pub(crate) fn cores_of(process: u32) -> Result<Vec<usize>> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    Ok(cores_in(&sched_getaffinity(process)?))
}

/// From now on this thread, and what it starts, runs on these cores alone.
pub(crate) fn stay_on(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

fn cores_in(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

impl Drop for Half {
    fn drop(&mut self) {
        // They were this thread's a moment ago.
        let _ = sched_setaffinity(None, &self.before);
    }
}
