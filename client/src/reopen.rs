//! Opening the letters that were held back, once their sender's changed key is accepted.

use waxwing_core::crypto::Provider;
use waxwing_core::crypto::{CryptoRng, PublicKey, Unverified};
use waxwing_core::envelope::{self, Fingerprint};
use waxwing_core::phone::Phone;
use waxwing_core::time::UnixTime;
use waxwing_core::wire::Packet;

use crate::backend::{BackendKey, provider};
use crate::home::{Contact, Fate, HeldLetter, Home, HomeError, Identity, Recorded};

/// Opens every letter of `contact` that is held back, under the key that is pinned now, and
/// returns how many became letters to be printed. One that does not open under it becomes an
/// unreadable letter.
///
/// # Errors
/// [`HomeError`]; the letters not reached stay held back.
pub fn reopen_held(
    home: &Home,
    identity: &Identity,
    key: &BackendKey,
    contact: &Contact,
    rng: &mut dyn CryptoRng,
    now: UnixTime,
) -> Result<usize, HomeError> {
    let own = Fingerprint::of(&provider(), &identity.phone, &identity.public_key);
    let theirs = Fingerprint::of(&provider(), &contact.phone, &contact.spki);
    let sender_key = provider().public_key(&contact.spki).ok();
    let mut opened = 0;
    for HeldLetter { id, mut packet } in home.letters().held_from(&contact.phone)? {
        let raw = packet.clone();
        let fate = match &sender_key {
            Some(sender_key) => {
                let people = (&theirs, &own);
                open(&contact.phone, people, sender_key, key, &mut packet, &raw, rng)
            }
            None => unreadable(&contact.phone, "the sender's key is of no use", false, &raw),
        };
        if let Recorded::Stored(_) = home.letters().release(id, &fate, now)? {
            opened += 1;
        }
    }
    Ok(opened)
}

fn open<'a>(
    from: &Phone,
    (theirs, own): (&Fingerprint, &Fingerprint),
    sender_key: &impl PublicKey,
    key: &BackendKey,
    packet: &'a mut [u8],
    raw: &'a [u8],
    rng: &mut dyn CryptoRng,
) -> Fate<'a> {
    let Ok(packet) = Packet::parse(packet) else {
        return unreadable(from, "the packet that was kept is damaged", false, raw);
    };
    let Ok(verified) = Unverified::new(&provider(), packet).verify(sender_key) else {
        return unreadable(from, "it is not signed with the accepted key", false, raw);
    };
    match envelope::open(&provider(), rng, theirs, own, key, verified) {
        Ok(letter) => Fate::Opened { from: *from, uid: letter.uid, content: letter.content },
        Err(_) => unreadable(from, "the letter does not open", true, raw),
    }
}

fn unreadable<'a>(from: &Phone, error: &'a str, is_signed: bool, packet: &'a [u8]) -> Fate<'a> {
    Fate::Unreadable { from: Some(*from), error, is_signed, packet }
}
