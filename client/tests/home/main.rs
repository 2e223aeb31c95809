//! Homes on a real disk: what they refuse, what survives, what several processes see.

mod contacts;
mod conversations;
mod history;
mod identity;
mod judging;
mod letters;
mod opening;
mod outbox;
mod quotas;
mod recovery;
mod sequences;
mod sharing;
mod upgrades;

use std::path::PathBuf;

use tempfile::TempDir;
use waxwing::backend::load_key;
use waxwing::home::{HandedOver, Home, HomeProfile, NewIdentity, Recorded, Registration};
use waxwing::servers::Servers;
use waxwing_core::crypto::{PrivateKey, ReplyKey, Spki};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::Profile;
use waxwing_core::phone::Phone;
use waxwing_core::testing::keys::pkcs8_der;
use waxwing_core::time::UnixTime;

/// A home in a directory of its own, which can be opened again.
struct TestHome {
    root: TempDir,
}

impl TestHome {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("waxwing")
    }

    fn open(&self) -> Home {
        Home::create(&self.dir()).unwrap()
    }
}

fn phone(last: u8) -> Phone {
    Phone::parse(format!("+49151123456{last:02}").as_bytes()).unwrap()
}

/// Key 0 is this home's own, 1 the server's.
fn spki(at: usize) -> Spki {
    load_key(pkcs8_der(at)).unwrap().spki().clone()
}

fn user(id: u16) -> UserId {
    UserId::new(id).unwrap()
}

fn uid(byte: u8) -> Uid {
    Uid([byte; 16])
}

fn packet_id(byte: u8) -> PacketId {
    PacketId([byte; 16])
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_795_000_000 + seconds)
}

fn store_identity(home: &Home) {
    home.store_identity(&NewIdentity {
        phone: phone(0),
        servers: &Servers::default(),
        server_key: &spki(1),
        private_key: pkcs8_der(0),
        public_key: &spki(0),
        reply_key: &ReplyKey::from_bytes(&[3; 32]),
    })
    .unwrap();
}

fn register(home: &Home) {
    store_identity(home);
    home.set_registration(Registration::Done(user(100))).unwrap();
}

/// Records letters in one step.
fn record_all(home: &Home, letters: &[HandedOver<'_>]) -> Vec<Recorded> {
    let mut step = HomeProfile::new(home, |_| ());
    step.begin().unwrap();
    let recorded = letters.iter().map(|letter| home.letters().record(letter).unwrap()).collect();
    step.commit().unwrap();
    recorded
}
