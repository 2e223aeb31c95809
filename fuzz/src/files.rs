//! Files that an operator, or a broken disk, may have put anything into.

use std::fs;

use waxwing_core::crypto::{Provider, RustCrypto};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::{Answer, PendingLetter, Question, QueueId};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::Packet;
use waxwing_server::config::Config;
use waxwing_server::store::{SqliteOptions, SqliteStorage, Storage};

use crate::{Reached, taken};

/// A configuration is taken or refused; what refuses it says why on one page.
pub fn config_file(data: &[u8]) -> Reached {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waxwing.toml");
    fs::write(&path, data).unwrap();
    let loaded = Config::load(Some(&path), [], &[]);
    if let Err(error) = &loaded {
        let message = error.to_string();
        assert!(!message.is_empty() && message.len() < 4_096 + data.len());
    }
    taken(loaded.is_ok())
}

/// A letter is the packet that its id names, and that is addressed to `recipient`.
fn assert_is_for(recipient: UserId, letter: &PendingLetter) {
    let packet = Packet::parse(&letter.packet[..]).expect("a packet");
    let named = PacketId::of(&RustCrypto.sha256(&[packet.signed_bytes()]));
    let header = packet.header();
    assert_eq!((letter.id, letter.recipient), (named, recipient));
    assert_eq!((header.sender, header.recipient), (Some(letter.sender), Some(recipient)));
}

/// A database opens, and answers for the one who is asked about; or it is refused.
pub fn sqlite_open(data: &[u8]) -> Reached {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("waxwing.db");
    fs::write(&path, data).unwrap();
    let Ok(mut storage) = SqliteStorage::open(&path, &SqliteOptions::default()) else {
        return taken(false);
    };
    let Ok(snapshot) = storage.load(UnixTime::from_seconds(0)) else { return taken(false) };
    let mut reached = taken(true);
    for recipient in snapshot.users.iter().map(|user| user.id).chain(UserId::new(1)).take(8) {
        let question =
            Question::Letters { recipient, after: QueueId(0), max_letters: 16, max_bytes: 1 << 20 };
        if let Ok(Answer::Letters { letters, .. }) = storage.answer(&question) {
            letters.iter().for_each(|letter| assert_is_for(recipient, letter));
            if !letters.is_empty() {
                reached.insert("a letter is read");
            }
        }
        let _ = storage.answer(&Question::Usage { recipient });
    }
    let _ = storage.check();
    reached
}
