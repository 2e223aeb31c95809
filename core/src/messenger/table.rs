//! A few of something, in places that the caller has reserved.

/// Up to `N` values. When there is no room for another one, one that has been there long goes.
pub(super) struct Table<T, const N: usize> {
    places: [Option<T>; N],
    next: usize,
}

impl<T, const N: usize> Table<T, N> {
    pub(super) const fn new() -> Self {
        Self { places: [const { None }; N], next: 0 }
    }

    /// Takes `value` in, and gives back its place. A value that `stays` goes only if all do.
    pub(super) fn push(&mut self, value: T, stays: impl Fn(&T) -> bool) -> Option<&mut T> {
        let mut at = 0;
        for _ in 0..N {
            at = if self.next < N { self.next } else { 0 };
            self.next = at.saturating_add(1);
            if !self.places.get(at)?.as_ref().is_some_and(&stays) {
                break;
            }
        }
        Some(self.places.get_mut(at)?.insert(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    pub(super) fn find_mut(&mut self, mut which: impl FnMut(&T) -> bool) -> Option<&mut T> {
        self.places.iter_mut().flatten().find(|value| which(value))
    }

    /// Takes out the values that are meant.
    pub(super) fn remove(&mut self, mut which: impl FnMut(&T) -> bool) {
        for place in &mut self.places {
            if place.as_ref().is_some_and(&mut which) {
                *place = None;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.remove(|_| true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_room_the_oldest_places_are_used_anew() {
        let mut table = Table::<u8, 3>::new();
        for value in 0..5 {
            assert_eq!(table.push(value, |value| *value == 1), Some(&mut { value }));
        }
        assert!(table.iter().eq(&[3, 1, 4]));
        table.remove(|value| *value == 3);
        assert!(table.iter().eq(&[1, 4]));
        *table.find_mut(|value| *value == 4).unwrap() = 5;
        assert!(table.push(6, |_| true).is_some());
        assert!(table.iter().eq(&[6, 1, 5]));
        table.clear();
        assert!(table.iter().next().is_none());
    }
}
