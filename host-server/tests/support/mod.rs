//! Users and letters for tests of storage.
#![allow(dead_code, reason = "each test uses what it needs")]

#[cfg(feature = "postgres")]
pub(crate) mod postgres;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use waxwing_core::crypto::{Digest, Provider, Spki};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::SIGNATURE_LEN;
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::{
    Answer, Batch, PendingLetter, Question, QueueId, Ticket, Write,
};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Header, Op, Writer};
use waxwing_server::admin::audit::AuditLog;
use waxwing_server::admin::files::Files;
use waxwing_server::admin::reports::Reports;
use waxwing_server::admin::running::Running;
use waxwing_server::backend::Backend;
use waxwing_server::backup::Backups;
use waxwing_server::canary::Canary;
use waxwing_server::config::Config;
use waxwing_server::data_dir::DataDir;
use waxwing_server::key::Fingerprints;
use waxwing_server::runtime::{Configuration, Followers, Keys, Rotation, ShardLines};
use waxwing_server::store::{
    self, ApplyError, Copier, Inspector, Interrupt, Storage, StorageError,
};

pub(crate) const START: UnixTime = UnixTime::from_seconds(1_795_350_896);

pub(crate) fn user(id: u16) -> UserId {
    UserId::new(id).unwrap()
}

pub(crate) fn phone(id: u16) -> Phone {
    Phone::parse(format!("+4915100{id:05}").as_bytes()).unwrap()
}

pub(crate) fn spki(id: u16) -> Spki {
    let mut modulus = [0xff; 256];
    modulus[2..4].copy_from_slice(&id.to_be_bytes());
    Spki::from_modulus(&modulus).unwrap()
}

pub(crate) fn create(id: u16) -> Write {
    Write::CreateUser { id: user(id), phone: phone(id), spki: spki(id).into() }
}

/// A letter whose payload and signature are noise of its own.
pub(crate) fn letter(queue_id: u64, from: u16, to: u16, payload_len: usize) -> PendingLetter {
    let header = Header {
        sender: Some(user(from)),
        recipient: Some(user(to)),
        timestamp: Timestamp::from_unix(START.shifted(queue_id as i64)),
        op_code: Op::Letter as u8,
        payload_size: payload_len as u16,
    };
    let mut packet = vec![0; header.packet_len()];
    header.emit(&mut Writer::new(&mut packet)).unwrap();
    let mut noise = queue_id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in packet.iter_mut().skip(26) {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (noise >> 56) as u8;
    }
    let (signed, _) = packet.split_last_chunk::<SIGNATURE_LEN>().unwrap();
    PendingLetter {
        queue_id: QueueId(queue_id),
        id: PacketId::of(&Backend::default().sha256(&[signed])),
        sender: user(from),
        recipient: user(to),
        accepted_at: START.shifted(queue_id as i64),
        packet: packet.into(),
    }
}

pub(crate) fn insert(queue_id: u64, from: u16, to: u16, payload_len: usize) -> Write {
    Write::InsertLetter(Arc::new(letter(queue_id, from, to, payload_len)))
}

pub(crate) fn delete(recipient: u16, letters: impl IntoIterator<Item = u64>) -> Write {
    let letters = letters.into_iter().map(QueueId).collect();
    Write::DeleteLetters { recipient: user(recipient), letters }
}

pub(crate) fn batch(writes: impl IntoIterator<Item = Write>) -> Arc<Batch> {
    Arc::new(Batch { ticket: Ticket(0), writes: writes.into_iter().collect() })
}

pub(crate) fn apply(
    storage: &mut (impl Storage + ?Sized),
    writes: impl IntoIterator<Item = Write>,
) -> Result<(), ApplyError> {
    storage.apply(&[batch(writes)])
}

/// As an operator does without a server. So many letters went undelivered.
#[track_caller]
pub(crate) fn remove(storage: &mut (impl Storage + ?Sized), id: u16, now: UnixTime) -> u64 {
    let (undelivered, ended) = store::remove_user(storage, user(id), now);
    ended.unwrap();
    undelivered
}

/// Letters and whether there are no more.
pub(crate) fn page(
    storage: &mut (impl Storage + ?Sized),
    recipient: u16,
    after: u64,
    max_letters: usize,
    max_bytes: usize,
) -> (Vec<PendingLetter>, bool) {
    let question = Question::Letters {
        recipient: user(recipient),
        after: QueueId(after),
        max_letters,
        max_bytes,
    };
    match storage.answer(&question).unwrap() {
        Answer::Letters { letters, exhausted, .. } => (letters, exhausted),
        other => panic!("letters were asked for, not {other:?}"),
    }
}

pub(crate) fn mailbox(storage: &mut (impl Storage + ?Sized), recipient: u16) -> Vec<u64> {
    let (letters, exhausted) = page(storage, recipient, 0, usize::MAX, usize::MAX);
    assert!(exhausted);
    letters.iter().map(|letter| letter.queue_id.0).collect()
}

/// Of a storage that is not worth copying.
struct NoCopier;

impl Copier for NoCopier {
    fn size(&self) -> Result<u64, StorageError> {
        Err(StorageError::Unreachable("there is nothing to copy".into()))
    }

    fn copy(
        &self,
        _: &Path,
        _: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        Err(StorageError::Unreachable("there is nothing to copy".into()))
    }

    fn check(&self, _: &Interrupt) -> Result<(), StorageError> {
        Err(StorageError::Unreachable("there is nothing to copy".into()))
    }
}

/// For a server that makes none.
pub(crate) fn no_backups() -> Arc<Backups> {
    Arc::new(Backups::new(
        &Config::default(),
        Fingerprints { own: Digest([0; 32]), former: vec![] },
        Box::new(NoCopier),
    ))
}

/// A server of these shards and this storage, as its operator reaches it, with the configuration that nobody has
/// changed.
pub(crate) fn running(data: &DataDir, shards: ShardLines, storage: Inspector) -> Running {
    let read = || Ok(Config::default());
    Running {
        shards,
        reports: Reports::default(),
        storage: storage.clone(),
        storage_patience: Running::STORAGE_PATIENCE,
        audit: AuditLog::of(data),
        files: Files::of(data, AuditLog::of(data)),
        listen_again: Box::new(|| Ok(())),
        drained_by: Mutex::default(),
        rotation: no_rotation(data, storage),
        backups: no_backups(),
        canary: no_canary(),
        configuration: Configuration::new(Box::new(read), Config::default(), Arc::new(|_| {})),
        data: data.path().to_owned(),
        listening: vec!["127.0.0.1:9295".parse().unwrap()],
        since: START,
        started: Instant::now(),
    }
}

/// A server whose key stays, in this data directory. It has no way to the shards, which end when nobody
/// can ask them any more.
pub(crate) fn no_rotation(data: &DataDir, storage: Inspector) -> Arc<Rotation> {
    let keys = Keys { own: Digest([0; 32]), next: None, trouble: None };
    let nobody = ShardLines::new::<()>(&[]);
    let followers = Followers {
        canary: no_canary(),
        backups: no_backups(),
        storage,
        audit: AuditLog::of(data),
    };
    Arc::new(Rotation::new(data.clone(), keys, nobody, Vec::new(), followers))
}

/// For a server that nobody reaches.
pub(crate) fn no_canary() -> Arc<Canary> {
    Arc::new(Canary::new(&Config::default(), spki(1)))
}
