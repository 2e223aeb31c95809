//! What the device remembers without power, and the one page that it is written to.

use heapless::{String, Vec};
use waxwing_core::client::SeenLetters;
use waxwing_core::crypto::{CryptoRng, ReplyKey};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::wire::{Full, KeyAnswer, Malformed, Reader, Status, Writer};

use crate::flash::{Flash, ROOM, WriteFailed};

/// Letters whose uids are remembered, and senders whose floors are.
pub type Seen = SeenLetters<16, 4>;

/// Bytes of a text that the device sends.
pub const TEXT: usize = 64;

/// A letter of the device's own.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its name; the same however often it is signed.
    pub uid: Uid,
    /// What it says.
    pub text: String<TEXT>,
    /// The latest ids that it has had.
    pub ids: Vec<PacketId, 4>,
    /// What is known of it.
    pub status: Status,
}

/// What outlives power. Every change is written before anything is done about it.
#[derive(Debug)]
pub struct Memory {
    /// The device's id.
    pub user: Option<UserId>,
    /// The name of its attempt to register.
    pub reply_key: ReplyKey,
    /// The one person that it talks with, pinned.
    pub peer: Option<KeyAnswer>,
    /// The last letter that it was to send.
    pub outgoing: Option<Outgoing>,
    /// Letters that it has acted on.
    pub seen: Seen,
    flash: Flash,
}

impl Memory {
    /// What was written last, or a new one.
    #[inline(never)]
    pub fn open(rng: &mut dyn CryptoRng) -> Self {
        let mut page = [0; ROOM];
        let (flash, is_written) = Flash::open(&mut page);
        let mut memory = Self::new(flash, rng);
        if is_written && memory.read(&page).is_err() {
            crate::host::say(&["the page is of another version: beginning anew"]);
            memory = Self::new(memory.flash, rng);
        }
        memory
    }

    fn new(flash: Flash, rng: &mut dyn CryptoRng) -> Self {
        let (reply_key, seen) = (ReplyKey::generate(rng), Seen::new());
        Self { user: None, reply_key, peer: None, outgoing: None, seen, flash }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`WriteFailed`] when the flash does; nothing of it may be acted on then.
    #[inline(never)]
    pub fn save(&mut self) -> Result<(), WriteFailed> {
        let mut page = [0; ROOM];
        self.write(&mut page).map_err(|Full| WriteFailed)?;
        self.flash.write(&page)
    }

    fn write(&self, page: &mut [u8]) -> Result<(), Full> {
        let (seen, rest) = page.split_at_mut(Seen::ENCODED_LEN);
        self.seen.encode(seen)?;
        let mut writer = Writer::new(rest);
        writer.u16(UserId::wire(self.user))?;
        writer.put(self.reply_key.expose())?;
        writer.u8(u8::from(self.peer.is_some()))?;
        if let Some(peer) = &self.peer {
            peer.emit(&mut writer)?;
        }
        writer.u8(u8::from(self.outgoing.is_some()))?;
        if let Some(Outgoing { uid, text, ids, status }) = &self.outgoing {
            writer.put(&uid.0)?;
            writer.u8(status.code())?;
            writer.u8(text.len() as u8)?;
            writer.put(text.as_bytes())?;
            writer.u8(ids.len() as u8)?;
            ids.iter().try_for_each(|id| writer.put(&id.0))?;
        }
        Ok(())
    }

    fn read(&mut self, page: &[u8]) -> Result<(), Malformed> {
        let (seen, rest) = page.split_at(Seen::ENCODED_LEN);
        self.seen = Seen::decode(seen)?;
        let mut reader = Reader::new(rest);
        self.user = UserId::new(reader.u16()?);
        self.reply_key = ReplyKey::from_bytes(reader.array()?);
        if reader.u8()? != 0 {
            let (user, phone) = (reader.user()?, reader.phone()?);
            let spki =
                waxwing_core::crypto::Spki::parse(reader.take(294)?).map_err(|_| Malformed)?;
            self.peer = Some(KeyAnswer { user, phone, spki });
        }
        if reader.u8()? != 0 {
            let uid = Uid(*reader.array()?);
            let status = Status::from_code(reader.u8()?)?;
            let len = usize::from(reader.u8()?);
            let text = core::str::from_utf8(reader.take(len)?).map_err(|_| Malformed)?;
            let text = text.try_into().map_err(|_| Malformed)?;
            let mut ids = Vec::new();
            for _ in 0..reader.u8()? {
                ids.push(reader.packet_id()?).map_err(|_| Malformed)?;
            }
            self.outgoing = Some(Outgoing { uid, text, ids, status });
        }
        Ok(())
    }
}
