//! Letters that were held back, judged again: once a changed key is accepted, or once the server
//! has said whose key is whose.

use waxwing_core::crypto::Provider;
use waxwing_core::crypto::{CryptoRng, Spki, Unverified};
use waxwing_core::envelope::{self, Fingerprint};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::Packet;

use crate::backend::{BackendKey, provider};
use crate::home::{Contact, Fate, HeldLetter, Home, HomeError, Identity, Recorded};

/// Why a letter is not its sender's: somebody else has put that id on it, or it was damaged.
pub(crate) const NOT_SIGNED: &str = "it is not signed with the key of that sender, so it is forged \
                                     or damaged";

/// What is known of a contact's key when held letters are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Only what is stored.
    OfThisHome,
    /// The server has answered in this session: a letter under neither key is nobody's.
    OfTheServer,
}

/// Judges every letter of `contact` that is held back, and returns how many became letters to be
/// read. Each stays bound to the key that it is signed with: it opens under the pinned one, or waits
/// until its own is accepted. One that is signed with neither is unreadable, if `word` says so.
///
/// # Errors
/// [`HomeError`]; the letters not reached stay held back.
pub fn reopen_held(
    home: &Home,
    identity: &Identity,
    key: &BackendKey,
    contact: &Contact,
    word: Word,
    rng: &mut dyn CryptoRng,
    now: UnixTime,
) -> Result<usize, HomeError> {
    let own = Fingerprint::of(&provider(), &identity.phone, &identity.public_key);
    let theirs = Fingerprint::of(&provider(), &contact.phone, &contact.spki);
    let mut opened = 0;
    for HeldLetter { id, mut packet, signed_with } in home.letters().held_from(&contact.phone)? {
        if signed_with.is_some_and(|key| key != contact.spki) {
            continue;
        }
        let raw = packet.clone();
        let from = contact.phone;
        let fate = if is_signed_with(&raw, &contact.spki) {
            open(&from, (&theirs, &own), contact, key, &mut packet, &raw, rng)
        } else if let Some(changed) = &contact.changed
            && is_signed_with(&raw, &changed.spki)
        {
            Fate::Held { from, packet: &raw, signed_with: Some(&changed.spki) }
        } else if word == Word::OfTheServer {
            unreadable(&from, NOT_SIGNED, false, &raw)
        } else {
            continue;
        };
        let is_open = matches!(fate, Fate::Opened { .. });
        if let Recorded::Stored(_) = home.letters().release(id, &fate, now)?
            && is_open
        {
            opened += 1;
        }
    }
    Ok(opened)
}

/// Whether a packet is signed with this key.
pub(crate) fn is_signed_with(packet: &[u8], key: &Spki) -> bool {
    let Ok(key) = provider().public_key(key) else { return false };
    Packet::parse(packet)
        .is_ok_and(|packet| Unverified::new(&provider(), packet).verify(&key).is_ok())
}

fn open<'a>(
    from: &Phone,
    (theirs, own): (&Fingerprint, &Fingerprint),
    contact: &Contact,
    key: &BackendKey,
    packet: &'a mut [u8],
    raw: &'a [u8],
    rng: &mut dyn CryptoRng,
) -> Fate<'a> {
    let Ok(sender_key) = provider().public_key(&contact.spki) else {
        return unreadable(from, "the sender's key is of no use", false, raw);
    };
    let Ok(packet) = Packet::parse(packet) else {
        return unreadable(from, "the packet that was kept is damaged", false, raw);
    };
    let Ok(verified) = Unverified::new(&provider(), packet).verify(&sender_key) else {
        return unreadable(from, NOT_SIGNED, false, raw);
    };
    match envelope::open(&provider(), rng, theirs, own, key, verified) {
        Ok(letter) => Fate::Opened { from: *from, uid: letter.uid, content: letter.content },
        Err(_) => unreadable(from, "the letter does not open", true, raw),
    }
}

fn unreadable<'a>(from: &Phone, error: &'a str, is_signed: bool, packet: &'a [u8]) -> Fate<'a> {
    Fate::Unreadable { from: Some(*from), error, is_signed, packet }
}
