//! Memory beside the letter buffer: packets of senders who are being asked about, and behind them
//! room to open a letter without losing the packet as it came.

use crate::id::UserId;
use crate::limits::MAX_PACKET;

/// Before each packet: its length and its sender.
const HEAD: usize = 6;
/// What stays free for opening: a packet as it came, and a copy that is opened.
const ROOM: usize = 2 * MAX_PACKET;

/// Packets one behind the other, oldest first.
pub(super) struct Aside<B> {
    memory: B,
    used: usize,
}

/// Where a packet lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    at: usize,
    len: usize,
    pub(super) sender: UserId,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Aside<B> {
    pub(super) const fn new(memory: B) -> Self {
        Self { memory, used: 0 }
    }

    /// Whether there is no memory at all: on a device, the compiler leaves the rest out.
    fn has_none(&self) -> bool {
        self.memory.as_ref().is_empty()
    }

    pub(super) const fn clear(&mut self) {
        self.used = 0;
    }

    /// Puts a packet aside, if there is room.
    pub(super) fn push(&mut self, sender: UserId, packet: &[u8]) -> bool {
        if self.has_none() {
            return false;
        }
        let free = self.memory.as_mut().get_mut(self.used..).unwrap_or_default();
        let needed = packet.len().saturating_add(HEAD);
        if free.len() < needed.saturating_add(ROOM) {
            return false;
        }
        let Some((head, free)) = free.split_first_chunk_mut::<HEAD>() else { return false };
        let [a, b, c, d] = u32::try_from(packet.len()).unwrap_or(0).to_le_bytes();
        let [low, high] = sender.get().to_le_bytes();
        *head = [a, b, c, d, low, high];
        free.iter_mut().zip(packet).for_each(|(to, from)| *to = *from);
        self.used = self.used.saturating_add(needed);
        true
    }

    /// The oldest packet, of `sender` if that is given.
    pub(super) fn first(&self, sender: Option<UserId>) -> Option<Place> {
        let mut at = if self.has_none() { self.used } else { 0 };
        while at < self.used {
            let head = self.memory.as_ref().get(at..)?.first_chunk::<HEAD>()?;
            let [a, b, c, d, low, high] = *head;
            let len = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
            let of = UserId::new(u16::from_le_bytes([low, high]))?;
            let begin = at.saturating_add(HEAD);
            if sender.is_none_or(|sender| sender == of) {
                return Some(Place { at: begin, len, sender: of });
            }
            at = begin.saturating_add(len);
        }
        None
    }

    /// A packet as it came, and a copy to be opened.
    pub(super) fn copy(&mut self, place: Place) -> Option<(&[u8], &mut [u8])> {
        let (used, free) = self.memory.as_mut().split_at_mut_checked(self.used)?;
        let packet = used.get(place.at..)?.get(..place.len)?;
        copy_of(packet, free).map(|copy| (packet, copy))
    }

    /// A copy of `packet` to be opened, if there is room.
    pub(super) fn copy_of(&mut self, packet: &[u8]) -> Option<&mut [u8]> {
        if self.has_none() {
            return None;
        }
        copy_of(packet, self.room())
    }

    /// What is free.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.memory.as_mut().get_mut(self.used..).unwrap_or_default()
    }

    /// Forgets a packet.
    pub(super) fn remove(&mut self, place: Place) {
        let from = place.at.saturating_add(place.len);
        let to = place.at.saturating_sub(HEAD);
        let moved = self.used.saturating_sub(from);
        let memory = self.memory.as_mut().get_mut(to..self.used).unwrap_or_default();
        let gap = from.saturating_sub(to);
        if gap <= memory.len() {
            memory.copy_within(gap.., 0);
            self.used = to.saturating_add(moved);
        }
    }
}

pub(super) fn copy_of<'a>(packet: &[u8], room: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let copy = room.get_mut(..packet.len())?;
    copy.iter_mut().zip(packet).for_each(|(to, from)| *to = *from);
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn packets_of_a_sender_come_back_in_their_order_and_unchanged() {
        let mut aside = Aside::new(vec![0; ROOM + 40]);
        let (ann, bea) = (UserId::new(1).unwrap(), UserId::new(2).unwrap());
        assert!(aside.push(ann, b"one"));
        assert!(aside.push(bea, b"two!"));
        assert!(aside.push(ann, b"three"));
        assert!(!aside.push(ann, &[0; 40]));
        for (sender, expected) in [(bea, &b"two!"[..]), (ann, b"one"), (ann, b"three")] {
            let place = aside.first(Some(sender)).unwrap();
            let (packet, copy) = aside.copy(place).unwrap();
            assert_eq!((packet, &*copy), (expected, expected));
            aside.remove(place);
        }
        assert!(aside.first(None).is_none() && aside.used == 0);
        assert!(aside.push(ann, &[0; 34]));
    }

    #[test]
    fn without_memory_nothing_is_put_aside() {
        let mut aside = Aside::new([0; 0]);
        assert!(!aside.push(UserId::new(1).unwrap(), b"one"));
        assert!(aside.copy_of(b"one").is_none());
    }
}
