//! A small device's memory against letters that come twice (PROTOCOL.md, "Duplicates").

use heapless::Vec;

use super::ring::Ring;
use crate::id::Uid;
use crate::phone::Phone;
use crate::time::Timestamp;
use crate::wire::{Full, Malformed, Reader, Writer};

/// The last `LETTERS` letters, and for up to `SENDERS` people the time up to which earlier ones
/// were forgotten.
///
/// The same signed letter is never new twice, however few letters there is room for. A letter
/// that its sender has signed again, with the same uid under a later time, is recognised while
/// the uid is among the last `LETTERS`. Keep it in non-volatile memory ([`Self::encode`]), and
/// write it before acting on a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLetters<const LETTERS: usize, const SENDERS: usize> {
    letters: Ring<Letter, LETTERS>,
    floors: Vec<Floor, SENDERS>,
    /// The floor of everybody, raised by senders for whom there was no room.
    common_floor: Option<Timestamp>,
}

/// Whether a letter has been seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Novelty {
    /// It has not, and has been noted down: act on it.
    New,
    /// It has: acknowledge it, and do nothing else.
    Duplicate,
    /// It is as old as letters that were forgotten, and cannot be told from a replay: report
    /// it, acknowledge it, and do nothing else.
    TooOld,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Letter {
    sender: Phone,
    uid: Uid,
    sent: Timestamp,
}

/// The latest time of a sender's forgotten letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Floor {
    sender: Phone,
    time: Timestamp,
}

impl<const LETTERS: usize, const SENDERS: usize> Default for SeenLetters<LETTERS, SENDERS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LETTERS: usize, const SENDERS: usize> SeenLetters<LETTERS, SENDERS> {
    /// Bytes of the encoding at most; it is always padded to this.
    pub const ENCODED_LEN: usize = 4
        + LETTERS * (Phone::MAX_LEN + 1 + Uid::LEN + Timestamp::LEN)
        + (SENDERS + 1) * (Phone::MAX_LEN + 1 + Timestamp::LEN);

    /// A memory in which no letter has been seen yet.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(0 < LETTERS && LETTERS <= u8::MAX as usize, "1 to 255 letters");
            assert!(SENDERS <= u8::MAX as usize, "up to 255 senders");
        }
        Self { letters: Ring::new(), floors: Vec::new(), common_floor: None }
    }

    /// Judges a letter that was verified and opened, and notes it down when it is new. `sent` is
    /// the time in its header.
    pub fn admit(&mut self, sender: &Phone, uid: &Uid, sent: Timestamp) -> Novelty {
        if self.letters.iter().any(|known| known.sender == *sender && known.uid == *uid) {
            return Novelty::Duplicate;
        }
        if self.floor(sender).is_some_and(|floor| sent <= floor) {
            return Novelty::TooOld;
        }
        self.note(Letter { sender: *sender, uid: *uid, sent });
        Novelty::New
    }

    fn note(&mut self, letter: Letter) {
        if let Some(Letter { sender, sent, .. }) = self.letters.push(letter) {
            self.raise(&sender, &sent);
        }
    }

    fn floor(&self, sender: &Phone) -> Option<Timestamp> {
        let own = self.floors.iter().find(|floor| floor.sender == *sender);
        own.map(|floor| floor.time).max(self.common_floor)
    }

    // It copies only what changes places: on a device, other copies were 180 bytes of code.
    fn raise(&mut self, sender: &Phone, time: &Timestamp) {
        if let Some(known) = self.floors.iter_mut().find(|floor| floor.sender == *sender) {
            if known.time < *time {
                known.time = *time;
            }
            return;
        }
        if self.floors.push(Floor { sender: *sender, time: *time }).is_ok() {
            return;
        }
        let mut homeless = *time;
        // The lowest floor is the one that excludes least when it becomes everybody's.
        if let Some(lowest) = self.floors.iter_mut().min_by(|one, other| one.time.cmp(&other.time))
            && lowest.time < homeless
        {
            (lowest.sender, homeless) = (*sender, lowest.time);
            lowest.time = *time;
        }
        self.raise_common(&homeless);
    }

    fn raise_common(&mut self, time: &Timestamp) {
        if self.common_floor.is_none_or(|floor| floor < *time) {
            self.common_floor = Some(*time);
        }
    }

    /// Writes it to the front of `out`, in [`Self::ENCODED_LEN`] bytes. It carries no checksum:
    /// what guards the rest of a page against torn writes guards this too.
    ///
    /// # Errors
    /// [`Full`] when `out` has no room.
    pub fn encode(&self, out: &mut [u8]) -> Result<(), Full> {
        let out = out.get_mut(..Self::ENCODED_LEN).ok_or(Full)?;
        out.fill(0);
        let mut writer = Writer::new(out);
        writer.u8(ENCODING)?;
        writer.u8(count(self.letters.len()))?;
        writer.u8(count(self.floors.len()))?;
        writer.u8(u8::from(self.common_floor.is_some()))?;
        for Letter { sender, uid, sent } in self.letters.iter() {
            writer.phone(sender)?;
            writer.put(&uid.0)?;
            writer.put(sent.as_bytes())?;
        }
        for Floor { sender, time } in &self.floors {
            writer.phone(sender)?;
            writer.put(time.as_bytes())?;
        }
        if let Some(floor) = self.common_floor {
            writer.put(floor.as_bytes())?;
        }
        Ok(())
    }

    /// Reads what [`Self::encode`] has written. More letters or senders than there is room for
    /// are forgotten as usual, so that a new firmware can have another size.
    ///
    /// # Errors
    /// [`Malformed`] for anything else, such as blank memory.
    // In a frame of its own, and not in whoever calls it: on a device that is hundreds of bytes.
    #[inline(never)]
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != ENCODING {
            return Err(Malformed);
        }
        let (letters, floors, has_common) = (reader.u8()?, reader.u8()?, reader.u8()? != 0);
        let mut after_letters = reader.clone();
        for _ in 0..letters {
            letter(&mut after_letters)?;
        }
        // Floors first, so that a letter that has to be forgotten finds its sender's.
        let mut seen = Self::new();
        for _ in 0..floors {
            let sender = after_letters.phone()?;
            seen.raise(&sender, &Timestamp::parse(after_letters.array()?)?);
        }
        if has_common {
            seen.raise_common(&Timestamp::parse(after_letters.array()?)?);
        }
        for _ in 0..letters {
            seen.note(letter(&mut reader)?);
        }
        Ok(seen)
    }
}

/// The first byte of the encoding; blank memory begins with 0 or 255.
const ENCODING: u8 = 1;

fn count(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

fn letter(reader: &mut Reader<'_>) -> Result<Letter, Malformed> {
    let sender = reader.phone()?;
    let uid = Uid(*reader.array()?);
    Ok(Letter { sender, uid, sent: Timestamp::parse(reader.array()?)? })
}
