//! Letters from somebody whose signature holds and who may have put anything into them.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::crypto::{Provider, Unverified};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{Uid, UserId};
use waxwing_core::phone::Phone;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Draft, Op, Packet};
use waxwing_testkit::backend::{Backend, Glass};

use crate::Reached;

/// A payload either does not open, or holds what its kind says.
pub fn envelope_open(data: &[u8]) -> Reached {
    let rng = &mut ChaCha20Rng::from_seed([1; 32]);
    let (ann, ben) = (Glass::key(0), Glass::key(1));
    let fingerprint =
        |phone: &[u8], spki| Fingerprint::of(&Glass, &Phone::parse(phone).unwrap(), spki);
    let (from, to) = (fingerprint(b"+15550001111", &ann.0), fingerprint(b"+15550002222", &ben.0));
    let mut buffer = vec![0; 70_000];
    let at = Timestamp::from_unix(UnixTime::from_seconds(1_795_350_896));
    let mut draft = Draft::new(&mut buffer, Op::Letter, UserId::new(1), UserId::new(2), at);
    let Some(room) = draft.payload_mut().get_mut(..data.len()) else { return Reached::new() };
    room.copy_from_slice(data);
    let (_, packet) = draft.sign(&Glass, &ann, rng, data.len()).unwrap();
    let packet = Unverified::new(&Glass, Packet::parse(packet).unwrap());
    let verified = packet.verify(&Glass.public_key(&ann.0).unwrap()).unwrap();
    let Ok(opened) = envelope::open(&Glass, rng, &from, &to, &ben, verified) else {
        return Reached::from(["a letter does not open"]);
    };
    Reached::from([match opened.content {
        Content::Text(text) => {
            assert!(text.len() < data.len());
            "a text opens"
        }
        Content::ReadReceipt(_) => "a receipt opens",
        // A kind that is known is here only with a body that is none of it.
        Content::Unknown { kind, body } => {
            assert!(kind != 1 || std::str::from_utf8(body).is_err());
            assert!(kind != 2 || body.len() != Uid::LEN);
            assert!(body.len() < data.len());
            "a letter of an unknown kind opens"
        }
    }])
}
