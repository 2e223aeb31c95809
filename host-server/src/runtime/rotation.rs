//! The planned change of the server's key, while the server runs: what is announced, and the moment at
//! which the other key takes its place.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use waxwing_core::crypto::{Digest, Spki};
use waxwing_core::server::Identity;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::Successor;

use super::channels::ShardLines;
use super::heard::{Heard, Late, Stopped};
use super::requests::Request;
use crate::admin::audit::{self, Arguments, AuditLog, Outcome};
use crate::admin::reports::Reports;
use crate::backend::Backend;
use crate::backup::Backups;
use crate::canary::Canary;
use crate::clock;
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::key::{self, Fingerprints, Planned};
use crate::store::Inspector;

/// How often the clock is looked at: somebody may set it.
const LOOK: Duration = Duration::from_secs(10);
/// How long somebody who wants to know how things are now waits for a look at the disk.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// Wakes whoever follows the clock. What is in it is dropped after the look that it has led to.
type Word = Option<Sender<()>>;

/// The server's keys, by their fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// That of the key which it has.
    pub own: Digest,
    /// That of the key which is planned, and the moment from which on it counts.
    pub next: Option<(Digest, UnixTime)>,
    /// Why the planned key has not taken its place, although its moment is over.
    pub trouble: Option<String>,
}

/// Who works with the server's key besides its shards, and hears when there is another.
pub struct Followers {
    /// The canary.
    pub canary: Arc<Canary>,
    /// The backups, which belong to a key.
    pub backups: Arc<Backups>,
    /// Storage, which belongs to a key, too.
    pub storage: Inspector,
    /// The audit log, which says when.
    pub audit: AuditLog,
}

impl Followers {
    fn tell(&self, spki: &Spki, keys: Fingerprints, now: UnixTime) {
        self.canary.trust(spki.clone());
        // If storage cannot take it, it says so itself, and the next start tells it again.
        drop(self.storage.set_server_key(keys.own, now));
        self.backups.know(keys);
    }
}

/// Changes the key of a running server.
pub struct Rotation {
    directory: DataDir,
    shards: ShardLines,
    /// Each takes an identity to a shard.
    identities: Vec<Sender<Identity<Backend>>>,
    followers: Followers,
    /// Loops that have not answered for so long hang.
    patience: Duration,
    keys: Mutex<Keys>,
    /// Held by whoever is about to change them. That takes the disk, for which others must not wait.
    turn: Mutex<()>,
    /// Something is planned, or not any more.
    wake: Sender<Word>,
    woken: Mutex<Option<Receiver<Word>>>,
}

impl Rotation {
    /// That of the server with these keys in `directory`.
    #[must_use]
    pub fn new(
        directory: DataDir,
        keys: Keys,
        shards: ShardLines,
        identities: Vec<Sender<Identity<Backend>>>,
        followers: Followers,
    ) -> Self {
        let (wake, woken) = channel();
        let (keys, turn, woken) = (Mutex::new(keys), Mutex::default(), Mutex::new(Some(woken)));
        let patience = Reports::PATIENCE;
        Self { directory, shards, identities, followers, patience, keys, turn, wake, woken }
    }

