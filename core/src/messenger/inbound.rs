//! Letters that come in: verified, opened, stored, and only then acknowledged
//! (PROTOCOL.md, "Letters", "Pinning").

use super::aside::copy_of;
use super::profile::{Arrival, Contact, Fate, Profile, Row, Unreadable, Who};
use super::{Account, Machine, Messenger};
use crate::client::{Env, Keys, OversizedLetter};
use crate::crypto::{CryptoRng, Provider, Spki, Unverified};
use crate::envelope::{self, Fingerprint};
use crate::id::{PacketId, UserId};
use crate::phone::Phone;
use crate::time::UnixTime;
use crate::wire::Packet;

impl Arrival<'_> {
    /// Whose key has to be asked for, because the letter may be signed with another one.
    fn doubted(&self) -> Option<Phone> {
        let is_doubted = matches!(self.fate, Fate::Held { by_changed_key: false });
        self.from.filter(|_| is_doubted)
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const N: usize> Messenger<'_, B, N> {
    /// A letter lies in the letter buffer. One whose sender is not known waits, aside or there, until
    /// the server has said who that is, or the machine ends the connection because it does not. It
    /// is not acknowledged meanwhile, so the window bounds how many wait.
    pub(super) fn letter_came<P, C, const W: usize, S>(
        &mut self,
        client: &mut Machine<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
        sender: Option<UserId>,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        // Who has said goodbye acknowledges nothing any more: it comes again.
        let Some(sender) = sender.filter(|_| client.is_in_session()) else {
            client.release_letter();
            return Ok(());
        };
        // A letter does not pass another one of its sender.
        let others_wait =
            self.session.known == Some(sender) || self.aside.first(Some(sender)).is_some();
        if !others_wait && profile.contact(Who::User(sender))?.is_some() {
            return self.take_from_buffer(client, profile, env);
        }
        let letter = client.letter();
        if letter.is_some_and(|letter| self.aside.push(sender, letter.packet().as_bytes())) {
            client.release_letter();
        } else {
            self.session.waits = Some(sender);
        }
        Ok(())
    }

    /// Takes in letters whose sender the server has named, or has not.
    pub(super) fn take_known<P, C, const W: usize, S>(
        &mut self,
        client: &mut Machine<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        while let Some(sender) = self.session.known
            && !self.is_full()
        {
            if self.aside.first(Some(sender)).is_some() {
                self.take_from_aside(client.keys(), profile, env, sender)?;
            } else if self.session.waits == Some(sender) {
                self.take_from_buffer(client, profile, env)?;
            } else {
                self.session.known = None;
            }
        }
        Ok(())
    }

    fn take_from_buffer<P, C, const W: usize, S>(
        &mut self,
        client: &mut Machine<'_, P, C, W>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<(), S::Error>
    where
        P: Provider,
        C: AsRef<[u8]> + AsMut<[u8]>,
        S: Profile,
    {
        self.begin(profile, env)?;
        self.session.waits = None;
        let (keys, now) = (client.keys(), self.server_time(env));
        let Some(letter) = client.letter() else { return Ok(()) };
        let (id, header) = (letter.id(), *letter.header());
        let Some(sender) = header.sender else { return Ok(()) };
        let contact = profile.contact(Who::User(sender))?;
        let from = contact.map(|contact| contact.phone);
        let has_word = contact.is_some_and(|contact| self.has_word_of(&contact.phone));
        let me = &self.account.fingerprint;
        let bytes = letter.packet().as_bytes();
        let copy = self.aside.copy_of(bytes).and_then(|copy| Packet::parse(copy).ok());
        let (fate, packet) = match copy {
            Some(copy) => {
                let copy = Unverified::new(keys.provider, copy);
                (open(keys, me, contact, has_word, copy, bytes, env.rng), bytes)
            }
            None => (open(keys, me, contact, has_word, letter, &[], env.rng), [].as_slice()),
        };
        let (sent, len) = (header.timestamp, header.packet_len());
        let arrival = Arrival { id, sender, from, sent, now, len, fate, packet };
        profile.record(&arrival)?;
        let doubted = arrival.doubted();
        self.recorded(id, len, doubted.as_ref());
        client.release_letter();
        Ok(())
    }

    fn take_from_aside<P: Provider, S: Profile>(
        &mut self,
        keys: Keys<'_, P>,
        profile: &mut S,
        env: &mut Env<'_>,
        sender: UserId,
    ) -> Result<(), S::Error> {
        self.begin(profile, env)?;
        let now = self.server_time(env);
        let contact = profile.contact(Who::User(sender))?;
        let from = contact.map(|contact| contact.phone);
        let has_word = contact.is_some_and(|contact| self.has_word_of(&contact.phone));
        let me = &self.account.fingerprint;
        let Some(place) = self.aside.first(Some(sender)) else { return Ok(()) };
        let Some((packet, copy)) = self.aside.copy(place) else { return Ok(()) };
        let Ok(letter) = Packet::parse(copy) else { return Ok(()) };
        let letter = Unverified::new(keys.provider, letter);
        let (id, sent) = (letter.id(), letter.header().timestamp);
        let fate = open(keys, me, contact, has_word, letter, packet, env.rng);
        let len = packet.len();
        let arrival = Arrival { id, sender, from, sent, now, len, fate, packet };
        profile.record(&arrival)?;
        let doubted = arrival.doubted();
        self.recorded(id, len, doubted.as_ref());
        self.aside.remove(place);
        Ok(())
    }

    /// A letter was too large for the letter buffer.
    pub(super) fn too_large<S: Profile>(
        &mut self,
        profile: &mut S,
        env: &Env<'_>,
        letter: &OversizedLetter,
    ) -> Result<(), S::Error> {
        let Some(sender) = letter.header.sender else { return Ok(()) };
        self.begin(profile, env)?;
        let now = self.server_time(env);
        let from = profile.contact(Who::User(sender))?.map(|contact| contact.phone);
        let (id, sent, len) = (letter.id(), letter.header.timestamp, letter.header.packet_len());
        let fate = Fate::Unreadable(Unreadable::TooLarge);
        profile.record(&Arrival { id, sender, from, sent, now, len, fate, packet: &[] })?;
        self.recorded(id, len, None);
        Ok(())
    }

    fn recorded(&mut self, id: PacketId, len: usize, doubted: Option<&Phone>) {
        // There is room, or no letter would have been taken.
        let _ = self.step.acknowledge.push((id, u32::try_from(len).unwrap_or(u32::MAX)));
        if let Some(phone) = doubted {
            // Once, so that a server that starts to lie is noticed.
            self.want_key(phone);
        }
    }

    /// Judges letters anew that were held back, of somebody whose key the server has named.
    pub(super) fn reopen_held<P: Provider, S: Profile>(
        &mut self,
        keys: Keys<'_, P>,
        profile: &mut S,
        env: &mut Env<'_>,
    ) -> Result<(), S::Error> {
        while let Some((phone, after)) = self.session.reopening
            && !self.is_full()
        {
            self.begin(profile, env)?;
            let now = self.server_time(env);
            let (account, room) = (&self.account, self.aside.room());
            let next = reopen(profile, keys, account, room, (&phone, after), true, now, env.rng)?;
            self.session.reopening = next.map(|reopened| (phone, Some(reopened.row)));
            self.step.reopened = self.step.reopened.saturating_add(1);
        }
        Ok(())
    }
}

/// A letter that was held back, and was judged anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Reopened {
    /// The row in which the profile keeps the letter.
    pub row: Row,
    /// Whether it can be read now.
    pub is_open: bool,
}

