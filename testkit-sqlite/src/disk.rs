//! A directory whose databases fail when a test says so.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::call::{Call, Fault};
use crate::remains::Remains;
use crate::vfs;

/// The disk under a directory. Ends when it is dropped; files that are open then stay under it.
#[derive(Debug)]
pub struct FaultyDisk {
    directory: PathBuf,
    state: Shared,
}

/// What the files of one directory have in common.
pub(crate) type Shared = Arc<Mutex<State>>;

#[derive(Debug, Default)]
pub(crate) struct State {
    calls: u64,
    fault: Option<Fault>,
    /// Calls that the fault counts.
    counted: u64,
    is_idle: bool,
    injected: BTreeMap<Call, u64>,
    pub(crate) retried_syncs: Vec<Box<Path>>,
    pub(crate) remains: Remains,
}

impl State {
    /// Counts a call, and says how it fails if it does.
    pub(crate) fn verdict(&mut self, call: Call) -> Option<i32> {
        if self.is_idle {
            return None;
        }
        self.calls += 1;
        let fault = self.fault.filter(|fault| fault.counts(call))?;
        self.counted += 1;
        let code = fault.verdict(call, self.counted)?;
        *self.injected.entry(call).or_default() += 1;
        Some(code)
    }
}

static DISKS: Mutex<Vec<(PathBuf, Shared)>> = Mutex::new(Vec::new());

/// A test that has failed elsewhere leaves what is needed here in order.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk that holds this file, if it is one of ours.
pub(crate) fn holding(file: &Path) -> Option<Shared> {
    let directory = file.parent()?;
    let disks = locked(&DISKS);
    disks.iter().find(|(under, _)| under == directory).map(|(_, state)| state.clone())
}

impl FaultyDisk {
    /// Puts a disk under a directory that exists. It works until it is told to fail.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn under(directory: &Path) -> io::Result<Self> {
        vfs::register();
        // SQLite names files without symbolic links.
        let directory = directory.canonicalize()?;
        let state = Shared::default();
        locked(&DISKS).push((directory.clone(), state.clone()));
        Ok(Self { directory, state })
    }

    /// What goes wrong; calls count from now.
    pub fn fail(&self, fault: Fault) {
        let mut state = locked(&self.state);
        (state.fault, state.counted) = (Some(fault), 0);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        locked(&self.state).fault = None;
    }

    /// Does something without counting calls, and without faults.
    pub fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        let set_idle = |is_idle| locked(&self.state).is_idle = is_idle;
        set_idle(true);
        let done = act();
        set_idle(false);
        done
    }

    /// Files that were synced although that had failed since they were opened.
    #[must_use]
    pub fn retried_syncs(&self) -> Vec<Box<Path>> {
        locked(&self.state).retried_syncs.clone()
    }

    /// How many calls there have been so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        locked(&self.state).calls
    }

    /// How many calls have failed so far, by kind.
    #[must_use]
    pub fn injected(&self) -> BTreeMap<Call, u64> {
        locked(&self.state).injected.clone()
    }

    /// Writes into another directory what is left if the power goes now: all that was synced, and
    /// of the rest what `roll`, which gives a number below its argument, decides.
    ///
    /// # Errors
    /// When the other directory does not take it.
    pub fn lose_power(&self, into: &Path, roll: &mut dyn FnMut(usize) -> usize) -> io::Result<()> {
        locked(&self.state).remains.write(&self.directory, into, roll)
    }
}

impl Drop for FaultyDisk {
    fn drop(&mut self) {
        locked(&DISKS).retain(|(_, state)| !Arc::ptr_eq(state, &self.state));
    }
}