    /// The keys at this moment.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.lock().clone()
    }

    /// The same, after a look at what lies in the directory. A disk that hangs is not waited for for long.
    #[must_use]
    pub fn keys_now(&self) -> Keys {
        let (done, looked) = channel();
        // While somebody changes or looks at them, there is nothing more to ask for.
        let is_free = self.turn.try_lock().is_ok();
        if is_free && self.wake.send(Some(done)).is_ok() {
            // That it was dropped is the answer.
            let _ = looked.recv_timeout(LOOK_PATIENCE);
        }
        self.keys()
    }

    /// Where they are.
    #[must_use]
    pub const fn directory(&self) -> &DataDir {
        &self.directory
    }

    /// Plans another key from a moment on, in place of what was planned before, and announces it.
    ///
    /// # Errors
    /// When the key cannot be made or stored, or the planned one is about to take its place.
    pub fn plan(&self, effective: UnixTime) -> Result<Keys, Failure> {
        self.change(|directory, _| key::plan(directory, effective).map(drop))
    }

    /// Takes the plan back.
    ///
    /// # Errors
    /// When there is none, it cannot be removed, or the planned key is about to take its place.
    pub fn cancel(&self) -> Result<Keys, Failure> {
        self.change(key::cancel)
    }

    /// Changes the plan in the directory. Clients are told what lies there afterwards, also when the change
    /// has failed half-way: that is what counts when the moment comes.
    fn change(
        &self,
        change: impl FnOnce(&DataDir, &Digest) -> Result<(), Failure>,
    ) -> Result<Keys, Failure> {
        let _turn = self.turn();
        let mut keys = self.keys();
        key::expect(&self.directory, &keys.own)?;
        let before = keys.next;
        let changed = change(&self.directory, &keys.own);
        let followed = self.follow_directory(&mut keys);
        changed.map_err(|failure| match keys.next == before {
            true => failure,
            false => Failure::new(
                failure.exit(),
                format!("{failure}; what is planned has changed all the same: see `waxwing-server key show`"),
            ),
        })?;
        followed?;
        Ok(keys.clone())
    }

    /// What the directory says is planned, and nothing else, is announced and waited for.
    fn follow_directory(&self, keys: &mut Keys) -> Result<(), Failure> {
        let planned = key::planned(&self.directory, &keys.own)?;
        keys.next = planned.as_ref().map(|planned| (planned.fingerprint(), planned.effective));
        keys.trouble = None;
        self.know(keys);
        let _ = self.wake.send(None);
        self.announce(planned.as_ref().map(Planned::successor))
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

    fn run(&self, woken: &Receiver<Word>, ended: &Receiver<()>) {
        loop {
            let left = self.keys().next.map(|(_, effective)| effective.minus(clock::unix_now()));
            let left = left.map(|left| Duration::from_secs(u64::try_from(left).unwrap_or(0)));
            let asked = match woken.recv_timeout(left.unwrap_or(LOOK).min(LOOK)) {
                Ok(asked) => asked,
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !matches!(ended.try_recv(), Err(TryRecvError::Empty)) {
                return;
            }
            let gone_on = self.go_on(clock::unix_now());
            drop(asked);
            if let Err(error) = gone_on {
                tracing::error!(name: "key_not_changed", %error, "the planned key could not take its place; it is tried again");
                // Its moment is over: there is nothing to wait for but this.
                if matches!(woken.recv_timeout(LOOK), Err(RecvTimeoutError::Disconnected)) {
                    return;
                }
            }
        }
    }

    /// If the moment of the planned key has come, the server has it from now on.
    fn go_on(&self, now: UnixTime) -> Result<(), Failure> {
        let _turn = self.turn();
        let mut keys = self.keys();
        let Some((next, effective)) = keys.next else {
            self.look_for_plan(&mut keys);
            return Ok(());
        };
        if effective > now {
            self.look_at_plan(&mut keys, next);
            return Ok(());
        }
        let succeeded = self.succeed(&mut keys, next, now);
        keys.trouble = succeeded.as_ref().err().map(ToString::to_string);
        self.know(&keys);
        succeeded
    }

    /// The file of a planned key was lost when the server started, and its copy is put back: the plan goes on, as at a
    /// start. What cannot be read there is no plan; `key show` and `doctor` name it.
    fn look_for_plan(&self, keys: &mut Keys) {
        let Ok(Some(planned)) = key::planned(&self.directory, &keys.own) else { return };
        let (next, effective) = (planned.fingerprint(), planned.effective);
        tracing::warn!(name: "planned_key_found", ?next, ?effective, "server.next.key.pem is there: this key is planned from now on");
        let told = self.follow_directory(keys);
        if let Err(failure) = told.and_then(|()| key::publish_planned(&self.directory, &planned)) {
            tracing::error!(name: "planned_key_not_told", %failure, "a key is planned, and not everybody hears of it yet");
        }
    }

    /// Whether the key that was announced still lies there: when its moment comes, its copy may be lost, too.
    fn look_at_plan(&self, keys: &mut Keys, next: Digest) {
        let trouble = match key::planned(&self.directory, &keys.own) {
            Ok(Some(planned)) if planned.fingerprint() == next => None,
            Ok(_) => Some(format!(
                "server.next.key.pem is not the key that was announced, {next:?}: put that one back from its copy, or \
                 take the plan back: waxwing-server key rotate --cancel"
            )),
            Err(failure) => Some(failure.to_string()),
        };
        if trouble == keys.trouble {
            return;
        }
        if let Some(why) = &trouble {
            tracing::error!(name: "planned_key_unusable", %why, "the planned key cannot take its place when its moment comes");
        }
        keys.trouble = trouble;
        self.know(keys);
    }

    /// The key that was announced takes its place: on disk first. If another one lies there, or none, or
    /// its moment is later, somebody has changed the file: then the server goes by the file.
    fn succeed(&self, keys: &mut Keys, next: Digest, now: UnixTime) -> Result<(), Failure> {
        key::settle(&self.directory, now)?;
        let identity = key::load(&self.directory)?;
        if key::digest(identity.spki()) != next {
            self.follow_directory(keys)?;
            tracing::error!(
                name: "planned_key_gone",
                announced = ?next,
                planned = ?keys.next,
                "the key that clients were told of is not planned in the data directory any more: somebody has \
                 changed server.next.key.pem by hand; clients hear from now on what is planned there"
            );
            return Ok(());
        }
        let fingerprints = Fingerprints::read(&self.directory, next)?;
        let before = keys.own;
        *keys = Keys { own: next, next: None, trouble: None };
        self.know(keys);
        tracing::warn!(name: "key_changed", ?before, now = ?next, "the server has its planned key from now on; all connections begin anew");
        note_change(&self.followers.audit, next, now);
        self.followers.tell(identity.spki(), fingerprints, now);
        for (shard, to) in self.shards.ids().zip(&self.identities) {
            // A shard that has stopped needs none.
            let _ = to.send(identity.clone());
            self.shards.send(shard, Request::Succeed);
        }
        Ok(())
    }

    /// Tells all shards, and waits until they know it: not for those that hang, which hear of it when they go
    /// on.
    fn announce(&self, successor: Option<Successor>) -> Result<(), Failure> {
        let successor = successor.map(Box::new);
        let told = self
            .shards
            .ask_all(self.patience, |_, taken| Request::Announce(successor.clone(), taken));
        let Heard { late, .. } =
            told.map_err(|Stopped| Failure::new(Exit::Failure, "the server stops"))?;
        let hears = |late: &Late| {
            let message =
                format!("what is planned has changed, and {late}: clients there hear of it later");
            Failure::new(Exit::Failure, message)
        };
        late.some().map_or(Ok(()), |late| Err(hears(late)))
    }

    fn know(&self, keys: &Keys) {
        self.lock().clone_from(keys);
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that a planned key has taken its place. What an operator has planned is done also when that cannot
/// be noted: clients were told of it.
pub(super) fn note_change(audit: &AuditLog, key: Digest, now: UnixTime) {
    let (act, by_clock) = ((audit::caller(), "key rotate"), Arguments::new().with("by", "clock"));
    let outcome = Outcome::done(format!("{key:?} is the key from now on"));
    if let Err(failure) = audit.note_ended(now, act, by_clock, outcome) {
        tracing::error!(name: "audit_log_unwritable", %failure, "the audit log does not say that the planned key has taken its place");
    }
}

/// The planned key takes its place as long as this is there.
pub struct Following {
    end: Sender<()>,
    wake: Sender<Word>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.end.send(());
        let _ = self.wake.send(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::ControlFlow;
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::runtime::{Message, Route};
    use crate::store::{
        Copier, Interrupt, MemoryStorage, Ownership, StorageError, StorageThread, ThreadOptions,
    };

    const NOW: UnixTime = UnixTime::from_seconds(1_795_350_896);

    /// Of a storage that nobody copies.
    struct NoCopier;

    impl Copier for NoCopier {
        fn size(&self) -> Result<u64, StorageError> {
            Ok(0)
        }

        fn copy(
            &self,
            _: &Path,
            _: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
        ) -> Result<ControlFlow<()>, StorageError> {
            Ok(ControlFlow::Break(()))
        }

        fn check(&self, _: &Interrupt) -> Result<(), StorageError> {
            Ok(())
        }
    }

    /// A server of one shard that answers, and notes what it is to announce.
    struct Server {
        _temporary: tempfile::TempDir,
        rotation: Rotation,
        identities: Receiver<Identity<Backend>>,
        storage: (MemoryStorage, StorageThread),
        announced: Receiver<Option<Digest>>,
    }

    impl Server {
        fn new() -> Self {
            Self::with_loops_that_hang(0).0
        }

        /// With so many shards more that do not answer, and what was sent to them.
        fn with_loops_that_hang(count: usize) -> (Self, Vec<Receiver<Vec<Message<()>>>>) {
            let temporary = tempfile::tempdir().unwrap();
            let directory = DataDir::create(&temporary.path().join("data")).unwrap();
            let spki = key::load_or_create(&directory).unwrap().spki().clone();
            let (inbox, messages) = channel::<Vec<Message<()>>>();
            let mut routes = vec![Route { inbox, waker: Arc::new(|| {}) }];
            let mut hanging = Vec::new();
            for _ in 0..count {
                let (inbox, messages) = channel();
                routes.push(Route { inbox, waker: Arc::new(|| {}) });
                hanging.push(messages);
            }
            let shards = ShardLines::new(&routes);
            let (note, announced) = channel();
            std::thread::spawn(move || {
                for message in messages.iter().flatten() {
                    if let Message::Request(Request::Announce(successor, answer)) = message {
                        let _ = note.send(successor.map(|next| key::digest(&next.spki)));
                        let _ = answer.send(());
                    }
                }
            });
            let keys = Keys { own: key::digest(&spki), next: None, trouble: None };
            let fingerprints = Fingerprints::read(&directory, keys.own).unwrap();
            let memory = MemoryStorage::new();
            let (thread, _) =
                StorageThread::spawn(Box::new(memory.clone()), ThreadOptions::default(), vec![])
                    .unwrap();
            let config = Config::default();
            let backups = Backups::new(&config, fingerprints, Box::new(NoCopier));
            let followers = Followers {
                canary: Arc::new(Canary::new(&config, spki)),
                backups: Arc::new(backups),
                storage: thread.inspector(),
                audit: AuditLog::of(&directory),
            };
            let (identity, identities) = channel();
            let rotation = Rotation::new(directory, keys, shards, vec![identity], followers);
            let server = Self {
                _temporary: temporary,
                rotation,
                identities,
                storage: (memory, thread),
                announced,
            };
            (server, hanging)
        }

        fn directory(&self) -> &DataDir {
            self.rotation.directory()
        }

        /// What was announced last, by the fingerprint.
        fn announces(&self) -> Option<Digest> {
            self.announced.try_iter().last().expect("something was announced")
        }

        /// Plans a key. Its fingerprint.
        fn plan(&self) -> Digest {
            let (next, effective) = self.rotation.plan(NOW).unwrap().next.unwrap();
            assert_eq!((self.announces(), effective), (Some(next), NOW));
            next
        }
    }

    /// Nothing can be written where a directory is.
    fn block(path: &Path) {
        let _ = fs::remove_file(path);
        fs::create_dir(path).unwrap();
    }

    #[test]
    fn a_plan_that_fails_half_way_is_announced_and_can_be_taken_back() {
        let server = Server::new();
        let public = server.directory().next_public_key();
        block(&public);
        let refused = server.rotation.plan(NOW).unwrap_err().to_string();
        assert!(refused.contains("key show"), "{refused}");
        let Keys { own, next, .. } = server.rotation.keys();
        let (next, _) = next.unwrap();
        assert_eq!(server.announces(), Some(next));
        let planned = key::planned(server.directory(), &own).unwrap().unwrap();
        assert_eq!(planned.fingerprint(), next);

        server.rotation.cancel().unwrap_err();
        assert_eq!(server.announces(), Some(next));
        fs::remove_dir(public).unwrap();
        assert_eq!(server.rotation.cancel().unwrap().next, None);
        assert_eq!(server.announces(), None);
        assert!(key::planned(server.directory(), &own).unwrap().is_none());
        let refused = server.rotation.cancel().unwrap_err().to_string();
        assert_eq!(refused, "no other key is planned");
    }

    #[test]
    fn a_loop_that_hangs_is_not_waited_for_and_hears_of_the_plan_when_it_goes_on() {
        let (mut server, hanging) = Server::with_loops_that_hang(2);
        // However long it is, those loops answer later.
        server.rotation.patience = Duration::from_millis(50);
        let refused = server.rotation.plan(NOW).unwrap_err().to_string();
        // The first, which answers, may be late on a machine that is busy.
        assert!(refused.contains("1, 2 do not answer within 0.05 seconds"), "{refused}");
        let (next, _) = server.rotation.keys().next.unwrap();
        for inbox in hanging {
            let told = inbox.try_iter().flatten().map(|message| match message {
                Message::Request(Request::Announce(successor, _)) => {
                    successor.map(|next| key::digest(&next.spki))
                }
                _ => panic!("something else was sent"),
            });
            assert_eq!(told.last().unwrap(), Some(next));
        }
    }

    #[test]
    fn at_the_moment_the_file_counts_and_not_what_was_announced() {
        let remove = |next: &Path| fs::remove_file(next).unwrap();
        let postpone = |next: &Path| {
            let content = fs::read_to_string(next).unwrap();
            let (_, pem) = content.split_once('\n').unwrap();
            fs::write(next, format!("Effective: 2027-01-15 03:00:00\n{pem}")).unwrap();
        };
        let later = Some(UnixTime::from_seconds(1_799_982_000));
        for (act, moment) in [(remove as fn(&Path), None), (postpone, later)] {
            let server = Server::new();
            let before = server.rotation.keys().own;
            let next = server.plan();
            act(&server.directory().next_private_key());
            server.rotation.go_on(NOW).unwrap();
            let left = moment.map(|moment| (next, moment));
            let keys = Keys { own: before, next: left, trouble: None };
            assert_eq!(server.rotation.keys(), keys);
            assert_eq!(server.announces(), moment.map(|_| next));
            assert!(server.identities.try_recv().is_err());
            key::expect(server.directory(), &before).unwrap();
        }
    }

    #[test]
    fn a_planned_key_that_is_lost_is_told_before_its_moment_and_can_be_put_back_or_given_up() {
        let server = Server::new();
        let next = server.plan();
        let file = server.directory().next_private_key();
        let content = fs::read(&file).unwrap();
        let before = NOW.shifted(-1);
        let trouble = || {
            server.rotation.go_on(before).unwrap();
            let keys = server.rotation.keys();
            assert_eq!(keys.next, Some((next, NOW)));
            keys.trouble
        };
        assert_eq!(trouble(), None);
        fs::remove_file(&file).unwrap();
        assert!(trouble().unwrap().contains("put its copy back, or"));
        let Keys { own, .. } = server.rotation.keys();
        let refused = key::planned(server.directory(), &own).err().unwrap().to_string();
        assert_eq!(trouble(), Some(refused));
        // That of somebody else.
        let other = Server::new();
        other.plan();
        fs::copy(other.directory().next_private_key(), &file).unwrap();
        assert!(trouble().unwrap().contains("is not the key that was announced"));
        fs::write(&file, content).unwrap();
        assert_eq!(trouble(), None);
        fs::remove_file(&file).unwrap();
        assert_eq!(server.rotation.cancel().unwrap().next, None);
        assert!(!server.directory().next_public_key().exists());
    }

    #[test]
    fn a_change_that_has_begun_is_not_taken_back_but_brought_to_its_end() {
        let server = Server::new();
        let before = server.rotation.keys().own;
        let next = server.plan();
        server.rotation.go_on(NOW.shifted(-1)).unwrap();
        let public = server.directory().public_key();
        block(&public);
        let why = server.rotation.go_on(NOW).unwrap_err().to_string();
        let keys = Keys { own: before, next: Some((next, NOW)), trouble: Some(why) };
        assert_eq!(server.rotation.keys(), keys);
        for refused in [server.rotation.cancel(), server.rotation.plan(NOW.shifted(9))] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("another key already"), "{refused}");
        }
        assert_eq!(server.rotation.keys(), keys);
        fs::remove_dir(public).unwrap();
        server.rotation.go_on(NOW).unwrap();
        assert_eq!(server.rotation.keys(), Keys { own: next, next: None, trouble: None });
        let identity = server.identities.try_recv().unwrap();
        assert_eq!(key::digest(identity.spki()), next);
        assert!(key::planned(server.directory(), &next).unwrap().is_none());
        let noted = fs::read_to_string(server.directory().path().join("audit.jsonl")).unwrap();
        assert_eq!(noted.lines().count(), 1, "attempts that failed are in the log: {noted}");
        let words = ["\"key rotate\"", "{\"by\":\"clock\"}", &format!("{next:?} is the key")];
        assert!(words.iter().all(|word| noted.contains(word)), "{noted}");
        let Server { rotation, storage: (memory, thread), .. } = server;
        drop(rotation);
        thread.shut_down().unwrap();
        assert_eq!(memory.server_key().unwrap(), Some(next));
    }

    #[test]
    fn a_change_that_cannot_begin_can_be_taken_back() {
        let server = Server::new();
        let before = server.rotation.keys().own;
        server.plan();
        block(&server.directory().previous_private_key());
        server.rotation.go_on(NOW).unwrap_err();
        assert!(server.rotation.keys().trouble.is_some());
        let keys = Keys { own: before, next: None, trouble: None };
        assert_eq!(server.rotation.cancel().unwrap(), keys);
        assert_eq!(server.announces(), None);
        key::expect(server.directory(), &before).unwrap();
    }
}
