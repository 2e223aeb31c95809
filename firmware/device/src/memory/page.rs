//! The page that outlives power: what is in it, and how it is written.

use heapless::{String, Vec};
use waxwing_core::client::SeenLetters;
use waxwing_core::crypto::{CryptoRng, ReplyKey, SPKI_LEN, Spki};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::messenger::Contact;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::time::UnixTime;
use waxwing_core::wire::{Full, Malformed, Reader, Status, Writer};

use crate::flash::ROOM;

/// Letters whose uids are remembered, and senders whose floors are.
type Seen = SeenLetters<16, 4>;

/// Bytes of a text that the device sends.
const TEXT: usize = 64;
/// A text that the device sends.
pub type Text = String<TEXT>;
/// How many of the packets of a letter are remembered.
const PACKETS: usize = 4;
/// Another one when the fields change.
const LAYOUT: u8 = 3;

const _: () = assert!(Page::MAX_LEN <= ROOM);

/// What outlives power.
#[derive(Debug)]
pub(super) struct Page {
    /// The device's id.
    pub(super) user: Option<UserId>,
    /// The name of its attempt to register.
    pub(super) reply_key: ReplyKey,
    /// The code that it proves until it has an id: its proof may have been accepted although the
    /// answer was lost, and then no other code would be.
    pub(super) code: Option<Otp>,
    /// The one person that it talks with.
    pub(super) peer: Phone,
    /// The same, as soon as the key is pinned.
    pub(super) contact: Option<Contact>,
    /// The id that came with [`Contact::changed`].
    pub(super) changed_user: Option<UserId>,
    /// The last letter that it was to send.
    pub(super) outgoing: Option<Outgoing>,
    /// Letters that it has shown.
    pub(super) seen: Seen,
}

/// A letter of the device's own.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    /// Its name; the same however often it is sealed.
    pub(super) uid: Uid,
    /// What it says.
    pub(super) text: Text,
    /// The latest packets that it went out as, and to which ids.
    pub(super) packets: Vec<(PacketId, UserId), PACKETS>,
    /// What is known of it.
    pub(super) status: Status,
}

impl Outgoing {
    /// A letter that has yet to be sealed.
    pub(super) fn new(text: Text, rng: &mut dyn CryptoRng) -> Self {
        Self { uid: Uid::generate(rng), text, packets: Vec::new(), status: Status::Unknown }
    }

    /// Whether its recipient may still get it.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.status, Status::Unknown | Status::Stored)
    }
}

impl Page {
    /// Bytes of the longest one.
    const MAX_LEN: usize = 1
        + Seen::ENCODED_LEN
        + (2 + 32 + 1 + Otp::LEN + 1 + Phone::MAX_LEN)
        + (1 + 2 + SPKI_LEN + 8 + 1 + SPKI_LEN + 2)
        + (1 + Uid::LEN + 1 + 1 + TEXT + 1 + PACKETS * (PacketId::LEN + 2));

    /// Of a device that has done nothing yet.
    pub(super) fn new(peer: Phone, rng: &mut dyn CryptoRng) -> Self {
        Self {
            user: None,
            reply_key: ReplyKey::generate(rng),
            code: None,
            peer,
            contact: None,
            changed_user: None,
            outgoing: None,
            seen: Seen::new(),
        }
    }

    #[inline(never)]
    pub(super) fn encode(&self, out: &mut [u8; ROOM]) -> Result<(), Full> {
        let (seen, rest) = out.split_at_mut(Seen::ENCODED_LEN);
        self.seen.encode(seen)?;
        let mut writer = Writer::new(rest);
        writer.u8(LAYOUT)?;
        writer.u16(UserId::wire(self.user))?;
        writer.put(self.reply_key.expose())?;
        writer.u8(u8::from(self.code.is_some()))?;
        self.code.iter().try_for_each(|code| writer.put(code.expose()))?;
        writer.phone(&self.peer)?;
        writer.u8(u8::from(self.contact.is_some()))?;
        if let Some(contact) = &self.contact {
            writer.u16(UserId::wire(contact.user))?;
            writer.put(contact.spki.as_bytes())?;
            let asked_at = contact.asked_at.map_or(0, UnixTime::as_seconds);
            writer.put(&asked_at.to_le_bytes())?;
            writer.u8(u8::from(contact.changed.is_some()))?;
            contact.changed.iter().try_for_each(|changed| writer.put(changed.as_bytes()))?;
            writer.u16(UserId::wire(self.changed_user))?;
        }
        writer.u8(u8::from(self.outgoing.is_some()))?;
        if let Some(Outgoing { uid, text, packets, status }) = &self.outgoing {
            writer.put(&uid.0)?;
            writer.u8(status.code())?;
            writer.u8(text.len() as u8)?;
            writer.put(text.as_bytes())?;
            writer.u8(packets.len() as u8)?;
            for (id, recipient) in packets {
                writer.put(&id.0)?;
                writer.u16(recipient.get())?;
            }
        }
        Ok(())
    }

    /// Reads what was encoded, field by field into its place: the stack has no room for a second
    /// page. With another layout nothing has changed.
    #[inline(never)]
    pub(super) fn decode(&mut self, bytes: &[u8; ROOM]) -> Result<(), Malformed> {
        let (seen, rest) = bytes.split_at(Seen::ENCODED_LEN);
        let mut reader = Reader::new(rest);
        if reader.u8()? != LAYOUT {
            return Err(Malformed);
        }
        self.seen = Seen::decode(seen)?;
        self.user = UserId::new(reader.u16()?);
        self.reply_key = ReplyKey::from_bytes(reader.array()?);
        let has_code = reader.u8()? != 0;
        self.code = if has_code { Some(Otp::parse(reader.take(Otp::LEN)?)?) } else { None };
        self.peer = reader.phone()?;
        (self.contact, self.changed_user, self.outgoing) = (None, None, None);
        if reader.u8()? != 0 {
            let (user, spki) = (UserId::new(reader.u16()?), key(&mut reader)?);
            let asked_at = Some(UnixTime::from_seconds(i64::from_le_bytes(*reader.array()?)));
            let has_changed = reader.u8()? != 0;
            let changed = if has_changed { Some(key(&mut reader)?) } else { None };
            self.changed_user = UserId::new(reader.u16()?);
            self.contact = Some(Contact { phone: self.peer, user, spki, asked_at, changed });
        }
        if reader.u8()? != 0 {
            let uid = Uid(*reader.array()?);
            let status = Status::from_code(reader.u8()?)?;
            let len = usize::from(reader.u8()?);
            let text = core::str::from_utf8(reader.take(len)?).map_err(|_| Malformed)?;
            let text = text.try_into().map_err(|_| Malformed)?;
            let mut packets = Vec::new();
            for _ in 0..reader.u8()? {
                packets.push((reader.packet_id()?, reader.user()?)).map_err(|_| Malformed)?;
            }
            self.outgoing = Some(Outgoing { uid, text, packets, status });
        }
        Ok(())
    }
}

fn key(reader: &mut Reader<'_>) -> Result<Spki, Malformed> {
    Spki::parse(reader.array::<SPKI_LEN>()?).map_err(|_| Malformed)
}
