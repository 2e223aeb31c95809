//! The last few of something.

use heapless::Vec;

/// Up to `N` values; when there is no room, the oldest goes.
#[derive(Clone, Debug)]
pub(super) struct Ring<T, const N: usize> {
    values: Vec<T, N>,
    /// Where the oldest is, once all places are taken.
    oldest: usize,
}

impl<T, const N: usize> Ring<T, N> {
    pub(super) const fn new() -> Self {
        Self { values: Vec::new(), oldest: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let (newer, older) = self.values.split_at_checked(self.oldest).unwrap_or_default();
        older.iter().chain(newer)
    }

    /// Takes `value` in, and gives back what has to go for it.
    pub(super) fn push(&mut self, value: T) -> Option<T> {
        let value = self.values.push(value).err()?;
        let place = self.values.get_mut(self.oldest)?;
        let next = self.oldest.saturating_add(1);
        self.oldest = if next < N { next } else { 0 };
        Some(core::mem::replace(place, value))
    }
}

impl<T: PartialEq, const N: usize> PartialEq for Ring<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq, const N: usize> Eq for Ring<T, N> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_oldest_goes_first() {
        let mut ring = Ring::<_, 3>::new();
        for n in 0..10_u32 {
            assert_eq!(ring.push(n), n.checked_sub(3));
            assert_eq!(ring.len(), 3.min(n as usize + 1));
            let kept: Vec<u32> = (n.saturating_sub(2)..=n).collect();
            assert!(ring.iter().eq(&kept), "{ring:?}");
        }
    }
}
