//! The planned change of the server's key, while the server runs: what is announced, and the moment at
//! which the other key takes its place.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use waxwing_core::crypto::Digest;
use waxwing_core::server::Identity;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::Successor;

use super::channels::ShardLines;
use super::requests::Request;
use crate::backend::Backend;
use crate::canary::Canary;
use crate::clock;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key;

/// How often the clock is looked at: somebody may set it.
const LOOK: Duration = Duration::from_secs(10);

/// The server's keys, by their fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// That of the key which it has.
    pub own: Digest,
    /// That of the key which is planned, and the moment from which on it counts.
    pub next: Option<(Digest, UnixTime)>,
}

/// Changes the key of a running server.
pub struct Rotation {
    directory: DataDir,
    shards: ShardLines,
    /// Each takes an identity to a shard.
    identities: Vec<Sender<Identity<Backend>>>,
    canary: Arc<Canary>,
    keys: Mutex<Keys>,
    /// Something is planned, or not any more.
    wake: Sender<()>,
    woken: Mutex<Option<Receiver<()>>>,
}

impl Rotation {
    /// That of the server with these keys in `directory`.
    #[must_use]
    pub fn new(
        directory: DataDir,
        keys: Keys,
        shards: ShardLines,
        identities: Vec<Sender<Identity<Backend>>>,
        canary: Arc<Canary>,
    ) -> Self {
        let (wake, woken) = channel();
        let (keys, woken) = (Mutex::new(keys), Mutex::new(Some(woken)));
        Self { directory, shards, identities, canary, keys, wake, woken }
    }

    /// The keys at this moment.
    #[must_use]
    pub fn keys(&self) -> Keys {
        *self.lock()
    }

    /// Where they are.
    #[must_use]
    pub const fn directory(&self) -> &DataDir {
        &self.directory
    }

    /// Plans another key from a moment on, in place of what was planned before, and announces it.
    ///
    /// # Errors
    /// When the key cannot be made or stored: then what was planned before is announced.
    pub fn plan(&self, effective: UnixTime) -> Result<Keys, Failure> {
        let mut keys = self.lock();
        let planned = key::plan(&self.directory, effective)?;
        self.announce(Some(planned.successor()))?;
        keys.next = Some((planned.fingerprint(), effective));
        let _ = self.wake.send(());
        Ok(*keys)
    }

    /// Takes the plan back.
    ///
    /// # Errors
    /// When there is none, or it cannot be removed.
    pub fn cancel(&self) -> Result<Keys, Failure> {
        let mut keys = self.lock();
        if keys.next.is_none() {
            return Err(Failure::new(Exit::Failure, "no other key is planned"));
        }
        key::cancel(&self.directory)?;
        self.announce(None)?;
        keys.next = None;
        Ok(*keys)
    }

    /// Has the planned key take its place when its moment comes, until the value is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn follow_clock(self: &Arc<Self>) -> io::Result<Following> {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (end, ended) = channel();
        let rotation = Arc::clone(self);
        let thread = Builder::new().name("waxwing-rotation".into());
        let thread = thread.spawn(move || {
            if let Some(woken) = woken {
                rotation.run(&woken, &ended);
            }
        })?;
        Ok(Following { end, wake: self.wake.clone(), thread: Some(thread) })
    }

    fn run(&self, woken: &Receiver<()>, ended: &Receiver<()>) {
        loop {
            let left = self.keys().next.map(|(_, effective)| effective.minus(clock::unix_now()));
            let left = left.map(|left| Duration::from_secs(u64::try_from(left).unwrap_or(0)));
            match woken.recv_timeout(left.unwrap_or(LOOK).min(LOOK)) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !matches!(ended.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty)) {
                return;
            }
            if let Err(error) = self.go_on() {
                tracing::error!(name: "key_not_changed", %error, "the planned key could not take its place; it is tried again");
                // Its moment is over: there is nothing to wait for but this.
                if woken.recv_timeout(LOOK) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
        }
    }

    /// If the moment of the planned key has come, the server has it from now on: on disk first.
    fn go_on(&self) -> Result<(), Failure> {
        let mut keys = self.lock();
        let now = clock::unix_now();
        let Some((next, _)) = keys.next.filter(|(_, effective)| *effective <= now) else {
            return Ok(());
        };
        key::settle(&self.directory, now)?;
        let identity = key::load(&self.directory)?;
        let before = keys.own;
        *keys = Keys { own: next, next: None };
        tracing::warn!(name: "key_changed", ?before, now = ?next, "the server has its planned key from now on; all connections begin anew");
        self.canary.trust(identity.spki().clone());
        for (shard, to) in self.shards.ids().zip(&self.identities) {
            // A shard that has stopped needs none.
            let _ = to.send(identity.clone());
            self.shards.send(shard, Request::Succeed);
        }
        Ok(())
    }

    /// Tells all shards, and waits until they know it.
    fn announce(&self, successor: Option<Successor>) -> Result<(), Failure> {
        let successor = successor.map(Box::new);
        let (taken, all_taken) = channel();
        let mut waits_for = 0;
        for shard in self.shards.ids() {
            self.shards.send(shard, Request::Announce(successor.clone(), taken.clone()));
            waits_for += 1;
        }
        drop(taken);
        for _ in 0..waits_for {
            all_taken.recv().map_err(|_| Failure::new(Exit::Failure, "the server stops"))?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The planned key takes its place as long as this is there.
pub struct Following {
    end: Sender<()>,
    wake: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.end.send(());
        let _ = self.wake.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
