//! Generational slots: the name of a connection dies with it, even when its slot is used again.

use std::fmt;

/// Names one connection of one loop, for ever: a token outlived by its connection does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    slot: u32,
    generation: u32,
}

impl Token {
    /// The token as one number, for whoever names connections by numbers.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        ((self.generation as u64) << 32) | self.slot as u64
    }

    /// Undoes [`Token::to_bits`]. A number that never was a token is a stale one.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self { slot: bits as u32, generation: (bits >> 32) as u32 }
    }

    /// The form the kernel carries. Where `usize` has 32 bits, half of each part is cut off;
    /// [`Slab::resolve`] knows.
    pub(crate) fn to_mio(self) -> mio::Token {
        mio::Token((self.generation as usize) << HALF | (self.slot as usize & LOW))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// Values in reusable slots.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Stores what `make` returns for the token it is given. `None` when all slots are taken or
    /// `make` declines.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Token) -> Option<T>) -> Option<Token> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.grow()?,
        };
        let entry = self.slots.get_mut(slot as usize)?;
        let token = Token { slot, generation: entry.generation };
        entry.value = make(token);
        if entry.value.is_none() {
            entry.generation = entry.generation.wrapping_add(1);
            self.free.push(slot);
            return None;
        }
        Some(token)
    }

    pub(crate) fn get(&self, token: Token) -> Option<&T> {
        self.slots
            .get(token.slot as usize)
            .filter(|slot| slot.generation == token.generation)?
            .value
            .as_ref()
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.slots
            .get_mut(token.slot as usize)
            .filter(|slot| slot.generation == token.generation)?
            .value
            .as_mut()
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        let slot = self
            .slots
            .get_mut(token.slot as usize)
            .filter(|slot| slot.generation == token.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(token.slot);
        Some(value)
    }

    /// The living token that the kernel means, if it still lives.
    pub(crate) fn resolve(&self, event: mio::Token) -> Option<Token> {
        let slot = u32::try_from(event.0 & LOW).ok()?;
        let entry = self.slots.get(slot as usize)?;
        let token = Token { slot, generation: entry.generation };
        (entry.value.is_some() && token.to_mio() == event).then_some(token)
    }

    pub(crate) fn tokens(&self) -> Vec<Token> {
        (0u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.value.is_some())
            .map(|(number, slot)| Token { slot: number, generation: slot.generation })
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn grow(&mut self) -> Option<u32> {
        let slot = u32::try_from(self.slots.len()).ok()?;
        if self.slots.len() >= LOW - RESERVED {
            return None;
        }
        self.slots.push(Slot { generation: 0, value: None });
        Some(slot)
    }
}

/// The token of event source `n` that is not a connection; its slot number is never given out.
pub(crate) const fn reserved(n: usize) -> mio::Token {
    mio::Token(usize::MAX - n)
}

/// How many event sources besides connections there can be.
pub(crate) const RESERVED: usize = 256;

const HALF: u32 = usize::BITS / 2;
const LOW: usize = usize::MAX >> HALF;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_has_a_new_token() {
        let mut slab = Slab::new();
        let old = slab.insert_with(|_| Some("old")).unwrap();
        assert_eq!(slab.remove(old), Some("old"));
        let new = slab.insert_with(|_| Some("new")).unwrap();

        assert_eq!(old.slot, new.slot);
        assert_eq!((slab.get(old), slab.get(new)), (None, Some(&"new")));
        assert_eq!(slab.get_mut(old), None);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.resolve(old.to_mio()), None);
        assert_eq!(slab.resolve(new.to_mio()), Some(new));
        assert_eq!((slab.len(), slab.tokens()), (1, vec![new]));
    }

    #[test]
    fn what_is_not_made_takes_no_slot() {
        let mut slab = Slab::<()>::new();
        let mut seen = None;
        let made = slab.insert_with(|token| {
            seen = Some(token);
            None
        });
        assert_eq!((made, slab.len()), (None, 0));
        assert_eq!(slab.get(seen.unwrap()), None);
    }

    #[test]
    fn reserved_tokens_name_no_connection() {
        let mut slab = Slab::new();
        slab.insert_with(|_| Some(())).unwrap();
        for n in 0..RESERVED {
            assert_eq!(slab.resolve(reserved(n)), None);
        }
    }
}
