//! Letters from somebody whose signature holds and who may have put anything into them.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::crypto::{Provider, Unverified};
use waxwing_core::envelope::{self, Content, Fingerprint, OpenedLetter, Unreadable};
use waxwing_core::id::{Uid, UserId};
use waxwing_core::limits::{ENVELOPE_OVERHEAD, MAX_BODY, OVERHEAD};
use waxwing_core::phone::Phone;
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Draft, Op, Packet};
use waxwing_testkit::backend::{Backend, Glass};

use crate::Reached;

/// A payload opens if a second decoder opens it, and holds what that finds in it; else both say why not.
/// What was opened and is sealed again holds the same.
pub fn envelope_open(data: &[u8]) -> Reached {
    let rng = &mut ChaCha20Rng::from_seed([1; 32]);
    let (ann, ben) = (Glass::key(0), Glass::key(1));
    let fingerprint =
        |phone: &[u8], spki| Fingerprint::of(&Glass, &Phone::parse(phone).unwrap(), spki);
    let (from, to) = (fingerprint(b"+15550001111", &ann.0), fingerprint(b"+15550002222", &ben.0));
    let mut buffer = vec![0; OVERHEAD + data.len()];
    let at = Timestamp::from_unix(UnixTime::from_seconds(1_795_350_896));
    let mut draft = Draft::new(&mut buffer, Op::Letter, UserId::new(1), UserId::new(2), at);
    let Some(room) = draft.payload_mut().get_mut(..data.len()) else { return Reached::new() };
    room.copy_from_slice(data);
    let (_, packet) = draft.sign(&Glass, &ann, rng, data.len()).unwrap();
    let packet = Unverified::new(&Glass, Packet::parse(packet).unwrap());
    let verified = packet.verify(&Glass.public_key(&ann.0).unwrap()).unwrap();
    let opened = envelope::open(&Glass, rng, &from, &to, &ben, verified);
    assert_eq!(opened, decoded(data));
    let opened = match opened {
        Ok(opened) => opened,
        Err(why) => {
            return Reached::from([match why {
                Unreadable::UnknownVersion(_) => "another version",
                Unreadable::UnknownSuite(_) => "another suite",
                Unreadable::DoesNotOpen => "a letter does not open",
            }]);
        }
    };
    let OpenedLetter { uid, content } = opened;
    let mut sealed = vec![0; data.len()];
    match envelope::seal(&Glass, rng, &from, &to, &ben, &uid, &content, &mut sealed) {
        Ok(len) => assert_eq!(decoded(&sealed[..len]), Ok(opened)),
        Err(_) => assert!(data.len() > ENVELOPE_OVERHEAD + MAX_BODY, "it has room"),
    }
    Reached::from([match content {
        Content::Text(_) => "a text opens",
        Content::ReadReceipt(_) => "a receipt opens",
        Content::Unknown { .. } => "a letter of an unknown kind opens",
    }])
}

/// A second decoder, with the numbers of PROTOCOL.md. Cryptography of glass wraps a key as its length and
/// itself, and seals with padding alone.
fn decoded(payload: &[u8]) -> Result<OpenedLetter<'_>, Unreadable> {
    match *payload {
        [1, 1, ..] => {}
        [1, suite, ..] => return Err(Unreadable::UnknownSuite(suite)),
        [] | [1] => return Err(Unreadable::DoesNotOpen),
        [version, ..] => return Err(Unreadable::UnknownVersion(version)),
    }
    let sealed = payload.get(2 + 256 + 16..).unwrap_or_default();
    let padding = usize::from(sealed.last().copied().unwrap_or_default());
    let is_whole =
        sealed.len().is_multiple_of(16) && (1..=16).contains(&padding) && payload[2] == 32;
    let body = 16 + 1..sealed.len().saturating_sub(padding);
    if !is_whole || body.start > body.end {
        return Err(Unreadable::DoesNotOpen);
    }
    let uid = Uid(sealed[..16].try_into().expect("16 bytes"));
    let (kind, body) = (sealed[16], &sealed[body]);
    let content = match (kind, std::str::from_utf8(body)) {
        (1, Ok(text)) => Content::Text(text),
        (2, _) if body.len() == 16 => Content::ReadReceipt(Uid(body.try_into().expect("16 bytes"))),
        _ => Content::Unknown { kind, body },
    };
    Ok(OpenedLetter { uid, content })
}