/// Judges one letter of `phone` anew that is held back, the first after a row, and has the profile
/// store what became of it. It stays bound to the key that it is signed with: it opens under the
/// pinned one, or waits until its own is accepted. One that is signed with neither is unreadable if
/// the server `has_word`: has said in this session whose key is whose. Between [`Profile::begin`]
/// and [`Profile::commit`]; `room` has to hold it twice.
///
/// # Errors
/// As the profile's.
#[expect(clippy::too_many_arguments, reason = "a call without a connection brings all along")]
pub fn reopen<P: Provider, S: Profile>(
    profile: &mut S,
    keys: Keys<'_, P>,
    account: &Account<'_>,
    room: &mut [u8],
    (phone, after): (&Phone, Option<Row>),
    has_word: bool,
    now: UnixTime,
    rng: &mut dyn CryptoRng,
) -> Result<Option<Reopened>, S::Error> {
    let Some((row, len)) = profile.held(phone, after, room)? else { return Ok(None) };
    let me = &account.fingerprint;
    let Some((packet, room)) = room.split_at_mut_checked(len) else { return Ok(None) };
    let contact = profile.contact(Who::Phone(phone))?;
    let copy = copy_of(packet, room).and_then(|copy| Packet::parse(copy).ok());
    let fate = match copy {
        Some(copy) => {
            let copy = Unverified::new(keys.provider, copy);
            open(keys, me, contact, has_word, copy, packet, rng)
        }
        None => Fate::Unreadable(Unreadable::Damaged),
    };
    if !matches!(fate, Fate::Held { by_changed_key: false }) {
        profile.release(row, phone, &fate, packet, now)?;
    }
    Ok(Some(Reopened { row, is_open: matches!(fate, Fate::Opened { .. }) }))
}

/// Verifies and opens a letter, where it lies. Only the server can say that a key has changed: a
/// letter alone is no sign of it, since anybody can put an id on one.
fn open<'l, P: Provider>(
    keys: Keys<'_, P>,
    me: &Fingerprint,
    contact: Option<&Contact>,
    has_word: bool,
    letter: Unverified<&'l mut [u8]>,
    packet: &[u8],
    rng: &mut dyn CryptoRng,
) -> Fate<'l> {
    let provider = keys.provider;
    let Some(contact) = contact else { return Fate::Unreadable(Unreadable::NoSender) };
    let Ok(key) = provider.public_key(&contact.spki) else {
        return Fate::Unreadable(Unreadable::Damaged);
    };
    let Ok(verified) = letter.verify(&key) else {
        let by_changed_key =
            contact.changed.as_ref().is_some_and(|key| is_signed_with(provider, packet, key));
        return if by_changed_key || !has_word {
            Fate::Held { by_changed_key }
        } else {
            Fate::Unreadable(Unreadable::NotSigned)
        };
    };
    let from = Fingerprint::of(provider, &contact.phone, &contact.spki);
    match envelope::open(provider, rng, &from, me, keys.own, verified) {
        Ok(letter) => Fate::Opened { uid: letter.uid, content: letter.content },
        Err(error) => Fate::Unreadable(Unreadable::Envelope(error)),
    }
}

/// Whether a packet is signed with this key.
fn is_signed_with<P: Provider>(provider: &P, packet: &[u8], key: &Spki) -> bool {
    let Ok(key) = provider.public_key(key) else { return false };
    Packet::parse(packet).is_ok_and(|packet| Unverified::new(provider, packet).verify(&key).is_ok())
}
